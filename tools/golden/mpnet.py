"""MPNet in the layout of all-mpnet-base-v2."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import MPNetConfig, MPNetModel

import tokens
from common import (
    GoldenWriter,
    embed_cases,
    fresh_directory,
    load_embedder,
    randomise,
    readme,
    write_json,
    write_legacy_st,
    write_model,
)
from texts import EMBED, LONG

# Beyond 128, from where on all distances share a bucket.
LENGTH = 148


def tokenizer(directory: Path) -> int:
    """BERT's pieces between RoBERTa's special tokens; positions count from behind the padding's id, which is 1."""
    size = tokens.wordpiece(directory, LENGTH)
    names = {"[CLS]": "<s>", "[PAD]": "<pad>", "[SEP]": "</s>", "[MASK]": "<mask>", "[UNK]": "[UNK]"}
    ids = {name: index for index, name in enumerate(names.values())}
    file = directory / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    pieces = content["model"]["vocab"]
    content["model"]["vocab"] = ids | {piece: index for piece, index in pieces.items() if piece not in names}
    special = [token | {"content": names[token["content"]]} for token in content["added_tokens"]]
    special = [token | {"id": ids[token["content"]]} for token in special]
    content["added_tokens"] = sorted(special, key=lambda token: token["id"])
    content["post_processor"] = {
        "type": "RobertaProcessing",
        "sep": ["</s>", ids["</s>"]],
        "cls": ["<s>", ids["<s>"]],
        "trim_offsets": True,
        "add_prefix_space": False,
    }
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    special = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "mask_token": "<mask>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "[UNK]",
    }
    write_json(directory / "special_tokens_map.json", special)
    settings = {"do_lower_case": True, "model_max_length": LENGTH, "strip_accents": None, "tokenize_chinese_chars": True}
    write_json(directory / "tokenizer_config.json", settings | {"tokenizer_class": "MPNetTokenizer"} | special)
    return size


def embed() -> None:
    name, seed, model_id = "mpnet", 1201, "sentence-transformers/all-mpnet-base-v2"
    directory = fresh_directory(name)
    vocabulary = tokenizer(directory)
    settings = {
        "architectures": ["MPNetForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": LENGTH + 6,
        "model_type": "mpnet",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "pad_token_id": 1,
        "relative_attention_num_buckets": 32,
        "transformers_version": "4.8.2",
        "vocab_size": vocabulary,
    }
    state = randomise(MPNetModel(MPNetConfig(**settings)), seed)
    state["embeddings.position_ids"] = torch.arange(LENGTH + 6).unsqueeze(0)
    write_model(directory, settings, state)
    write_legacy_st(directory, 32, ["mean"], True, LENGTH, early=True)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=LENGTH)
    embed_cases(writer, load_embedder(directory), EMBED + [("document", LONG + LONG)])
    assert len(writer.cases[-1]["ids"]) == LENGTH
    writer.write()


FAMILIES = {"mpnet": embed}
