"""voyage-4-nano: Qwen3 that sees both ways, and a projection of every token before the mean."""

from __future__ import annotations

import torch
from transformers import Qwen3Config, Qwen3Model

import tokens
from common import GoldenWriter, fresh_directory, randomise, readme, write_legacy_st, write_model
from direct import direct_cases
from texts import EMBED

LENGTH, WIDTH = 64, 520
PROMPTS = {
    "query": "Represent the query for retrieving supporting documents: ",
    "document": "Represent the document for retrieval: ",
}


class Bidirectional(Qwen3Model):
    """Qwen3 without its causal mask. One text has no padding, so there is nothing to mask at all."""

    def forward(self, input_ids, attention_mask):
        assert bool(attention_mask.all())
        return super().forward(input_ids=input_ids, attention_mask={"full_attention": None}, use_cache=False)


def embed() -> None:
    name, seed, model_id = "voyage4_nano", 1401, "voyageai/voyage-4-nano"
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 32768)
    settings = {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "head_dim": 12,
        "hidden_act": "silu",
        "hidden_size": 32,
        "id2label": {str(index): f"LABEL_{index}" for index in range(WIDTH)},
        "initializer_range": 0.02,
        "intermediate_size": 56,
        "label2id": {f"LABEL_{index}": index for index in range(WIDTH)},
        "max_position_embeddings": LENGTH,
        "max_window_layers": 3,
        "model_type": "qwen3",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "num_labels": WIDTH,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.57.1",
        "use_bidirectional_attention": True,
        "use_cache": False,
        "use_sliding_window": False,
        "vocab_size": tokenizer.get_vocab_size(),
    }
    labels = {"id2label", "label2id", "num_labels", "architectures", "torch_dtype"}
    kept = {key: value for key, value in settings.items() if key not in labels}
    backbone = Bidirectional(Qwen3Config(**kept, attn_implementation="eager"))
    assert backbone.config.rope_parameters["rope_theta"] == 1000000
    randomise(backbone, seed)
    # Stored in bfloat16, computed in f32.
    for parameter in backbone.parameters():
        parameter.data = parameter.data.bfloat16().float()
    projection = torch.nn.Linear(32, WIDTH, bias=False)
    randomise(projection, seed + 1)
    projection.weight.data = projection.weight.data.bfloat16().float()
    stored = {f"model.{tensor}": value.bfloat16() for tensor, value in backbone.state_dict().items()}
    write_model(directory, settings, stored | {"linear.weight": projection.weight.bfloat16()})
    write_legacy_st(directory, WIDTH, ["mean"], True, LENGTH, prompts=PROMPTS, include_prompt=True, version="5.1.2")
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=LENGTH)
    backbones = {"query": backbone, "document": backbone}
    direct_cases(writer, backbones, PROMPTS, EMBED, LENGTH, project=projection, dimensions=(512, 256))
    writer.write()


FAMILIES = {"voyage4_nano": embed}
