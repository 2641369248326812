"""A compiled SentencePiece normaliser made of rules of our own, in the place of the table that XLM-RoBERTa's files hold."""

from __future__ import annotations

import unicodedata

from sentencepiece import SentencePieceNormalizer
from sentencepiece.sentencepiece_model_pb2 import NormalizerSpec
from tokenizers import normalizers

# Where compatibility forms lie that our odd texts use: no-break space to superscripts, spaces, letterlike symbols,
# circled numbers, squared units, ligatures, wide and narrow forms.
COMPATIBILITY = [
    (0x00A0, 0x00BF),
    (0x2000, 0x206F),
    (0x2100, 0x214F),
    (0x2460, 0x2473),
    (0x3000, 0x3000),
    (0x3380, 0x339F),
    (0xFB00, 0xFB06),
    (0xFF01, 0xFF9F),
]
MARKS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0323\u0327"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
BLANKS = "\t\n\x0c\r\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd"
CONTROLS = "".join(map(chr, [*range(0x01, 0x09), 0x0B, *range(0x0E, 0x20), 0x7F]))


def rules() -> dict[str, str]:
    """NFKC as far as it is listed here; white space and what cannot be seen is a blank, control characters are nothing."""
    table = {}
    for first, last in COMPATIBILITY:
        for letter in map(chr, range(first, last + 1)):
            table[letter] = unicodedata.normalize("NFKC", letter)
    for base in LETTERS:
        for mark in MARKS:
            table[base + mark] = unicodedata.normalize("NFKC", base + mark)
    table = {text: normal for text, normal in table.items() if text != normal}
    return table | dict.fromkeys(BLANKS, " ") | dict.fromkeys(CONTROLS, "")


def normalizer() -> normalizers.Precompiled:
    compiled = SentencePieceNormalizer(norm_map=list(rules().items()))
    spec = NormalizerSpec.FromString(compiled.serialized_normalizer_spec())
    return normalizers.Precompiled(spec.precompiled_charsmap)
