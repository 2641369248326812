"""Runs transformers' own class of a repository whose code, not its files, tells sentence-transformers how to load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer

from common import Capture, GoldenWriter, unit


class Direct(torch.nn.Module):
    """A backbone that takes the features one by one, as the entry of a sentence-transformers model does."""

    def __init__(self, backbone: torch.nn.Module):
        super().__init__()
        self.backbone = backbone.eval()

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.backbone(**features).last_hidden_state


def encode(directory: Path, text: str, max_length: int) -> dict[str, torch.Tensor]:
    """The features of one text, by `tokenizer.json` alone, cut on the right."""
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    ids = torch.tensor([tokenizer.encode(text).ids])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def mean(tokens: torch.Tensor) -> torch.Tensor:
    """`[length, width]` to `[width]`."""
    return tokens.sum(0) / max(tokens.shape[0], 1e-9)


def direct_cases(
    writer: GoldenWriter,
    backbones: dict[str, torch.nn.Module],
    prompts: dict[str, str],
    cases: list[tuple[str, str]],
    max_length: int,
    *,
    project: Callable[[torch.Tensor], torch.Tensor] = lambda tokens: tokens,
    finish: Callable[[torch.Tensor], torch.Tensor] = unit,
    narrow: Callable[[torch.Tensor], torch.Tensor] = lambda output: output,
    dimensions=(),
) -> None:
    """Mean pooling of what the role's backbone makes of its prompt and the text.

    `project` runs on the tokens before pooling, `finish` behind pooling, `narrow` before the slice to fewer dimensions.
    """
    for role, text in cases:
        entry = Direct(backbones[role])
        capture = Capture(entry, entry.backbone)
        features = encode(writer.root / "model", prompts[role] + text, max_length)
        final = entry(features)[0]
        capture.close()
        ids = features["input_ids"][0].tolist()
        pooled = mean(project(final))
        output = finish(pooled)
        stages = {stage: value[0] for stage, value in capture.seen.items()}
        stages |= {"final": final, "pooled": pooled, "output": output}
        for dimension in dimensions:
            stages[f"output.{dimension}"] = unit(narrow(output)[:dimension])
        writer.add({"role": role, "text": text, "ids": ids, "type_ids": [0] * len(ids)}, stages)
