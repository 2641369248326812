"""The texts that are embedded and reranked: generated from a word list, or read from a data set beside the checkout."""

import dataclasses
import json
import pathlib
import random

SCIFACT = pathlib.Path(__file__).resolve().parents[2] / "shared/data/scifact/corpus.jsonl"

# Common words that are one token each in MiniLM's vocabulary, so that a text of n words has n + 2 tokens.
WORDS = (
    "water light river stone winter summer garden engine paper market music doctor school bridge island forest "
    "window village morning evening history science language number question answer reason method result measure "
    "energy system model sample signal pressure surface current field metal glass silver green yellow small large "
    "early later often always never under over between against through during before after because without within "
    "people family friend worker teacher student writer reader leader member company office street house church"
).split()


def one_of_tokens(count, rng):
    """A text of exactly `count` tokens, [CLS] and [SEP] included."""
    return " ".join(rng.choice(WORDS) for _ in range(count - 2))


def equal(texts, tokens, seed):
    rng = random.Random(seed)
    return [one_of_tokens(tokens, rng) for _ in range(texts)]


def natural(texts):
    """Abstracts in their own lengths and order, or generated lengths with the same spread; and which of the two."""
    if SCIFACT.is_file():
        with SCIFACT.open(encoding="utf-8") as lines:
            documents = [json.loads(line) for line, _ in zip(lines, range(texts))]
        return [f"{document['title']} {document['text']}" for document in documents], "SciFact abstracts"
    rng = random.Random(3)
    lengths = [int(min(512, max(16, rng.lognormvariate(5.5, 0.4)))) for _ in range(texts)]
    return [one_of_tokens(length, rng) for length in lengths], "generated, log-normal lengths"


@dataclasses.dataclass(frozen=True)
class Workload:
    """What every engine computes, `calls` times in a row in every round."""

    name: str
    inputs: list
    calls: int
    # Whether peers are measured as their users run them as well.
    usual: bool = False


SHORT, LONG, QUERY = "32 x 128 tokens", "16 x 256 tokens", "one 16-token query"
NATURAL = "natural lengths"
RERANK = "rerank 100 pairs of 160 tokens"


def embedding():
    documents, source = natural(64)
    return [
        Workload(SHORT, equal(32, 128, seed=1), calls=3),
        Workload(LONG, equal(16, 256, seed=2), calls=3),
        Workload(f"{NATURAL} ({source})", documents, calls=1, usual=True),
        Workload(QUERY, equal(1, 16, seed=4), calls=60),
    ]


def reranking():
    """A query of 14 words and documents of 143: three more tokens stand before, between and behind."""
    rng = random.Random(5)
    query = one_of_tokens(14 + 2, rng)
    return Workload(RERANK, [(query, one_of_tokens(143 + 2, rng)) for _ in range(100)], calls=1, usual=True)


def queries(count):
    """Different 16-token queries."""
    return equal(count, 16, seed=6)
