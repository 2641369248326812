"""Shared parts of the golden writer: random weights, repository files, stage capture and the golden files themselves."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy
import safetensors
import sentence_transformers
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, SentenceTransformer

GOLDEN = Path(__file__).resolve().parents[2] / "crates" / "elodex-testkit" / "golden"

VERSIONS = {
    "numpy": numpy.__version__,
    "safetensors": safetensors.__version__,
    "sentence-transformers": sentence_transformers.__version__,
    "tokenizers": tokenizers.__version__,
    "torch": torch.__version__.split("+")[0],
    "transformers": transformers.__version__,
}


# Attention that shows every stage and computes it in the plain order.
EAGER = {"attn_implementation": "eager"}


def deterministic() -> None:
    """One thread, deterministic kernels, f32: the same bytes on every run of the same versions."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(False)


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fresh_directory(name: str) -> Path:
    """An empty `golden/<name>/model` directory; what an earlier run left there is removed."""
    root = GOLDEN / name
    if root.exists():
        shutil.rmtree(root)
    model = root / "model"
    model.mkdir(parents=True)
    return model


def randomise(module: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Gives every parameter a seeded random value and returns the state dict (buffers left out).

    Norm weights spread around one and every bias spreads around zero, so that a forgotten bias, a swapped norm or a
    transposed matrix moves the outputs far beyond any tolerance.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(module.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        leaf = name.lower()
        is_norm = "norm" in leaf or "_ln" in leaf
        if is_norm and leaf.endswith("weight"):
            value = 1.0 + 0.25 * noise
        elif parameter.ndim == 1:
            value = 0.15 * noise
        elif "embed" in leaf:
            value = 0.3 * noise
        else:
            value = noise * (1.5 / math.sqrt(parameter.shape[-1]))
        parameter.data.copy_(value)
    names = {name for name, _ in module.named_parameters()}
    return {name: value.clone().contiguous() for name, value in module.state_dict().items() if name in names}


def save_weights(path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file({name: state[name].contiguous() for name in sorted(state)}, str(path), metadata={"format": "pt"})
    path.chmod(0o644)


def write_model(directory: Path, settings: dict, state: dict[str, torch.Tensor]) -> None:
    """The transformer itself: `config.json` and the weights in one file."""
    write_json(directory / "config.json", settings)
    save_weights(directory / "model.safetensors", state)


def rounded(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {name: value.to(dtype) for name, value in state.items()}


def save_sharded(directory: Path, shards: list[dict[str, torch.Tensor]]) -> None:
    """Several safetensors files with the index that names the file of each tensor."""
    total, weight_map = 0, {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_weights(directory / file, shard)
        for name, tensor in shard.items():
            total += tensor.numel() * tensor.element_size()
            weight_map[name] = file
    write_json(
        directory / "model.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))},
    )


def readme(directory: Path, licence: str, model_id: str, extra: str = "") -> None:
    directory.joinpath("README.md").write_text(
        f"---\nlicense: {licence}\npipeline_tag: sentence-similarity\n{extra}---\n\n"
        f"# {model_id}, in miniature\n\nA tiny random model in the file layout of `{model_id}`, written by `tools/golden`.\n",
        encoding="utf-8",
    )


LEGACY_TYPES = {
    "Transformer": "sentence_transformers.models.Transformer",
    "Pooling": "sentence_transformers.models.Pooling",
    "Normalize": "sentence_transformers.models.Normalize",
    "Dense": "sentence_transformers.models.Dense",
    "LayerNorm": "sentence_transformers.models.LayerNorm",
    "Router": "sentence_transformers.models.Router",
}
NEW_TYPES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
    "Router": "sentence_transformers.base.modules.router.Router",
    "LogitScore": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore",
}


def write_modules(directory: Path, kinds: list[str], new_layout: bool = False, first_type: str | None = None, kwargs=None):
    """`modules.json`; the first module lives in the root, the others in `<index>_<Kind>`."""
    types = NEW_TYPES if new_layout else LEGACY_TYPES
    entries = []
    for index, kind in enumerate(kinds):
        path = "" if index == 0 else f"{index}_{kind}"
        entry = {"idx": index, "name": str(index), "path": path, "type": types[kind]}
        if index == 0 and first_type:
            entry["type"] = first_type
        if index == 0 and kwargs:
            entry["kwargs"] = kwargs
        entries.append(entry)
    write_json(directory / "modules.json", entries)


POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def legacy_pooling(width: int, modes: list[str], include_prompt: bool | None = None, early: bool = False) -> dict:
    """The boolean form of `1_Pooling/config.json`; `early` leaves out the two modes that the oldest files lack."""
    config = {"word_embedding_dimension": width}
    for mode, key in POOLING_KEYS.items():
        if early and mode in ("weightedmean", "lasttoken"):
            continue
        config[key] = mode in modes
    if include_prompt is not None:
        config["include_prompt"] = include_prompt
    return config


def write_legacy_st(
    directory: Path,
    width: int,
    modes: list[str],
    normalize: bool,
    max_seq_length: int | None,
    *,
    prompts: dict | None = None,
    do_lower_case: bool = False,
    early: bool = False,
    include_prompt: bool | None = None,
    first_type: str | None = None,
    first_kwargs=None,
    extra_config: dict | None = None,
    default_prompt_name: str | None = None,
    version: str = "2.7.0",
) -> None:
    """The sentence-transformers files as releases before 5.4 wrote them."""
    kinds = ["Transformer", "Pooling"] + (["Normalize"] if normalize else [])
    write_modules(directory, kinds, first_type=first_type, kwargs=first_kwargs)
    write_json(directory / "1_Pooling" / "config.json", legacy_pooling(width, modes, include_prompt, early))
    write_json(
        directory / "sentence_bert_config.json", {"max_seq_length": max_seq_length, "do_lower_case": do_lower_case}
    )
    config = {
        "__version__": {"sentence_transformers": version, "transformers": "4.41.2", "pytorch": "2.3.0"},
    }
    if not early:
        config |= {"prompts": prompts or {}, "default_prompt_name": default_prompt_name, "similarity_fn_name": "cosine"}
    write_json(directory / "config_sentence_transformers.json", config | (extra_config or {}))
    if normalize:
        (directory / "2_Normalize").mkdir(exist_ok=True)


class Capture:
    """Forward hooks that keep what one call of a model computed, stage by stage.

    `entry` is the sentence-transformers module that receives the token ids, where there is one; `backbone` is the
    transformers model inside it.
    """

    def __init__(self, entry: torch.nn.Module | None, backbone: torch.nn.Module):
        self.seen: dict[str, torch.Tensor] = {}
        self.inputs: dict[str, torch.Tensor] = {}
        self.handles = [entry.register_forward_pre_hook(self._keep_inputs)] if entry is not None else []
        embeddings = first_attribute(backbone, ["embeddings", "embed_tokens"])
        layers = first_attribute(backbone, ["encoder.layer", "layers"])
        self.watch("embeddings", embeddings)
        for index, layer in enumerate(layers):
            self.watch(f"layer{index}", layer)

    def watch(self, stage: str, module: torch.nn.Module, pick=None) -> None:
        def hook(_module, _args, output):
            if pick:
                output = pick(output)
            elif isinstance(output, tuple):
                output = output[0]
            self.seen[stage] = output.detach().clone().float()

        self.handles.append(module.register_forward_hook(hook))

    def _keep_inputs(self, _module, args):
        self.inputs = {name: value.clone() for name, value in args[0].items() if isinstance(value, torch.Tensor)}

    def clear(self) -> None:
        self.seen.clear()
        self.inputs = {}

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def first_attribute(module: torch.nn.Module, paths: list[str]) -> torch.nn.Module:
    for path in paths:
        value = module
        for part in path.split("."):
            value = getattr(value, part, None)
            if value is None:
                break
        if value is not None:
            return value
    raise AttributeError(f"{type(module).__name__} has none of {paths}")


def expected_ids(directory: Path, text, max_length: int) -> list[int]:
    """What `tokenizer.json` alone gives: the check that the class behind the reference reads the file as it stands."""
    tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer.encode(*text).ids if isinstance(text, tuple) else tokenizer.encode(text).ids


class GoldenWriter:
    """Collects the cases of one family and writes `golden.json` and `golden.safetensors`."""

    def __init__(self, name: str, kind: str, seed: int, **facts):
        self.name, self.root = name, GOLDEN / name
        self.header = {"kind": kind, "versions": VERSIONS, "seed": seed} | facts
        self.cases: list[dict] = []
        self.tensors: dict[str, torch.Tensor] = {}

    def add(self, case: dict, stages: dict[str, torch.Tensor]) -> None:
        index = len(self.cases)
        self.cases.append(case)
        for stage, value in stages.items():
            self.tensors[f"case{index}.{stage}"] = value.detach().float().contiguous().clone()

    def write(self) -> None:
        for name, value in self.tensors.items():
            if not torch.isfinite(value).all():
                raise ValueError(f"{self.name}: {name} is not finite")
        header = json.dumps(self.header, ensure_ascii=False)[:-1]
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in self.cases)
        (self.root / "golden.json").write_text(f'{header}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
        save_weights(self.root / "golden.safetensors", self.tensors)
        size = sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())
        print(f"{self.name}: {len(self.cases)} cases, {size // 1024} KiB")


def case_inputs(capture: Capture) -> dict:
    """The unpadded ids (and segment ids where the backbone was given any) of the single sequence just run."""
    ids = capture.inputs["input_ids"]
    assert ids.shape[0] == 1, "golden cases run one by one"
    type_ids = capture.inputs.get("token_type_ids")
    return {
        "ids": ids[0].tolist(),
        "type_ids": type_ids[0].tolist() if type_ids is not None else [0] * ids.shape[1],
    }


def unit(vector: torch.Tensor) -> torch.Tensor:
    return vector / vector.norm().clamp_min(1e-12)


def run_backbone(backbone: torch.nn.Module, ids: list[int], **inputs) -> dict[str, torch.Tensor]:
    """All stages of a transformers model on one sequence; `final` is its last hidden state."""
    capture = Capture(None, backbone)
    output = backbone(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), **inputs)
    capture.close()
    stages = {stage: value[0] for stage, value in capture.seen.items()}
    return stages | {"final": output.last_hidden_state[0].float()}


def slice_and_normalise(vector: torch.Tensor, width: int) -> torch.Tensor:
    return unit(vector[:width])


def embed_cases(
    writer: GoldenWriter, model, cases, prompts=None, dimensions=(), max_length=None, narrow=slice_and_normalise
) -> None:
    """Runs a SentenceTransformer over `cases` of (role, text) one at a time and keeps every stage.

    `prompts` maps a role to the text put in front where the files hold none. `dimensions` are made by `narrow`.
    """
    model.eval()
    capture = Capture(model[0], model[0].auto_model)
    capture.watch("final", model[0], lambda features: features["token_embeddings"])
    pooling = [module for module in model if type(module).__name__ == "Pooling"][0]
    capture.watch("pooled", pooling, lambda features: features["sentence_embedding"])
    encoders = {"query": model.encode_query, "document": model.encode_document, None: model.encode}
    for role, text in cases:
        capture.clear()
        options = {"prompt": prompts[role]} if prompts and role in prompts else {}
        output = encoders[role](text, batch_size=1, convert_to_tensor=True, show_progress_bar=False, **options)
        case = {"role": role, "text": text} | case_inputs(capture)
        prompt = options.get("prompt", stored_prompt(model, role))
        wanted = expected_ids(writer.root / "model", prompt + text, max_length or model.max_seq_length)
        assert wanted == case["ids"], f"{writer.name}: {text!r}: {wanted} != {case['ids']}"
        stages = {stage: value[0] for stage, value in capture.seen.items()} | {"output": output}
        for dimension in dimensions:
            stages[f"output.{dimension}"] = narrow(output, dimension)
        writer.add(case, stages)
    capture.close()


def stored_prompt(model, role: str | None) -> str:
    names = {"query": ["query"], "document": ["document", "passage", "corpus"], None: []}[role]
    for name in names:
        if model.prompts.get(name) is not None:
            return model.prompts[name]
    return model.prompts[model.default_prompt_name] if model.default_prompt_name else ""


def rerank_cases(writer: GoldenWriter, model, pairs, backbone, max_length: int, extra_stages=None) -> None:
    """Runs a classic CrossEncoder over (query, document) pairs one at a time; the score is the logit's sigmoid."""
    model.eval()
    capture = Capture(model[0], backbone)
    capture.watch("final", backbone, lambda output: output[0])
    for stage, (module, pick) in (extra_stages or {}).items():
        capture.watch(stage, module, pick)
    for query, document in pairs:
        capture.clear()
        options = {"activation_fn": torch.nn.Identity(), "convert_to_tensor": True, "show_progress_bar": False}
        logit = model.predict([(query, document)], batch_size=1, **options)[0].float()
        case = {"query": query, "document": document} | case_inputs(capture)
        wanted = expected_ids(writer.root / "model", (query, document), max_length)
        assert wanted == case["ids"], f"{writer.name}: {query!r}: {wanted} != {case['ids']}"
        case |= {"logit": logit.item(), "score": torch.sigmoid(logit).item()}
        writer.add(case, {stage: value[0] for stage, value in capture.seen.items()})
    capture.close()


def load_embedder(directory: Path, **options) -> SentenceTransformer:
    return SentenceTransformer(str(directory), device="cpu", model_kwargs=EAGER | options)


def record_embedder(name: str, seed: int, model_id: str | None, max_length: int, cases, **options) -> None:
    """Reads the files of the family back, so that what is recorded is what they say. Options as in `embed_cases`."""
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=max_length)
    embed_cases(writer, load_embedder(writer.root / "model"), cases, **options)
    writer.write()


def load_reranker(directory: Path, activation: type[torch.nn.Module] | None = None, **options) -> CrossEncoder:
    """`activation` is the one that the files must lead to."""
    model = CrossEncoder(str(directory), device="cpu", model_kwargs=EAGER | options)
    assert activation is None or isinstance(model.activation_fn, activation)
    return model
