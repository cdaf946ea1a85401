"""What ships is built by the real TensorRT-RTX, which needs no GPU for it."""

from pathlib import Path

import pytest

import engine
from engine.errors import DeviceError, MissingDependency
from engine.runtime import engines
from engine.runtime.model_file import read_model
from engine.runtime.signature import encode
from tests.unit.tiny_onnx import ADDER, model

MODELS = Path(engine.__file__).parent / "models"
SHIPPED = sorted(MODELS.glob("*.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_network_that_ships_becomes_an_engine(library: engines.Library, path: Path) -> None:
    told: list[float] = []
    built, timings = engines.build(read_model(path), library, lambda _name, share: told.append(share))
    assert len(built) > path.stat().st_size / 2
    assert timings == b""  # a timing cache does nothing there
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_what_the_library_does_not_know_is_refused_in_one_line(library: engines.Library, tmp_path: Path) -> None:
    path = tmp_path / "adder.onnx"
    path.write_bytes(model([("NoSuchOperator", ["x", "h"], ["y"]), ("Identity", ["y"], ["next_h"])], ADDER, encode(ADDER)))
    with pytest.raises(DeviceError, match=r"adder\.onnx is nothing for tensorrt_rtx") as caught:
        engines.build(read_model(path), library)
    assert "\n" not in str(caught.value)


def test_a_machine_without_the_library_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LIBRARIES", ("no_such_library", "nor_this_one"))
    with pytest.raises(MissingDependency, match=r"neither no_such_library nor nor_this_one .*pip install tensorrt-rtx"):
        engines.library.__wrapped__()


def test_a_library_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_library.py").write_text("raise OSError('libcudart.so.13 is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(engines, "LIBRARIES", ("broken_library",))
    with pytest.raises(MissingDependency, match=r"libcudart\.so\.13 is missing.*--force-reinstall"):
        engines.library.__wrapped__()
