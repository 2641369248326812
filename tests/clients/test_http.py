"""What has no client library here, over plain HTTP: Jina's and TEI's shapes, headers, probes."""

import httpx
import pytest

WIDTH = 384
ZEROENTROPY = "/v1/models/embed"


@pytest.fixture(scope="module")
def http(server):
    headers = {"authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def ok(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    return response.json()


def test_jina_embeddings(http):
    request = {"model": "jina-embeddings-v3", "task": "retrieval.query", "input": ["hello world", "two"]}
    body = ok(http.post("/v1/embeddings", json=request))
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert body["data"][0]["embedding"][:2] == pytest.approx([-0.034478, 0.03102], abs=1e-4)


def test_jina_rerank_echoes_documents(http):
    documents = ["one", {"text": "two and more"}]
    request = {"model": "jina-reranker-v2-base-multilingual", "query": "q", "documents": documents}
    body = ok(http.post("/v1/rerank", json=request))
    assert {result["index"]: result["document"]["text"] for result in body["results"]} == {
        0: "one",
        1: "two and more",
    }
    plain = ok(http.post("/v1/rerank", json=request | {"return_documents": False, "top_n": 1}))
    [best] = plain["results"]
    assert "document" not in best
    assert best["relevance_score"] == body["results"][0]["relevance_score"]


def test_jina_errors(http, stranger):
    request = {"model": "no-such-model", "query": "q", "documents": ["d"]}
    assert http.post("/v1/rerank", json=request).status_code == 404
    assert http.post("/v1/rerank", json={"model": "zerank-2"}).status_code == 422
    assert stranger.post("/v1/rerank", json=request).status_code == 401


def test_tei_embed(http):
    one, two = ok(http.post("/embed", json={"inputs": ["hello world", "two"]}))
    assert (len(one), len(two)) == (WIDTH, WIDTH)
    [alone] = ok(http.post("/embed", json={"inputs": "hello world"}))
    assert alone == one


def test_tei_rerank(http):
    request = {"query": "q", "texts": ["one", "two and more", "three"]}
    ranked = ok(http.post("/rerank", json=request))
    assert sorted(entry["index"] for entry in ranked) == [0, 1, 2]
    scores = [entry["score"] for entry in ranked]
    assert scores == sorted(scores, reverse=True)
    raw = ok(http.post("/rerank", json=request | {"raw_scores": True, "return_text": True}))
    assert [entry["index"] for entry in raw] == [entry["index"] for entry in ranked]
    assert [entry["text"] for entry in raw] == [request["texts"][entry["index"]] for entry in raw]


def test_tei_tokenize_and_info(http):
    [tokens] = ok(http.post("/tokenize", json={"inputs": "hello world"}))
    assert [token["text"] for token in tokens if not token["special"]] == ["hello", "world"]
    info = ok(http.get("/info"))
    assert info["max_input_length"] > 0


def test_tei_errors(http):
    empty = http.post("/embed", json={"inputs": []})
    assert (empty.status_code, empty.json()["error_type"]) == (400, "Empty")
    assert http.post("/embed", json={"inputs": 3}).status_code == 422


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer another key", "Basic TXkgQVBJIEtleQ==", "My API Key"]
)
def test_without_the_key_nothing_is_answered(stranger, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    request = {"model": "zembed-1", "input_type": "query", "input": "hello"}
    response = stranger.post(ZEROENTROPY, json=request, headers=headers)
    assert response.status_code == 401
    assert isinstance(response.json()["detail"], str)


@pytest.mark.parametrize("probe", ["/health", "/ready"])
def test_probes_need_no_key(stranger, probe):
    assert stranger.get(probe).status_code == 200


def test_metrics_are_prometheus_text(http):
    ok(http.post(ZEROENTROPY, json={"model": "zembed-1", "input_type": "query", "input": "hello"}))
    response = http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert any(line.startswith("# TYPE ") for line in response.text.splitlines())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": "\xff"}', b'{"model": "\\ud800"}'])
def test_a_malformed_body_is_the_callers_fault(http, body):
    response = http.post(ZEROENTROPY, content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422), response.text
    assert response.json()["detail"]
    assert response.headers.get("x-should-retry", "false") == "false"


def test_deep_nesting_does_not_end_the_server(http):
    response = http.post(ZEROENTROPY, content=b"[" * 200_000, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert http.get("/health").status_code == 200


def test_more_than_the_payload_limit_is_refused(http):
    request = {"model": "zembed-1", "input_type": "document", "input": ["x" * 4_000_000] * 2}
    assert http.post(ZEROENTROPY, json=request).status_code in (400, 413)


def test_an_unknown_path(http):
    assert http.get("/v1/no-such-path").status_code == 404
    assert http.get(ZEROENTROPY).status_code == 405
