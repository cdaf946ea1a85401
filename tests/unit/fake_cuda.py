"""A GPU made of the machine's own memory: CUDA's driver as `engine.runtime.cuda` calls it, through C calls of the same types.

Work is done when it is queued, or kept while a stream is recorded; memory that is not freed is counted.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from engine.runtime.cuda import PROTOTYPES

OUT_OF_MEMORY, NOT_RECORDABLE, INVALID = 2, 900, 1
WORDS = {NOT_RECORDABLE: b"not permitted when the stream is capturing", 100: b"no CUDA-capable device is detected"}
LARGEST = 1 << 20
"""Bytes that one allocation may have."""


class FakeLibrary:
    """Stands for `ctypes.CDLL("libcuda.so.1")`: one GPU of capability 9.0, and CUDA 13.0."""

    def __init__(self, gpus: int = 1, version: int = 13000) -> None:
        self.memory: dict[int, Any] = {}
        self.launches = 0
        self._gpus, self._version = gpus, version
        self._recorded: list[Callable[[], object]] | None = None
        self._graphs: dict[int, list[Callable[[], object]]] = {}
        does: dict[str, Callable[..., int]] = {
            "cuMemAlloc_v2": self._allocate, "cuMemAllocHost_v2": self._allocate,
            "cuMemFree_v2": self._free, "cuMemFreeHost": self._free,
            "cuMemcpyHtoDAsync_v2": self._copy, "cuMemcpyDtoHAsync_v2": self._copy, "cuMemcpyDtoDAsync_v2": self._copy,
            "cuMemsetD8Async": self._set,
            "cuDriverGetVersion": lambda version: _put(version, self._version),
            "cuDeviceGetCount": lambda count: _put(count, self._gpus),
            "cuDeviceGetName": lambda text, _size, _device: ctypes.memmove(text, b"A GPU\0", 6) and 0,
            "cuDeviceGetAttribute": lambda value, attribute, _device: _put(value, {75: 9, 76: 0}[attribute]),
            "cuGetErrorString": lambda code, text: _put(text, WORDS.get(code, b"invalid argument")),
            "cuMemGetInfo_v2": lambda free, total: _put(free, 3 << 30) or _put(total, 4 << 30),
            "cuStreamBeginCapture_v2": self._begin, "cuStreamEndCapture": self._end,
            "cuGraphInstantiateWithFlags": lambda work, graph, _flags: _put(work, graph),
            "cuGraphLaunch": self._launch,
        }  # fmt: skip
        for name, arguments in PROTOTYPES.items():
            call = ctypes.CFUNCTYPE(ctypes.c_int, *arguments)
            setattr(self, name, call(does.get(name, lambda *_: 0)))

    def refuse(self, name: str, code: int) -> None:
        """Let a function fail from now on."""
        setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int, *PROTOTYPES[name])(lambda *_: code))

    def queue(self, work: Callable[[], object]) -> None:
        """Do it, or keep it if a stream is being recorded."""
        if self._recorded is None:
            work()
        else:
            self._recorded.append(work)

    def _allocate(self, address: Any, size: int) -> int:
        if self._recorded is not None:
            return NOT_RECORDABLE
        if size > LARGEST:
            return OUT_OF_MEMORY
        memory = (ctypes.c_ubyte * size).from_buffer_copy(b"\xff" * size)  # what was never written is loud: NaN
        address[0] = ctypes.addressof(memory)
        self.memory[ctypes.addressof(memory)] = memory
        return 0

    def _free(self, address: int) -> int:
        return 0 if self.memory.pop(address, None) else INVALID

    def _copy(self, target: int, source: int, size: int, _stream: int) -> int:
        self.queue(lambda: ctypes.memmove(target, source, size))
        return 0

    def _set(self, target: int, value: int, size: int, _stream: int) -> int:
        self.queue(lambda: ctypes.memset(target, value, size))
        return 0

    def _begin(self, _stream: int, _mode: int) -> int:
        self._recorded = []
        return 0

    def _end(self, _stream: int, graph: Any) -> int:
        number = len(self._graphs) + 1
        self._graphs[number], self._recorded = self._recorded or [], None
        return _put(graph, number)

    def _launch(self, work: int, _stream: int) -> int:
        self.launches += 1
        for step in self._graphs[work]:
            step()
        return 0


def _put(place: Any, value: Any) -> int:
    place[0] = value
    return 0
