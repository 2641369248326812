"""The engines that Elodex is compared with, each in the variants that are tried for every workload."""

import json
import pathlib
import shutil
import time

import numpy
import torch
import transformers
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from sentence_transformers import CrossEncoder, SentenceTransformer
from tokenizers import Tokenizer

import graphs

BATCH_SIZES = [4, 8, 16, 32]
# What sentence-transformers and most serving code use unless told otherwise, and what fastembed does.
USUAL_BATCH = 32
FASTEMBED_USUAL_BATCH = 256


class Peer:
    """Runs in this process."""

    def compute(self, inputs):
        raise NotImplementedError

    def seconds(self, inputs):
        start = time.perf_counter()
        self.compute(inputs)
        return time.perf_counter() - start


class OnnxRuntime(Peer):
    """A graph made here, on inputs sorted by length and padded within their batches."""

    def __init__(self, session, model, batch_size):
        self.session = session
        self.tokenizer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length=max_tokens(model))
        self.batch_size = batch_size
        self.description = f"{session.description}, batches of {batch_size}"

    def outputs(self, inputs):
        """Positions of the inputs, mask and output of each batch."""
        encodings = self.tokenizer.encode_batch(inputs)
        order = sorted(range(len(inputs)), key=lambda at: -len(encodings[at].ids))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            width = len(encodings[batch[0]].ids)
            ids, mask, types = (numpy.zeros((len(batch), width), dtype=numpy.int64) for _ in range(3))
            for row, at in enumerate(batch):
                length = len(encodings[at].ids)
                ids[row, :length] = encodings[at].ids
                types[row, :length] = encodings[at].type_ids
                mask[row, :length] = 1
            yield batch, mask, self.session.run({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})


class OnnxEmbedder(OnnxRuntime):
    def compute(self, texts):
        result = None
        for batch, mask, hidden in self.outputs(texts):
            weights = mask[:, :, None].astype(numpy.float32)
            pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
            pooled /= numpy.linalg.norm(pooled, axis=1, keepdims=True)
            if result is None:
                result = numpy.empty((len(texts), pooled.shape[1]), dtype=numpy.float32)
            result[batch] = pooled
        return result


class OnnxReranker(OnnxRuntime):
    def compute(self, pairs):
        result = numpy.empty(len(pairs), dtype=numpy.float32)
        for batch, _, logits in self.outputs(pairs):
            result[batch] = logits[:, 0]
        return result


class TorchEmbedder(Peer):
    """sentence-transformers, which sorts by length itself."""

    def __init__(self, transformer, batch_size):
        self.transformer = transformer
        self.batch_size = batch_size
        self.description = f"batches of {batch_size}"

    def compute(self, texts):
        return self.transformer.encode(
            texts, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )


class TorchReranker(Peer):
    """sentence-transformers, which sorts by length itself."""

    def __init__(self, cross_encoder, batch_size):
        self.cross_encoder = cross_encoder
        self.batch_size = batch_size
        self.description = f"batches of {batch_size}"

    def compute(self, pairs):
        return self.cross_encoder.predict(
            pairs, batch_size=self.batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )


class FastEmbed(Peer):
    """fastembed on a graph made here. It batches in the order of the texts."""

    def __init__(self, embedding, graph, batch_size):
        self.embedding = embedding
        self.batch_size = batch_size
        self.description = f"{graph.stem}, batches of {batch_size}"

    def compute(self, texts):
        return numpy.stack(list(self.embedding.embed(texts, batch_size=self.batch_size)))


def embedders(model, scratch, threads):
    """Variants of each peer by its name. Those of the usual batch size are "as users run it"."""
    torch.set_num_threads(threads)
    f32_graphs = graphs.encoder(model, scratch)
    f32 = onnx_variants(OnnxEmbedder, f32_graphs, model, threads)
    int8 = onnx_variants(OnnxEmbedder, graphs.int8(f32_graphs), model, threads)
    torch_f32 = SentenceTransformer(str(model), device="cpu")
    torch_bf16 = SentenceTransformer(str(model), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    fast = [(fastembed(model, graph, scratch, threads), graph) for graph in f32_graphs]
    return {
        "onnxruntime f32": f32,
        "onnxruntime int8": int8,
        "sentence-transformers f32": [TorchEmbedder(torch_f32, size) for size in BATCH_SIZES],
        "sentence-transformers bf16": [TorchEmbedder(torch_bf16, size) for size in BATCH_SIZES],
        "fastembed f32": [FastEmbed(*each, size) for each in fast for size in BATCH_SIZES],
        "onnxruntime f32, usual": [variant for variant in f32 if variant.batch_size == USUAL_BATCH],
        "sentence-transformers f32, usual": [TorchEmbedder(torch_f32, USUAL_BATCH)],
        "fastembed f32, usual": [FastEmbed(*each, FASTEMBED_USUAL_BATCH) for each in fast],
    }


def rerankers(model, threads):
    """Variants of each peer by its name, for the cross-encoder in the folder `model`."""
    torch.set_num_threads(threads)
    cross_encoder = CrossEncoder(str(model), device="cpu")
    quantised = graphs.int8(graphs.cross_encoder(model, model))
    return {
        "sentence-transformers f32": [TorchReranker(cross_encoder, size) for size in BATCH_SIZES],
        "onnxruntime int8": onnx_variants(OnnxReranker, quantised, model, threads),
        "sentence-transformers f32, usual": [TorchReranker(cross_encoder, USUAL_BATCH)],
    }


def onnx_variants(kind, paths, model, threads):
    sessions = [graphs.Session(path, threads) for path in paths]
    return [kind(session, model, batch_size) for session in sessions for batch_size in BATCH_SIZES]


def fastembed(model, graph, scratch, threads):
    """fastembed on a folder with the graph and the model's tokenizer, cut where the model says; it fetches nothing."""
    folder = scratch / "fastembed" / graph.stem
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "special_tokens_map.json"):
        shutil.copyfile(pathlib.Path(model) / name, folder / name)
    settings = json.loads((pathlib.Path(model) / "tokenizer_config.json").read_text())
    settings["model_max_length"] = max_tokens(model)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    shutil.copyfile(graph, folder / "model.onnx")
    name = f"bench/{graph.stem}"
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    TextEmbedding.add_custom_model(
        name, pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(hf=name), dim=width,
        model_file="model.onnx",
    )
    return TextEmbedding(
        name, specific_model_path=str(folder), local_files_only=True, threads=threads, cuda=False,
        cache_dir=str(scratch / "fastembed"),
    )


def make_cross_encoder(model, folder):
    """A cross-encoder of the embedder's encoder and a random head with one label, saved with the tokenizer.

    The head is drawn wider than a fresh one, or all scores would lie within a hundredth and agree whatever is wrong.
    """
    if not (folder / "made").is_file():
        torch.manual_seed(1)
        network = transformers.AutoModelForSequenceClassification.from_pretrained(str(model), num_labels=1)
        torch.nn.init.normal_(network.classifier.weight)
        network.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(str(model)).save_pretrained(folder)
        (folder / "made").touch()
    return folder


def max_tokens(model):
    """sentence-transformers' own limit where the model has one, else the tokenizer's."""
    sentence = pathlib.Path(model) / "sentence_bert_config.json"
    if sentence.is_file():
        return json.loads(sentence.read_text())["max_seq_length"]
    return json.loads((pathlib.Path(model) / "tokenizer_config.json").read_text())["model_max_length"]
