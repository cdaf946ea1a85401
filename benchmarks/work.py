"""How much arithmetic and memory traffic a network is, read off its ONNX file: what no backend can do without."""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import MissingDependency

Shape = tuple[int, ...]
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


@dataclass(frozen=True, slots=True)
class Work:
    """Of one run.

    Attributes:
        flops: additions and multiplications of its matrix products and convolutions.
        bytes: its weights once, its inputs and its outputs; what is computed in between may stay in a cache.
    """

    flops: int
    bytes: int

    def floor_s(self, flops_per_s: float, bytes_per_s: float) -> float:
        """Seconds that it takes at least on a device that can do so much."""
        return max(self.flops / flops_per_s, self.bytes / bytes_per_s)


def work_of(path: Path) -> Work:
    """The work of a network's file.

    Raises:
        MissingDependency: without the package onnx.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise MissingDependency("what a network computes is counted by onnx: python -m pip install onnx") from error
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    ends = [*graph.input, *graph.output]
    shapes |= {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim) for value in (*graph.value_info, *ends)
    }
    weights = sum(_size(onnx, tensor.data_type) * math.prod(tensor.dims) for tensor in graph.initializer)
    moved = sum(_size(onnx, value.type.tensor_type.elem_type) * math.prod(shapes[value.name]) for value in ends)
    return Work(sum(_flops(node, shapes) for node in graph.node), weights + moved)


def _flops(node: Any, shapes: Mapping[str, Shape]) -> int:
    """Two for each multiplication with its addition; other operators count for nothing beside these."""
    ins: Sequence[Shape] = [shapes.get(name, ()) for name in node.input]
    out: Shape = shapes.get(node.output[0], ())
    if node.op_type == "Conv":  # weights [to, from / groups, kernel...]
        return 2 * math.prod(out) * math.prod(ins[1][1:])
    if node.op_type == "ConvTranspose":  # weights [from, to / groups, kernel...]
        return 2 * math.prod(ins[0]) * math.prod(ins[1][1:])
    if node.op_type == "MatMul":
        return 2 * math.prod(out) * ins[0][-1]
    if node.op_type == "Gemm":
        flipped = any(entry.name == "transA" and entry.i for entry in node.attribute)
        return 2 * math.prod(out) * ins[0][0 if flipped else 1]
    if node.op_type in GATES:  # x [steps, batch, inputs], weights [directions, gates * hidden, inputs]
        (steps, batch, inputs), (directions, rows, _) = ins[0], ins[1]
        return 2 * steps * batch * directions * rows * (inputs + rows // GATES[node.op_type])
    return 0


def _size(onnx: Any, kind: int) -> int:
    return onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
