"""What `./mien export verify` proves, of every network; PD-FGC small, with weights by rule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from engine.render.colour import to_i420  # noqa: E402 - torch first
from engine.render.pdfgc.latent import to_8bit  # noqa: E402
from engine.runtime import placement  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.files import Network, by_torch, model_of  # noqa: E402
from export.pdfgc import ruled_networks, steps_of  # noqa: E402
from export.table import ROWS, Row  # noqa: E402
from export.verify import Check, checks_of, opened  # noqa: E402
from training.networks.pdfgc.config import PDFGC_LITE  # noqa: E402

TINY = PDFGC_LITE.at(28)
STEPS = 60


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "backends", lambda: ())


def network_of(row: Row) -> Network:
    return opened(row, None, TINY)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_network_is_the_same_wherever_it_runs(row: Row, tmp_path: Path) -> None:
    network = network_of(row)
    checks = list(checks_of(row, network, tmp_path, STEPS if network.spec.states else 2))
    assert [check.cells() for check in checks if not check.kept] == []
    said = {check.what.partition(" (")[0] for check in checks}
    assert said >= {"PyTorch = ONNX Runtime", "batch of 4 = one by one", "FP16", "FP16 file"}
    assert ("streaming = offline" in said) == (row.name in ("voice", "head"))
    assert {check.output for check in checks} >= {tensor.name for tensor in network.spec.outputs}


def test_what_differs_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = (row for row in ROWS if row.name == "head-style")
    network = network_of(row)
    other = replace(network, module=network_of(row).module)
    with torch.no_grad():
        next(other.module.parameters()).add_(0.05)

    def missed() -> set[str]:
        return {check.what for check in checks_of(row, network, tmp_path, 1) if not check.kept}

    assert missed() == set()
    with monkeypatch.context() as patch:
        patch.setattr("export.files.by_torch", lambda _: by_torch(other))
        assert missed() == {"PyTorch = ONNX Runtime"}
    with monkeypatch.context() as patch:
        patch.setattr("export.verify.model_of", lambda _, batch=1: model_of(other if batch > 1 else network, batch))
        assert missed() == {"batch of 4 = one by one"}


def test_a_missed_bar_is_the_exit_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from export.bars import Bar

    for limit, status in ((0.1, 0), (0.01, 1)):
        monkeypatch.setattr("export.verify.checks_of", lambda *_, limit=limit: [Check("n", "w", "o", 0.05, Bar(limit))])
        assert main(["verify", "head-style"]) == status
        assert f"1 bars, {status} missed" in capsys.readouterr().out


@torch.no_grad()
def test_coded_pictures_are_those_that_are_coded_after() -> None:
    networks = ruled_networks(TINY)
    steps = steps_of(networks)
    inputs = steps["generator"].spec.fake_inputs(4)
    image = by_torch(steps["generator"])(inputs)["image"]
    rgb = np.ascontiguousarray(to_8bit(image)[0])
    wanted = np.empty((42, 28), np.uint8)
    to_i420(rgb, wanted)
    found = by_torch(steps["generator-i420"])(inputs)["i420"][0]
    assert rgb.std() > 10
    np.testing.assert_array_equal(found, wanted)
