"""BERT: an embedder with mean pooling (MiniLM's files), one with CLS pooling (bge's files) and a cross-encoder."""

from __future__ import annotations

import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

import tokens
from common import (
    GoldenWriter,
    fresh_directory,
    load_reranker,
    randomise,
    readme,
    record_embedder,
    rerank_cases,
    write_legacy_st,
    write_model,
)
from texts import EMBED, RERANK

BGE_PROMPT = "Represent this sentence for searching relevant passages: "


def config(vocabulary: int, architecture: str, positions: int, **changes) -> dict:
    return {
        "architectures": [architecture],
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 72,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": positions,
        "model_type": "bert",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "transformers_version": "4.8.2",
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": vocabulary,
    } | changes


def minilm() -> None:
    name, seed, model_id = "bert_minilm", 101, "sentence-transformers/all-MiniLM-L6-v2"
    directory = fresh_directory(name)
    settings = config(tokens.wordpiece(directory, 64, fixed_padding=16), "BertModel", 64)
    state = randomise(BertModel(BertConfig(**settings)), seed)
    # Old exports also hold this buffer; a loader must step over it.
    state["embeddings.position_ids"] = torch.arange(64).unsqueeze(0)
    write_model(directory, settings, state)
    write_legacy_st(directory, 32, ["mean"], True, 40, early=True)
    readme(directory, "apache-2.0", model_id)
    record_embedder(name, seed, model_id, 40, EMBED + [(None, "no role at all")])


def bge() -> None:
    name, seed, model_id = "bert_bge", 103, "BAAI/bge-small-en-v1.5"
    directory = fresh_directory(name)
    changes = {"num_attention_heads": 2, "id2label": {"0": "LABEL_0"}, "transformers_version": "4.30.0"}
    settings = config(tokens.wordpiece(directory, 48), "BertModel", 48, **changes)
    write_model(directory, settings, randomise(BertModel(BertConfig(**settings)), seed))
    write_legacy_st(directory, 32, ["cls"], True, 48, do_lower_case=True, early=True)
    readme(directory, "mit", model_id)
    record_embedder(name, seed, model_id, 48, EMBED, prompts={"query": BGE_PROMPT, "document": ""})


def cross() -> None:
    name, seed, model_id = "bert_cross", 102, "cross-encoder/ms-marco-MiniLM-L6-v2"
    directory = fresh_directory(name)
    settings = config(
        tokens.wordpiece(directory, 64),
        "BertForSequenceClassification",
        64,
        id2label={"0": "LABEL_0"},
        label2id={"LABEL_0": 0},
        sbert_ce_default_activation_function="torch.nn.modules.linear.Identity",
        transformers_version="4.6.1",
    )
    write_model(directory, settings, randomise(BertForSequenceClassification(BertConfig(**settings)), seed))
    readme(directory, "apache-2.0", model_id)
    model = load_reranker(directory, torch.nn.Identity)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=64)
    backbone = model.model.bert
    rerank_cases(writer, model, RERANK, backbone, 64, {"pooled": (backbone.pooler, None)})
    writer.write()


FAMILIES = {"bert_minilm": minilm, "bert_cross": cross, "bert_bge": bge}
