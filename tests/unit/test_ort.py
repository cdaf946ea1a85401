import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.contract import GraphSpec, GraphStream, TensorSpec
from engine.errors import DeviceError, MissingDependency, ModelError, OutOfDeviceMemory
from engine.runtime.ort import OrtGraph, has_cuda
from engine.runtime.signature import decode, encode
from tests.unit.tiny_onnx import ADDER, adder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "adder.onnx"
    path.write_bytes(adder())
    return path


def test_a_signature_comes_back_as_it_was() -> None:
    spec = GraphSpec("a", (TensorSpec("x", (1, 40), "int64", 0, 7),), (TensorSpec("y", ()),), (TensorSpec("h", (2, 3)),))
    assert decode(encode(spec)) == spec


@pytest.mark.parametrize("text", ["", "[]", '{"name":"a"}', '{"name":"a","inputs":[{}],"outputs":[],"states":[]}'])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no signature"):
        decode(text)


def test_a_state_goes_in_and_comes_out_under_its_name(path: Path) -> None:
    graph = OrtGraph.load(path)
    assert graph.spec == ADDER
    stream = GraphStream(graph)
    x = np.array([[1, 2, 3]], np.float32)
    for n in range(1, 4):
        outputs = stream.step({"x": x})
        assert set(outputs) == {"y"}
        np.testing.assert_array_equal(outputs["y"], n * x)
    stream.reset()
    np.testing.assert_array_equal(stream.step({"x": x})["y"], x)


def test_interleaved_streams_equal_separate_ones(path: Path) -> None:
    rng = np.random.default_rng(0)
    sounds = rng.normal(size=(2, 20, 1, 3)).astype(np.float32)
    streams = [GraphStream(OrtGraph.load(path)) for _ in sounds]
    mixed = [[stream.step({"x": sound[n]})["y"] for stream, sound in zip(streams, sounds, strict=True)] for n in range(20)]
    for i, sound in enumerate(sounds):
        alone = GraphStream(OrtGraph.load(path))
        for n in range(20):
            np.testing.assert_array_equal(alone.step({"x": sound[n]})["y"], mixed[n][i])


def test_outputs_belong_to_the_caller(path: Path) -> None:
    graph = OrtGraph.load(path)
    inputs = graph.spec.fake_inputs(0)
    first = graph.run(inputs)
    kept = first["y"].copy()
    graph.run(graph.spec.fake_inputs(1))
    np.testing.assert_array_equal(first["y"], kept)


def test_a_file_is_loaded_once(path: Path) -> None:
    assert OrtGraph.load(path) is OrtGraph.load(path.parent / "." / path.name)


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": np.zeros((1, 3), np.float32)},
        {"x": np.zeros((1, 4), np.float32), "h": np.zeros((1, 3), np.float32)},
        {"x": np.zeros((1, 3)), "h": np.zeros((1, 3), np.float32)},
        {"x": np.zeros((1, 3), np.float32), "h": np.zeros((1, 3), np.float32), "z": np.zeros((1, 3), np.float32)},
    ],
)
def test_wrong_inputs_are_the_callers_fault(path: Path, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="adder"):
        OrtGraph.load(path).run(inputs)


OTHER = GraphSpec("adder", (TensorSpec("x", (1, 4)),), ADDER.outputs, ADDER.states)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b"no network", "damaged"),
        (adder()[:-20], "damaged|signature"),
        (adder(metadata=""), "no signature"),
        (adder(metadata="{"), "another version"),
        (adder(OTHER), "does not keep to its signature"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=words) as caught:
        OrtGraph.load(path)
    assert "\n" not in str(caught.value)
    assert "install mien anew" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"voice\.onnx .*No such file"):
        OrtGraph.load(tmp_path / "voice.onnx")


def test_the_runtime_is_loaded_with_the_first_network() -> None:
    code = "import engine.runtime.ort, sys; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


class Refusing:
    """A session that fails."""

    def __init__(self, words: str) -> None:
        self._words = words

    def run(self, _names: object, _inputs: object) -> None:
        raise RuntimeError(self._words)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("Failed to allocate memory for requested buffer of size 9", OutOfDeviceMemory),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfDeviceMemory),
        ("CUDA failure 700: an illegal memory access was encountered", DeviceError),
    ],
)
def test_a_device_that_fails_is_not_the_callers_fault(words: str, error: type[DeviceError]) -> None:
    graph = OrtGraph(ADDER, Refusing(words))
    with pytest.raises(DeviceError, match="graph 'adder' did not run") as caught:
        graph.run(ADDER.fake_inputs(0))
    assert type(caught.value) is error
    with pytest.raises(ValueError, match="takes x, h"):
        graph.run({})


def test_a_gpu_needs_the_provider(path: Path) -> None:
    if has_cuda():
        pytest.skip("this ONNX Runtime has its CUDA provider")
    with pytest.raises(MissingDependency, match="without its CUDA provider: python -m pip uninstall"):
        OrtGraph.load(path, gpu=0)
