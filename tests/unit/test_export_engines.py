import argparse
import shutil
from pathlib import Path

import pytest

import engine
from engine.errors import MissingDependency, ModelError
from engine.runtime import engines
from export import engines as command
from tests.unit.tiny_onnx import adder

MODELS = Path(engine.__file__).parent / "models"


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def _library() -> None:
    try:
        if engines.library().name != "tensorrt_rtx":
            pytest.skip(f"{engines.library().name} builds on a GPU alone")
    except MissingDependency as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("_library")
def test_networks_are_tried_and_what_cannot_be_built_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "adder.onnx").write_bytes(adder())
    shutil.copy(MODELS / "head.onnx", tmp_path)
    assert command.main(parsed("--models", str(tmp_path), "--device", "cpu")) == 0
    _, small, large = capsys.readouterr().out.splitlines()
    assert small.startswith("adder.onnx")
    assert large.startswith("head.onnx")
    assert large.endswith("MB")
    (tmp_path / "bad.onnx").write_bytes(adder()[:-9])
    assert command.main(parsed("--models", str(tmp_path), "--device", "cpu")) == 1
    assert "bad.onnx" in capsys.readouterr().out


@pytest.mark.usefixtures("_library")
def test_nothing_to_build_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there are no networks in"):
        command.main(parsed("--models", str(tmp_path), "--device", "cpu"))
    with pytest.raises(ModelError, match=r"there is no .*voice\.onnx"):
        command.main(parsed("--models", str(tmp_path / "voice.onnx"), "--device", "cpu"))
