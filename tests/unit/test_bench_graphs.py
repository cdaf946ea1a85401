from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")

import engine
from benchmarks import ceilings, graphs_suite, work
from benchmarks.ceilings import Ceilings
from benchmarks.metrics import Distribution
from benchmarks.work import Work, work_of
from engine.contract import Graph, GraphSpec
from engine.errors import DeviceError, ModelError, OutOfDeviceMemory
from engine.runtime import cuda, engines, placement
from engine.runtime.cuda import Driver, Gpu
from engine.runtime.ort import OrtGraph
from engine.runtime.placement import Backend
from tests.unit.fake_cuda import FakeLibrary
from tests.unit.fake_tensorrt import FakeTensorRt
from tests.unit.tiny_onnx import ADDER, adder

MODELS = Path(engine.__file__).parent / "models"
TOP = Ceilings(1e12, 1e11)


class Wrong:
    """A graph that says something else."""

    spec: GraphSpec = ADDER

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"y": inputs["x"] + 1, "h": inputs["x"]}


def _full(_path: Path, _threads: int) -> Graph:
    raise OutOfDeviceMemory("the GPU's memory is full")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "adder.onnx").write_bytes(adder())
    monkeypatch.setattr(ceilings, "of", lambda _device, _threads: TOP)
    return tmp_path


def _put(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    backends = (Backend("TensorRT", "cuda:0", "", load), Backend("ONNX Runtime", "cpu", "", OrtGraph.load))
    monkeypatch.setattr(placement, "usable", lambda _device: backends)
    library = FakeLibrary()
    gpu = Gpu(Driver(library), 0)
    monkeypatch.setattr(cuda, "gpu", lambda _index: gpu)
    monkeypatch.setattr(engines, "library", FakeTensorRt(library).library)


def test_work_is_counted_by_hand_for_the_mouth() -> None:
    embed, recurrent, heads = 160 * 192 + 192 * 192, 2 * 3 * 192 * (192 + 192), 192 * 176 + 192 * 36 + 4 * 44 * 13
    found = work_of(MODELS / "voice.onnx")
    assert found.flops == 2 * (embed + recurrent + heads)
    assert found.bytes == pytest.approx((MODELS / "voice.onnx").stat().st_size, rel=0.05)


def test_convolutions_count_by_what_they_put_out() -> None:
    class Node:
        op_type = "Conv"
        input = ("x", "w")
        output = ("y",)

    shapes = {"x": (2, 8, 10, 10), "w": (16, 4, 3, 3), "y": (2, 16, 5, 5)}
    assert work._flops(Node(), shapes) == 2 * (2 * 16 * 5 * 5) * (4 * 3 * 3)  # pyright: ignore[reportPrivateUsage]


def test_the_floor_is_the_slower_of_arithmetic_and_traffic() -> None:
    assert Work(10**9, 10).floor_s(1e12, 1e11) == pytest.approx(1e-3)
    assert Work(10, 10**9).floor_s(1e12, 1e11) == pytest.approx(1e-2)


def test_every_network_is_measured_and_held_against_the_device(folder: Path) -> None:
    outcome = graphs_suite.run_suite("cpu", 0.01, folders=[folder])
    found = outcome.metrics["adder_b1_ONNX_Runtime_on_cpu"]
    assert isinstance(found, dict)
    taken = found["ms"]
    assert isinstance(taken, Distribution)
    assert taken.n >= graphs_suite.LEAST
    x_h_y_next = 4 * 3 * 4  # bytes, and no weights
    assert found["floor_ms"] == pytest.approx(1000 * x_h_y_next / TOP.bytes_per_s)
    assert outcome.metrics["cpu_matrix_gflops"] == 1000
    assert not outcome.failures


def test_what_answers_otherwise_than_the_cpu_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, lambda _path, _threads: Wrong())
    outcome = graphs_suite.run_suite("auto", 0.01, folders=[folder])
    (line,) = outcome.failures
    backends = outcome.settings["backends"]
    assert isinstance(backends, dict)
    assert backends["TensorRT on cuda:0"] == "A GPU, driver for CUDA 13.0, tensorrt 11.0"
    assert line.startswith("adder, batch 1: TensorRT on cuda:0 differs from the CPU by")


def test_what_a_backend_refuses_is_said_and_the_others_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, _full)
    outcome = graphs_suite.run_suite("auto", 0.01, folders=[folder])
    assert outcome.lines == ["adder, batch 1: not by TensorRT on cuda:0: the GPU's memory is full"]
    assert "adder_b1_ONNX_Runtime_on_cpu" in outcome.metrics


def test_a_picture_is_drawn(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    outcome = graphs_suite.run_suite("cpu", 0.01, folders=[folder], plots=folder)
    assert outcome.lines == [f"plot: {folder / 'graphs.png'}"]
    assert (folder / "graphs.png").stat().st_size > 1000


def test_no_networks_and_no_device_are_named(folder: Path) -> None:
    with pytest.raises(ModelError, match="there are no networks in"):
        graphs_suite.run_suite("cpu", 0.01, folders=[folder / "nothing"])
    with pytest.raises(DeviceError, match="cuda:99 cannot be used"):
        graphs_suite.run_suite("cuda:99", 0.01, folders=[folder])


def test_this_machine_has_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "SIDE", 64)
    monkeypatch.setattr(ceilings, "MEGABYTES", 1)
    flops, copied = ceilings.here()
    assert np.isfinite((flops, copied)).all()
    assert min(flops, copied) > 0
