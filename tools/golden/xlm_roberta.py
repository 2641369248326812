"""XLM-RoBERTa: an embedder with E5's prompts (kept in its README only) and bge's reranker."""

from __future__ import annotations

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaModel

import tokens
from common import (
    GoldenWriter,
    embed_cases,
    fresh_directory,
    randomise,
    readme,
    rerank_cases,
    save_weights,
    write_json,
    write_legacy_st,
)
from texts import EMBED, RERANK

EAGER = {"attn_implementation": "eager"}


def config(vocabulary: int, architecture: str, positions: int, **changes) -> dict:
    return {
        "architectures": [architecture],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "classifier_dropout": None,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 56,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": positions,
        "model_type": "xlm-roberta",
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "output_past": True,
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
        "transformers_version": "4.29.0.dev0",
        "type_vocab_size": 1,
        "use_cache": True,
        "vocab_size": vocabulary,
    } | changes


def e5() -> None:
    name, seed, model_id = "xlm_roberta_e5", 104, "intfloat/multilingual-e5-base"
    directory = fresh_directory(name)
    settings = config(tokens.unigram(directory, 48), "XLMRobertaModel", 50)
    write_json(directory / "config.json", settings)
    state = randomise(XLMRobertaModel(XLMRobertaConfig(**settings)), seed)
    state["embeddings.position_ids"] = torch.arange(50).unsqueeze(0)
    save_weights(directory / "model.safetensors", state)
    write_legacy_st(directory, 32, ["mean"], True, 48, early=True)
    readme(directory, "mit", model_id)
    model = SentenceTransformer(str(directory), device="cpu", model_kwargs=EAGER)
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=48)
    embed_cases(writer, model, EMBED, prompts={"query": "query: ", "document": "passage: "})
    writer.write()


def cross() -> None:
    name, seed, model_id = "xlm_roberta_cross", 105, "BAAI/bge-reranker-base"
    directory = fresh_directory(name)
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    settings = config(tokens.unigram(directory, 56), "XLMRobertaForSequenceClassification", 58, **labels)
    write_json(directory / "config.json", settings)
    state = randomise(XLMRobertaForSequenceClassification(XLMRobertaConfig(**settings)), seed)
    save_weights(directory / "model.safetensors", state)
    readme(directory, "mit", model_id)
    model = CrossEncoder(str(directory), device="cpu", model_kwargs=EAGER)
    assert isinstance(model.activation_fn, torch.nn.Sigmoid)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=56)
    rerank_cases(writer, model, RERANK, model.model.roberta, 56)
    writer.write()


FAMILIES = {"xlm_roberta_e5": e5, "xlm_roberta_cross": cross}
