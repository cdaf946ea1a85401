"""The bridge from controls to motion latents: each part by its own controls, fitted, resumed, exported, refused in a line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from engine.contract import CHANNELS, GROUPS, Channel  # noqa: E402
from engine.contract.motion import GROUP_OF  # noqa: E402
from engine.errors import ModelError  # noqa: E402
from engine.runtime.ort import OrtGraph  # noqa: E402
from export.exporting import export  # noqa: E402
from export.pdfgc import bridge_network  # noqa: E402
from tests.training.pdfgc_fakes import TINY, stills  # noqa: E402
from training.networks.pdfgc import bundle  # noqa: E402
from training.networks.pdfgc.bridge import PARTS, Agreed, Bridge  # noqa: E402
from training.pdfgc.bridge import encoder_of, explained, fit, seen  # noqa: E402
from training.pdfgc.codes import code_matrix  # noqa: E402
from training.pdfgc.networks import Networks  # noqa: E402
from training.run import Average, Run, seed_all  # noqa: E402


def pairs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Latents that bend a little with their own controls."""
    controls = torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, (count, len(CHANNELS))).astype(np.float32))
    code = controls @ torch.from_numpy(code_matrix()).T
    return controls, code + 0.05 * code**2


def fitted(folder: Path, steps: int = 120, *, resume: bool = False) -> Bridge:
    rng = seed_all(0)
    return fit(pairs(400, 0), pairs(100, 1), Run(folder, {}, resume=resume), rng, steps, 64, 5e-3)


def test_each_part_listens_to_its_own_controls() -> None:
    seed_all(0)
    bridge, controls = Bridge().eval(), torch.rand(1, len(CHANNELS))
    before = bridge(controls)
    for group in GROUPS:
        changed = controls.clone()
        changed[:, torch.from_numpy(GROUPS.index(group) == GROUP_OF)] += 1
        moved = {name for name, a, b in zip(PARTS, before, bridge(changed), strict=True) if (a != b).any()}
        assert moved == {name for name, (groups, _) in PARTS.items() if group in groups}


def test_it_learns_what_bends_and_keeps_still_what_never_changes(tmp_path: Path) -> None:
    bridge = fitted(tmp_path)
    assert min(explained(bridge, pairs(100, 1)).values()) > 0.95
    controls, latents = pairs(50, 0)
    controls[:, Channel["jawOpen"]] = 0
    other = Bridge()
    other.scale(controls, latents)
    changed = controls.clone()
    changed[:, Channel["jawOpen"]] = 1
    assert all(torch.equal(a, b) for a, b in zip(other(controls), other(changed), strict=True))


def _interrupted(update: Callable[..., None], at: int) -> Callable[..., None]:
    def until(average: Average, module: Bridge, step: int) -> None:
        if step == at:
            raise KeyboardInterrupt
        update(average, module, step)

    return until


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pdfgc.bridge.LOGGED", 10)
    whole = fitted(tmp_path / "whole", 20)
    with monkeypatch.context() as patch:
        patch.setattr(Average, "update", _interrupted(Average.update, 14))
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path / "half", 20)
    again = fitted(tmp_path / "half", 20, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_latents_are_those_that_the_motion_encoder_sees(tmp_path: Path) -> None:
    seed_all(0)
    networks = Networks(TINY).eval()
    bundle.save(tmp_path / "pdfgc.safetensors", TINY, networks.state_dict())
    controls, latents = seen(encoder_of(tmp_path / "pdfgc.safetensors"), stills(), "train", 10, "cpu")
    assert controls.shape == (10, len(CHANNELS))
    assert latents.shape == (10, 542)
    assert latents.std(0).max() > 0
    with pytest.raises(ModelError, match="cannot be read"):
        encoder_of(tmp_path / "none.safetensors")
    bundle.save(tmp_path / "other.safetensors", TINY, networks.generator.state_dict())
    with pytest.raises(ModelError, match="no motion encoder"):
        encoder_of(tmp_path / "other.safetensors")


def test_a_loss_that_is_no_number_is_refused(tmp_path: Path) -> None:
    train = pairs(50, 0)
    train[1][0, 0] = torch.nan
    with pytest.raises(ModelError, match="loss of step 0 is nan"):
        fit(train, pairs(20, 1), Run(tmp_path, {}), seed_all(0), 5, 50, 1e-3)


def test_the_agreement_as_a_file_is_the_agreement(tmp_path: Path) -> None:
    path = tmp_path / "pdfgc_bridge.onnx"
    assert export(bridge_network(Agreed(code_matrix())), tmp_path) == [path]  # proved equal, or refused
    controls = np.random.default_rng(0).uniform(0, 1, (1, len(CHANNELS))).astype(np.float32)
    said = OrtGraph.load(path).run({"controls": controls})
    assert np.concatenate([said[name] for name in PARTS], axis=1) == pytest.approx(controls @ code_matrix().T, abs=1e-3)


def test_a_trained_bridge_as_a_file_is_the_bridge(tmp_path: Path) -> None:
    export(bridge_network(fitted(tmp_path / "run", 5)), tmp_path)
