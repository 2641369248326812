"""API keys over HTTP: made, restricted and taken away while the server runs."""

import httpx
import pytest
import zeroentropy
from zeroentropy import ZeroEntropy


def admin(server, call, **body):
    answer = httpx.post(
        f"{server.url}/v1/admin/{call}", json=body, headers={"authorization": f"Bearer {server.key}"}
    )
    answer.raise_for_status()
    return answer.json()


def test_a_key_that_may_only_read(server):
    key = admin(server, "add-api-key", name="reader", permission="read_only")["api_key"]
    [entry] = [key for key in admin(server, "list-api-keys")["api_keys"] if key["name"] == "reader"]
    with ZeroEntropy(base_url=f"{server.url}/v1", api_key=key) as client:
        client.collections.get_list()
        client.models.embed(model="zembed-1", input_type="query", input="x")
        with pytest.raises(zeroentropy.PermissionDeniedError):
            client.collections.add(collection_name="not allowed")
        with pytest.raises(zeroentropy.PermissionDeniedError):
            client.documents.add(collection_name="c", path="a", content={"type": "text", "text": "x"})
        admin(server, "update-api-key", api_key_id=entry["api_key_id"], permission="all")
        with pytest.raises(zeroentropy.NotFoundError):
            client.collections.delete(collection_name="allowed, but not there")
        admin(server, "delete-api-key", api_key_id=entry["api_key_id"])
        with pytest.raises(zeroentropy.AuthenticationError):
            client.collections.get_list()
