"""Where a network runs: the best backend that can be used on the device asked for, and why not a better one.

From best to last: TensorRT (whichever of its two libraries is installed), ONNX
Runtime's CUDA provider, ONNX Runtime on the CPU. `auto` goes down to the CPU,
`cuda:N` stays on that GPU or fails, `cpu` never looks for a GPU.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.contract.graph import Graph
from engine.errors import DeviceError, MienError, MissingDependency
from engine.runtime import cuda, engines
from engine.runtime.model_file import file_name
from engine.runtime.ort import CUDA_INSTALL, OrtGraph, has_cuda
from engine.runtime.trt import TrtGraph, refuse_old_driver

log = logging.getLogger(__name__)

AUTO: Final = "auto"
CPU: Final = "cpu"
BATCHES: Final = (1, 2, 4, 8, 16, 32)
"""Sizes that networks are exported in."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run a network on a device.

    Attributes:
        name: "TensorRT", "ONNX Runtime CUDA" or "ONNX Runtime".
        device: "cpu" or "cuda:N".
        why_not: why it cannot be used here, with the cure; empty if it can.
        load: the graph of a file, on so many threads.
    """

    name: str
    device: str
    why_not: str
    load: Callable[[Path, int], Graph]

    @property
    def half(self) -> bool:
        """Whether a file in half precision is preferred: GPUs are faster with it, CPUs slower."""
        return self.device != CPU

    def __str__(self) -> str:
        return f"{self.name} on {self.device}"


def device_of(text: str) -> str:
    """A device's name as it is understood everywhere: `auto`, `cpu` or `cuda:N`; `cuda` is the first.

    Raises:
        ValueError: if it is none.
    """
    if text in (AUTO, CPU):
        return text
    found = re.fullmatch(r"cuda(?::(\d{1,2}))?", text)
    if not found:
        raise ValueError(f"a device is {AUTO}, {CPU} or cuda:N, got {text!r}")
    return f"cuda:{int(found[1] or 0)}"


def backends(device: str = AUTO) -> tuple[Backend, ...]:
    """What may run networks on a device, best first.

    Raises:
        ValueError: if it is no device.
    """
    device = device_of(device)
    on_cpu = Backend("ONNX Runtime", CPU, "", OrtGraph.load)
    if device == CPU:
        return (on_cpu,)
    index = 0 if device == AUTO else int(device.removeprefix("cuda:"))
    missing = _reason(lambda: cuda.gpu(index))
    on_gpu = (
        Backend("TensorRT", f"cuda:{index}", missing or _reason(_tensorrt), lambda path, _threads: TrtGraph.load(path, index)),
        Backend(
            "ONNX Runtime CUDA", f"cuda:{index}", missing or _reason(_ort_cuda), lambda path, n: OrtGraph.load(path, n, index)
        ),
    )
    return (*on_gpu, on_cpu) if device == AUTO else on_gpu


def chosen(device: str = AUTO) -> Backend:
    """The best backend that can be used.

    Raises:
        ValueError: if it is no device.
        DeviceError: if there is none.
    """
    return usable(device)[0]


def usable(device: str) -> tuple[Backend, ...]:
    """The backends that can be used, best first. Raises as `chosen` does."""
    found = backends(device)
    able = tuple(backend for backend in found if not backend.why_not)
    if not able:
        reasons = dict.fromkeys(backend.why_not for backend in found)  # one driver may be what all lack
        raise DeviceError(f"{device} cannot be used: {'; '.join(reasons)}")
    return able


def load(path: Path, device: str = AUTO, threads: int = 1, batch: int = 1) -> Graph:
    """The network of a file, or the one beside it for a larger batch, on the best backend that will have it.

    What a backend refuses (no memory, say) goes to the next, with a warning.

    Args:
        path: of the network's file for one sample in full precision; the others are beside it, see `file_name`.
        device: see `device_of`.
        threads: that one run may use on the CPU.
        batch: one of `batches(path)`.

    Raises:
        ModelError: if the file cannot be used.
        DeviceError: if no backend will have it.
    """
    able = usable(device)
    for backend, after in zip(able, (*able[1:], None), strict=True):
        try:
            return backend.load(variant(path, batch, half=backend.half), threads)
        except (DeviceError, MissingDependency) as error:
            if after is None:
                raise
            log.warning("%s does not run by %s (%s); it is tried by %s", path.stem, backend, error, after)
    raise AssertionError("usable() gives one at least")


def variant(path: Path, batch: int = 1, *, half: bool = False) -> Path:
    """The file beside `path` for a batch size: in the precision that is wanted, or in the other if only that is there."""
    wanted, other = (path.with_name(file_name(path.stem, batch, half=kind)) for kind in (half, not half))
    return other if other.exists() and not wanted.exists() else wanted


def batches(path: Path) -> tuple[int, ...]:
    """Sizes of which a network's files are there; 1 always."""
    return tuple(n for n in BATCHES if n == 1 or variant(path, n).exists())


def _tensorrt() -> None:
    refuse_old_driver(engines.library(), cuda.driver())


def _ort_cuda() -> None:
    if not has_cuda():
        raise MissingDependency(f"ONNX Runtime is installed without its CUDA provider: {CUDA_INSTALL}")


def _reason(check: Callable[[], object]) -> str:
    try:
        check()
    except MienError as error:
        return str(error)
    return ""
