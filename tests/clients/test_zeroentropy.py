"""ZeroEntropy's Python SDK against a live server: what its own suite, written for a stateless mock, cannot check."""

import base64
import struct

import httpx
import pytest
import zeroentropy
from zeroentropy import AsyncZeroEntropy, ZeroEntropy

TEXTS = ["hello world", "how do plants eat?", "", "the train leaves at noon"]
WIDTH = 384


@pytest.fixture(params=[False, True], ids=["loose", "strict"])
def client(request, server):
    with ZeroEntropy(
        base_url=f"{server.url}/v1", api_key=server.key, _strict_response_validation=request.param
    ) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["loose", "strict"])
async def async_client(request, server):
    async with AsyncZeroEntropy(
        base_url=f"{server.url}/v1", api_key=server.key, _strict_response_validation=request.param
    ) as client:
        yield client


def counting_client(server, **options):
    """A client and the list of requests it sends."""
    sent = []
    transport = httpx.Client(event_hooks={"request": [sent.append]})
    options = {"api_key": server.key, "base_url": f"{server.url}/v1"} | options
    return ZeroEntropy(http_client=transport, **options), sent


def vectors(response):
    return [result.embedding for result in response.results]


def cosine(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_embed_is_the_model(client):
    response = client.models.embed(model="zembed-1", input_type="document", input="hello world")
    [vector] = vectors(response)
    assert len(vector) == WIDTH
    # The published model's first components for this text.
    assert vector[:5] == pytest.approx([-0.034478, 0.03102, 0.00673, 0.02611, -0.039362], abs=1e-4)
    assert cosine(vector, vector) == pytest.approx(1.0, abs=1e-5)


def test_embed_keeps_the_order_and_ignores_the_neighbours(client):
    together = vectors(client.models.embed(model="zembed-1", input_type="document", input=TEXTS))
    alone = [
        vectors(client.models.embed(model="zembed-1", input_type="document", input=text))[0] for text in TEXTS
    ]
    assert together == alone
    assert len({tuple(vector) for vector in together}) == len(TEXTS)


def test_embed_counts_bytes_and_tokens(client):
    usage = client.models.embed(model="zembed-1", input_type="query", input=["zwölf", ""]).usage
    assert usage.total_bytes == 150 + len("zwölf".encode()) + 150
    # [CLS] and [SEP] alone are two tokens a text.
    assert usage.total_tokens > 4


@pytest.mark.parametrize("input_type", ["query", "document"])
def test_base64_and_float_are_the_same_vector(client, input_type):
    request = {"model": "zembed-1", "input_type": input_type, "input": TEXTS}
    floats = vectors(client.models.embed(**request, encoding_format="float"))
    encoded = vectors(client.models.embed(**request, encoding_format="base64"))
    for plain, text in zip(floats, encoded, strict=True):
        data = base64.b64decode(text, validate=True)
        assert list(struct.unpack(f"<{WIDTH}f", data)) == [as_f32(value) for value in plain]


def as_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def test_roles_differ_where_the_model_has_prompts(client):
    query, document = (
        vectors(client.models.embed(model="tiny-asymmetric", input_type=role, input="hello world"))[0]
        for role in ("query", "document")
    )
    assert query != document


def test_the_full_width_may_be_named(client):
    request = {"model": "zembed-1", "input_type": "query", "input": "hello world"}
    assert vectors(client.models.embed(**request, dimensions=WIDTH)) == vectors(client.models.embed(**request))


@pytest.mark.parametrize("dimensions", [0, -1, 7, 100_000])
def test_a_width_the_model_lacks_is_refused(client, dimensions):
    with pytest.raises((zeroentropy.BadRequestError, zeroentropy.UnprocessableEntityError)) as caught:
        client.models.embed(model="zembed-1", input_type="query", input="hello", dimensions=dimensions)
    assert str(dimensions) in str(caught.value.body["detail"])


def test_no_input_gives_no_result(client):
    response = client.models.embed(model="zembed-1", input_type="query", input=[])
    assert response.results == []
    assert response.usage.total_bytes == 0


@pytest.mark.parametrize("latency", ["fast", "slow", None])
def test_latency_never_changes_numbers(client, latency):
    request = {"model": "zembed-1", "input_type": "query", "input": "hello world"}
    assert vectors(client.models.embed(**request, latency=latency)) == vectors(client.models.embed(**request))


def test_rerank_sorts_all_documents(client):
    documents = ["paris is in france", "", "berlin is in germany", "paris is in france"]
    response = client.models.rerank(model="zerank-2", query="where is paris?", documents=documents)
    assert sorted(result.index for result in response.results) == [0, 1, 2, 3]
    scores = [result.relevance_score for result in response.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
    by_index = {result.index: result.relevance_score for result in response.results}
    assert by_index[0] == by_index[3], "the same document scores the same"
    places = [result.index for result in response.results]
    assert places.index(0) < places.index(3), "ties keep the request's order"


def test_rerank_scores_a_pair_alone_as_among_others(client):
    documents = [f"{'a longer passage ' * length} about plants" for length in range(7)]
    request = {"model": "zerank-2", "query": "how do plants eat?"}
    together = client.models.rerank(**request, documents=documents)
    for result in together.results:
        [alone] = client.models.rerank(**request, documents=[documents[result.index]]).results
        assert alone.relevance_score == result.relevance_score


@pytest.mark.parametrize("top_n", [0, 1, 2, 3, 10])
def test_top_n_cuts_the_same_order(client, top_n):
    request = {"model": "zerank-2", "query": "q", "documents": ["one", "two and more", "three"]}
    whole = client.models.rerank(**request)
    cut = client.models.rerank(**request, top_n=top_n)
    assert cut.results == whole.results[:top_n]
    assert cut.total_tokens == whole.total_tokens


def test_rerank_of_no_documents(client):
    response = client.models.rerank(model="zerank-2", query="q", documents=[])
    assert (response.results, response.total_bytes, response.total_tokens) == ([], 0, 0)


@pytest.mark.parametrize("latency", ["fast", "slow", None])
def test_rerank_reports_bytes_lane_and_seconds(client, latency):
    response = client.models.rerank(model="zerank-2", query="qü", documents=["one", ""], latency=latency)
    assert response.total_bytes == (150 + 3 + 3) + (150 + 3)
    assert response.total_tokens > 0
    assert response.actual_latency_mode == (latency or "fast")
    assert 0 <= response.inference_latency <= response.e2e_latency < 60


@pytest.mark.parametrize("call", ["embed", "rerank"])
def test_an_unknown_model_is_not_found_and_not_retried(server, call):
    client, sent = counting_client(server)
    request = {
        "embed": {"model": "no-such-model", "input_type": "query", "input": "hello"},
        "rerank": {"model": "no-such-model", "query": "q", "documents": ["d"]},
    }[call]
    with pytest.raises(zeroentropy.NotFoundError) as caught:
        getattr(client.models, call)(**request)
    assert "no-such-model" in caught.value.body["detail"]
    assert len(sent) == 1


def test_an_embedder_does_not_rerank(client):
    with pytest.raises(zeroentropy.APIStatusError) as caught:
        client.models.rerank(model="zembed-1", query="q", documents=["d"])
    assert caught.value.status_code in (400, 404)


def test_a_wrong_key_is_refused_and_not_retried(server):
    client, sent = counting_client(server, api_key="another key")
    with pytest.raises(zeroentropy.AuthenticationError) as caught:
        client.models.embed(model="zembed-1", input_type="query", input="hello")
    assert isinstance(caught.value.body["detail"], str)
    assert "another key" not in str(caught.value.body)
    assert len(sent) == 1


WRONG_TYPES = {
    "input is a number": ("embed", {"input": 3}),
    "an element is a number": ("embed", {"input": ["a", 3]}),
    "no such input_type": ("embed", {"input_type": "passage"}),
    "no such encoding_format": ("embed", {"encoding_format": "hex"}),
    "no such latency": ("embed", {"latency": "now"}),
    "dimensions is a string": ("embed", {"dimensions": "384"}),
    "query is null": ("rerank", {"query": None}),
    "documents is a string": ("rerank", {"documents": "d"}),
    "a document is an object": ("rerank", {"documents": [{"text": "d"}]}),
    "top_n is negative": ("rerank", {"top_n": -1}),
    "top_n is a fraction": ("rerank", {"top_n": 1.5}),
}


@pytest.mark.parametrize("case", WRONG_TYPES, ids=lambda case: case.replace(" ", "-"))
def test_a_wrong_field_is_named(client, case):
    call, change = WRONG_TYPES[case]
    request = {
        "embed": {"model": "zembed-1", "input_type": "query", "input": "hello"},
        "rerank": {"model": "zerank-2", "query": "q", "documents": ["d"]},
    }[call] | change
    with pytest.raises(zeroentropy.UnprocessableEntityError) as caught:
        getattr(client.models, call)(**request)
    [problem, *_] = caught.value.body["detail"]
    [field] = change
    assert field in problem["loc"]
    assert isinstance(problem["msg"], str) and isinstance(problem["type"], str)


async def test_embed_async(async_client):
    response = await async_client.models.embed(model="zembed-1", input_type="document", input=TEXTS)
    assert [len(vector) for vector in vectors(response)] == [WIDTH] * len(TEXTS)


async def test_rerank_async(async_client):
    response = await async_client.models.rerank(model="zerank-2", query="q", documents=["one", "two"], top_n=1)
    assert len(response.results) == 1


async def test_an_unknown_model_async(async_client):
    with pytest.raises(zeroentropy.NotFoundError):
        await async_client.models.embed(model="no-such-model", input_type="query", input="hello")


def test_routes_stand_at_the_root_too(server):
    with ZeroEntropy(base_url=server.url, api_key=server.key) as client:
        assert len(client.models.embed(model="zembed-1", input_type="query", input="hello").results) == 1
