"""The networks that ship are the ones that were exported."""

import shutil
from pathlib import Path

import pytest

import engine
from engine.errors import ModelError
from engine.motion.head import load_style
from engine.runtime.model_file import BATCH, LICENCE, PRECISION, SOURCE, manifest_of, read_listed, read_model

MODELS = Path(engine.__file__).parent / "models"
LISTED = manifest_of(MODELS) or {}
NETWORKS = sorted(name for name in LISTED if name.endswith(".onnx"))


def test_every_network_is_listed_and_no_other_file() -> None:
    assert {path.name for suffix in ("onnx", "npz") for path in MODELS.glob(f"*.{suffix}")} == set(LISTED)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_what_the_manifest_says(name: str) -> None:
    file = read_model(MODELS / name)
    assert file.spec.name == Path(name).stem
    assert len(file.data) == LISTED[name]["bytes"]
    assert [file.metadata[key] for key in (BATCH, PRECISION, LICENCE)] == ["1", "float32", "Apache-2.0"]
    assert file.metadata[SOURCE] == LISTED[name]["source"]


def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    for path in [*MODELS.glob("head*"), MODELS / "manifest.json"]:
        shutil.copy(path, tmp_path)
    read_listed(tmp_path / "head_style.npz")
    load_style(tmp_path / "head_style.npz")
    shutil.copy(MODELS / "voice.onnx", tmp_path / "head.onnx")
    with pytest.raises(ModelError, match="is not the file that was exported"):
        read_model(tmp_path / "head.onnx")
    style = tmp_path / "head_style.npz"
    style.write_bytes(style.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"head_style\.npz is damaged"):
        load_style(style)
