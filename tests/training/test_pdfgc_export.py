import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.render.pdfgc import networks as engine  # noqa: E402 - torch first
from export.__main__ import main  # noqa: E402
from training.networks.pdfgc import bundle  # noqa: E402
from training.networks.pdfgc.config import PDFGC_LITE  # noqa: E402
from training.pdfgc.networks import Networks  # noqa: E402

TINY = PDFGC_LITE.at(28)


def run_folder(folder: Path, *, unified: bool = False, size: int | None = 28, seed: int = 3) -> Path:
    """What a run of python -m training pdfgc leaves."""
    torch.manual_seed(seed)
    folder.mkdir()
    (folder / "options.json").write_text(json.dumps({"options": {"widths": "pdfgc-lite", "size": size}}))
    torch.save({"parts": {"ema": Networks(TINY, unified=unified).state_dict()}}, folder / "checkpoint.pt")
    return folder


def refused(run: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["pdfgc", "--run", str(run), "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(("words", "width"), [([], 4), (["--store-half"], 2)], ids=["whole", "half"])
def test_a_run_becomes_what_the_renderer_reads(
    tmp_path: Path, words: list[str], width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = run_folder(tmp_path / "run"), tmp_path / "out"
    assert main(["pdfgc", "--run", str(run), "--out", str(out), *words]) == 0
    assert capsys.readouterr().out.count("equal to") == 4
    networks = engine.Networks.load(out)
    assert networks.sizes == engine.Sizes(28, 112, 256, 192, 7)
    assert networks.gains == engine.Gains(1, 1, 1, 1)
    image = networks.generator.run(networks.generator.spec.fake_inputs(0))["image"]
    assert np.abs(image).max() <= 1
    widths, weights = bundle.load(out / "pdfgc.safetensors")
    assert widths == TINY
    stored = sum(file.stat().st_size for file in out.glob("*.onnx"))
    assert stored < 1.1 * width * sum(tensor.numel() for tensor in weights.values())


def test_what_was_made_for_other_networks_does_not_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other, out = run_folder(tmp_path / "one"), run_folder(tmp_path / "other", seed=4), tmp_path / "out"
    for words in (["pdfgc"], ["pdfgc-generator-i420"], ["pdfgc", "--batch", "2"]):
        assert main([*words, "--run", str(one), "--out", str(out)]) == 0
    assert main(["pdfgc-bridge", "--out", str(out)]) == 0
    assert main(["pdfgc", "--run", str(one), "--out", str(out)]) == 0
    belonging = [out / "pdfgc_generator_i420.onnx", out / "pdfgc_bridge.onnx"]
    assert all(path.exists() for path in belonging)
    capsys.readouterr()
    assert main(["pdfgc", "--run", str(other), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for path in belonging:
        assert f"{path}  removed: it belonged to other weights\n" in said
        assert not path.exists()
    assert engine.Networks.load(out).bridge is None


def test_gains_go_where_their_networks_go(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["pdfgc", "--run", str(run_folder(tmp_path / "run")), "--out", str(first)]) == 0
    (first / "pdfgc.json").write_text('{"gains": [1.5, 1, 1, 1]}')
    assert main(["pdfgc", "--run", str(first), "--out", str(second)]) == 0
    assert engine.Networks.load(second).gains == engine.Gains(1.5, 1, 1, 1)


def test_a_run_that_cannot_be_exported_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty is no run of python -m training pdfgc" in refused(tmp_path / "empty", tmp_path / "out", capsys)
    assert "is it a run of stage 1?" in refused(run_folder(tmp_path / "one", unified=True), tmp_path / "out", capsys)
    assert "no level makes 30 px" in refused(run_folder(tmp_path / "odd", size=30), tmp_path / "out", capsys)
    cut = run_folder(tmp_path / "cut")
    (cut / "checkpoint.pt").write_bytes((cut / "checkpoint.pt").read_bytes()[:-200])
    assert "checkpoint.pt cannot be read" in refused(cut, tmp_path / "out", capsys)


@torch.no_grad()
def test_what_is_summed_up_once_changes_nothing() -> None:
    torch.manual_seed(2)
    widths = replace(TINY, generator=replace(TINY.generator, noise=True))
    generator = Networks(widths).eval().generator
    latent, start = torch.randn(1, widths.latent.total), torch.randn(1, 192, 7, 7)
    before = generator(latent, start, generator.frozen_noise())
    keys = generator.state_dict().keys()
    generator.freeze()
    assert torch.equal(generator(latent, start, generator.frozen_noise()), before)
    assert generator.state_dict().keys() == keys
