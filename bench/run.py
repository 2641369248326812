"""Compares Elodex with ONNX Runtime and sentence-transformers on this machine, in one run. See bench/README.md."""

import argparse
import json
import os
import pathlib
import platform
import statistics
import time

import numpy
import onnxruntime
import sentence_transformers
import torch

import engines
import serving
import workloads

# Thread pools of the peers spin for a while after a call; they must be asleep when another engine is measured.
SETTLE_SECONDS = 0.5
# Engines that compute something else must not be compared.
LEAST_COSINE = 0.9999


def main():
    arguments = parse_arguments()
    scratch = pathlib.Path(os.environ.get("ELODEX_SCRATCH", "target/bench")).resolve()
    binaries = pathlib.Path(os.environ.get("ELODEX_BIN_DIR", "target/release")).resolve()
    model = pathlib.Path(os.environ.get("ELODEX_EMBEDDER", "target/models/all-MiniLM-L6-v2")).resolve()
    os.environ["ELODEX_BINARY"] = str(binaries / "elodex")
    scratch.mkdir(parents=True, exist_ok=True)

    elodex = engines.Elodex(binaries, model, arguments.threads)
    report = {"machine": machine(arguments.threads), "rounds": arguments.rounds, "offline": [], "server": None}
    if not arguments.server_only:
        onnx = engines.onnx_variants(model, scratch, arguments.threads)
        peers = {
            "onnxruntime": onnx,
            "onnxruntime, usual": [variant for variant in onnx if variant.batch_size == engines.USUAL_BATCH],
            "sentence-transformers": engines.torch_variants(model, arguments.threads),
        }
        for name, texts, calls in workloads.offline():
            report["offline"].append(compare(name, texts, calls, elodex, peers, arguments.rounds))
            print_offline(report["offline"][-1])
        report["in_process"] = {"seconds_to_ready": elodex.seconds_to_ready, "resident_mib": elodex.resident_mib()}
    if not arguments.offline_only:
        report["server"] = serving.measure(binaries, model, scratch, elodex, starts=5)
        print_server(report["server"])
    elodex.close()
    pathlib.Path(arguments.output).write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nAll figures: {arguments.output}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="alternated rounds of each workload")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of every engine")
    parser.add_argument("--offline-only", action="store_true", help="leave the server out")
    parser.add_argument("--server-only", action="store_true", help="leave the peers out")
    parser.add_argument("--output", default="target/bench/report.json", help="where the figures go as JSON")
    return parser.parse_args()


def machine(threads):
    return {
        "cpu": next(
            (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
            platform.processor(),
        ),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "sentence-transformers": sentence_transformers.__version__,
    }


def compare(name, texts, calls, elodex, peers, rounds):
    """Best variant of each peer, then all engines in turn; the order rotates from round to round."""
    chosen = {"elodex": elodex}
    for peer, variants in peers.items():
        chosen[peer] = best(variants, texts, calls)
        check_same_work(elodex, chosen[peer], texts)
    elodex.embed(texts)
    times = {engine: [] for engine in chosen}
    order = list(chosen)
    for _ in range(rounds):
        for engine in order:
            time.sleep(SETTLE_SECONDS)
            chosen[engine].embed(texts)
            times[engine].append([chosen[engine].embed(texts) for _ in range(calls)])
        order = order[1:] + order[:1]
    tokens = elodex.count_tokens(texts)
    figures = {}
    for engine, measured in times.items():
        # Per round the median call; over the rounds the median round.
        median = statistics.median(statistics.median(calls) for calls in measured)
        figures[engine] = {
            "p50_ms": 1e3 * median,
            "tokens_per_second": tokens / median,
            "configuration": getattr(chosen[engine], "description", "packed, no padding"),
        }
    for peer in peers:
        figures[peer]["elodex_is_faster_by"] = figures[peer]["p50_ms"] / figures["elodex"]["p50_ms"]
    return {"workload": name, "texts": len(texts), "tokens": tokens, "engines": figures}


def best(variants, texts, calls):
    """The variant with the least time after a warm-up; batch sizes far above the number of texts are left out."""
    useful = [variant for variant in variants if variant.batch_size < 2 * len(texts)] or variants[:1]

    def least(variant):
        variant.embed(texts)
        return min(variant.embed(texts) for _ in range(max(2, calls // 4)))

    return min(useful, key=least)


def check_same_work(elodex, peer, texts):
    ours, theirs = elodex.vectors(texts), numpy.asarray(peer.vectors(texts))
    cosine = float((ours * theirs).sum(axis=1).min())
    if cosine < LEAST_COSINE:
        raise RuntimeError(f"{type(peer).__name__} computes other vectors: lowest cosine {cosine}")


def print_offline(result):
    print(f"\n{result['workload']}: {result['texts']} texts, {result['tokens']} tokens")
    print(f"  {'engine':<24}{'tokens/s':>10}{'p50 ms':>10}{'ratio':>8}  configuration")
    for engine, figures in result["engines"].items():
        ratio = figures.get("elodex_is_faster_by")
        shown = f"{ratio:.2f}x" if ratio else ""
        print(
            f"  {engine:<24}{figures['tokens_per_second']:>10.0f}{figures['p50_ms']:>10.2f}{shown:>8}"
            f"  {figures['configuration']}"
        )


def print_server(figures):
    memory = figures["resident_mib"]
    overhead = figures["overhead"]
    print(f"\nserver: ready after {figures['seconds_to_ready']:.2f} s")
    print(f"  resident MiB: {memory['at_rest']['now']} at rest, {memory['after_load']['peak']} at its peak")
    print(
        f"  one 16-token query: {overhead['http_p50_ms']:.2f} ms over HTTP, {overhead['in_process_p50_ms']:.2f} ms in "
        f"process, {overhead['added_ms']:.2f} ms added"
    )
    print(f"  one {figures['request_tokens']}-token text per request, cache off:")
    print(f"  {'clients':>8}{'req/s':>9}{'tokens/s':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    for row in figures["loads"]:
        print(
            f"  {row['clients']:>8}{row['requests_per_second']:>9.0f}{row['tokens_per_second']:>10.0f}"
            f"{row['p50_ms']:>9.2f}{row['p95_ms']:>9.2f}{row['p99_ms']:>9.2f}"
        )


if __name__ == "__main__":
    main()
