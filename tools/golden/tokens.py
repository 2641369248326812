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
    special_map = {name + "_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
    write_json(directory / "special_tokens_map.json", special_map)
    settings = {
        "clean_up_tokenization_spaces": True,
        "do_basic_tokenize": True,
        "do_lower_case": True,
        "model_max_length": max_length,
        "never_split": None,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": tokenizer_class,
    }
    write_json(directory / "tokenizer_config.json", settings | special_map)
    return len(vocabulary)


def unigram(directory: Path, max_length: int, table=normalizers.NFKC()) -> int:
    """XLM-RoBERTa's: SentencePiece pieces with `▁`, `<s> A </s></s> B </s>`. Returns the vocabulary size.

    The originals normalise by a compiled table of several hundred kilobytes; `table` stands in for it.
    """
    normalizer = normalizers.Sequence([table, normalizers.Replace(Regex(" {2,}"), " ")])
    pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    merges, counts = learn_merges(count_words(normalizer, pre_tokenizer), 260)
    letters = sorted(piece for piece, count in counts.items() if len(piece) == 1 and count > 1)
    pieces = list(dict.fromkeys(letters + [left + right for left, right in merges]))
    total = sum(counts[piece] for piece in pieces)
    scored = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    scored += [(piece, round(math.log(counts[piece] / total), 6)) for piece in pieces]
    scored.append(("<mask>", 0.0))
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    special = [AddedToken(token, normalized=False, special=True) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer.add_special_tokens(special + [AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    special_map = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "mask_token": "<mask>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
    }
    write_json(directory / "special_tokens_map.json", special_map)
    settings = {"clean_up_tokenization_spaces": True, "model_max_length": max_length, "tokenizer_class": "XLMRobertaTokenizer"}
    write_json(directory / "tokenizer_config.json", settings | special_map)
    return len(scored)


def byte_level_vocabulary(split, number: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """All bytes in their printable form, then what `number` merges make of them."""
    words = count_words(normalizers.NFC(), split)
    # The answers' words are single tokens in the real vocabularies, and rerankers are scored by them.
    words.update({word: 1000 for word in ("Yes", "No", "yes", "no")})
    merges, _ = learn_merges(words, number)
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet()) + [left + right for left, right in merges]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}, merges


def qwen(
    directory: Path, max_length: int, *, append_end: bool = False, moved: dict[str, int] | None = None, **extra_settings
) -> Tokenizer:
    """Qwen's byte-level BPE. `append_end` adds Qwen3-Embedding's `<|endoftext|>` behind every text.

    `moved` gives single tokens the ids that they have in the real vocabulary, beyond all others here.
    """
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    vocabulary, merges = byte_level_vocabulary(split, 330)
    added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    next_id = len(vocabulary)
    vocabulary |= moved or {}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    if moved:
        # Added tokens would go behind the highest id; the vocabulary itself holds them at theirs.
        for offset, token in enumerate(added + ["<think>", "</think>"]):
            vocabulary[token] = next_id + offset
        tokenizer.model = models.BPE(vocabulary, merges)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in added])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in ("<think>", "</think>")])
    byte_level = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    if append_end:
        end = tokenizer.token_to_id("<|endoftext|>")
        template = processors.TemplateProcessing(
            single="$A <|endoftext|>", pair="$A $B:1 <|endoftext|>:1", special_tokens=[("<|endoftext|>", end)]
        )
        tokenizer.post_processor = processors.Sequence([byte_level, template])
    else:
        tokenizer.post_processor = byte_level
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": max_length,
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    write_json(directory / "tokenizer_config.json", settings | extra_settings)
    return tokenizer
