import json
from pathlib import Path

import pytest

from benchmarks import gpu_rtx
from engine.errors import DeviceError, MissingDependency
from engine.runtime import cuda, engines
from engine.runtime.cuda import Driver, Gpu
from tests.unit.fake_cuda import FakeLibrary
from tests.unit.fake_tensorrt import PLAN, FakeTensorRt
from tests.unit.tiny_onnx import adder


def test_each_target_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "adder.onnx").write_bytes(adder())
    library = FakeLibrary()
    gpu, tensorrt = Gpu(Driver(library), 0), FakeTensorRt(library)

    def build(_model: object, _using: object, *, target: str) -> tuple[bytes, bytes]:
        if target == "SM80":
            raise DeviceError("no kernels for it")
        return PLAN if target else b"of another GPU", b""

    monkeypatch.setattr(cuda, "gpu", lambda: gpu)
    monkeypatch.setattr(engines, "library", tensorrt.library)
    monkeypatch.setattr(engines, "build", build)
    assert gpu_rtx.main(["--model", str(tmp_path / "adder.onnx")]) == 0
    own, current, other, document = capsys.readouterr().out.splitlines()
    assert own.startswith("its own choice: refused: it was built, but not loaded: tensorrt 11.0 says")
    assert current.startswith("CURRENT: built in")
    assert current.endswith("off by 0")
    assert other == "SM80: refused: no kernels for it"
    assert [answer["difference"] for answer in json.loads(document)["metrics"]] == [None, 0.0, None]
    assert gpu_rtx.main(["--model", str(tmp_path / "adder.onnx"), "--targets", "SM80"]) == 1


def test_a_machine_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise MissingDependency("there is no NVIDIA driver here: install it")

    monkeypatch.setattr(cuda, "gpu", missing)
    monkeypatch.setattr(engines, "library", lambda: None)
    assert gpu_rtx.main([]) == 1
    assert capsys.readouterr().err == "there is no NVIDIA driver here: install it\n"
