"""The engines compared: Elodex behind a pipe, ONNX Runtime and sentence-transformers in this process.

Each has `embed(texts) -> (seconds, vectors)`: seconds from strings to normalised vectors, tokenising included.
"""

import json
import pathlib
import subprocess
import time

import numpy
import onnxruntime
import torch
import transformers
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

BATCH_SIZES = [4, 8, 16, 32]
# What sentence-transformers and most serving code use unless told otherwise.
USUAL_BATCH = 32


class Elodex:
    """The engine the server uses, cache off, in a process of its own."""

    def __init__(self, binaries, model, threads):
        command = [str(pathlib.Path(binaries) / "bench-embed"), str(model), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seconds_to_ready = json.loads(self.process.stdout.readline())["seconds_to_ready"]

    def ask(self, texts, vectors):
        self.process.stdin.write(json.dumps({"texts": texts, "vectors": vectors}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench-embed ended with {self.process.wait()}")
        return json.loads(line)

    def embed(self, texts):
        """Timed inside the driver: what the pipe costs is not the engine's."""
        return self.ask(texts, vectors=False)["seconds"]

    def vectors(self, texts):
        return numpy.array(self.ask(texts, vectors=True)["vectors"], dtype=numpy.float32)

    def count_tokens(self, texts):
        return self.ask(texts, vectors=False)["tokens"]

    def resident_mib(self):
        return resident_mib(self.process.pid)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class OnnxRuntime:
    """ONNX Runtime f32 on a model exported here, batched by length; see `variants` for what is tried."""

    def __init__(self, graph, model, threads, batch_size, spinning):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
        self.session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.names = [node.name for node in self.session.get_inputs()]
        self.tokenizer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length=max_tokens(model))
        self.batch_size = batch_size
        self.description = f"{pathlib.Path(graph).stem}, batches of {batch_size}"

    def vectors(self, texts):
        encodings = self.tokenizer.encode_batch(texts)
        order = sorted(range(len(texts)), key=lambda at: -len(encodings[at].ids))
        result = None
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            width = len(encodings[batch[0]].ids)
            ids = numpy.zeros((len(batch), width), dtype=numpy.int64)
            mask = numpy.zeros_like(ids)
            for row, at in enumerate(batch):
                length = len(encodings[at].ids)
                ids[row, :length] = encodings[at].ids
                mask[row, :length] = 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
            [hidden] = self.session.run(None, {name: feed[name] for name in self.names})
            weights = mask[:, :, None].astype(numpy.float32)
            pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
            pooled /= numpy.linalg.norm(pooled, axis=1, keepdims=True)
            if result is None:
                result = numpy.empty((len(texts), pooled.shape[1]), dtype=numpy.float32)
            result[batch] = pooled
        return result

    def embed(self, texts):
        return seconds(lambda: self.vectors(texts))


class SentenceTransformers:
    """sentence-transformers on PyTorch f32, as its users call it."""

    def __init__(self, model, batch_size, transformer=None):
        self.model = transformer or SentenceTransformer(str(model), device="cpu")
        self.batch_size = batch_size
        self.description = f"batches of {batch_size}"

    def vectors(self, texts):
        return self.model.encode(texts, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False)

    def embed(self, texts):
        return seconds(lambda: self.vectors(texts))


def onnx_variants(model, scratch, threads):
    """Plain export and export with transformer fusions, each with several batch sizes."""
    plain = export(model, scratch)
    fused = fuse(plain, model)
    return [
        OnnxRuntime(graph, model, threads, batch_size, spinning=True)
        for graph in (plain, fused)
        for batch_size in BATCH_SIZES
    ]


def torch_variants(model, threads):
    torch.set_num_threads(threads)
    first = SentenceTransformers(model, BATCH_SIZES[0])
    return [SentenceTransformers(model, batch_size, first.model) for batch_size in BATCH_SIZES]


def export(model, scratch):
    """The PyTorch weights as an ONNX graph with free batch and length."""
    path = pathlib.Path(scratch) / "plain-export.onnx"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    network = transformers.AutoModel.from_pretrained(str(model), attn_implementation="eager").eval()
    network.config.return_dict = False
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in names)
    axes = {name: {0: "batch", 1: "length"} for name in [*names, "last_hidden_state"]}
    scratch_path = path.with_suffix(".partial")
    with torch.no_grad():
        torch.onnx.export(
            Hidden(network), example, str(scratch_path), input_names=names, output_names=["last_hidden_state"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )
    scratch_path.rename(path)
    return path


class Hidden(torch.nn.Module):
    """The encoder with only its hidden states as output."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.network(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]


def fuse(plain, model):
    """ONNX Runtime's own transformer fusions: attention, GELU and layer norm as single operators."""
    from onnxruntime.transformers import optimizer

    path = plain.with_name("fused-export.onnx")
    if not path.is_file():
        config = json.loads((pathlib.Path(model) / "config.json").read_text())
        optimized = optimizer.optimize_model(
            str(plain), model_type="bert", num_heads=config["num_attention_heads"],
            hidden_size=config["hidden_size"], opt_level=0,
        )
        optimized.save_model_to_file(str(path))
    return path


def max_tokens(model):
    return json.loads((pathlib.Path(model) / "sentence_bert_config.json").read_text())["max_seq_length"]


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def resident_mib(pid):
    """Resident memory now and at its peak."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    now, peak = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return {"now": round(now), "peak": round(peak)}
