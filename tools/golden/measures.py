"""Writes the golden values of `elodex-eval`: random graded runs, and what trec_eval makes of them.

Run with `python tools/golden/measures.py`; it needs `pytrec-eval-terrier`. It writes
`crates/elodex-eval/tests/golden/measures.json`: `versions`, `seed`, and `cases`, each with `qrels` and `run` in TREC's
formats, `relevant_from`, and `values`, from measure to query to value.

trec_eval has no exponential gain, no MRR@k and no judged@k. What it does have is made to say them:

- NDCG with the gain 2^grade - 1 is NDCG of judgements whose grades are these gains;
- MRR@k is the reciprocal rank of a run cut at k, and trec_eval's own order decides where the cut falls;
- judged@k is precision of judgements that call every judged document relevant.

Each of these is computed a second time from its formula, and the script fails if the two differ.
"""

from __future__ import annotations

import json
import math
import random
import re
import struct
from importlib.metadata import version
from pathlib import Path

import pytrec_eval

SEED = 20
CUTOFFS = [1, 3, 5, 10, 100]
TARGET = Path(__file__).parents[2] / "crates/elodex-eval/tests/golden/measures.json"

Qrels = dict[str, dict[str, int]]
Run = dict[str, dict[str, float]]


def single(score: float) -> float:
    """As trec_eval keeps it."""
    return struct.unpack("f", struct.pack("f", score))[0]


def ordered(scores: dict[str, float]) -> list[str]:
    """trec_eval's order: score descending, document id descending."""
    return sorted(sorted(scores, reverse=True), key=lambda document: -single(scores[document]))


def make_case(source: random.Random, queries: int, documents: int, grades: list[int]) -> tuple[Qrels, Run]:
    """Scores tie often. One judged query is missing from the run, and one query of the run has no judgements."""
    pool = [f"{source.choice(['D', 'd', 'é', ''])}{number}" for number in range(documents)]
    qrels: Qrels = {}
    run: Run = {}
    for number in range(queries):
        query = f"q{number}"
        judged = source.sample(pool, source.randint(1, max(1, documents // 2)))
        qrels[query] = {document: source.choice(grades) for document in judged}
        returned = source.sample(pool, source.randint(1, documents))
        run[query] = {document: source.randint(-20, 20) / 10 for document in returned}
    qrels["missing"] = {pool[0]: max(grades)}
    run["unjudged"] = {pool[0]: 1.0}
    return qrels, run


def trec_eval(qrels: Qrels, run: Run, relevant_from: int, names: dict[str, str]) -> dict[str, dict[str, float]]:
    """Values by our names of the measures; `names` maps these to trec_eval's."""
    asked = {re.sub(r"_(\d+)$", r".\1", name) for name in names.values()}
    found = pytrec_eval.RelevanceEvaluator(qrels, asked, relevance_level=relevant_from).evaluate(run)
    return {ours: {query: found[query][theirs] for query in found} for ours, theirs in names.items()}


def exponential(qrels: Qrels) -> Qrels:
    return {query: {document: gain(grade) for document, grade in judged.items()} for query, judged in qrels.items()}


def gain(grade: int) -> int:
    return 2 ** max(grade, 0) - 1


def cut(run: Run, depth: int) -> Run:
    return {query: {document: scores[document] for document in ordered(scores)[:depth]} for query, scores in run.items()}


def every_judged(qrels: Qrels) -> Qrels:
    return {query: dict.fromkeys(judged, 1) for query, judged in qrels.items()}


def evaluate(qrels: Qrels, run: Run, relevant_from: int) -> dict[str, dict[str, float]]:
    names = {"map": "map", "mrr": "recip_rank", "ndcg": "ndcg"}
    for k in CUTOFFS:
        names |= {f"ndcg@{k}": f"ndcg_cut_{k}", f"precision@{k}": f"P_{k}"}
        names |= {f"recall@{k}": f"recall_{k}", f"success@{k}": f"success_{k}"}
    values = trec_eval(qrels, run, relevant_from, names)
    gains = {"ndcg_exp": "ndcg"} | {f"ndcg_exp@{k}": f"ndcg_cut_{k}" for k in CUTOFFS}
    values |= trec_eval(exponential(qrels), run, 1, gains)
    values |= trec_eval(every_judged(qrels), run, 1, {f"judged@{k}": f"P_{k}" for k in CUTOFFS})
    for k in CUTOFFS:
        values |= trec_eval(qrels, cut(run, k), relevant_from, {f"mrr@{k}": "recip_rank"})
    check_formulas(qrels, run, relevant_from, values)
    return values


def check_formulas(qrels: Qrels, run: Run, relevant_from: int, values: dict[str, dict[str, float]]) -> None:
    for query, judged in qrels.items():
        if query not in run:
            continue
        ranking = ordered(run[query])
        gains = [gain(judged.get(document, 0)) for document in ranking]
        ideal = sorted(map(gain, judged.values()), reverse=True)
        for k in CUTOFFS:
            best = sum(worth / math.log2(rank + 2) for rank, worth in enumerate(ideal[:k]))
            reached = sum(worth / math.log2(rank + 2) for rank, worth in enumerate(gains[:k]))
            ranks = [rank for rank, document in enumerate(ranking[:k], 1) if judged.get(document, 0) >= relevant_from]
            expected = {
                f"ndcg_exp@{k}": reached / best if best else 0.0,
                f"mrr@{k}": 1 / ranks[0] if ranks else 0.0,
                f"judged@{k}": sum(document in judged for document in ranking[:k]) / k,
            }
            for name, value in expected.items():
                assert math.isclose(values[name][query], value, abs_tol=1e-12), (name, query, value)


def near_ties() -> tuple[Qrels, Run]:
    """Scores that only double precision tells apart, and a negative zero."""
    qrels = {"q0": {"a": 1, "b": 0, "c": 2, "e": 1}, "q1": {"a": 3}, "q2": {"a": 0}, "q3": {"a": -1, "b": 1}}
    run = {
        "q0": {"a": 1.0 + 1e-12, "b": 1.0, "c": 1.0 - 1e-12, "d": 1.0 - 1e-7, "e": 0.0, "f": -0.0},
        "q1": {"b": 16777216.0, "a": 16777217.0},
        "q2": {"a": 1.0},
        "q3": {"a": 2.0, "b": 1.0},
    }
    return qrels, run


def main() -> None:
    source = random.Random(SEED)
    inputs = [
        (*near_ties(), 1),
        (*make_case(source, 12, 30, [0, 1]), 1),
        (*make_case(source, 12, 30, [0, 1, 2, 3]), 2),
        (*make_case(source, 8, 12, [-2, -1, 0, 1, 2]), 1),
        (*make_case(source, 6, 140, [0, 0, 0, 1, 2, 3]), 1),
    ]
    cases = []
    for qrels, run, relevant_from in inputs:
        rows = [
            f"{query} 0 {document} {grade}" for query, judged in qrels.items() for document, grade in judged.items()
        ]
        lines = [
            f"{query} Q0 {document} {rank} {score!r} random"
            for query, scores in run.items()
            for rank, (document, score) in enumerate(scores.items(), 1)
        ]
        cases.append(
            {
                "relevant_from": relevant_from,
                "qrels": "\n".join(rows) + "\n",
                "run": "\n".join(lines) + "\n",
                "values": evaluate(qrels, run, relevant_from),
            }
        )
    golden = {"versions": {"pytrec-eval-terrier": version("pytrec-eval-terrier")}, "seed": SEED, "cases": cases}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
