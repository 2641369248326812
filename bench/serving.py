"""The server: time to ready, memory, what HTTP adds to a call, throughput and latency under 1, 8 and 64 clients."""

import json
import pathlib
import random
import statistics
import subprocess
import sys

from engines import resident_mib
from workloads import one_of_tokens

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/clients"))

from live_server import LiveServer  # noqa: E402
from served_models import bench_arguments  # noqa: E402

KEY = "bench-key"
# Clients and requests: bounded, and long enough for a 99th percentile.
LOADS = [(1, 400), (8, 1600), (64, 3200)]
REQUEST_TOKENS = 64


def measure(binaries, model, scratch, elodex, threads, starts):
    """All figures of a server with its cache off."""
    log = scratch / "server.log"
    served = bench_arguments(model, KEY, threads)
    ready = []
    for _ in range(starts):
        with LiveServer(served, log, KEY) as server:
            ready.append(server.seconds_to_ready)
    with LiveServer(served, log, KEY) as server:
        at_rest = resident_mib(server.pid)
        overhead = overhead_of_http(binaries, scratch, server, elodex)
        loads = []
        for clients, requests in LOADS:
            texts = unique_texts(requests, REQUEST_TOKENS, seed=clients)
            figures = load(binaries, scratch, server, clients, texts)
            figures["requests_per_second"] = figures["succeeded"] / figures["seconds"]
            figures["tokens_per_second"] = REQUEST_TOKENS * figures["requests_per_second"]
            loads.append(figures)
        after_load = resident_mib(server.pid)
    return {
        "seconds_to_ready": statistics.median(ready),
        "resident_mib": {"at_rest": at_rest, "after_load": after_load},
        "overhead": overhead,
        "request_tokens": REQUEST_TOKENS,
        "loads": loads,
    }


def overhead_of_http(binaries, scratch, server, elodex):
    """Median of one 16-token query over HTTP, less its median in process; in alternating blocks."""
    over_http, in_process = [], []
    for block in range(5):
        texts = unique_texts(100, 16, seed=100 + block)
        in_process += [1e3 * elodex.seconds([text]) for text in texts]
        over_http.append(load(binaries, scratch, server, 1, texts)["p50_ms"])
    http, process = statistics.median(over_http), statistics.median(in_process)
    return {"http_p50_ms": http, "in_process_p50_ms": process, "added_ms": http - process}


def load(binaries, scratch, server, clients, texts):
    bodies = scratch / "bodies.jsonl"
    with bodies.open("w") as lines:
        for text in texts:
            body = {"model": "minilm", "input_type": "document", "input": text, "encoding_format": "base64"}
            lines.write(json.dumps(body) + "\n")
    command = [str(binaries / "bench-load"), f"{server.url}/v1/models/embed", KEY, str(clients), str(bodies)]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if figures["succeeded"] != figures["sent"]:
        raise RuntimeError(f"only {figures['succeeded']} of {figures['sent']} calls succeeded; see {server.log}")
    return figures


def unique_texts(count, tokens, seed):
    rng = random.Random(seed)
    return [one_of_tokens(tokens, rng) for _ in range(count)]
