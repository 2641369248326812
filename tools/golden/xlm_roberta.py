"""XLM-RoBERTa: embedders with E5's prompts (kept in its README only) and bge's reranker."""

from __future__ import annotations

import torch
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaModel

import charsmap
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

PROMPTS = {"query": "query: ", "document": "passage: "}


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
    state = randomise(XLMRobertaModel(XLMRobertaConfig(**settings)), seed)
    state["embeddings.position_ids"] = torch.arange(50).unsqueeze(0)
    write_model(directory, settings, state)
    write_legacy_st(directory, 32, ["mean"], True, 48, early=True)
    readme(directory, "mit", model_id)
    record_embedder(name, seed, model_id, 48, EMBED, prompts=PROMPTS)


# What a compiled table and NFKC, or a table and SentencePiece itself, may see differently. The last text of marks is
# one: the library reads letters with their marks as one and keeps only what the table knows of them.
ODD = [
    ("document", "ﬁne eﬀorts on page ① to ⑳, 42 ㎏ and x²"),
    ("query", "Ｈｅｌｌｏ　ｗｏｒｌｄ！ ｶﾞ ½ №7 …"),
    ("document", "cafe\u0301 nai\u0308ve, su\u0308\u00dfe Bro\u0308tchen"),
    ("query", "zero\u200bwidth har\u200dbour \ufeffmark so\u00adft"),
    ("document", "tab\tline\nfeed\r\nand\u2028\u00a0\u3000end \u2581 block"),
    ("document", "con\u0001trol\u007f \ufffd what is not a letter"),
    ("document", "\u1112\u1161\u11ab 한국 각 क्षि \U0001f469\u200d\U0001f467"),
    ("query", "e\u0301\u0323 e\u0323\u0301 \ufb01\u0301 o\u0308\u0308"),
]


def precompiled() -> None:
    name, seed, model_id = "xlm_roberta_precompiled", 111, "intfloat/multilingual-e5-small"
    directory = fresh_directory(name)
    vocabulary = tokens.unigram(directory, 48, charsmap.normalizer())
    changes = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 24}
    settings = config(vocabulary, "XLMRobertaModel", 50, **changes)
    write_model(directory, settings, randomise(XLMRobertaModel(XLMRobertaConfig(**settings)), seed))
    write_legacy_st(directory, 16, ["mean"], True, 48, early=True)
    readme(directory, "mit", model_id)
    record_embedder(name, seed, model_id, 48, EMBED + ODD, prompts=PROMPTS)


def cross() -> None:
    name, seed, model_id = "xlm_roberta_cross", 105, "BAAI/bge-reranker-base"
    directory = fresh_directory(name)
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    settings = config(tokens.unigram(directory, 56), "XLMRobertaForSequenceClassification", 58, **labels)
    state = randomise(XLMRobertaForSequenceClassification(XLMRobertaConfig(**settings)), seed)
    write_model(directory, settings, state)
    readme(directory, "mit", model_id)
    model = load_reranker(directory, torch.nn.Sigmoid)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=56)
    rerank_cases(writer, model, RERANK, model.model.roberta, 56)
    writer.write()


FAMILIES = {"xlm_roberta_e5": e5, "xlm_roberta_precompiled": precompiled, "xlm_roberta_cross": cross}
