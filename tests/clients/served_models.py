"""What the servers under test serve, as command lines of `elodex serve`."""

import json
import shutil

from live_server import embedder, golden, scratch

# The key that ZeroEntropy's own suite sends.
KEY = "My API Key"

# Names that clients of hosted services have in their code.
EMBEDDER_ALIASES = ["zembed-1", "model", "text-embedding-3-small", "embed-v4.0", "jina-embeddings-v3"]
RERANKER_ALIASES = ["zerank-2", "reranker", "rerank-v3.5", "jina-reranker-v2-base-multilingual"]

RERANKER = "bert_cross"
EMBEDDER = "bert_minilm"


def arguments():
    """The real MiniLM, a tiny cross-encoder and a tiny embedder with prompts, both with random weights."""
    models = [f"minilm={embedder()}", f"tiny-reranker={golden(RERANKER)}", f"tiny-asymmetric={asymmetric()}"]
    aliases = [f"{alias}=minilm" for alias in EMBEDDER_ALIASES]
    aliases += [f"{alias}=tiny-reranker" for alias in RERANKER_ALIASES]
    return [
        *repeated("--model", models), *repeated("--alias", aliases), "--default-embedder", "minilm", "--api-key", KEY
    ]


def asymmetric():
    """A copy of the tiny embedder that declares a prompt for each side."""
    folder = scratch() / "tiny-asymmetric"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(golden(EMBEDDER), folder)
    settings = {"prompts": {"query": "query: ", "document": "passage: "}, "default_prompt_name": None}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def reranker_arguments():
    """Only the tiny cross-encoder, under the name that ZeroEntropy's own suite gives every model."""
    return ["--model", f"model={golden(RERANKER)}", "--api-key", KEY]


def bench_arguments(model, key, threads):
    """The real MiniLM on so many threads, with nothing answered from memory."""
    return ["--model", f"minilm={model}", "--api-key", key, "--threads", str(threads), "--cache-bytes", "0"]


def repeated(flag, values):
    return [part for value in values for part in (flag, value)]
