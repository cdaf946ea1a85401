import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.errors import ModelError  # noqa: E402 - torch first
from engine.render.pdfgc import networks as engine  # noqa: E402
from export import import_pdfgc  # noqa: E402
from export.__main__ import main  # noqa: E402
from tests.training.test_pdfgc_export import run_folder  # noqa: E402
from training.networks.pdfgc import bundle  # noqa: E402
from training.networks.pdfgc.config import PDFGC_LITE, GeneratorWidths, Widths  # noqa: E402
from training.networks.pdfgc.ruled import ruled  # noqa: E402

SMALL = replace(
    PDFGC_LITE.at(28),
    published=True,
    appearance=replace(PDFGC_LITE.appearance, identities=7),
    generator=GeneratorWidths((16, 16, 8), noise=True),
)
"""A file like the published ones: with what nothing computes with, noise and a classifier."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_pdfgc, "PDFGC_224", SMALL)


def weights_of(name: str, widths: Widths = SMALL) -> dict[str, Any]:
    found = import_pdfgc.shapes(import_pdfgc.CHECKPOINTS[name], widths)
    drawn = ruled(f"net_{name}", {key: tuple(shape) for key, shape in found.items()})
    return {key: torch.from_numpy(np.asarray(value)) for key, value in drawn.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The four files."""
    files: dict[str, bytes] = {}
    for name in import_pdfgc.CHECKPOINTS:
        path = tmp_path_factory.mktemp(name) / f"{name}_model.pth"
        torch.save(weights_of(name), path)
        files[path.name] = path.read_bytes()
    return files


@pytest.fixture
def folder(published: dict[str, bytes], tmp_path: Path) -> Path:
    """A folder with the four files."""
    place = tmp_path / "files" / "checkpoints"
    place.mkdir(parents=True)
    for name, content in published.items():
        (place / name).write_bytes(content)
    return place


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that says why."""
    assert main(["import-pdfgc", str(folder), "--out", str(folder / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("export: ")
    assert len(line) < 600
    return line


def test_the_published_files_become_what_the_renderer_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    assert main(["import-pdfgc", str(folder.parent), "--out", str(out)]) == 0
    assert capsys.readouterr().out.count("equal to") == 4
    networks = engine.Networks.load(out)
    assert networks.sizes == engine.Sizes(28, 112, 256, 16, 7)
    widths, weights = bundle.load(out / "pdfgc.safetensors")
    assert widths == replace(SMALL, published=False, appearance=replace(SMALL.appearance, identities=0))
    assert torch.equal(weights["audio.model.conv1.weight"], weights_of("audio")["model.conv1.weight"])
    assert not any(key.startswith(("generator.style", "appearance.fc", "appearance.model.fc")) for key in weights)


def test_nothing_stays_of_what_was_there(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run = run_folder(tmp_path / "run")
    for words in (["pdfgc", "--run", str(run)], ["pdfgc-generator-i420", "--run", str(run)], ["pdfgc-bridge"]):
        assert main([*words, "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["import-pdfgc", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for name in ("bridge", "generator_i420"):
        assert f"{out / f'pdfgc_{name}.onnx'}  removed: it belonged to other weights\n" in said
        assert not (out / f"pdfgc_{name}.onnx").exists()
    networks = engine.Networks.load(out)
    assert (networks.gains, networks.bridge) == (engine.Gains(), None)


def changed(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    weights = weights_of(name)
    torch.save(change(weights), folder / f"{name}_model.pth")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": {f"module.{key}": value for key, value in weights.items()}},
        lambda weights: {**weights, "mouth_fc.weight": torch.zeros(3), "classifier.0.bias": torch.zeros(1)},
    ],
    ids=["wrapped", "of several devices", "with what the public loader skips"],
)
def test_other_forms_of_the_same_weights_are_read(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = changed(folder, "motion", change) / "motion_model.pth"
    checkpoint = import_pdfgc.CHECKPOINTS["motion"]
    weights = import_pdfgc.unwrapped(path, import_pdfgc.read(path))
    found = import_pdfgc.checked(path, weights, import_pdfgc.shapes(checkpoint, SMALL), checkpoint.skipped)
    assert found.keys() == weights_of("motion").keys()


@pytest.mark.parametrize("name", ["appearance", "audio"])
def test_a_classifier_may_be_there_or_not(name: str) -> None:
    checkpoint, weights = import_pdfgc.CHECKPOINTS[name], weights_of(name)
    without = {key: value for key, value in weights.items() if not key.startswith("fc.")}
    more = {**without, "fc.weight": torch.zeros(2, 3), "fc_speakers.bias": torch.zeros(1)}
    shapes = import_pdfgc.shapes(checkpoint, SMALL)
    for each in (without, more):
        assert import_pdfgc.checked(Path("x"), each, shapes, checkpoint.skipped).keys() == without.keys()


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("motion", lambda w: {k: v for k, v in w.items() if "b1_3" not in k}, r"lacks model.m0.b1_3.bn1.bias, .* and 15 more"),
        ("generator", lambda w: {k: v for k, v in w.items() if k != "style.1.bias"}, r"lacks style.1.bias$"),
        ("generator", lambda w: {**w, "convs.99.bias": torch.zeros(1)}, r"has unknown convs.99.bias$"),
        ("audio", lambda w: {**w, "conv9.weight": torch.zeros(1)}, r"has unknown conv9.weight$"),
        ("audio", lambda w: {**w, "mouth_embed.1.bias": torch.zeros(7)}, r"other widths .*: mouth_embed.1.bias is 7, not 500$"),
        ("audio", lambda w: {**w, "model.conv1.bias": "text"}, r"no tensors: model.conv1.bias \(str\)$"),
        ("audio", lambda _: [1, 2], r"holds no weights, but a list"),
        ("audio", lambda _: {}, r"holds no weights, but a dict"),
        ("audio", lambda _: Path("x"), r"holds more than tensors, or is no checkpoint"),
    ],
)
def test_what_is_not_the_published_file_is_refused(
    folder: Path, name: str, change: Callable[[dict[str, Any]], Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(changed(folder, name, change), capsys)
    assert f"{name}_model.pth" in said
    assert re.search(line, said), said


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"<html>not found</html>", bytes(range(1, 256))], ids=["empty", "zip", "page", "noise"]
)
def test_what_is_no_checkpoint_is_refused(folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "motion_model.pth").write_bytes(content)
    assert "motion_model.pth" in refused(folder, capsys)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(folder: Path, share: float, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "audio_model.pth"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "audio_model.pth" in refused(folder, capsys)


def test_a_missing_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "generator_model.pth").unlink()
    assert "there is no generator_model.pth in" in refused(folder, capsys)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"cannot write .*pdfgc.safetensors"):
        bundle.save(tmp_path / "file" / "pdfgc.safetensors", PDFGC_LITE, {})


def test_a_bundle_that_is_none_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "cut").write_bytes(b"12345")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    for name in ("cut", "other", "missing"):
        with pytest.raises(ModelError, match=name):
            bundle.load(tmp_path / name)
