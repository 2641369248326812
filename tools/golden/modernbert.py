"""ModernBERT: an embedder (modernbert-embed's files) and a cross-encoder (gte-reranker-modernbert's files)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import ModernBertConfig, ModernBertForSequenceClassification, ModernBertModel

from common import (
    GoldenWriter,
    embed_cases,
    fresh_directory,
    load_embedder,
    load_reranker,
    randomise,
    readme,
    record_embedder,
    rerank_cases,
    write_json,
    write_legacy_st,
    write_model,
)
from pooling import save_current
from texts import EMBED, RERANK
from tokens import count_words, learn_merges

PROMPTS = {"query": "search_query: ", "document": "search_document: "}
SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


def tokenizer(directory: Path, max_length: int) -> dict[str, int]:
    """Byte-level pairs, NFC, runs of blanks as tokens of their own, `[CLS] A [SEP] B [SEP]` without segments."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)
    normalizer = normalizers.NFC()
    merges, _ = learn_merges(count_words(normalizer, split), 200)
    pieces = ["<|padding|>", "<|endoftext|>"] + sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = list(dict.fromkeys(pieces + [left + right for left, right in merges]))
    tokenizer = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, merges))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)
    # The published table has the special tokens behind the blanks, the padding among the learned pieces.
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in pieces[:2]])
    tokenizer.add_tokens([AddedToken(" " * width, normalized=True, special=False) for width in (4, 3, 2)])
    for token in SPECIAL:
        tokenizer.add_special_tokens([AddedToken(token, lstrip=token == "[MASK]", normalized=False, special=True)])
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    write_json(
        directory / "tokenizer_config.json",
        {
            "clean_up_tokenization_spaces": True,
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": max_length,
            "pad_token": "[PAD]",
            "sep_token": "[SEP]",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": "[UNK]",
        },
    )
    return ids | {"size": tokenizer.get_vocab_size()}


def config(ids: dict[str, int], architecture: str, positions: int, **changes) -> dict:
    return {
        "architectures": [architecture],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": ids["[CLS]"],
        "classifier_activation": "gelu",
        "classifier_bias": False,
        "classifier_dropout": 0.0,
        "classifier_pooling": "mean",
        "cls_token_id": ids["[CLS]"],
        "decoder_bias": True,
        "deterministic_flash_attn": False,
        "embedding_dropout": 0.0,
        "eos_token_id": ids["[SEP]"],
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "gradient_checkpointing": False,
        "hidden_activation": "gelu",
        "hidden_size": 32,
        "initializer_cutoff_factor": 2.0,
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "layer_norm_eps": 1e-05,
        "local_attention": 8,
        "local_rope_theta": 10000.0,
        "max_position_embeddings": positions,
        "mlp_bias": False,
        "mlp_dropout": 0.0,
        "model_type": "modernbert",
        "norm_bias": False,
        "norm_eps": 1e-05,
        "num_attention_heads": 4,
        "num_hidden_layers": 5,
        "pad_token_id": ids["[PAD]"],
        "position_embedding_type": "absolute",
        "reference_compile": False,
        "sep_token_id": ids["[SEP]"],
        "sparse_pred_ignore_index": -100,
        "sparse_prediction": False,
        "torch_dtype": "float32",
        "transformers_version": "4.48.0",
        "vocab_size": (ids["size"] + 7) // 8 * 8,
    } | changes


def embed() -> None:
    name, seed, model_id = "modernbert_embed", 1001, "nomic-ai/modernbert-embed-base"
    directory = fresh_directory(name)
    settings = config(tokenizer(directory, 64), "ModernBertModel", 64)
    write_model(directory, settings, randomise(ModernBertModel(ModernBertConfig(**settings)), seed))
    write_legacy_st(directory, 32, ["mean"], True, 64, version="3.3.1")
    readme(directory, "apache-2.0", model_id)
    model = load_embedder(directory)
    assert model[0].auto_model.config.layer_types.count("full_attention") == 2
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=64)
    embed_cases(writer, model, EMBED, prompts=PROMPTS)
    # Otherwise no local layer would leave anything out.
    assert max(len(case["ids"]) for case in writer.cases) > 6 * settings["local_attention"]
    writer.write()


def cross() -> None:
    name, seed, model_id = "modernbert_cross", 1002, "Alibaba-NLP/gte-reranker-modernbert-base"
    directory = fresh_directory(name)
    settings = config(
        tokenizer(directory, 64),
        "ModernBertForSequenceClassification",
        64,
        id2label={"0": "LABEL_0"},
        label2id={"LABEL_0": 0},
        local_attention=12,
        num_attention_heads=2,
    )
    write_model(directory, settings, randomise(ModernBertForSequenceClassification(ModernBertConfig(**settings)), seed))
    readme(directory, "apache-2.0", model_id)
    model = load_reranker(directory)
    assert model.model.config.classifier_pooling == "mean"
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=64)
    rerank_cases(writer, model, RERANK, model.model.model, 64)
    writer.write()


def current() -> None:
    """As transformers 5 and sentence-transformers 6 save one: layer types and rotary parameters listed, all biases on."""
    name, seed = "modernbert_v5", 1003
    directory = fresh_directory(name)
    full, local = "full_attention", "sliding_attention"
    with tempfile.TemporaryDirectory() as scratch:
        legacy = config(tokenizer(Path(scratch), 48), "ModernBertModel", 48)
        replaced = {"global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"}
        settings = {key: value for key, value in legacy.items() if key not in replaced} | {
            "attention_bias": True,
            "intermediate_size": 40,
            "layer_types": [local, full, local],
            "mlp_bias": True,
            "norm_bias": True,
            "num_hidden_layers": 3,
            "rope_parameters": {
                full: {"rope_theta": 50000.0, "rope_type": "default"},
                local: {"rope_theta": 500.0, "rope_type": "default"},
            },
        }
        write_model(Path(scratch), settings, randomise(ModernBertModel(ModernBertConfig(**settings)), seed))
        modules = [Transformer(scratch, max_seq_length=48), Pooling(32, "cls"), Normalize()]
        save_current(SentenceTransformer(modules=modules, device="cpu", prompts=PROMPTS), directory)
    readme(directory, "apache-2.0", name)
    record_embedder(name, seed, None, 48, EMBED)


FAMILIES = {"modernbert_embed": embed, "modernbert_cross": cross, "modernbert_v5": current}
