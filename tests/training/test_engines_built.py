"""TensorRT-RTX, which needs no GPU for it, builds an engine of every network in FP16 for a batch of sessions."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from engine.runtime import engines
from engine.runtime.model_file import read_model
from export import pdfgc
from export.files import Network, model_of, save
from export.half import halved
from export.table import ROWS
from training.networks.pdfgc.config import PDFGC_LITE
from training.pdfgc.networks import Networks

BATCH = 8
SHIPPED = {row.name: row for row in ROWS if row.ships}
PARTS = [row.name for row in ROWS if row.group == "pdfgc"]


@pytest.fixture(scope="module")
def parts() -> dict[str, Network]:
    """PD-FGC's, the smaller ones, of random weights: what an engine is built of is the same for all sizes."""
    steps = pdfgc.steps_of(Networks(PDFGC_LITE).eval().requires_grad_(False))
    return {f"pdfgc-{name}".replace("_", "-"): network for name, network in steps.items()}


def _built(network: Network, library: engines.Library, folder: Path) -> bytes:
    path = folder / "network.onnx"
    save(halved(model_of(network, BATCH)), path)
    model = read_model(path)
    assert model.spec == network.spec.batched(BATCH)
    return engines.build(model, library)[0]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_built(name: str, library: engines.Library, tmp_path: Path) -> None:
    assert len(_built(SHIPPED[name].open(None), library, tmp_path)) > 100_000


@pytest.mark.parametrize("name", PARTS)
def test_pdfgc_is_built(name: str, parts: dict[str, Network], library: engines.Library, tmp_path: Path) -> None:
    assert len(_built(parts[name], library, tmp_path)) > 1_000_000
