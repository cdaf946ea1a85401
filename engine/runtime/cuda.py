"""A GPU by CUDA's driver API: its memory, its streams, work that is recorded once and replayed.

The driver's library (`libcuda.so.1`) is called by ctypes, so there is nothing
to install beside it. What TensorRT and ONNX Runtime allocate lives in the same
primary context. Names as in the CUDA driver API's reference.
"""

import ctypes
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.errors import DeviceError, MissingDependency, OutOfDeviceMemory

LIBRARY: Final = "libcuda.so.1"
_OUT: Final = POINTER(c_void_p)

PROTOTYPES: Final[Mapping[str, Sequence[Any]]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_void_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (_OUT, c_int),
    "cuCtxSetCurrent": (c_void_p,),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemAllocHost_v2": (_OUT, c_size_t),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuMemcpyDtoDAsync_v2": (c_uint64, c_uint64, c_size_t, c_void_p),
    "cuMemsetD8Async": (c_uint64, c_ubyte, c_size_t, c_void_p),
    "cuStreamCreate": (_OUT, c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, _OUT),
    "cuGraphInstantiateWithFlags": (_OUT, c_void_p, c_uint64),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
}
"""Arguments of the functions that are used; each returns a CUresult, 0 for success."""

_OUT_OF_MEMORY: Final = 2
_NO_DEVICE: Final = 100
_NON_BLOCKING: Final = 1  # CU_STREAM_NON_BLOCKING
_THREAD_LOCAL: Final = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile does not spoil it
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


def is_out_of_memory(words: str) -> bool:
    """Whether a library that runs on a GPU says that its memory is full (rather than that it was accessed illegally)."""
    return re.search(r"out.?of.?memory|insufficient.{0,20}memory|alloc", words, re.IGNORECASE) is not None


class Driver:
    """The driver's library; call a function by its name.

    Raises:
        DeviceError: from every call that fails.
    """

    def __init__(self, library: Any) -> None:
        self._functions: dict[str, Any] = {}
        for name, arguments in PROTOTYPES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = list(arguments), c_int
            self._functions[name] = function
        self("cuInit", 0)

    def __call__(self, name: str, *arguments: Any) -> None:
        """Call a function; a failure is raised."""
        code = self._functions[name](*arguments)
        if code == _OUT_OF_MEMORY:
            raise OutOfDeviceMemory("the GPU's memory is full: end what uses it (nvidia-smi lists it), or use --device cpu")
        if code:
            raise DeviceError(f"the GPU cannot be used ({name} says {self._words(code)}, {code}): {_CURE}")

    @property
    def version(self) -> tuple[int, int]:
        """The newest CUDA that the driver knows: (13, 0)."""
        number = c_int()
        self("cuDriverGetVersion", number)
        return number.value // 1000, number.value % 1000 // 10

    @property
    def count(self) -> int:
        """GPUs of this machine."""
        number = c_int()
        self("cuDeviceGetCount", number)
        return number.value

    def _words(self, code: int) -> str:
        text = c_char_p()
        self._functions["cuGetErrorString"](code, text)
        return (text.value or b"an unknown error").decode()


class Gpu:
    """One GPU, in its primary context. Get one by `gpu`.

    Attributes:
        index: its number.
        name: what its maker calls it.
        capability: (9, 0) for Hopper.
    """

    def __init__(self, driver: Driver, index: int) -> None:
        count = driver.count
        if not 0 <= index < count:
            raise DeviceError(f"there is no GPU {index}, this machine has {count or 'none'}: choose another --device")
        self.driver, self.index = driver, index
        device, text, self._context = c_int(), ctypes.create_string_buffer(256), c_void_p()
        driver("cuDeviceGet", device, index)
        driver("cuDeviceGetName", text, len(text), device)
        self.name = text.value.decode()
        parts = c_int(), c_int()
        for part, attribute in zip(parts, (_MAJOR, _MINOR), strict=True):
            driver("cuDeviceGetAttribute", part, attribute, device)
        self.capability = parts[0].value, parts[1].value
        driver("cuDevicePrimaryCtxRetain", self._context, device)

    def use(self) -> None:
        """Let the calling thread's further calls, other libraries' too, be to this GPU."""
        self.driver("cuCtxSetCurrent", self._context)

    def memory(self) -> tuple[int, int]:
        """Bytes that are free, and all."""
        self.use()
        free, total = c_size_t(), c_size_t()
        self.driver("cuMemGetInfo_v2", free, total)
        return free.value, total.value


class Buffer:
    """Memory of a GPU, freed with the object."""

    def __init__(self, gpu: Gpu, size: int) -> None:
        gpu.use()
        address = c_uint64()
        gpu.driver("cuMemAlloc_v2", address, max(size, 1))
        self.address, self.size = address.value, size
        _freed_with(self, gpu, "cuMemFree_v2", address.value)


class Pinned:
    """An array in the machine's memory that the GPU reads and writes by itself, freed with the object."""

    def __init__(self, gpu: Gpu, shape: Sequence[int], dtype: DTypeLike) -> None:
        gpu.use()
        kind, address = np.dtype(dtype), c_void_p()
        size = kind.itemsize * int(np.prod(shape, dtype=np.int64))
        gpu.driver("cuMemAllocHost_v2", address, max(size, 1))
        self.address = address.value or 0
        memory: Any = (c_ubyte * size).from_address(self.address)
        self.array: NDArray[np.generic] = np.frombuffer(memory, kind).reshape(tuple(shape))
        """Valid as long as this object; copy what is kept for longer."""
        _freed_with(self, gpu, "cuMemFreeHost", address)


class Recording:
    """Work of a stream that was recorded (a CUDA graph)."""

    def __init__(self, gpu: Gpu, graph: c_void_p, stream: c_void_p) -> None:
        self._driver, self._stream, self._work = gpu.driver, stream, c_void_p()
        try:
            gpu.driver("cuGraphInstantiateWithFlags", self._work, graph, 0)
        finally:
            gpu.driver("cuGraphDestroy", graph)
        _freed_with(self, gpu, "cuGraphExecDestroy", self._work)

    def replay(self) -> None:
        """Queue it again."""
        self._driver("cuGraphLaunch", self._work, self._stream)


class Stream:
    """A queue of work for a GPU; all but `wait` return at once."""

    def __init__(self, gpu: Gpu) -> None:
        gpu.use()
        self._gpu, self._handle = gpu, c_void_p()
        gpu.driver("cuStreamCreate", self._handle, _NON_BLOCKING)
        _freed_with(self, gpu, "cuStreamDestroy_v2", self._handle)

    @property
    def handle(self) -> int:
        """The CUstream, for other libraries."""
        return self._handle.value or 0

    def upload(self, source: Pinned, target: Buffer) -> None:
        """Host to device, the whole of `target`."""
        self._gpu.driver("cuMemcpyHtoDAsync_v2", target.address, source.address, target.size, self._handle)

    def download(self, source: Buffer, target: Pinned) -> None:
        """Device to host, the whole of `source`."""
        self._gpu.driver("cuMemcpyDtoHAsync_v2", target.address, source.address, source.size, self._handle)

    def copy(self, source: Buffer, target: Buffer) -> None:
        """Device to device, the whole of `target`."""
        self._gpu.driver("cuMemcpyDtoDAsync_v2", target.address, source.address, target.size, self._handle)

    def clear(self, target: Buffer) -> None:
        """Zeros."""
        self._gpu.driver("cuMemsetD8Async", target.address, 0, target.size, self._handle)

    def wait(self) -> None:
        """Return when all that was queued is done."""
        self._gpu.driver("cuStreamSynchronize", self._handle)

    def record(self, work: Callable[[], None]) -> Recording:
        """What `work` queues here, recorded instead of done.

        Raises:
            DeviceError: if it does what cannot be recorded.
        """
        self._gpu.driver("cuStreamBeginCapture_v2", self._handle, _THREAD_LOCAL)
        graph = c_void_p()
        try:
            work()
        finally:
            self._gpu.driver("cuStreamEndCapture", self._handle, graph)
        return Recording(self._gpu, graph, self._handle)


@cache
def driver() -> Driver:
    """The NVIDIA driver of this machine.

    Raises:
        MissingDependency: if there is none.
        DeviceError: if it finds no GPU, or fails.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise MissingDependency(
            f"there is no NVIDIA driver here ({LIBRARY} cannot be loaded): install NVIDIA's driver"
        ) from error
    try:
        return Driver(library)
    except AttributeError as error:
        raise DeviceError(f"the NVIDIA driver is too old ({error}): {_CURE}") from error


@cache
def gpu(index: int = 0) -> Gpu:
    """A GPU of this machine.

    Raises:
        MissingDependency: if there is no driver.
        DeviceError: if there is no such GPU.
    """
    return Gpu(driver(), index)


def _freed_with(owner: object, gpu: Gpu, function: str, handle: Any) -> None:
    def free() -> None:
        gpu.use()
        gpu.driver(function, handle)

    weakref.finalize(owner, free).atexit = False  # the process takes all with it, and the driver may be gone by then


_CURE: Final = "nvidia-smi should list the GPU; update NVIDIA's driver, or use --device cpu"
