"""The models as ONNX graphs: exported from the PyTorch weights, fused, quantised. Made once and kept."""

import json
import pathlib
import warnings

import onnxruntime
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
# What dynamic quantisation is tried with: type of the weights, and a scale for each output channel or one for all.
WEIGHT_TYPES = [QuantType.QInt8, QuantType.QUInt8]
CHANNELS = {"per channel": True, "per tensor": False}
# Without these the fused graph keeps its matrices in f32: no type is inferred behind the fused operators.
QUANTIZE_FUSED = {"MatMulConstBOnly": True, "DefaultTensorType": 1}


class Session:
    """ONNX Runtime with all graph optimisations, sequential execution and spinning threads, which is its fastest."""

    def __init__(self, graph, threads):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        self.session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.names = [node.name for node in self.session.get_inputs()]
        self.description = pathlib.Path(graph).stem

    def run(self, feed):
        [output] = self.session.run(None, {name: feed[name] for name in self.names})
        return output


def encoder(model, folder):
    """Plain and fused graph of an encoder; the output are its hidden states."""
    return f32(transformers.AutoModel, model, folder)


def cross_encoder(model, folder):
    """Plain and fused graph of a cross-encoder; the output are its logits."""
    return f32(transformers.AutoModelForSequenceClassification, model, folder)


def f32(kind, model, folder):
    plain = folder / "plain-export.onnx"
    kept(plain, lambda path: export(kind, model, path))
    fused = folder / "fused-export.onnx"
    kept(fused, lambda path: fuse(plain, model, path))
    return [plain, fused]


def int8(graphs):
    """Every graph with its weights quantised in every way that is tried."""
    result = []
    for graph in graphs:
        for weights in WEIGHT_TYPES:
            for name, per_channel in CHANNELS.items():
                path = graph.with_name(f"{graph.stem}, {weights.name} {name}.onnx")
                kept(path, lambda path: quantize_dynamic(
                    graph, path, weight_type=weights, per_channel=per_channel, extra_options=QUANTIZE_FUSED,
                ))
                result.append(path)
    return result


def kept(path, make):
    """Makes a file unless it is there; one that was interrupted does not stay."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    make(partial)
    partial.rename(path)


def export(kind, model, path):
    """The PyTorch weights as a graph with free batch and length."""
    network = kind.from_pretrained(str(model), attn_implementation="eager").eval()
    network.config.return_dict = False
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in INPUTS)
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS} | {"output": {0: "batch"}}
    with torch.no_grad(), warnings.catch_warnings():
        # That branches are traced and that this exporter is the older one: what comes out is compared with ours.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            FirstOutput(network), example, str(path), input_names=INPUTS, output_names=["output"], dynamic_axes=axes,
            opset_version=17, dynamo=False,
        )


class FirstOutput(torch.nn.Module):
    """A network with only its first output."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.network(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]


def fuse(plain, model, path):
    """ONNX Runtime's own transformer fusions: attention, GELU and layer norm as single operators."""
    config = json.loads((pathlib.Path(model) / "config.json").read_text())
    optimized = optimizer.optimize_model(
        str(plain), model_type="bert", num_heads=config["num_attention_heads"], hidden_size=config["hidden_size"],
        opt_level=0,
    )
    optimized.save_model_to_file(str(path))
