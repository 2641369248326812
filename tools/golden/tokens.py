"""Tiny real tokenizers, learned from our own sentences, with the pipelines of the families they stand in for.

The merges are learned here and not by the trainers of the `tokenizers` library: those break ties by hash order, and these
files have to come out the same on every run.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from common import write_json
from texts import TRAINING

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def learn_merges(words: Counter, number: int) -> tuple[list[tuple[str, str]], Counter]:
    """Byte-pair merges of the words' symbols, most frequent first, ties in code point order; and the pieces' counts."""
    split = {word: list(word) for word in words}
    pieces = Counter()
    for word, symbols in split.items():
        for symbol in symbols:
            pieces[symbol] += words[word]
    merges = []
    while len(merges) < number:
        pairs = Counter()
        for word, symbols in split.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces[best[0] + best[1]] += pairs[best]
        for symbols in split.values():
            at = 0
            while at + 1 < len(symbols):
                if (symbols[at], symbols[at + 1]) == best:
                    symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
                at += 1
    return merges, pieces


def count_words(normalizer, pre_tokenizer) -> Counter:
    words = Counter()
    for line in TRAINING:
        text = normalizer.normalize_str(line) if normalizer else line
        words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(text))
    return words


def wordpiece(
    directory: Path,
    max_length: int,
    *,
    special=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    fixed_padding: int | None = None,
    tokenizer_class: str = "BertTokenizer",
) -> int:
    """BERT's: lower-cased, accents stripped, `[CLS] A [SEP] B [SEP]`. Returns the vocabulary size."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = count_words(normalizer, pre_tokenizer)
    merges, counts = learn_merges(words, 230)
    # Rare letters stay out, so that the unknown token occurs.
    letters = sorted(piece for piece, count in counts.items() if len(piece) == 1 and count > 1)
    pieces = letters + ["##" + letter for letter in letters]
    for left, right in merges:
        piece = left + right
        starts = any(word.startswith(piece) for word in words)
        inside = any(piece in word[1:] for word in words)
        pieces += [piece] * starts + ["##" + piece] * inside
    vocabulary = list(special) + [piece for piece in dict.fromkeys(pieces) if piece not in special]
    tokenizer = Tokenizer(
        models.WordPiece({piece: index for index, piece in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    cls, sep = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    if fixed_padding:
        # Many old repositories ship a tokenizer.json with the exporter's own truncation and padding in it; the loader has
        # to replace both.
        tokenizer.enable_truncation(fixed_padding)
        tokenizer.enable_padding(length=fixed_padding, pad_id=0, pad_token="[PAD]")
    tokenizer.save(str(directory / "tokenizer.json"))
    write_json(
        directory / "tokenizer_config.json",
        {
            "clean_up_tokenization_spaces": True,
            "cls_token": "[CLS]",
            "do_basic_tokenize": True,
            "do_lower_case": True,
            "mask_token": "[MASK]",
            "model_max_length": max_length,
            "never_split": None,
            "pad_token": "[PAD]",
            "sep_token": "[SEP]",
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "tokenizer_class": tokenizer_class,
            "unk_token": "[UNK]",
        },
    )
    special_map = {name + "_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
    write_json(directory / "special_tokens_map.json", special_map)
    return len(vocabulary)
