import hashlib
import json
from pathlib import Path

import pytest

from engine.errors import ModelError
from engine.runtime.model_file import MANIFEST, OPSET, file_name, read_listed, read_model
from tests.unit.tiny_onnx import ADDER, adder


def listed(folder: Path, **entries: bytes) -> None:
    """Write the manifest of a folder: what each file should hold."""
    files = {f"{name}.onnx": {"sha256": hashlib.sha256(data).hexdigest()} for name, data in entries.items()}
    (folder / MANIFEST).write_text(json.dumps({"version": 1, "files": files}))


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "adder.onnx"
    path.write_bytes(adder())
    file = read_model(path)
    assert (file.spec, file.opset, file.data) == (ADDER, OPSET, adder())
    assert file.sha256 == hashlib.sha256(adder()).hexdigest()


def test_a_listed_file_is_the_one_that_was_exported(tmp_path: Path) -> None:
    path = tmp_path / "adder.onnx"
    path.write_bytes(adder())
    listed(tmp_path, adder=adder())
    assert read_model(path).spec == ADDER
    listed(tmp_path, other=adder())
    assert "not listed in" in refused(path)
    changed = bytearray(adder())
    changed[-30] ^= 1
    path.write_bytes(changed)
    listed(tmp_path, adder=adder())
    assert "is damaged, or is not the file that was exported" in refused(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2, "files": {}}', '{"version": 1, "files": 3}'])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "adder.onnx").write_bytes(adder())
    (tmp_path / MANIFEST).write_text(text)
    assert MANIFEST in refused(tmp_path / "adder.onnx")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no operator set"),
        (b"no network", "damaged"),
        (b"\xff" * 30, "damaged"),
        (adder()[:-20], "damaged"),
        (adder().replace(bytes([0x42, 2, 0x10, 17]), bytes([0x42, 2, 0x10, 23])), f"operator set 23, this mien runs {OPSET}"),
        (adder(metadata=""), "no signature"),
        (adder(metadata="{"), "another version"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    line = refused(path)
    assert words in line
    assert "./mien export" in line


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    for length in range(len(adder())):
        path.write_bytes(adder()[:length])
        refused(path)


def test_any_file_of_a_folder_may_be_listed(tmp_path: Path) -> None:
    (tmp_path / "style.npz").write_bytes(b"style")
    assert read_listed(tmp_path / "style.npz") == (b"style", hashlib.sha256(b"style").hexdigest())
    listed(tmp_path)
    with pytest.raises(ModelError, match="not listed"):
        read_listed(tmp_path / "style.npz")
    with pytest.raises(ModelError, match="No such file"):
        read_listed(tmp_path / "missing.npz")


def test_files_are_named_by_batch_and_precision() -> None:
    assert file_name("voice") == "voice.onnx"
    assert file_name("voice", 8) == "voice.b8.onnx"
    assert file_name("voice", half=True) == "voice.half.onnx"
    assert file_name("voice", 32, half=True) == "voice.b32.half.onnx"
