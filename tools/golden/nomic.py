"""NomicBERT in the layout of nomic-embed-text-v1.5: GPT-2's configuration keys and fused weights."""

from __future__ import annotations

import torch
from transformers import NomicBertConfig, NomicBertModel

import tokens
from common import GoldenWriter, fresh_directory, randomise, readme, write_legacy_st, write_model
from direct import direct_cases
from texts import EMBED

POSITIONS = 40
PROMPTS = {"query": "search_query: ", "document": "search_document: "}


def config(vocabulary: int) -> dict:
    return {
        "activation_function": "swiglu",
        "architectures": ["NomicBertModel"],
        "attn_pdrop": 0.0,
        "auto_map": {
            "AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig",
            "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel",
            "AutoModelForMaskedLM": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertForPreTraining",
        },
        "bos_token_id": None,
        "causal": False,
        "dense_seq_output": True,
        "embd_pdrop": 0.0,
        "eos_token_id": None,
        "fused_bias_fc": True,
        "fused_dropout_add_ln": True,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-12,
        "max_trained_positions": POSITIONS,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "model_type": "nomic_bert",
        "n_embd": 66,
        "n_head": 3,
        "n_inner": 24,
        "n_layer": 2,
        "n_positions": POSITIONS,
        "pad_vocab_size_multiple": 64,
        "parallel_block": False,
        "parallel_block_tied_norm": False,
        "prenorm": False,
        "qkv_proj_bias": False,
        "reorder_and_upcast_attn": False,
        "resid_pdrop": 0.0,
        "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "scale_attn_by_inverse_layer_idx": False,
        "scale_attn_weights": True,
        "summary_activation": None,
        "summary_first_dropout": 0.0,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "torch_dtype": "float32",
        "transformers_version": "4.37.2",
        "type_vocab_size": 2,
        "use_cache": True,
        "use_flash_attn": True,
        "use_rms_norm": False,
        "use_xentropy": True,
        "vocab_size": vocabulary,
    }


def native(settings: dict) -> NomicBertConfig:
    """The same model in transformers' own keys."""
    return NomicBertConfig(
        vocab_size=settings["vocab_size"],
        hidden_size=settings["n_embd"],
        num_hidden_layers=settings["n_layer"],
        num_attention_heads=settings["n_head"],
        intermediate_size=settings["n_inner"],
        hidden_act="silu",
        max_position_embeddings=settings["n_positions"],
        type_vocab_size=settings["type_vocab_size"],
        layer_norm_eps=settings["layer_norm_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": float(settings["rotary_emb_base"])},
        attn_implementation="eager",
    )


def published_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Native weights under the names, and fused as, the repository stores them."""
    renames = {
        "embeddings.LayerNorm": "emb_ln",
        "layers.": "encoder.layers.",
        "self_attn.o_proj": "attn.out_proj",
        "up_proj": "fc11",
        "gate_proj": "fc12",
        "down_proj": "fc2",
        "post_attention_layernorm": "norm1",
        "post_mlp_layernorm": "norm2",
    }
    published = {}
    for name, value in state.items():
        if "self_attn.q_proj" in name:
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            name, value = name.replace("self_attn.q_proj", "attn.Wqkv"), torch.cat(parts)
        elif "self_attn.k_proj" in name or "self_attn.v_proj" in name:
            continue
        for ours, theirs in renames.items():
            name = name.replace(ours, theirs)
        published[name] = value
    return published


def normalised_over_all(output: torch.Tensor) -> torch.Tensor:
    """What the model card does before it slices: a layer norm without weights over the full width."""
    return torch.nn.functional.layer_norm(output, output.shape)


def embed() -> None:
    name, seed, model_id = "nomic_bert", 1101, "nomic-ai/nomic-embed-text-v1.5"
    directory = fresh_directory(name)
    vocabulary = tokens.wordpiece(directory, POSITIONS)
    settings = config((vocabulary + 63) // 64 * 64)
    published = published_names(randomise(NomicBertModel(native(settings)), seed))
    write_model(directory, settings, published)
    # transformers itself knows the published names, so that its mapping checks ours.
    backbone = NomicBertModel.from_pretrained(None, config=native(settings), state_dict=published)
    write_legacy_st(directory, 66, ["mean"], False, POSITIONS, version="2.4.0.dev0", early=True)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=POSITIONS)
    direct_cases(
        writer,
        {"query": backbone, "document": backbone},
        PROMPTS,
        EMBED,
        POSITIONS,
        finish=lambda pooled: pooled,
        narrow=normalised_over_all,
        dimensions=(64,),
    )
    writer.write()


FAMILIES = {"nomic_bert": embed}
