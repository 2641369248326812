"""Qwen3: Qwen3-Embedding, zerank in both of its layouts, Qwen3-Reranker and zembed-1."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen3Config, Qwen3ForCausalLM

import tokens
from common import (
    GoldenWriter,
    embed_cases,
    fresh_directory,
    load_embedder,
    load_reranker,
    randomise,
    readme,
    rounded,
    run_backbone,
    save_sharded,
    save_weights,
    unit,
    write_json,
    write_legacy_st,
    write_model,
    write_modules,
)
from texts import EMBED, LONG, RERANK

QUERY_PROMPT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
JUDGE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>: "
)
JUDGE_ID_YES, JUDGE_ID_NO, ZERANK_ID_YES = 9693, 2152, 9454
ZERANK_TEMPLATE = (
    "{%- set query = messages | selectattr('role', 'equalto', 'query') | map(attribute='content') | first -%}"
    "{%- set document = messages | selectattr('role', 'equalto', 'document') | map(attribute='content') | first -%}"
    "{{- '<|im_start|>system\\n' + query.strip() + '<|im_end|>\\n<|im_start|>user\\n' + document.strip() + '<|im_end|>\\n' -}}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
JUDGE_TEMPLATE = (
    "{%- set query = messages | selectattr('role', 'equalto', 'query') | map(attribute='content') | first -%}"
    "{%- set document = messages | selectattr('role', 'equalto', 'document') | map(attribute='content') | first -%}"
    "{{- '" + JUDGE.replace("\n", "\\n") + "' + query + '\\n<Document>: ' + document + '<|im_end|>\\n' -}}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}"
)


def config(vocabulary: int, positions: int, tokenizer: Tokenizer, **changes) -> dict:
    end = tokenizer.token_to_id("<|endoftext|>")
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": end,
        "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 40,
        "initializer_range": 0.02,
        "intermediate_size": 72,
        "max_position_embeddings": positions,
        "max_window_layers": 3,
        "model_type": "qwen3",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.51.2",
        "use_cache": False,
        "use_sliding_window": False,
        "vocab_size": vocabulary,
    } | changes


def causal(settings: dict, seed: int) -> tuple[Qwen3ForCausalLM, dict[str, torch.Tensor]]:
    """A model whose f32 weights are the bf16 ones of its file, and that file's tensors (the tied head is not stored)."""
    model = Qwen3ForCausalLM(Qwen3Config(**settings, attn_implementation="eager")).eval()
    state = rounded(randomise(model, seed), torch.bfloat16)
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert missing in ([], ["lm_head.weight"]), missing
    assert model.model.rotary_emb.config.rope_parameters["rope_theta"] == 1000000
    return model, state


def embedding() -> None:
    name, seed, model_id, length = "qwen3_embedding", 106, "Qwen/Qwen3-Embedding-0.6B", 96
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 131072, append_end=True)
    settings = config(tokenizer.get_vocab_size(), length, tokenizer)
    write_json(directory / "config.json", settings)
    _, state = causal(settings, seed)
    # The embedder's repository stores the backbone alone.
    state = {key.removeprefix("model."): value for key, value in state.items()}
    first = {key: value for key, value in state.items() if key.startswith(("embed_tokens", "layers.0", "layers.1.mlp"))}
    save_sharded(directory, [first, {key: value for key, value in state.items() if key not in first}])
    write_legacy_st(directory, 40, ["lasttoken"], True, None, prompts={"query": QUERY_PROMPT, "document": ""}, include_prompt=True)
    (directory / "sentence_bert_config.json").unlink()
    readme(directory, "apache-2.0", model_id)
    model = load_embedder(directory, dtype=torch.float32)
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=length)
    cases = [case for case in EMBED if case[1] != LONG] + [("document", LONG + " " + LONG)]
    embed_cases(writer, model, cases, dimensions=(36, 32), max_length=length)
    assert len(writer.cases[-1]["ids"]) == length
    writer.write()


def framed(tokenizer: Tokenizer, before: str, document: str, after: str, length: int) -> list[int]:
    """Ids of the whole prompt as one string; an over-long document loses its last tokens, the template none."""
    text = before + document + after
    encoding = tokenizer.encode(text, add_special_tokens=False)
    excess = len(encoding.ids) - length
    if excess <= 0:
        return encoding.ids
    end = len(before) + len(document)
    content = [place for place, (start, stop) in enumerate(encoding.offsets) if start >= len(before) and stop <= end]
    assert len(content) > excess, "the template alone fills the window"
    cut = content[-excess:]
    return encoding.ids[: cut[0]] + encoding.ids[cut[-1] + 1 :]


def causal_cases(writer, model, tokenizer, frame, length, yes, no, temperature) -> None:
    """One pair at a time through the causal model; the logit is read at the last position."""
    for query, document in RERANK:
        before, text, after = frame(query, document)
        ids = framed(tokenizer, before, text, after, length)
        stages = run_backbone(model.model, ids)
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        logit = logits[yes] - (logits[no] if no is not None else 0.0)
        score = torch.sigmoid(logit / temperature)
        if no is not None:
            assert torch.allclose(score, torch.softmax(logits[[no, yes]], 0)[1], atol=1e-6)
        facts = {"query": query, "document": document, "ids": ids, "type_ids": [0] * len(ids)}
        writer.add(facts | {"logit": logit.item(), "score": score.item()}, stages)


def zerank_frame(query: str, document: str) -> tuple[str, str, str]:
    before = f"<|im_start|>system\n{query.strip()}<|im_end|>\n<|im_start|>user\n"
    return before, document.strip(), "<|im_end|>\n<|im_start|>assistant\n"


def zerank() -> None:
    name, seed, model_id, length = "zerank", 107, "zeroentropy/zerank-2-reranker", 112
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 131072)
    (directory / "chat_template.jinja").write_text(ZERANK_TEMPLATE, encoding="utf-8")
    settings = config(tokenizer.get_vocab_size(), length, tokenizer, hidden_size=32)
    model, state = causal(settings, seed)
    write_model(directory, settings, state)
    yes = tokenizer.token_to_id("Yes")
    write_logit_score(directory, yes, None)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=length)
    causal_cases(writer, model, tokenizer, zerank_frame, length, yes, None, 5.0)
    check_pairs(directory, writer)
    writer.write()


def write_logit_score(directory: Path, yes: int, no: int | None) -> None:
    """The files by which sentence-transformers, from 5.4, reads a causal model as a cross-encoder."""
    write_modules(directory, ["Transformer", "LogitScore"], new_layout=True)
    score = {"true_token_id": yes, "false_token_id": no, "module_input_name": "causal_logits"}
    write_json(directory / "1_LogitScore" / "config.json", score)
    modality = {"method": "forward", "method_output_name": "logits"}
    sentence = {
        "transformer_task": "text-generation",
        "modality_config": {"text": modality, "message": modality | {"format": "flat"}},
        "module_output_name": "causal_logits",
        "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
    }
    write_json(directory / "sentence_bert_config.json", sentence)
    versions = {"pytorch": "2.10.0", "sentence_transformers": "5.4.0", "transformers": "5.5.0"}
    top = {"__version__": versions, "activation_fn": "torch.nn.modules.linear.Identity", "default_prompt_name": None}
    write_json(directory / "config_sentence_transformers.json", top | {"model_type": "CrossEncoder", "prompts": {}})


def check_pairs(directory: Path, writer: GoldenWriter) -> None:
    """sentence-transformers reads the same directory to the same logits, where nothing has to be cut."""
    model = load_reranker(directory, dtype=torch.float32)
    short = [case for case in writer.cases if len(case["ids"]) < writer.header["max_length"]]
    assert len(short) + 1 == len(writer.cases)
    for case in short:
        logit = model.predict([(case["query"], case["document"])], show_progress_bar=False)[0]
        assert abs(logit - case["logit"]) < 1e-4, f"{case['query']!r}: {logit} != {case['logit']}"


def zerank_small() -> None:
    """Without modules.json: nothing in the directory says which token the score is read from, so it has its real id."""
    name, seed, model_id, length = "zerank_small", 108, "zeroentropy/zerank-1-small-reranker", 128
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 131072, moved={"Yes": ZERANK_ID_YES})
    narrow = {"hidden_size": 16, "head_dim": 8, "intermediate_size": 40}
    settings = config(ZERANK_ID_YES + 10, length, tokenizer, **narrow)
    model, state = causal(settings, seed)
    write_model(directory, settings, state)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=length)
    causal_cases(writer, model, tokenizer, zerank_frame, length, ZERANK_ID_YES, None, 5.0)
    writer.write()


def judge_frame(query: str, document: str) -> tuple[str, str, str]:
    return f"{JUDGE}{query}\n<Document>: ", document, "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def reranker() -> None:
    """The repository's first layout: nothing but the causal model, so the answers' tokens have their real ids."""
    name, seed, model_id, length = "qwen3_reranker", 109, "Qwen/Qwen3-Reranker-0.6B", 184
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 131072, moved={"yes": JUDGE_ID_YES, "no": JUDGE_ID_NO})
    narrow = {"hidden_size": 12, "head_dim": 8, "intermediate_size": 40, "num_hidden_layers": 2}
    settings = config(JUDGE_ID_YES + 11, length, tokenizer, **narrow)
    model, state = causal(settings, seed)
    write_model(directory, settings, state)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=length)
    causal_cases(writer, model, tokenizer, judge_frame, length, JUDGE_ID_YES, JUDGE_ID_NO, 1.0)
    writer.write()


def reranker_modules() -> None:
    """With modules.json: the files name the answers' tokens, here those of the tiny vocabulary."""
    name, seed, model_id, length = "qwen3_reranker_modules", 110, "Qwen/Qwen3-Reranker-0.6B", 184
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 131072)
    (directory / "chat_template.jinja").write_text(JUDGE_TEMPLATE, encoding="utf-8")
    settings = config(tokenizer.get_vocab_size(), length, tokenizer, hidden_size=16, head_dim=8, intermediate_size=56)
    model, state = causal(settings, seed)
    write_model(directory, settings, state)
    yes, no = tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")
    write_logit_score(directory, yes, no)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "reranker", seed, id=model_id, max_length=length)
    causal_cases(writer, model, tokenizer, judge_frame, length, yes, no, 1.0)
    check_pairs(directory, writer)
    writer.write()


ZEMBED_PROMPTS = {
    "query": "<|im_start|>system\nquery<|im_end|>\n<|im_start|>user\n",
    "document": "<|im_start|>system\ndocument<|im_end|>\n<|im_start|>user\n",
}
ZEMBED_SUFFIX = "<|im_end|>\n"


def zembed() -> None:
    name, seed, model_id, length, width = "zembed", 113, "zeroentropy/zembed-1-embedding", 72, 48
    directory = fresh_directory(name)
    tokenizer = tokens.qwen(directory, 131072)
    settings = config(tokenizer.get_vocab_size(), length, tokenizer, hidden_size=width, intermediate_size=64)
    model, state = causal(settings, seed)
    write_model(directory, settings, state)
    write_legacy_st(
        directory,
        width,
        ["lasttoken"],
        True,
        length,
        prompts=ZEMBED_PROMPTS,
        default_prompt_name="document",
        include_prompt=True,
        first_type="modeling_zembed.ZembedTransformer",
        extra_config={"model_type": "SentenceTransformer", "suffix": ZEMBED_SUFFIX},
        version="5.3.0",
    )
    generator = torch.Generator().manual_seed(seed + 1)
    chain, wide = {}, width
    for narrow in (24, 12, 6):
        chain[str(narrow)] = torch.randn(wide, narrow, generator=generator) / wide**0.5
        wide = narrow
    save_weights(directory / "projections.safetensors", chain)
    readme(directory, "apache-2.0", model_id)
    writer = GoldenWriter(name, "embedder", seed, id=model_id, max_length=length)
    for role, text in EMBED:
        ids = framed(tokenizer, ZEMBED_PROMPTS[role], text, ZEMBED_SUFFIX, length)
        stages = run_backbone(model.model, ids)
        pooled = stages["final"][-1]
        vector = unit(pooled)
        stages |= {"pooled": pooled, "output": vector}
        for narrow, matrix in chain.items():
            vector = vector @ matrix
            stages[f"output.{narrow}"] = unit(vector)
        writer.add({"role": role, "text": text, "ids": ids, "type_ids": [0] * len(ids)}, stages)
    assert len(writer.cases[-1]["ids"]) == length
    writer.write()


FAMILIES = {
    "qwen3_embedding": embedding,
    "zerank": zerank,
    "zerank_small": zerank_small,
    "qwen3_reranker": reranker,
    "qwen3_reranker_modules": reranker_modules,
    "zembed": zembed,
}
