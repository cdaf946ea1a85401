"""Networks on ONNX Runtime, on the CPU.

ONNX Runtime is loaded with the first network, not with this module.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec
from engine.errors import MissingDependency, ModelError
from engine.runtime.signature import KEY, NEXT, decode


class OrtGraph:
    """A network of an ONNX file; see `Graph`. Get one by `load`.

    It may be run by several threads at once: it keeps nothing between runs.
    """

    def __init__(self, spec: GraphSpec, session: Any) -> None:
        self._spec = spec
        self._session = session
        self._names = [tensor.name for tensor in spec.outputs] + [NEXT + tensor.name for tensor in spec.states]
        self._keys = [tensor.name for tensor in (*spec.outputs, *spec.states)]

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> "OrtGraph":
        """The network of a file whose signature is in its metadata (see `engine.runtime.signature`).

        Loaded once per process: the weights are shared by all that ask for the same file.

        Raises:
            ModelError: if the file is missing, damaged or of another version.
            MissingDependency: if ONNX Runtime is not installed.
        """
        return _load(path.resolve(), threads)

    @property
    def spec(self) -> GraphSpec:
        """See `Graph`."""
        return self._spec

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """See `Graph`. A state that went in as `h` is given back, moved on, as `h`.

        Raises:
            ValueError: if an input is missing, unknown, or of another shape or dtype than the signature says.
        """
        try:
            outputs = self._session.run(self._names, inputs)
        except Exception as error:
            raise ValueError(f"graph {self._spec.name!r}: {_first_line(error)}") from error
        return dict(zip(self._keys, outputs, strict=True))


@cache
def _load(path: Path, threads: int) -> OrtGraph:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"no network can be read at {path} ({error.strerror}): {_CURE}") from error
    session = _session(path, data, threads)
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ModelError(f"{path} has no signature ({KEY}), so it was not exported for mien: {_CURE}")
    try:
        spec = decode(text)
    except ValueError as error:
        raise ModelError(f"{path} is of another version: {error}; {_CURE}") from error
    _compare(path, spec, session)
    return OrtGraph(spec, session)


def _session(path: Path, data: bytes, threads: int) -> Any:
    try:
        onnxruntime: Any = import_module("onnxruntime")  # here: it takes 40 ms and 20 MB that not everybody need pay
    except ImportError as error:
        raise MissingDependency(f"ONNX Runtime cannot be loaded ({error}): python -m pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; what they mean reaches the user as one of ours
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning would burn the renderer's cores
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{path} is damaged, or needs a newer ONNX Runtime ({_first_line(error)}): {_CURE}") from error


def _compare(path: Path, spec: GraphSpec, session: Any) -> None:
    """Refuse a file whose tensors are not those of its signature."""
    states = {tensor.name: tensor.shape for tensor in spec.states}
    said = {tensor.name: tensor.shape for tensor in spec.inputs} | states
    gives = {tensor.name: tensor.shape for tensor in spec.outputs} | {NEXT + name: shape for name, shape in states.items()}
    for want, has in ((said, session.get_inputs()), (gives, session.get_outputs())):
        found = {tensor.name: tuple(tensor.shape) for tensor in has}
        if found != want:
            raise ModelError(f"{path} does not keep to its signature: expected {want}, got {found}; {_CURE}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]


_CURE = "install mien anew, or export the network again (python -m export)"
