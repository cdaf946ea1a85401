import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.contract import Graph
from engine.errors import DeviceError, MissingDependency, OutOfDeviceMemory
from engine.runtime import cuda, engines, placement
from engine.runtime.cuda import Driver, Gpu
from engine.runtime.model_file import file_name
from engine.runtime.ort import OrtGraph
from engine.runtime.placement import Backend, backends, batches, chosen, device_of, load, variant
from tests.unit.fake_cuda import FakeLibrary
from tests.unit.fake_tensorrt import FakeTensorRt
from tests.unit.tiny_onnx import ADDER, adder

NO_DRIVER = "no driver: install one"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "adder.onnx"
    path.write_bytes(adder())
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver, whatever this machine has."""

    def missing(_index: int = 0) -> Gpu:
        raise MissingDependency(NO_DRIVER)

    monkeypatch.setattr(cuda, "gpu", missing)


@pytest.fixture
def equipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU, a driver, TensorRT, and an ONNX Runtime with its CUDA provider."""
    library = FakeLibrary()
    gpu = Gpu(Driver(library), 0)
    monkeypatch.setattr(cuda, "gpu", lambda _index=0: gpu)
    monkeypatch.setattr(cuda, "driver", lambda: gpu.driver)
    monkeypatch.setattr(engines, "library", FakeTensorRt(library).library)
    monkeypatch.setattr(placement, "has_cuda", lambda: True)


@pytest.mark.parametrize(("text", "device"), [("auto", "auto"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:07", "cuda:7")])
def test_a_device_is_read(text: str, device: str) -> None:
    assert device_of(text) == device


@pytest.mark.parametrize("text", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA:0"])
def test_what_is_no_device_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="auto, cpu or cuda:N"):
        device_of(text)


@pytest.mark.usefixtures("bare")
def test_without_a_driver_the_cpu_is_chosen_and_the_others_say_why() -> None:
    assert str(chosen("auto")) == "ONNX Runtime on cpu"
    assert [backend.why_not for backend in backends("auto")] == [NO_DRIVER, NO_DRIVER, ""]


@pytest.mark.usefixtures("bare")
def test_a_gpu_that_was_asked_for_is_not_replaced(path: Path) -> None:
    with pytest.raises(DeviceError, match=f"^cuda:2 cannot be used: {NO_DRIVER}$"):
        load(path, "cuda:2")


@pytest.mark.usefixtures("equipped")
def test_the_best_backend_comes_first() -> None:
    assert [str(backend) for backend in backends("cuda:0")] == ["TensorRT on cuda:0", "ONNX Runtime CUDA on cuda:0"]
    assert str(chosen("auto")) == "TensorRT on cuda:0"
    assert str(chosen("cpu")) == "ONNX Runtime on cpu"


@pytest.mark.usefixtures("equipped")
def test_a_library_that_is_missing_leaves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingDependency("neither is installed")

    monkeypatch.setattr(engines, "library", missing)
    assert str(chosen("auto")) == "ONNX Runtime CUDA on cuda:0"
    monkeypatch.setattr(placement, "has_cuda", lambda: False)
    assert [backend.why_not.partition(":")[0] for backend in backends("auto")] == [
        "neither is installed",
        "ONNX Runtime is installed without its CUDA provider",
        "",
    ]


def test_the_cpu_runs_it(path: Path) -> None:
    inputs = ADDER.fake_inputs(1)
    np.testing.assert_array_equal(load(path, "cpu").run(inputs)["y"], inputs["x"])


def _ladder(monkeypatch: pytest.MonkeyPatch, *rungs: Callable[[Path, int], Graph]) -> None:
    names = ("TensorRT", "ONNX Runtime CUDA", "ONNX Runtime")
    found = [
        Backend(name, "cpu" if n == 2 else "cuda:0", "", rung) for n, (name, rung) in enumerate(zip(names, rungs, strict=False))
    ]
    monkeypatch.setattr(placement, "usable", lambda _device: found)


def _full(_path: Path, _threads: int) -> Graph:
    raise OutOfDeviceMemory("the GPU's memory is full")


def test_a_full_gpu_is_left_for_the_next_step_and_said(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _ladder(monkeypatch, _full, _full, OrtGraph.load)
    with caplog.at_level(logging.WARNING):
        assert load(path).spec == ADDER
    assert [record.getMessage() for record in caplog.records] == [
        "adder does not run by TensorRT on cuda:0 (the GPU's memory is full); it is tried by ONNX Runtime CUDA on cuda:0",
        "adder does not run by ONNX Runtime CUDA on cuda:0 (the GPU's memory is full); it is tried by ONNX Runtime on cpu",
    ]


def test_the_last_step_says_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ladder(monkeypatch, _full)
    with pytest.raises(OutOfDeviceMemory, match="full"):
        load(path, "cuda:0")


def test_files_of_other_batches_and_precisions_are_found(path: Path) -> None:
    for name in (file_name("adder", 4), file_name("adder", 8, half=True), file_name("adder", half=True)):
        (path.parent / name).touch()
    assert batches(path) == (1, 4, 8)
    assert variant(path).name == "adder.onnx"
    assert variant(path, half=True).name == "adder.half.onnx"
    assert variant(path, 4, half=True).name == "adder.b4.onnx"  # better than none
    assert variant(path, 8).name == "adder.b8.half.onnx"
