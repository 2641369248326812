"""Collections, documents and searches through ZeroEntropy's Python SDK, with the state that its own suite lacks."""

import base64
import itertools
import time

import httpx
import pytest
import zeroentropy
from zeroentropy import AsyncZeroEntropy, ZeroEntropy

INDEXED_WITHIN_SECONDS = 120
ARTICLES = {
    "sea/ships.txt": ("The lighthouse keeper counts ships at night.\n\nÜnder the lamp he writes their names.", "sea", "2020-05-01"),
    "sea/stars.txt": ("Sailors find their way by the stars when the compass fails.", "sea", "2021-06-01"),
    "kitchen/bread.txt": ("Sourdough bread needs flour, water, salt and a night of rest.", "kitchen", "2022-07-01"),
    "kitchen/cheese.txt": ("Käse reift in kühlen Kellern und wird jede Woche gewendet. 🧀 Danach wird er gegessen.", "kitchen", "2023-08-01"),
}


@pytest.fixture(params=[False, True], ids=["loose", "strict"])
def client(request, server):
    with ZeroEntropy(
        base_url=f"{server.url}/v1", api_key=server.key, _strict_response_validation=request.param
    ) as client:
        yield client


@pytest.fixture(scope="module")
def keeper(server):
    with ZeroEntropy(base_url=f"{server.url}/v1", api_key=server.key) as client:
        yield client


NUMBERS = itertools.count()


@pytest.fixture
def empty(keeper):
    """A collection of the test's own."""
    name = f"collection {next(NUMBERS)}"
    keeper.collections.add(collection_name=name)
    yield name
    keeper.collections.delete(collection_name=name)


@pytest.fixture(scope="module")
def articles(keeper):
    """A collection that tests only read."""
    name = "articles"
    keeper.collections.add(collection_name=name)
    for path, (text, topic, date) in ARTICLES.items():
        metadata = {"topic": topic, "date": date, "list:tags": [topic, path.split("/")[1]]}
        keeper.documents.add(
            collection_name=name, path=path, content={"type": "text", "text": text}, metadata=metadata
        )
    wait_until_indexed(keeper, name)
    yield name
    keeper.collections.delete(collection_name=name)


def add(client, collection, path, text, **more):
    return client.documents.add(
        collection_name=collection, path=path, content={"type": "text", "text": text}, **more
    )


def wait_until_indexed(client, collection):
    deadline = time.monotonic() + INDEXED_WITHIN_SECONDS
    while True:
        status = client.status.get_status(collection_name=collection)
        assert status.num_failed_documents == 0, status
        if status.num_indexed_documents == status.num_documents:
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.02)


def counting_client(server, **options):
    sent = []
    transport = httpx.Client(event_hooks={"request": [sent.append]})
    return ZeroEntropy(http_client=transport, api_key=server.key, base_url=f"{server.url}/v1", **options), sent


def info(client, collection, path, **more):
    return client.documents.get_info(collection_name=collection, path=path, **more).document


def test_collections_come_and_go(client):
    name = f"new {next(NUMBERS)} ü"
    client.collections.add(collection_name=name, num_shards=8)
    assert name in client.collections.get_list().collection_names
    assert client.status.get_status(collection_name=name).num_documents == 0
    client.collections.delete(collection_name=name)
    assert name not in client.collections.get_list().collection_names
    for call in [client.collections.delete, client.status.get_status]:
        with pytest.raises(zeroentropy.NotFoundError):
            call(collection_name=name)


def test_a_conflict_is_not_tried_again(server, empty):
    client, sent = counting_client(server)
    with client:
        with pytest.raises(zeroentropy.ConflictError) as caught:
            client.collections.add(collection_name=empty)
        assert len(sent) == 1
        assert caught.value.response.headers["x-should-retry"] == "false"
        add(client, empty, "a", "text")
        with pytest.raises(zeroentropy.ConflictError):
            add(client, empty, "a", "text")
        assert len(sent) == 3


def test_names_and_shards_have_limits(client):
    for name in ["", "x" * 1025]:
        with pytest.raises((zeroentropy.BadRequestError, zeroentropy.UnprocessableEntityError)):
            client.collections.add(collection_name=name)
    with pytest.raises(zeroentropy.BadRequestError):
        client.collections.add(collection_name="shards", num_shards=2)


def test_both_encodings_of_content_are_the_same(client, empty):
    text = "Grüße aus dem Leuchtturm.\n\nDie Schiffe fahren bei Nacht."
    data = base64.b64encode(text.encode()).decode()
    add(client, empty, "plain.txt", text)
    client.documents.add(
        collection_name=empty, path="file.txt", content={"type": "auto", "base64_data": data}
    )
    wait_until_indexed(client, empty)
    plain, file = (info(client, empty, path, include_content=True) for path in ["plain.txt", "file.txt"])
    assert plain.content == file.content == text
    assert plain.size == file.size == len(text.encode())
    for wrong in ["no base64!", "AAA", data.replace("=", "") + "-"]:
        with pytest.raises(zeroentropy.BadRequestError):
            client.documents.add(
                collection_name=empty, path="wrong", content={"type": "auto", "base64_data": wrong}
            )


@pytest.mark.parametrize("kind", ["text-pages", "text-pages-unordered"])
def test_pages(client, empty, kind):
    pages = ["apples and pears", "ships at night", "flour and salt"]
    client.documents.add(collection_name=empty, path="p", content={"type": kind, "pages": pages})
    wait_until_indexed(client, empty)
    assert info(client, empty, "p").num_pages == 3
    for index, text in enumerate(pages):
        page = client.documents.get_page_info(
            collection_name=empty, path="p", page_index=index, include_content=True
        ).page
        assert (page.page_index, page.content, page.image_url) == (index, text, None)
    with pytest.raises(zeroentropy.NotFoundError):
        client.documents.get_page_info(collection_name=empty, path="p", page_index=3)
    found = client.queries.top_pages(collection_name=empty, query="flour", k=3, include_content=True)
    assert found.results[0].page_index in range(3)
    if kind == "text-pages-unordered":
        assert (found.results[0].page_index, found.results[0].content) == (2, "flour and salt")
    assert [document.path for document in found.document_results] == ["p"]


def test_overwriting_replaces_everything(client, empty):
    add(client, empty, "a", "the old text", metadata={"v": "1"})
    wait_until_indexed(client, empty)
    before = info(client, empty, "a")
    raw = client.documents.with_raw_response.add(
        collection_name=empty, path="a", content={"type": "text", "text": "a newer text"},
        metadata={"v": "2"}, overwrite=True,
    )
    assert raw.status_code == 200
    wait_until_indexed(client, empty)
    after = info(client, empty, "a", include_content=True)
    assert (after.content, after.metadata, after.id != before.id) == ("a newer text", {"v": "2"}, True)
    snippets = client.queries.top_snippets(collection_name=empty, query="text", k=10).results
    assert [snippet.content for snippet in snippets] == ["a newer text"]
    fresh = client.documents.with_raw_response.add(
        collection_name=empty, path="b", content={"type": "text", "text": "x"}, overwrite=True
    )
    assert fresh.status_code == 201


def test_updates_follow_the_status(client, empty):
    add(client, empty, "a", "text", metadata={"k": "old"})
    wait_until_indexed(client, empty)
    client.documents.update(collection_name=empty, path="a", metadata={"k": "new"})
    wait_until_indexed(client, empty)
    assert info(client, empty, "a").metadata == {"k": "new"}
    top = client.queries.top_documents(
        collection_name=empty, query="text", k=1, filter={"k": {"$eq": "new"}}, include_metadata=True
    )
    assert [result.metadata for result in top.results] == [{"k": "new"}]
    for status in ["not_parsed", "not_indexed"]:
        with pytest.raises(zeroentropy.BadRequestError):
            client.documents.update(collection_name=empty, path="a", index_status=status)
    with pytest.raises(zeroentropy.NotFoundError):
        client.documents.update(collection_name=empty, path="none")


def test_a_failed_document_can_be_tried_again(client, empty):
    broken = base64.b64encode(b"not a pdf").decode()
    client.documents.add(
        collection_name=empty, path="a.pdf", content={"type": "auto", "base64_data": broken}
    )
    deadline = time.monotonic() + INDEXED_WITHIN_SECONDS
    while client.status.get_status(collection_name=empty).num_failed_documents == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert info(client, empty, "a.pdf").index_status == "parsing_failed"
    client.documents.update(collection_name=empty, path="a.pdf", index_status="not_parsed")
    with pytest.raises(zeroentropy.BadRequestError):
        client.documents.update(collection_name=empty, path="a.pdf", metadata={"k": "v"})


def test_deleting_lists(client, empty):
    for path in ["a", "b", "c"]:
        add(client, empty, path, f"text of {path}")
    assert client.documents.delete(collection_name=empty, path=["c", "none", "a"]).deleted_paths == ["c", "a"]
    assert client.documents.delete(collection_name=empty, path="b").deleted_paths == ["b"]
    with pytest.raises(zeroentropy.NotFoundError):
        client.documents.delete(collection_name=empty, path=["a", "b"])
    for paths in [[], ["x"] * 65]:
        with pytest.raises(zeroentropy.BadRequestError):
            client.documents.delete(collection_name=empty, path=paths)


@pytest.mark.parametrize("metadata", [{"year": 2024}, {"tags": ["a"]}, {"list:tags": "a"}, {"a b": "c"}, {"k": "x" * 65536}])
def test_metadata_has_rules(client, empty, metadata):
    with pytest.raises((zeroentropy.BadRequestError, zeroentropy.UnprocessableEntityError)):
        add(client, empty, "a", "text", metadata=metadata)
    with pytest.raises(zeroentropy.NotFoundError):
        info(client, empty, "a")


def test_pagination_goes_beyond_one_page(keeper, empty):
    paths = [f"d/{number:04}" for number in range(1030)] + ["z/last", "ä"]
    for path in paths:
        add(keeper, empty, path, f"note {path}")
    listed = [document.path for document in keeper.documents.get_info_list(collection_name=empty)]
    assert listed == sorted(paths, key=str.encode)
    first = keeper.documents.get_info_list(collection_name=empty)
    assert len(first.documents) == 1024 and first.has_next_page()
    few = keeper.documents.get_info_list(collection_name=empty, limit=2, path_prefix="d/", path_gt="d/0500")
    assert [document.path for document in few.documents] == ["d/0501", "d/0502"]
    assert keeper.documents.get_info_list(collection_name=empty, limit=0).documents == []
    for limit in [-1, 1025]:
        with pytest.raises(zeroentropy.BadRequestError):
            keeper.documents.get_info_list(collection_name=empty, limit=limit)


async def test_async_pagination(server, articles):
    async with AsyncZeroEntropy(base_url=f"{server.url}/v1", api_key=server.key) as client:
        documents = client.documents.get_info_list(collection_name=articles, limit=1)
        assert [document.path async for document in documents] == sorted(ARTICLES)


def test_status_counts(client, articles):
    status = client.status.get_status(collection_name=articles)
    assert status.num_documents == status.num_indexed_documents == len(ARTICLES)
    assert status.num_indexed_bytes == sum(len(text.encode()) for text, *_ in ARTICLES.values())
    assert client.status.get_status().num_documents >= len(ARTICLES)


@pytest.mark.parametrize("precise", [False, True])
def test_snippets_are_the_characters_they_say(client, articles, precise):
    found = client.queries.top_snippets(
        collection_name=articles, query="Käse in kühlen Kellern", k=10, precise_responses=precise,
        include_document_metadata=True,
    )
    assert found.results[0].path == "kitchen/cheese.txt"
    for snippet in found.results:
        text = ARTICLES[snippet.path][0]
        assert snippet.content == text[snippet.start_index : snippet.end_index]
        assert snippet.page_span == [0, 1]
    assert {document.path for document in found.document_results} == {result.path for result in found.results}
    assert found.document_results[0].metadata["topic"] == "kitchen"


def test_the_right_document_comes_first(client, articles):
    for query, path in [
        ("how do seafarers navigate?", "sea/stars.txt"),
        ("baking at home", "kitchen/bread.txt"),
        ("who counts the boats in the dark?", "sea/ships.txt"),
    ]:
        found = client.queries.top_documents(collection_name=articles, query=query, k=2)
        assert found.results[0].path == path, query
        assert [result.score for result in found.results] == sorted(
            (result.score for result in found.results), reverse=True
        )


FILTERS = [
    ({"topic": {"$eq": "sea"}}, {"ships", "stars"}),
    ({"topic": "kitchen"}, {"bread", "cheese"}),
    ({"topic": {"$ne": "sea"}}, {"bread", "cheese"}),
    ({"none": {"$ne": "x"}}, {"ships", "stars", "bread", "cheese"}),
    ({"none": {"$lt": "x"}}, set()),
    ({"date": {"$gte": "2021-06-01", "$lt": "2023-01-01"}}, {"stars", "bread"}),
    ({"topic": {"$in": ["sea", "other"]}}, {"ships", "stars"}),
    ({"list:tags": {"$in": ["bread.txt", "stars.txt"]}}, {"bread", "stars"}),
    ({"list:tags": {"$nin": ["kitchen"]}}, {"ships", "stars"}),
    ({"$or": [{"topic": "sea"}, {"$and": [{"topic": "kitchen"}, {"date": {"$gt": "2023"}}]}]}, {"ships", "stars", "cheese"}),
    ({}, {"ships", "stars", "bread", "cheese"}),
    (None, {"ships", "stars", "bread", "cheese"}),
]


@pytest.mark.parametrize(("condition", "expected"), FILTERS)
@pytest.mark.parametrize("query", ["at night", None])
def test_filters(client, articles, query, condition, expected):
    found = client.queries.top_documents(collection_name=articles, query=query, k=10, filter=condition)
    assert {result.path.split("/")[1].removesuffix(".txt") for result in found.results} == expected


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ({"topic": {"$eq": 3}}, zeroentropy.UnprocessableEntityError),
        ({"topic": {"$in": "sea"}}, zeroentropy.UnprocessableEntityError),
        ({"topic": True}, zeroentropy.UnprocessableEntityError),
        ({"topic": {"$like": "s"}}, zeroentropy.BadRequestError),
        ({"list:tags": {"$eq": "sea"}}, zeroentropy.BadRequestError),
        ({"$not": {"topic": "sea"}}, zeroentropy.BadRequestError),
    ],
)
def test_bad_filters_are_refused(client, articles, condition, error):
    with pytest.raises(error) as caught:
        client.queries.top_snippets(collection_name=articles, query="x", k=1, filter=condition)
    assert "filter" in str(caught.value.body)


@pytest.mark.parametrize(
    ("call", "most"), [("top_documents", 2048), ("top_pages", 1024), ("top_snippets", 128)]
)
def test_queries_have_limits(client, articles, call, most):
    ask = getattr(client.queries, call)
    assert ask(collection_name=articles, query="night", k=most).results
    for k in [-1, 0, most + 1]:
        with pytest.raises(zeroentropy.BadRequestError):
            ask(collection_name=articles, query="night", k=k)
    # Snippets count characters, the others bytes.
    umlauts = "ü" * 4096
    if call == "top_snippets":
        ask(collection_name=articles, query=umlauts, k=1)
        umlauts += "ü"
    with pytest.raises(zeroentropy.BadRequestError):
        ask(collection_name=articles, query=umlauts, k=1)
    with pytest.raises(zeroentropy.NotFoundError):
        ask(collection_name="no such collection", query="x", k=1)


def test_rerankers(client, articles):
    request = {"collection_name": articles, "query": "at night", "k": 4}
    reranked = client.queries.top_documents(**request, reranker="zerank-2").results
    assert len(reranked) == 4 and all(0 <= result.score <= 1 for result in reranked)
    high = client.queries.top_documents(**request, latency_mode="high").results
    assert high == reranked, "the only reranker is the default"
    texts = [ARTICLES[path][0] for path in ARTICLES]
    direct = client.models.rerank(model="zerank-2", query="at night", documents=texts).results
    expected = {list(ARTICLES)[result.index]: result.relevance_score for result in direct}
    assert {result.path: result.score for result in reranked} == pytest.approx(expected, abs=1e-5)
    with pytest.raises(zeroentropy.NotFoundError) as caught:
        client.queries.top_snippets(**request, reranker="no such reranker")
    assert "tiny-reranker" in str(caught.value)


def test_files_are_fetched_without_a_key(client, empty):
    add(client, empty, "a", "Grüße")
    wait_until_indexed(client, empty)
    url = info(client, empty, "a").file_url
    file = httpx.get(url)
    assert (file.status_code, file.text) == (200, "Grüße")
    assert "immutable" in file.headers["cache-control"]
    assert httpx.get(url[:-3]).status_code == 404
    found = client.queries.top_documents(collection_name=empty, query="Grüße", k=1).results
    assert httpx.get(found[0].file_url).text == "Grüße"
    client.documents.update(collection_name=empty, path="a", metadata={"k": "v"})
    wait_until_indexed(client, empty)
    assert httpx.get(url).status_code == 404, "a new version has a new address"


def test_usage_is_counted(server, keeper, articles):
    def counted():
        now = int(time.time())
        body = {"start_time": now - 86400, "end_time": now + 86400, "aggregation_window": "daily"}
        headers = {"authorization": f"Bearer {server.key}"}
        answer = httpx.post(f"{server.url}/v1/usage/models/embed", json=body, headers=headers)
        answer.raise_for_status()
        return sum(window["count"] for window in answer.json())

    before = counted()
    keeper.models.embed(model="zembed-1", input_type="query", input="x")
    assert counted() == before + 1


def test_our_own_search(server, articles):
    headers = {"authorization": f"Bearer {server.key}"}

    def search(**body):
        return httpx.post(f"{server.url}/v1/search", json={"collection": articles} | body, headers=headers)

    answer = search(query="who counts the boats?", k=3, rerank={"model": "zerank-2", "depth": 4}, explain=True).json()
    assert answer["rerank_status"] == {"status": "full"}
    assert [hit["explanation"]["reranked"]["rank"] for hit in answer["results"]] == [1, 2, 3]
    assert answer["timings_ms"]["total"] > 0 and answer["usage"]["tokens"] > 0
    [hit] = search(query="Sourdough", list="lexical").json()["results"]
    assert hit["path"] == "kitchen/bread.txt"
    assert search(query="x", k=3, topk=3).status_code == 422
    assert search(query="x", threshold=0.5).status_code == 400
    turns = [{"role": "user", "content": "tell me about bread"}, {"role": "assistant", "content": "gladly"}]
    talk = search(query="what does it need?", messages=turns, conversation="concatenate").json()
    assert "bread" in talk["query"]
