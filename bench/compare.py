"""Engines on one workload: the best variant of each peer, whether it computes the same, and alternated rounds."""

import statistics
import time

import numpy

from engines import PRECISIONS

# Thread pools of the peers spin for a while after a call; they must be asleep when another engine is measured.
SETTLE_SECONDS = 0.5
# Between variants of one peer less will do.
SETTLE_VARIANT_SECONDS = 0.05
# Variants that took this much longer than the best at the first try, or are behind so many, are not tried again.
HOPELESS = 1.5
FINALISTS = 4


def embeddings(ours, theirs):
    """Mean and lowest cosine; vectors of the same work are alike to 0.9999 and of length one."""
    dots = (ours * theirs).sum(axis=1)
    cosines = dots / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
    figures = {"mean_cosine": float(cosines.mean()), "lowest_cosine": float(cosines.min())}
    return figures, float(dots.min()) >= 0.9999


def scores(ours, theirs):
    """Correlation and largest difference of logits; those of the same work differ by 1e-4 at most."""
    difference = float(numpy.abs(ours - theirs).max())
    figures = {"correlation": float(numpy.corrcoef(ours, theirs)[0, 1]), "largest_difference": difference}
    return figures, difference <= 1e-4


def compare(workload, elodex, peers, agreement, rounds):
    """Figures of every engine by its name; `elodex` are ours by precision, `agreement` compares their results."""
    chosen = {f"elodex {precision}": elodex[precision] for precision in PRECISIONS}
    tried = {}
    for peer, variants in peers.items():
        if workload.usual or not peer.endswith("usual"):
            chosen[peer], tried[peer] = best(variants, workload)
    agreements = check(chosen, workload.inputs, agreement)
    times = alternate(chosen, workload, rounds)
    tokens = elodex["f32"].count_tokens(workload.inputs)
    medians = {
        # Per round the median call; over the rounds the median round.
        engine: statistics.median(statistics.median(calls) for calls in measured)
        for engine, measured in times.items()
    }
    figures = {}
    for engine, seconds in medians.items():
        figures[engine] = {
            "p50_ms": 1e3 * seconds,
            "tokens_per_second": tokens / seconds,
            "ratio": {precision: seconds / medians[f"elodex {precision}"] for precision in PRECISIONS},
            "agreement": agreements[engine],
            "configuration": chosen[engine].description,
            "rounds_ms": [[1e3 * call for call in calls] for calls in times[engine]],
            "tried_ms": tried.get(engine),
        }
    return {"workload": workload.name, "inputs": len(workload.inputs), "tokens": tokens, "engines": figures}


def best(variants, workload):
    """The fastest variant, and milliseconds of all by their description. Each is tried once, the best of them again."""
    inputs = workload.inputs
    # The smallest batch that holds all inputs is enough.
    smallest = min(variant.batch_size for variant in variants)
    useful = [variant for variant in variants if variant.batch_size in (smallest, *range(2 * len(inputs)))]
    least = {}

    def attempt(variant, times):
        time.sleep(SETTLE_VARIANT_SECONDS)
        variant.seconds(inputs[:4])
        measured = min(variant.seconds(inputs) for _ in range(times))
        least[variant] = min(measured, least.get(variant, measured))

    for variant in useful:
        attempt(variant, max(1, workload.calls // 10))
    first = min(least.values())
    promising = [variant for variant in sorted(useful, key=least.get) if least[variant] < HOPELESS * first]
    for variant in promising[:FINALISTS]:
        attempt(variant, max(2, workload.calls // 4))
    winner = min(useful, key=least.get)
    return winner, {variant.description: 1e3 * seconds for variant, seconds in least.items()}


def check(chosen, inputs, agreement):
    """How results agree with ours in f32. Engines in f32 that compute something else must not be compared."""
    ours = numpy.asarray(chosen["elodex f32"].compute(inputs))
    agreements = {}
    for engine, runs in chosen.items():
        agreements[engine], same = agreement(ours, numpy.asarray(runs.compute(inputs)))
        if "f32" in engine and not same:
            raise RuntimeError(f"{engine} computes something else than elodex f32: {agreements[engine]}")
    return agreements


def alternate(chosen, workload, rounds):
    """Seconds of every call in every round, all engines in turn; the order rotates from round to round."""
    times = {engine: [] for engine in chosen}
    order = list(chosen)
    for _ in range(rounds):
        for engine in order:
            time.sleep(SETTLE_SECONDS)
            # Threads awake and weights in the caches, which is what the calls to come will find as well.
            chosen[engine].seconds(workload.inputs[:4])
            times[engine].append([chosen[engine].seconds(workload.inputs) for _ in range(workload.calls)])
        order = order[1:] + order[:1]
    return times


def two_at_once(elodex, texts, rounds):
    """Requests of one text each, one after the other and from two clients at once, alternating."""
    measured = {1: [], 2: []}
    for clients in measured:
        elodex.apart(texts[:8], clients)
    for _ in range(rounds):
        for clients, answers in measured.items():
            answers.append(elodex.apart(texts, clients))
    p50 = {
        clients: 1e3 * statistics.median(statistics.median(answer["latencies"]) for answer in answers)
        for clients, answers in measured.items()
    }
    alone, both = (statistics.median(answer["seconds"] for answer in measured[clients]) for clients in (1, 2))
    return {"requests": len(texts), "alone_p50_ms": p50[1], "two_p50_ms": p50[2], "throughput_ratio": alone / both}
