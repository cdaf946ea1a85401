import argparse

import pytest

from engine.errors import DeviceError, MissingDependency
from engine.runtime import cuda, engines, placement
from engine.runtime.cuda import Driver, Gpu
from streaming.cli import device, renderer
from tests.unit.fake_cuda import FakeLibrary
from tests.unit.fake_tensorrt import FakeTensorRt


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    """A machine with a GPU and TensorRT."""
    library = FakeLibrary()
    gpu, found = Gpu(Driver(library), 0), FakeTensorRt(library)
    monkeypatch.setattr(cuda, "gpu", lambda _index=0: gpu)
    monkeypatch.setattr(cuda, "driver", lambda: gpu.driver)
    monkeypatch.setattr(engines, "library", found.library)
    monkeypatch.setattr(placement, "has_cuda", lambda: False)
    return found


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    renderer.add_arguments(parser)
    return parser.parse_args(words)


def test_a_device_is_chosen() -> None:
    assert renderer.chosen(parsed()).device == "auto"
    assert renderer.chosen(parsed("--device", "cpu")).device == "cpu"


def test_what_is_no_device_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(argparse.ArgumentError, match="a device is auto, cpu or cuda:N, got 'gpu'"):
        parsed("--device", "gpu")


def test_a_renderer_that_needs_no_gpu_does_not_take_one() -> None:
    with pytest.raises(DeviceError, match="--device cuda:0 is for --renderer pdfgc; mesh draws on the CPU"):
        renderer.chosen(parsed("--device", "cuda"))


def test_doctor_is_content_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_index: int = 0) -> Gpu:
        raise MissingDependency(f"there is no NVIDIA driver here ({cuda.LIBRARY} cannot be loaded): install NVIDIA's driver")

    monkeypatch.setattr(cuda, "gpu", missing)
    found = device.finding()
    assert (found.state, found.cure) == ("ok", "")
    chosen, other = found.detail.splitlines()
    assert chosen == "auto runs networks by ONNX Runtime on cpu"
    assert other.startswith("not by TensorRT or ONNX Runtime CUDA: there is no NVIDIA driver here")


@pytest.mark.usefixtures("tensorrt")
def test_doctor_names_the_gpu() -> None:
    found = device.finding()
    assert (found.state, found.cure) == ("ok", "")
    assert found.detail == "auto runs networks by TensorRT on cuda:0: A GPU, 3.2 of 4.3 GB free, driver for CUDA 13.0"


def test_doctor_names_the_cure_of_a_gpu_that_idles(tensorrt: FakeTensorRt, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingDependency(f"neither tensorrt nor tensorrt_rtx is installed: {engines.INSTALL}")

    monkeypatch.setattr(engines, "library", missing)
    found = device.finding()
    assert (found.state, found.cure) == ("optional", "python -m pip install tensorrt-rtx")
    assert "not by TensorRT: neither" in found.detail
    assert "not by ONNX Runtime CUDA: ONNX Runtime is installed without its CUDA provider" in found.detail
    monkeypatch.setattr(engines, "library", lambda: tensorrt.library(made_for=14))
    assert (
        "NVIDIA's driver is too old: it knows CUDA 13.0, tensorrt 11.0 needs 14: update the driver" in device.finding().detail
    )


@pytest.mark.usefixtures("tensorrt")
def test_doctor_says_that_the_memory_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gpu, "memory", lambda _self: (500_000_000, 4_000_000_000))
    found = device.finding()
    assert (found.state, found.cure) == ("optional", "end what fills the GPU's memory: nvidia-smi lists it")
    assert "0.5 of 4.0 GB free" in found.detail
