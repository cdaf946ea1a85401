"""Stand-ins for PD-FGC's networks as ONNX files: a few products each; pictures are of one colour that every input moves."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.contract import GraphSpec
from engine.render.pdfgc.latent import MOTION
from engine.render.pdfgc.networks import CODED, Sizes, specs
from engine.runtime.signature import KEY, encode

SIZES = Sizes(image=16, seen=24, appearance=12, channels=4, side=2)
NAMES = tuple(name for name in specs() if name != CODED)

_MEAN = ("ReduceMean", ["image"], ["mean"], {"axes": [2, 3], "keepdims": 0})
Node = tuple[str, list[str], list[str], dict[str, Any]]


def write(folder: Path, names: tuple[str, ...] = NAMES, sizes: Sizes = SIZES) -> Path:
    """Write the files of some networks; equal for equal sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        nodes, weights = _parts(name, sizes)
        (folder / f"pdfgc_{name}.onnx").write_bytes(model(specs(sizes)[name], nodes, weights))
    return folder


def _parts(name: str, sizes: Sizes) -> tuple[list[Node], dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(NAMES.index(name))
    weights: dict[str, NDArray[Any]] = {}

    def product(of: str, rows: int, into: str, columns: int, scale: float = 1.0) -> Node:
        weights[f"{into}_w"] = (scale * rng.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32)
        return ("MatMul", [of, f"{into}_w"], [into], {})

    heads = [(tensor.name, tensor.shape[1]) for tensor in specs(sizes)[name].outputs if len(tensor.shape) == 2]
    if name == "appearance":
        weights["shape"] = np.array([1, sizes.channels, sizes.side, sizes.side])
        flat = product("mean", 3, "flat", sizes.channels * sizes.side**2)
        return [_MEAN, product("mean", 3, *heads[0]), flat, ("Reshape", ["flat", "shape"], ["map"], {})], weights
    if name == "generator":
        weights["shape"], weights["all"] = np.array([1, 3, 1, 1]), np.array([1, 3, sizes.image, sizes.image])
        whole = ("ReduceMean", ["map"], ["ground"], {"axes": [1, 2, 3], "keepdims": 0})
        pixel = product("latent", sizes.appearance + MOTION, "pixel", 3, 2.0)
        nodes = [whole, pixel, ("Add", ["pixel", "ground"], ["sum"], {}), ("Tanh", ["sum"], ["colour"], {})]
        spread: list[Node] = [("Reshape", ["colour", "shape"], ["dot"], {}), ("Expand", ["dot", "all"], ["image"], {})]
        return nodes + spread, weights
    if name == "audio":
        return [("Flatten", ["mel"], ["row"], {}), product("row", 1600, *heads[0], 3.0)], weights
    if name == "motion":
        return [_MEAN, *(product("mean", 3, *head) for head in heads)], weights
    return [product("controls", 58, *head, 3.0) for head in heads], weights


def model(spec: GraphSpec, nodes: list[Node], weights: dict[str, NDArray[Any]]) -> bytes:
    """An ONNX file that carries its signature."""
    onnx: Any = importlib.import_module("onnx")
    helper = onnx.helper
    ends = [
        [helper.make_tensor_value_info(t.name, onnx.TensorProto.FLOAT, t.shape) for t in tensors]
        for tensors in (spec.inputs, spec.outputs)
    ]
    held = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    made = [helper.make_node(operator, inputs, outputs, **rest) for operator, inputs, outputs, rest in nodes]
    graph = helper.make_graph(made, spec.name, *ends, held)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(whole, {KEY: encode(spec)})
    return whole.SerializeToString()
