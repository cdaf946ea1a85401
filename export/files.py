"""A network as an ONNX file that the engine can run: written with its signature, proved equal."""

import importlib
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from engine.contract.graph import GraphSpec
from engine.errors import ModelError
from engine.runtime.ort import OrtGraph
from engine.runtime.signature import KEY, NEXT, encode

OPSET: Final = 17
_LARGE: Final = 1024  # weights from which on a tensor is worth storing in half
_torch: Any = torch  # its own annotations of arrays are partial


def write(module: nn.Module, spec: GraphSpec, path: Path) -> None:
    """Export a module whose forward takes the spec's inputs and states in order and returns its outputs and next states."""
    example = tuple(_torch.from_numpy(value) for value in spec.fake_inputs(0).values())
    names = [tensor.name for tensor in (*spec.inputs, *spec.states)]
    results = [tensor.name for tensor in spec.outputs] + [NEXT + tensor.name for tensor in spec.states]
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # the exporter that is to replace this one wants onnxscript; and batches here are of one, by the signature
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=_torch.jit.TracerWarning)  # shapes are static, so what is traced holds
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size other than 1")
        _torch.onnx.export(
            module.eval(), example, str(path), input_names=names, output_names=results, opset_version=OPSET, dynamo=False
        )
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, encode(spec)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def prove(module: nn.Module, spec: GraphSpec, path: Path, tolerance: float, steps: int = 20) -> float:
    """The largest difference between the file and the module over a stream of random inputs, states handed on.

    Raises:
        ModelError: if it is more than `tolerance`.
    """
    graph, worst = OrtGraph.load(path), 0.0
    names = [tensor.name for tensor in (*spec.outputs, *spec.states)]
    state = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in spec.states}
    for seed in range(steps):
        inputs = {**spec.fake_inputs(seed), **state}
        with torch.no_grad():
            said: Any = module.eval()(*map(_torch.from_numpy, inputs.values()))
        results: list[Any] = [said] if isinstance(said, torch.Tensor) else list(said)
        wanted = dict(zip(names, results, strict=True))
        found = graph.run(inputs)
        worst = max([worst, *(float(np.abs(wanted[name].numpy() - found[name]).max()) for name in names)])
        state = {name: wanted[name].numpy() for name in state}
    if not worst <= tolerance:
        raise ModelError(f"{path} differs from its network by {worst:.2g}; at most {tolerance:g} is allowed")
    return worst


def store_in_half(path: Path) -> None:
    """Keep a file's large tensors as float16, turned to float32 when it is loaded: half the size, the same arithmetic."""
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(path))
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _LARGE:
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
