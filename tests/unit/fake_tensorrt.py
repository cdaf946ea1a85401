"""TensorRT as `engine.runtime` calls it, for one network: `tiny_onnx.ADDER`, computed in the memory of a `FakeLibrary`."""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.runtime.engines import Library
from tests.unit.fake_cuda import FakeLibrary
from tests.unit.tiny_onnx import ADDER

PLAN = b"an engine"


class FakeTensorRt:
    """Stands for the module; counts what was built.

    Args:
        cuda: the GPU it computes on.
        complains: what it says instead of running.
    """

    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")

    def __init__(self, cuda: FakeLibrary, complains: str = "") -> None:
        self.cuda, self.complains, self.built = cuda, complains, 0
        self.log = FakeLog()

    def library(self, name: str = "tensorrt", made_for: int = 13) -> Library:
        return Library(name, "11.0", made_for, self, self.log)

    def Runtime(self, _log: Any) -> Any:  # noqa: N802 (TensorRT's name)
        return SimpleNamespace(deserialize_cuda_engine=self._read)

    def _read(self, data: bytes) -> Any:
        if data == PLAN:
            return FakeEngine(self)
        self.log.say("the engine is of another version")
        return None


class FakeLog:
    def __init__(self) -> None:
        self._said = ""

    def say(self, words: str) -> None:
        self._said = words

    def taken(self) -> str:
        said, self._said = self._said, ""
        return said


class FakeEngine:
    names = ("x", "h", "y", "next_h")
    num_io_tensors = len(names)

    def __init__(self, module: FakeTensorRt) -> None:
        self._module, self._addresses = module, dict[str, int]()

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in ("x", "h") else "output"

    def get_tensor_shape(self, _name: str) -> tuple[int, ...]:
        return ADDER.inputs[0].shape

    def create_execution_context(self) -> "FakeEngine":
        return self

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, _stream: int) -> bool:
        if self._module.complains:
            self._module.log.say(self._module.complains)
            return False
        self._module.cuda.queue(self._add)
        return True

    def _add(self) -> None:
        x, h, y, after = (
            np.ctypeslib.as_array(ctypes.cast(self._addresses[name], ctypes.POINTER(ctypes.c_float)), (1, 3))
            for name in self.names
        )
        y[:] = x + h
        after[:] = y
