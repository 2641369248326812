"""Cohere's Python client (API version 2) against a live server."""

import cohere
import pytest
from cohere.core.api_error import ApiError

WIDTH = 384


@pytest.fixture
def client(server):
    return cohere.ClientV2(api_key=server.key, base_url=server.url, max_retries=0)


def embed(client, texts, input_type="search_document", **options):
    return client.embed(
        model="embed-v4.0", texts=texts, input_type=input_type, embedding_types=["float"], **options
    )


def test_embed(client):
    response = embed(client, ["hello world", "the train leaves at noon"])
    first, second = response.embeddings.float_
    assert first[:3] == pytest.approx([-0.034478, 0.03102, 0.00673], abs=1e-4)
    assert len(second) == WIDTH
    assert response.texts == ["hello world", "the train leaves at noon"]
    assert response.meta.billed_units.input_tokens > 0


def test_both_roles(client):
    assert len(embed(client, ["hello"], input_type="search_query").embeddings.float_) == 1


def test_rerank(client):
    documents = ["paris is in france", "", "berlin is in germany"]
    response = client.rerank(model="rerank-v3.5", query="where is paris?", documents=documents)
    assert sorted(result.index for result in response.results) == [0, 1, 2]
    scores = [result.relevance_score for result in response.results]
    assert scores == sorted(scores, reverse=True)


def test_rerank_top_n(client):
    request = {"model": "rerank-v3.5", "query": "q", "documents": ["one", "two and more", "three"]}
    whole = client.rerank(**request).results
    assert [result.index for result in client.rerank(**request, top_n=2).results] == [
        result.index for result in whole[:2]
    ]


def test_an_unknown_model(client):
    with pytest.raises(cohere.NotFoundError) as caught:
        client.rerank(model="no-such-model", query="q", documents=["d"])
    assert "no-such-model" in caught.value.body["message"]


def test_a_wrong_key(server):
    client = cohere.ClientV2(api_key="another key", base_url=server.url, max_retries=0)
    with pytest.raises(cohere.UnauthorizedError):
        embed(client, ["hello"])


def test_a_width_the_model_lacks_is_refused(client):
    with pytest.raises(ApiError) as caught:
        embed(client, ["hello"], output_dimension=7)
    assert caught.value.status_code in (400, 422)
