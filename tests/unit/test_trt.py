import os
from pathlib import Path

import numpy as np
import pytest

from engine.contract import GraphStream
from engine.contract.graph import open_stream
from engine.errors import DeviceError, OutOfDeviceMemory
from engine.runtime import cuda, engines, trt
from engine.runtime.cuda import Driver, Gpu
from engine.runtime.model_file import ModelFile
from engine.runtime.ort import OrtGraph
from engine.runtime.trt import TrtGraph, TrtStream
from tests.unit.fake_cuda import FakeLibrary
from tests.unit.fake_tensorrt import PLAN, FakeTensorRt
from tests.unit.tiny_onnx import ADDER, adder


class Machine:
    """A machine with a GPU and TensorRT, both fakes, and an empty cache."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "adder.onnx"
        self.path.write_bytes(adder())
        self.cuda = FakeLibrary()
        self.tensorrt = FakeTensorRt(self.cuda)
        self.library = self.tensorrt.library()
        gpu = Gpu(Driver(self.cuda), 0)
        monkeypatch.setattr(cuda, "gpu", lambda _index: gpu)
        monkeypatch.setattr(engines, "library", lambda: self.library)
        monkeypatch.setattr(engines, "build", self._build)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def load(self) -> TrtGraph:
        """As a process does that begins."""
        trt._load.cache_clear()  # pyright: ignore[reportPrivateUsage]
        return TrtGraph.load(self.path)

    def kept(self) -> list[Path]:
        return sorted((self.path.parent / "cache" / "mien" / "engines").iterdir())

    def _build(self, _model: ModelFile, _library: object, progress: engines.Progress, timing: bytes) -> tuple[bytes, bytes]:
        self.tensorrt.built += 1
        progress("adder", 1.0)
        return PLAN, timing + b"times"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_run_is_that_of_the_cpu_and_one_recording(machine: Machine) -> None:
    graph, inputs = machine.load(), ADDER.fake_inputs(3) | {"h": np.ones((1, 3), np.float32)}
    assert graph.spec == ADDER
    found, wanted = graph.run(inputs), OrtGraph.load(machine.path).run(inputs)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)
    assert machine.cuda.launches == 1


def test_what_a_run_gives_belongs_to_the_caller(machine: Machine) -> None:
    graph = machine.load()
    first = graph.run(ADDER.fake_inputs(0))["y"]
    kept = first.copy()
    graph.run(ADDER.fake_inputs(1))
    np.testing.assert_array_equal(first, kept)


def test_streams_keep_their_states_on_the_gpu_and_do_not_meet(machine: Machine) -> None:
    graph = machine.load()
    ours, theirs = open_stream(graph), open_stream(graph)
    assert isinstance(ours, TrtStream)
    alone = GraphStream(graph)
    for n in range(4):
        x = {"x": ADDER.fake_inputs(n)["x"]}
        theirs.step({"x": np.full((1, 3), 7, np.float32)})
        np.testing.assert_array_equal(ours.step(x)["y"], alone.step(x)["y"])
    ours.reset()
    one = {"x": np.ones((1, 3), np.float32)}
    np.testing.assert_array_equal(ours.step(one)["y"], one["x"])


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((1, 4), np.float32)}, {"x": np.zeros((1, 3))}])
def test_wrong_inputs_are_the_callers_fault(machine: Machine, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="adder"):
        machine.load().stream().step(inputs)


def test_an_engine_is_built_once_and_kept_for_the_user_alone(machine: Machine) -> None:
    machine.load()
    machine.load()
    assert machine.tensorrt.built == 1
    assert [path.suffix for path in machine.kept()].count(".engine") == 1
    assert {path.stat().st_mode & 0o777 for path in machine.kept()} == {0o600}
    assert machine.kept()[0].parent.stat().st_mode & 0o777 == 0o700


def test_another_library_gets_an_engine_of_its_own(machine: Machine) -> None:
    machine.load()
    machine.library = engines.Library("tensorrt", "11.1", 13, machine.tensorrt, machine.tensorrt.log)
    machine.load()
    assert machine.tensorrt.built == 2


@pytest.mark.parametrize("damage", [b"", b"short", b"mien engine 1\n" + bytes(32) + PLAN])
def test_a_damaged_engine_is_built_again(machine: Machine, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    machine.load()
    (engine,) = (path for path in machine.kept() if path.suffix == ".engine")
    engine.write_bytes(damage)
    machine.load()
    assert machine.tensorrt.built == 2
    assert f"{engine} is damaged and will be made again" in caplog.text


def test_an_engine_that_the_library_refuses_is_built_again(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.load()
    (engine,) = (path for path in machine.kept() if path.suffix == ".engine")
    engines.Cache().write(engine.name, b"of last year")
    machine.load()
    assert machine.tensorrt.built == 2
    assert "of another version; mien doctor tells more; it is built again" in caplog.text


def test_timings_are_handed_to_the_next_building(machine: Machine) -> None:
    machine.load()
    (timing,) = (path for path in machine.kept() if path.suffix == ".timing")
    for path in machine.kept():
        if path.suffix == ".engine":
            path.unlink()
    machine.load()
    assert engines.Cache().read(timing.name) == b"timestimes"


def test_a_driver_that_is_too_old_is_named(machine: Machine) -> None:
    machine.library = machine.tensorrt.library(made_for=14)
    with pytest.raises(DeviceError, match=r"too old: it knows CUDA 13\.0, tensorrt 11\.0 needs 14: update the driver"):
        machine.load()


@pytest.mark.parametrize(("words", "error"), [("out of memory", OutOfDeviceMemory), ("an illegal memory access", DeviceError)])
def test_what_the_library_complains_of_reaches_the_user(machine: Machine, words: str, error: type[DeviceError]) -> None:
    machine.tensorrt.complains = words
    with pytest.raises(DeviceError, match=words) as caught:
        machine.load()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def test_a_folder_that_others_may_write_to_is_taken_from_them(machine: Machine) -> None:
    folder = machine.path.parent / "cache" / "mien" / "engines"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    machine.load()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_leads_elsewhere_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "cache" / "mien").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "cache" / "mien" / "engines")
    with pytest.raises(DeviceError, match="engines are programs"):
        machine.load()
