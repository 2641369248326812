"""Compares Elodex with its peers on this machine, in one run. See bench/README.md."""

import argparse
import json
import logging
import os
import pathlib
import platform
import subprocess
from importlib.metadata import version

import transformers

import compare
import engines
import peers
import serving
import tables
import workloads

PEERS = ["onnxruntime", "torch", "transformers", "sentence-transformers", "fastembed"]
QUERIES_AT_ONCE = 200


def main():
    arguments = parse_arguments()
    scratch = pathlib.Path(os.environ.get("ELODEX_SCRATCH", "target/bench")).resolve()
    binaries = pathlib.Path(os.environ.get("ELODEX_BIN_DIR", "target/release")).resolve()
    model = pathlib.Path(os.environ.get("ELODEX_EMBEDDER", "target/models/all-MiniLM-L6-v2")).resolve()
    os.environ["ELODEX_BINARY"] = str(binaries / "elodex")
    # The tokenizers that the peers share take all cores otherwise.
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)
    scratch.mkdir(parents=True, exist_ok=True)
    quiet()

    report = {"machine": machine(arguments.threads), "rounds": arguments.rounds}
    embedders = {
        precision: engines.Embedder(binaries, model, arguments.threads, precision) for precision in engines.PRECISIONS
    }
    if not arguments.server_only:
        report["gemm"] = gemm(binaries, arguments.threads)
        tables.print_gemm(report["gemm"])
        measure(report, arguments, scratch, binaries, model, embedders)
    if not arguments.offline_only:
        report["server"] = serving.measure(
            binaries, model, scratch, embedders["f32"], arguments.threads, starts=5
        )
        tables.print_server(report["server"])
    for embedder in embedders.values():
        embedder.close()
    if not arguments.server_only:
        report["bars"] = list(tables.bars(report))
        tables.print_bars(report["bars"])
    pathlib.Path(arguments.output).write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nAll figures: {arguments.output}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternated rounds of each workload")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of every engine")
    parser.add_argument("--offline-only", action="store_true", help="leave the server out")
    parser.add_argument("--server-only", action="store_true", help="leave the peers out")
    parser.add_argument("--output", default="target/bench/report.json", help="where the figures go as JSON")
    return parser.parse_args()


def quiet():
    """Nothing but figures: no progress bars, and no advice on how the peers' models are made."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger().setLevel(logging.ERROR)


def machine(threads):
    return {
        "cpu": next(
            (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
            platform.processor(),
        ),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        **{peer: version(peer) for peer in PEERS},
    }


def gemm(binaries, threads):
    """Lines that `gemm_peak` prints on as many cores as there are threads."""
    cores = os.sched_getaffinity(0)
    # Inherited by the program, which runs on all the cores it may use.
    os.sched_setaffinity(0, sorted(cores)[:threads])
    try:
        program = [str(binaries / "examples/gemm_peak")]
        return subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    finally:
        os.sched_setaffinity(0, cores)


def measure(report, arguments, scratch, binaries, model, embedders):
    """Everything but the server."""
    report["offline"] = []

    def offline(workload, elodex, others, agreement):
        result = compare.compare(workload, elodex, others, agreement, arguments.rounds)
        report["offline"].append(result)
        tables.print_workload(result)

    others = peers.embedders(model, scratch, arguments.threads)
    for workload in workloads.embedding():
        offline(workload, embedders, others, compare.embeddings)
    report["in_process"] = {
        precision: {"seconds_to_ready": embedder.seconds_to_ready, "resident_mib": embedder.resident_mib()}
        for precision, embedder in embedders.items()
    }
    report["two_at_once"] = {
        f"elodex {precision}": compare.two_at_once(embedder, workloads.queries(QUERIES_AT_ONCE), arguments.rounds)
        for precision, embedder in embedders.items()
    }
    tables.print_two_at_once(report["two_at_once"])

    cross_encoder = peers.make_cross_encoder(model, scratch / "cross-encoder")
    rerankers = {
        precision: engines.Reranker(binaries, cross_encoder, arguments.threads, precision)
        for precision in engines.PRECISIONS
    }
    others = peers.rerankers(cross_encoder, arguments.threads)
    offline(workloads.reranking(), rerankers, others, compare.scores)
    for reranker in rerankers.values():
        reranker.close()


if __name__ == "__main__":
    main()
