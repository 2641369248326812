"""OpenAI's Python client against a live server."""

import struct

import openai
import pytest

WIDTH = 384


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key) as client:
        yield client


def test_one_text(client):
    response = client.embeddings.create(model="text-embedding-3-small", input="hello world")
    [item] = response.data
    assert (item.index, item.object, len(item.embedding)) == (0, "embedding", WIDTH)
    assert item.embedding[:3] == pytest.approx([-0.034478, 0.03102, 0.00673], abs=1e-4)
    assert response.object == "list"
    assert response.usage.prompt_tokens == response.usage.total_tokens == 4


def test_many_texts_keep_their_order(client):
    texts = ["hello world", "", "the train leaves at noon"]
    response = client.embeddings.create(model="text-embedding-3-small", input=texts)
    assert [item.index for item in response.data] == [0, 1, 2]
    for text, item in zip(texts, response.data, strict=True):
        [alone] = client.embeddings.create(model="text-embedding-3-small", input=text).data
        assert alone.embedding == item.embedding


def test_float_and_the_clients_default_base64_agree(client):
    request = {"model": "text-embedding-3-small", "input": "hello world"}
    default = client.embeddings.create(**request).data[0].embedding
    floats = client.embeddings.create(**request, encoding_format="float").data[0].embedding
    # Base64 carries f32; the float form's decimals must name the same f32, bit for bit.
    assert struct.pack(f"<{WIDTH}f", *default) == struct.pack(f"<{WIDTH}f", *floats)


def test_raw_base64_is_a_string(client):
    response = client.embeddings.create(
        model="text-embedding-3-small", input="hello world", encoding_format="base64"
    )
    assert isinstance(response.data[0].embedding, str)


def test_a_width_the_model_lacks_is_refused(client):
    with pytest.raises((openai.BadRequestError, openai.UnprocessableEntityError)) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="hello", dimensions=7)
    assert "7" in caught.value.body["message"]


def test_an_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="no-such-model", input="hello")
    assert "no-such-model" in caught.value.body["message"]


def test_a_wrong_key(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="another key") as client:
        with pytest.raises(openai.AuthenticationError):
            client.embeddings.create(model="text-embedding-3-small", input="hello")


def test_a_wrong_type(client):
    with pytest.raises((openai.BadRequestError, openai.UnprocessableEntityError)):
        client.embeddings.create(model="text-embedding-3-small", input={"text": "hello"})


def test_models_are_listed(client):
    ids = {model.id for model in client.models.list()}
    assert {"text-embedding-3-small", "zerank-2"} <= ids


async def test_async(server):
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key) as client:
        response = await client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
        assert len(response.data) == 2
