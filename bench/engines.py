"""Elodex, each model in a process of its own behind a pipe.

Every engine that is compared, these and the peers', has `compute(inputs)`, the vectors of texts or the logits of pairs,
and `seconds(inputs)`, the time from strings to those, tokenising included.
"""

import json
import pathlib
import subprocess

import numpy

PRECISIONS = ["f32", "int8"]


class Driver:
    """A Rust driver that answers lines of JSON and takes the time itself: the pipe is not in it."""

    program = None
    description = "packed, no padding"

    def __init__(self, binaries, model, threads, precision):
        command = [str(pathlib.Path(binaries) / self.program), str(model), str(threads), precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seconds_to_ready = self.answer()["seconds_to_ready"]

    def ask(self, call):
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.program} ended with {self.process.wait()}")
        return json.loads(line)

    def resident_mib(self):
        return resident_mib(self.process.pid)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Embedder(Driver):
    """The engine the server uses, cache off."""

    program = "bench-embed"

    def compute(self, texts):
        answer = self.ask({"together": {"texts": texts, "vectors": True}})
        return numpy.array(answer["vectors"], dtype=numpy.float32)

    def seconds(self, texts):
        return self.ask({"together": {"texts": texts, "vectors": False}})["seconds"]

    def count_tokens(self, texts):
        return self.ask({"together": {"texts": texts, "vectors": False}})["tokens"]

    def apart(self, texts, clients):
        """Each text a request of its own, from so many clients at once: seconds of all, and of each."""
        return self.ask({"apart": {"texts": texts, "clients": clients}})


class Reranker(Driver):
    """The engine the server uses, cache off. All pairs have one query."""

    program = "bench-rerank"

    def compute(self, pairs):
        return numpy.array(self.rerank(pairs)["logits"], dtype=numpy.float32)

    def seconds(self, pairs):
        return self.rerank(pairs)["seconds"]

    def count_tokens(self, pairs):
        return self.rerank(pairs)["tokens"]

    def rerank(self, pairs):
        return self.ask({"query": pairs[0][0], "documents": [document for _, document in pairs]})


def resident_mib(pid):
    """Resident memory now and at its peak."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    now, peak = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return {"now": round(now), "peak": round(peak)}
