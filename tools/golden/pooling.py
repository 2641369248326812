"""One tiny BERT behind every pooling and every module that sentence-transformers puts behind a backbone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, Pooling, Router, Transformer
from transformers import BertConfig, BertModel

import tokens
from bert import config
from common import (
    VERSIONS,
    Capture,
    GoldenWriter,
    case_inputs,
    fresh_directory,
    load_embedder,
    randomise,
    readme,
    record_embedder,
    write_legacy_st,
    write_model,
    write_modules,
)
from texts import EMBED, LONG

LENGTH, WIDTH, SEED = 24, 32, 1501
CASES = [("document", "hello world"), ("document", ""), EMBED[4], ("document", LONG)]
ROLES = [("query", "harbour"), ("document", "harbour"), ("query", ""), ("document", LONG)]
PROMPTS = {"query": "query: ", "document": "the passage: "}


def backbone(directory: Path, seed: int = SEED) -> None:
    settings = config(tokens.wordpiece(directory, LENGTH), "BertModel", LENGTH, num_hidden_layers=2, intermediate_size=48)
    write_model(directory, settings, randomise(BertModel(BertConfig(**settings)), seed))


def record(directory: Path, name: str, cases: list) -> None:
    readme(directory, "apache-2.0", name)
    record_embedder(name, SEED, None, LENGTH, cases)


def legacy(name: str, modes: list[str], cases=CASES, normalize: bool = False, **st) -> None:
    directory = fresh_directory(name)
    backbone(directory)
    write_legacy_st(directory, WIDTH, modes, normalize, LENGTH, **st)
    record(directory, name, cases)


def seeded(module: torch.nn.Module, offset: int) -> torch.nn.Module:
    randomise(module, SEED + offset)
    return module


def legacy_with(name: str, kind: str, module: torch.nn.Module) -> None:
    """Mean pooling, the module, normalisation, in the layout before 5.4."""
    directory = fresh_directory(name)
    backbone(directory)
    write_legacy_st(directory, WIDTH, ["mean"], False, LENGTH)
    write_modules(directory, ["Transformer", "Pooling", kind, "Normalize"])
    folder = directory / f"2_{kind}"
    folder.mkdir()
    module.save(str(folder))
    (folder / "model.safetensors").chmod(0o644)
    record(directory, name, CASES)


def save_current(model: SentenceTransformer, directory: Path) -> None:
    """The layout since 5.4. Left out is the build of torch, which differs from machine to machine."""
    model.save(str(directory), create_model_card=False)
    file = directory / "config_sentence_transformers.json"
    file.write_text(file.read_text(encoding="utf-8").replace(torch.__version__, VERSIONS["torch"]), encoding="utf-8")
    for weights in directory.rglob("*.safetensors"):
        weights.chmod(0o644)


def saved(name: str, modules: list[torch.nn.Module], cases=CASES, prompts: dict[str, str] | None = None) -> None:
    """As the current sentence-transformers saves it."""
    directory = fresh_directory(name)
    with tempfile.TemporaryDirectory() as scratch:
        backbone(Path(scratch))
        transformer = Transformer(scratch, max_seq_length=LENGTH)
        save_current(SentenceTransformer(modules=[transformer, *modules], device="cpu", prompts=prompts), directory)
    record(directory, name, cases)


def router() -> None:
    routes = {
        "query_modules": [seeded(Dense(WIDTH, 16, bias=False, activation_function=torch.nn.Identity()), 1)],
        "document_modules": [seeded(Dense(WIDTH, 24), 2), seeded(Dense(24, 16, activation_function=torch.nn.GELU()), 3)],
    }
    saved("router", [Pooling(WIDTH, "mean"), Router.for_query_document(**routes), Normalize()], ROLES)


def two_backbones() -> None:
    """A router in front: each role has a transformer and a pooling of its own."""
    name = "router_backbones"
    directory = fresh_directory(name)
    with tempfile.TemporaryDirectory() as query, tempfile.TemporaryDirectory() as document:
        routes = {}
        for role, scratch, seed, mode in [("query", query, SEED, "mean"), ("document", document, SEED + 6, "cls")]:
            backbone(Path(scratch), seed)
            routes[f"{role}_modules"] = [Transformer(scratch, max_seq_length=LENGTH), Pooling(WIDTH, mode)]
        modules = [Router.for_query_document(**routes), Normalize()]
        save_current(SentenceTransformer(modules=modules, device="cpu"), directory)
    readme(directory, "apache-2.0", name)
    model = load_embedder(directory).eval()
    writer = GoldenWriter(name, "embedder", SEED, id=None, max_length=LENGTH)
    encoders = {"query": model.encode_query, "document": model.encode_document}
    for role, text in ROLES:
        transformer, pooling = model[0].sub_modules[role]
        capture = Capture(transformer, transformer.auto_model)
        capture.watch("final", transformer, lambda features: features["token_embeddings"])
        capture.watch("pooled", pooling, lambda features: features["sentence_embedding"])
        output = encoders[role](text, batch_size=1, convert_to_tensor=True, show_progress_bar=False)
        capture.close()
        stages = {stage: value[0] for stage, value in capture.seen.items()} | {"output": output}
        writer.add({"role": role, "text": text} | case_inputs(capture), stages)
    writer.write()


FAMILIES = {
    "pool_max": lambda: legacy("pool_max", ["max"]),
    "pool_mean_sqrt": lambda: legacy("pool_mean_sqrt", ["mean_sqrt_len_tokens"]),
    "pool_weightedmean": lambda: legacy("pool_weightedmean", ["weightedmean"], normalize=True),
    "pool_lasttoken": lambda: legacy("pool_lasttoken", ["lasttoken"]),
    "pool_cls_mean": lambda: legacy("pool_cls_mean", ["mean", "cls"], normalize=True),
    "pool_no_prompt": lambda: legacy("pool_no_prompt", ["mean"], ROLES, include_prompt=False, prompts=PROMPTS),
    "pool_no_prompt_weighted": lambda: legacy(
        "pool_no_prompt_weighted", ["cls", "max", "weightedmean"], ROLES, include_prompt=False, prompts=PROMPTS
    ),
    "dense_tanh": lambda: legacy_with("dense_tanh", "Dense", seeded(Dense(WIDTH, 20), 4)),
    "layer_norm_module": lambda: legacy_with("layer_norm_module", "LayerNorm", seeded(LayerNorm(WIDTH), 5)),
    "new_layout": lambda: saved("new_layout", [Pooling(WIDTH, "lasttoken"), Normalize()], ROLES, PROMPTS),
    "new_layout_modes": lambda: saved("new_layout_modes", [Pooling(WIDTH, ("mean", "max", "cls"))]),
    "router": router,
    "router_backbones": two_backbones,
}
