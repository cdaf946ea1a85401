"""A network as an ONNX file that the engine can run: traced, cleaned, labelled, proved equal."""

import hashlib
import importlib
import json
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from engine.contract.graph import GraphSpec
from engine.errors import ModelError
from engine.runtime import model_file
from engine.runtime.model_file import MANIFEST, OPSET, VERSION, manifest_of
from engine.runtime.signature import KEY, NEXT, encode
from export.bars import EXACT, Arrays, Bar, Bars, measured

_LARGE: Final = 1024  # weights from which on a tensor is worth storing in half
_torch: Any = torch  # its own annotations of arrays are partial
onnx: Any = importlib.import_module("onnx")  # it has no annotations worth the name


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network as the engine runs it: its forward takes the spec's inputs and states in order, of any number of samples,
    and returns its outputs and next states.
    """

    module: nn.Module
    spec: GraphSpec
    bars: Bars
    """What rounding to FP16 may cost each output; of states there are none, the outputs of a stream tell."""
    licence: str = "Apache-2.0"
    exact: Bar = EXACT
    """What the order of sums may cost an output."""


def model_of(network: Network, batch: int = 1) -> Any:
    """The network as a checked ONNX model with static shapes, inferred for every tensor, and with its label."""
    spec = network.spec.batched(batch)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "traced.onnx"
        _trace(network.module.eval(), spec, path)
        model = onnx.load(str(_simplified(path)))
    del model.opset_import[:]
    model.opset_import.add(domain="", version=OPSET)
    label(
        model,
        {
            KEY: encode(spec),
            model_file.NETWORK: network.spec.name.replace("_", "-"),
            model_file.BATCH: str(batch),
            model_file.PRECISION: "float32",
            model_file.SOURCE: digest(network.module),
            model_file.LICENCE: network.licence,
        },
    )
    return inferred(model)


def save(model: Any, path: Path) -> None:
    """Write a model.

    Raises:
        ModelError: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(path))
    except OSError as error:
        raise ModelError(f"cannot write {path} ({error.strerror}): is the disk full?") from error


def list_in_manifest(path: Path, about: Mapping[str, str] | None = None) -> None:
    """Vouch for a file in its folder's manifest, by its SHA-256."""
    data = path.read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **(about or {})}
    _replace_manifest(path.parent, {**(manifest_of(path.parent) or {}), path.name: entry})


def unlist(folder: Path, names: Collection[str]) -> None:
    """Vouch no more for these files."""
    _replace_manifest(folder, {name: entry for name, entry in (manifest_of(folder) or {}).items() if name not in names})


def _replace_manifest(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps({"version": VERSION, "files": dict(sorted(files.items()))}, indent=1) + "\n")
    part.replace(folder / MANIFEST)


def about(model: Any) -> dict[str, str]:
    """What a manifest says of a model beside its SHA-256."""
    keys = (model_file.NETWORK, model_file.BATCH, model_file.PRECISION, model_file.SOURCE, model_file.LICENCE)
    held = metadata_of(model)
    return {key.removeprefix("mien."): held[key] for key in keys}


def metadata_of(model: Any) -> dict[str, str]:
    """A model's metadata."""
    return {entry.key: entry.value for entry in model.metadata_props}


def label(model: Any, words: Mapping[str, str]) -> None:
    """Write into a model's metadata; what is there under other names stays."""
    held = metadata_of(model) | dict(words)
    del model.metadata_props[:]
    for key, value in held.items():
        model.metadata_props.add(key=key, value=value)


def digest(module: nn.Module) -> str:
    """SHA-256 of a module's weights, in the order of their names."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(name.encode() + b"\0")
        total.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return total.hexdigest()


def inferred(model: Any) -> Any:
    """The model with type and shape of every tensor, checked.

    Raises:
        ModelError: if a node's types do not fit, or a shape is not static.
    """
    del model.graph.value_info[:]
    try:
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model, full_check=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ModelError(f"the graph of {model.graph.name} does not hold together: {' '.join(str(error).split())}") from error
    known = {value.name for value in model.graph.value_info if all(side.HasField("dim_value") for side in _sides(value))}
    known |= {value.name for value in (*model.graph.input, *model.graph.output)}
    unknown = [name for node in model.graph.node for name in node.output if name and name not in known]
    if unknown:
        raise ModelError(f"the graph has tensors whose shape is not static: {', '.join(unknown[:3])}")
    return model


def _sides(value: Any) -> Any:
    return value.type.tensor_type.shape.dim


def _trace(module: nn.Module, spec: GraphSpec, path: Path) -> None:
    example = tuple(_torch.from_numpy(value) for value in spec.fake_inputs(0).values())
    names = [tensor.name for tensor in (*spec.inputs, *spec.states)]
    results = [tensor.name for tensor in spec.outputs] + [NEXT + tensor.name for tensor in spec.states]
    with warnings.catch_warnings():
        # the exporter that is to replace this one wants onnxscript; and batches here are fixed, by the signature
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=_torch.jit.TracerWarning)  # shapes are static, so what is traced holds
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size other than 1")
        _torch.onnx.export(
            module, example, str(path), input_names=names, output_names=results, opset_version=OPSET, dynamo=False
        )


def _simplified(path: Path) -> Path:
    """The same graph by ONNX Runtime's basic optimiser: constants folded, dead branches gone, only ONNX's own operators."""
    runtime: Any = importlib.import_module("onnxruntime")
    options, out = runtime.SessionOptions(), path.with_name("simple.onnx")
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return out


Run = Callable[[Arrays], Arrays]
"""Runs a network, as `Graph.run` does."""


def by_torch(network: Network) -> Run:
    """Runs a network in PyTorch."""
    names = [tensor.name for tensor in (*network.spec.outputs, *network.spec.states)]
    order = [tensor.name for tensor in (*network.spec.inputs, *network.spec.states)]

    def run(inputs: Arrays) -> Arrays:
        with torch.no_grad():
            said: Any = network.module.eval()(*(_torch.from_numpy(inputs[name]) for name in order))
        results: list[Any] = [said] if isinstance(said, torch.Tensor) else list(said)
        return {name: value.numpy() for name, value in zip(names, results, strict=True)}

    return run


def by_onnx(model: Any, *, optimised: bool = True) -> Run:
    """Runs a model in ONNX Runtime on one thread of the CPU; not optimised, it rounds where the graph says so."""
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    keys = [name.removeprefix(NEXT) for name in names]
    return lambda inputs: dict(zip(keys, session.run(names, inputs), strict=True))


def answers(run: Run, spec: GraphSpec, probes: Sequence[Arrays]) -> list[Arrays]:
    """Outputs and states of inputs that follow each other, the states handed on."""
    said: list[Arrays] = []
    state = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in spec.states}
    for probe in probes:
        said.append(run({**probe, **state}))
        state = {name: said[-1][name] for name in state}
    return said


def exactness(network: Network, model: Any, probes: Sequence[Arrays]) -> dict[str, float]:
    """How far each output and state of a model is from its network's, in the unit of `network.exact`."""
    bars = dict.fromkeys([tensor.name for tensor in (*network.spec.outputs, *network.spec.states)], network.exact)
    wanted, found = (answers(run, network.spec, probes) for run in (by_torch(network), by_onnx(model)))
    return measured(bars, found, wanted)


def store_in_half(model: Any) -> Any:
    """The model with large tensors as float16, turned to float32 when it is loaded: half the size, the same arithmetic."""
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _LARGE:
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], name=f"{name}.whole", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return inferred(model)
