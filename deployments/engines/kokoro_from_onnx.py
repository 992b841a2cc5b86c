"""Kokoro's int8 ONNX file turned into weights for the package `kokoro`: `python -m deployments.engines.kokoro_from_onnx FOLDER OUT`.

For a machine that reaches a package registry but no model hub: the ONNX file was exported from the PyTorch model, and its nodes still bear
the names of the modules. Each weight is (quantised - zero point) * scale, so what the quantisation lost stays lost; the full weights are
hexgrad/Kokoro-82M on the hub. What the export folded together (weight norm, the two biases of an LSTM) is written in a form that has the
same product or sum. The state is written as that repository has it: a dictionary of states, one for each part of the model.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serve_app import models

if TYPE_CHECKING:
    import numpy.typing as npt

    Weights = npt.NDArray[np.float32]

SOURCE = "kokoro-82m-int8"

# config.json of hexgrad/Kokoro-82M, without what KModel does not read; every number is a shape of some tensor in the ONNX file but for the
# dropout, which inference does not use, and the dilations and strides, which its nodes carry as attributes.
CONFIG: dict[str, Any] = {
    "istftnet": {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "resblock_kernel_sizes": [3, 7, 11],
        "upsample_initial_channel": 512,
    },
    "dropout": 0.2,
    "hidden_dim": 512,
    "max_dur": 50,
    "n_layer": 3,
    "n_mels": 80,
    "n_token": 178,
    "style_dim": 128,
    "text_encoder_kernel_size": 5,
    "plbert": {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 2048,
        "max_position_embeddings": 512,
        "num_hidden_layers": 12,
        "dropout": 0.1,
    },
}
PARTS = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")
OUTSIDE_THE_TRACE = ("F0.", "N.", "F0_proj", "N_proj", "shared")
"""Modules of the predictor that the export calls from outside it, and so names without it."""


@dataclass
class Graph:
    """What of an ONNX graph is needed here."""

    weights: dict[str, npt.NDArray[Any]]
    nodes: list[Any]
    state: dict[str, Weights] = field(default_factory=dict)
    """By the names of the PyTorch model."""

    def real(self, name: str, zero_point: str) -> Weights:
        """A quantised tensor as numbers. Its scale is one number, or one for each output (the last axis of a matrix)."""
        if not name.endswith("_quantized"):
            return self.weights[name].astype(np.float32)
        whole = self.weights[name].astype(np.int32) - self.weights[zero_point].astype(np.int32)
        return whole.astype(np.float32) * self.weights[name.removesuffix("_quantized") + "_scale"]


def read(path: Path) -> Graph:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    return Graph({tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}, list(graph.node))


def state_of(graph: Graph) -> dict[str, Weights]:
    """The PyTorch model's state by its names."""
    for name, tensor in graph.weights.items():
        if tensor.dtype == np.float32 and not name.startswith(("/", "onnx::")) and not name.endswith("_scale"):
            graph.state[_key(name)] = tensor
    for node in graph.nodes:
        reader, module = _READERS.get(node.op_type), _module(node.name)
        # The layers of ALBERT share their weights: `query_3` is `query` again.
        if reader and len(node.input) > 1 and node.input[1] in graph.weights and not re.search(r"_\d+$", module):
            reader(graph, node, module)
        elif node.op_type == "Gather" and node.input[0].endswith("weight_quantized"):
            _embedding(graph, node, module)
    for name in list(graph.state):
        # The published model has them as they are made; the export left them out.
        if name.endswith(".fc.weight") and ".lstms." not in name:
            features = len(graph.state[name]) // 2
            graph.state[name.replace(".fc.weight", ".norm.weight")] = np.ones(features, np.float32)
            graph.state[name.replace(".fc.weight", ".norm.bias")] = np.zeros(features, np.float32)
    return graph.state


def _key(name: str) -> str:
    return name.removeprefix("encoder.").removeprefix("decoder.")


def _module(node: str) -> str:
    """`/encoder/text_encoder/cnn.0/cnn.0.0/Conv_quant` is text_encoder.cnn.0.0."""
    parts: list[str] = []
    for part in node.strip("/").split("/")[1:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    path = ".".join(parts)
    return f"predictor.{path}" if path.startswith(OUTSIDE_THE_TRACE) else path


def _convolution(graph: Graph, node: Any, module: str) -> None:
    weight = graph.real(node.input[1], node.input[3] if len(node.input) > 3 else "")
    if "Mul" not in node.input[1]:
        graph.state[f"{module}.weight"] = weight
        return
    length = np.sqrt((weight**2).sum(axis=(1, 2), keepdims=True))
    # Weight norm is g * v / |v|: a filter whose every weight was rounded to 0 needs some v.
    graph.state[f"{module}.weight_v"] = np.where(length == 0, np.float32(1), weight)
    graph.state[f"{module}.weight_g"] = length


def _linear(graph: Graph, node: Any, module: str) -> None:
    graph.state.setdefault(f"{module}.weight", graph.real(node.input[1], node.input[3] if len(node.input) > 3 else "").T)


def _embedding(graph: Graph, node: Any, module: str) -> None:
    [unpack] = [other for other in graph.nodes if other.op_type == "DequantizeLinear" and other.input[0] == node.output[0]]
    graph.state[f"{module}.weight"] = graph.real(node.input[0], unpack.input[2])


def _lstm(graph: Graph, node: Any, module: str) -> None:
    """Inputs as in ONNX Runtime's DynamicQuantizeLSTM: weights [directions, in, 4 * hidden], gates in the order i o f c."""
    bias = graph.weights[node.input[3]]
    for direction, suffix in enumerate(("", "_reverse")):
        for name, weight, zero_point in (("ih", node.input[1], node.input[9]), ("hh", node.input[2], node.input[11])):
            whole = graph.weights[weight][direction].astype(np.int32) - graph.weights[zero_point][direction].astype(np.int32)
            scale = graph.weights[weight.removesuffix("_quantized") + "_scale"][direction]
            graph.state[f"{module}.weight_{name}_l0{suffix}"] = _gates((whole * scale).astype(np.float32).T)
        half = bias.shape[1] // 2
        graph.state[f"{module}.bias_ih_l0{suffix}"] = _gates(bias[direction, :half])
        graph.state[f"{module}.bias_hh_l0{suffix}"] = _gates(bias[direction, half:])


def _gates(stacked: Weights) -> Weights:
    """From ONNX's order (input, output, forget, cell) to PyTorch's (input, forget, cell, output)."""
    i, o, f, c = np.split(stacked, 4)
    return np.concatenate([i, f, c, o])


_READERS = {
    "ConvInteger": _convolution,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "MatMulInteger": _linear,
    "MatMul": _linear,
    "FusedMatMul": _linear,
    "DynamicQuantizeLSTM": _lstm,
}


def convert(folder: Path, out: Path) -> None:
    """Writes config.json and kokoro-v1_0.pth to `out`."""
    import torch

    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    state = state_of(read(folder / "kokoro.onnx"))
    # ALBERT's pooler has no part in speech, and so is not in the export; the class has a place for it.
    hidden = CONFIG["plbert"]["hidden_size"]
    state |= {"bert.pooler.weight": np.zeros((hidden, hidden), np.float32), "bert.pooler.bias": np.zeros(hidden, np.float32)}
    parts: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for name, weight in state.items():
        part, _, rest = name.partition(".")
        # The inverse Fourier transform is a convolution in the export; it is no part of the model's state.
        if part in parts and ".stft." not in rest:
            parts[part][rest] = torch.from_numpy(np.array(weight))
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(CONFIG | {"vocab": vocabulary}, indent=1, ensure_ascii=False), encoding="utf-8")
    torch.save(parts, out / "kokoro-v1_0.pth")


def main(_: str, out: str) -> None:
    convert(models.ensure(SOURCE), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
