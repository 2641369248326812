"""One server for the whole run: the real MiniLM as embedder, tiny random models where only the shape matters."""

import pytest

from live_server import LiveServer, scratch
from served_models import KEY, arguments, reranker_arguments


@pytest.fixture(scope="session")
def server():
    with LiveServer(arguments(), scratch() / "server.log", KEY) as server:
        yield server


@pytest.fixture(scope="session")
def reranker_server():
    with LiveServer(reranker_arguments(), scratch() / "reranker-server.log", KEY) as server:
        yield server
