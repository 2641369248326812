"""jina-embeddings-v3: XLM-RoBERTa with rotary positions and one low-rank adapter per task on every matrix."""

from __future__ import annotations

import torch
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

import tokens
from common import GoldenWriter, fresh_directory, randomise, readme, write_legacy_st, write_model
from direct import direct_cases
from texts import EMBED

LENGTH, RANK, ALPHA = 56, 4, 1
TASKS = ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"]
PROMPTS = {
    "retrieval.query": "Represent the query for retrieving evidence documents: ",
    "retrieval.passage": "Represent the document for retrieval: ",
    "separation": "",
    "classification": "",
    "text-matching": "",
}
ROLES = {"query": "retrieval.query", "document": "retrieval.passage"}
IMPLEMENTATION = "jinaai/xlm-roberta-flash-implementation--"


def config(vocabulary: int) -> dict:
    return {
        "architectures": ["XLMRobertaLoRA"],
        "attention_probs_dropout_prob": 0.1,
        "auto_map": {
            "AutoConfig": IMPLEMENTATION + "configuration_xlm_roberta.XLMRobertaFlashConfig",
            "AutoModel": IMPLEMENTATION + "modeling_lora.XLMRobertaLoRA",
            "AutoModelForMaskedLM": IMPLEMENTATION + "modeling_xlm_roberta.XLMRobertaForMaskedLM",
        },
        "bos_token_id": 0,
        "classifier_dropout": None,
        "emb_pooler": None,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 56,
        "layer_norm_eps": 1e-05,
        "load_trained_adapters": True,
        "lora_adaptations": TASKS,
        "lora_alpha": ALPHA,
        "lora_dropout_p": 0.0,
        "lora_main_params_trainable": False,
        "lora_rank": RANK,
        "matryoshka_dimensions": [8, 16, 24, 32],
        "max_position_embeddings": LENGTH,
        "model_type": "xlm-roberta",
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "output_past": True,
        "pad_token_id": 1,
        "position_embedding_type": "rotary",
        "rotary_emb_base": 20000.0,
        "task_instructions": PROMPTS,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.30.2",
        "truncate_dim": None,
        "type_vocab_size": 1,
        "use_cache": True,
        "use_flash_attn": True,
        "use_reg_tokens": False,
        "vocab_size": vocabulary,
    }


def native(settings: dict) -> JinaEmbeddingsV3Config:
    """The same model in transformers' own keys."""
    shared = [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "layer_norm_eps",
        "max_position_embeddings",
        "type_vocab_size",
    ]
    return JinaEmbeddingsV3Config(
        **{key: settings[key] for key in shared},
        rope_parameters={"rope_type": "default", "rope_theta": settings["rotary_emb_base"]},
        attn_implementation="eager",
    )


def published_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Native weights under the names, and fused as, the repository stores them; adapters apart."""
    renames = {
        "embeddings.LayerNorm": "emb_ln",
        "layers.": "encoder.layers.",
        "self_attn.o_proj": "mixer.out_proj",
        "post_attention_layernorm": "norm1",
        "post_mlp_layernorm": "norm2",
    }
    published = {}
    for name, value in state.items():
        if "self_attn.q_proj" in name:
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            name, value = name.replace("self_attn.q_proj", "mixer.Wqkv"), torch.cat(parts)
        elif "self_attn.k_proj" in name or "self_attn.v_proj" in name:
            continue
        for ours, theirs in renames.items():
            name = name.replace(ours, theirs)
        published[name] = value
    return published


def adapters(published: dict[str, torch.Tensor], seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The stacked factors (A, B) of every matrix. Of an embedding the two have changed places."""
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for name, weight in sorted(published.items()):
        if weight.ndim != 2:
            continue
        rows, columns = weight.shape
        is_embedding = "embeddings" in name
        a = (rows, RANK) if is_embedding else (RANK, columns)
        b = (RANK, columns) if is_embedding else (rows, RANK)
        factors[name] = tuple(0.5 * torch.randn(len(TASKS), *shape, generator=generator) for shape in (a, b))
    return factors


def merged(published: dict, factors: dict, task: int) -> dict[str, torch.Tensor]:
    """W + α/r · B·A of one task, and A·B for embeddings."""
    weights = dict(published)
    for name, (a, b) in factors.items():
        low_rank = a[task] @ b[task] if "embeddings" in name else b[task] @ a[task]
        weights[name] = published[name] + ALPHA / RANK * low_rank
    return weights


def embed() -> None:
    name, seed, model_id = "jina_v3", 1301, "jinaai/jina-embeddings-v3"
    directory = fresh_directory(name)
    settings = config(tokens.unigram(directory, LENGTH))
    # Stored in bfloat16, computed in f32.
    rounded = lambda value: value.bfloat16().float()  # noqa: E731
    published = published_names(randomise(JinaEmbeddingsV3Model(native(settings)), seed))
    published = {name: rounded(value) for name, value in published.items()}
    factors = {name: tuple(map(rounded, pair)) for name, pair in adapters(published, seed + 1).items()}
    stored = {}
    for tensor, value in published.items():
        if tensor not in factors:
            stored[f"roberta.{tensor}"] = value.bfloat16()
            continue
        parametrization = f"roberta.{tensor.removesuffix('.weight')}.parametrizations.weight"
        stored[f"{parametrization}.original"] = value.bfloat16()
        for factor, stack in zip(("lora_A", "lora_B"), factors[tensor]):
            stored[f"{parametrization}.0.{factor}"] = stack.bfloat16()
    write_model(directory, settings, stored)
    write_legacy_st(
        directory,
        32,
        ["mean"],
        True,
        LENGTH,
        prompts=PROMPTS,
        include_prompt=True,
        first_type="custom_st.Transformer",
        first_kwargs=["task"],
        version="3.1.0",
    )
    readme(directory, "cc-by-nc-4.0", model_id)
    backbones = {
        role: JinaEmbeddingsV3Model.from_pretrained(
            None, config=native(settings), state_dict=merged(published, factors, TASKS.index(task))
        )
        for role, task in ROLES.items()
    }
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=LENGTH)
    prompts = {role: PROMPTS[task] for role, task in ROLES.items()}
    cases = EMBED + [("query", "hello world")]
    direct_cases(writer, backbones, prompts, cases, LENGTH, dimensions=(8, 16, 24))
    writer.write()


FAMILIES = {"jina_v3": embed}
