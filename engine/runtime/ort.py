"""Networks on ONNX Runtime: on the CPU, or on an NVIDIA GPU where its CUDA provider is installed.

ONNX Runtime is loaded with the first network, not with this module.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec
from engine.errors import DeviceError, MienError, MissingDependency, ModelError, OutOfDeviceMemory
from engine.runtime.cuda import is_out_of_memory
from engine.runtime.model_file import ModelFile, read_model
from engine.runtime.signature import NEXT, compare

CUDA: Final = "CUDAExecutionProvider"
CUDA_INSTALL: Final = "python -m pip uninstall -y onnxruntime; python -m pip install onnxruntime-gpu"


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
    def load(cls, path: Path, threads: int = 1, gpu: int | None = None) -> "OrtGraph":
        """The network of a file whose signature is in its metadata (see `engine.runtime.signature`).

        Loaded once per process: the weights are shared by all that ask for the same file.

        Args:
            path: of the file.
            threads: that one run may use on the CPU.
            gpu: number of the GPU to run on, None for the CPU.

        Raises:
            ModelError: if the file is missing, damaged or of another version.
            MissingDependency: if ONNX Runtime, or its CUDA provider, is not installed.
            DeviceError: if the GPU cannot be used, or has too little memory.
        """
        return _load(path.resolve(), threads, gpu)

    @property
    def spec(self) -> GraphSpec:
        """See `Graph`."""
        return self._spec

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """See `Graph`. A state that went in as `h` is given back, moved on, as `h`.

        Raises:
            ValueError: if an input is missing, unknown, or of another shape or dtype than the signature says.
            DeviceError: if the device fails.
        """
        try:
            outputs = self._session.run(self._names, inputs)
        except Exception as error:
            self._spec.check(inputs, (*self._spec.inputs, *self._spec.states))
            raise _device_error(f"graph {self._spec.name!r} did not run", error) from error
        return dict(zip(self._keys, outputs, strict=True))


@cache
def runtime() -> Any:
    """The module `onnxruntime`.

    Raises:
        MissingDependency: if it cannot be loaded.
    """
    try:
        return import_module("onnxruntime")  # here: it takes 40 ms and 20 MB that not everybody need pay
    except ImportError as error:
        raise MissingDependency(f"ONNX Runtime cannot be loaded ({error}): python -m pip install onnxruntime") from error


def has_cuda() -> bool:
    """Whether the ONNX Runtime that is installed was built with the CUDA provider."""
    return CUDA in runtime().get_available_providers()


@cache
def _load(path: Path, threads: int, gpu: int | None) -> OrtGraph:
    model = read_model(path)
    session = _session(model, threads) if gpu is None else _cuda_session(model, gpu)
    takes, gives = (
        {tensor.name: tuple(tensor.shape) for tensor in ends} for ends in (session.get_inputs(), session.get_outputs())
    )
    compare(path, model.spec, takes, gives)
    return OrtGraph(model.spec, session)


def _session(model: ModelFile, threads: int) -> Any:
    options = _options()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning would burn the renderer's cores
    try:
        return runtime().InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _damaged(model, error) from error


def _cuda_session(model: ModelFile, gpu: int) -> Any:
    if not has_cuda():
        raise MissingDependency(f"ONNX Runtime is installed without its CUDA provider: {CUDA_INSTALL}")
    preload = getattr(runtime(), "preload_dlls", None)  # of the nvidia-* packages, where CUDA is not the system's
    try:
        if preload is not None:
            preload()
        session = runtime().InferenceSession(model.data, _options(), providers=[(CUDA, {"device_id": str(gpu)})])
    except Exception as error:
        raise _device_error(f"{model.path} cannot be loaded to GPU {gpu}", error) from error
    if CUDA not in session.get_providers():  # it takes the CPU instead, and says so only in its log
        raise DeviceError(
            f"ONNX Runtime cannot use GPU {gpu}: its CUDA provider needs CUDA and cuDNN beside it; {CUDA_INSTALL}[cuda,cudnn]"
        )
    return session


def _options() -> Any:
    options = runtime().SessionOptions()
    options.execution_mode = runtime().ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; what they mean reaches the user as one of ours
    return options


def _damaged(model: ModelFile, error: Exception) -> ModelError:
    return ModelError(
        f"{model.path} is damaged, or needs a newer ONNX Runtime ({_first_line(error)}): "
        "install mien anew, or export the network again (./mien export)"
    )


def _device_error(what: str, error: Exception) -> MienError:
    words = _first_line(error)
    if is_out_of_memory(words):
        return OutOfDeviceMemory(f"{what}: memory is full ({words}); end what uses it, or use --device cpu")
    return DeviceError(f"{what}: ONNX Runtime says {words}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
