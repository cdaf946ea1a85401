import argparse
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training import head_motion_published as published  # noqa: E402
from training.networks import head_motion_published as network  # noqa: E402


def test_it_has_the_published_number_of_weights():
    with torch.device("meta"):
        learner = network.HeadMotionLearner()
    weights = sum(p.numel() for p in learner.parameters())
    assert weights == 50_736_998
    assert learner.encoder.weights.out_features == 1542


def test_a_frame_hears_three_neighbours_on_either_side():
    sound = torch.arange(5 * 640.0)[None]
    heard = network.stacked(sound)
    assert heard.shape == (1, 5, 7, 640)
    np.testing.assert_array_equal(heard[0, 3, 3], sound[0, 3 * 640 : 4 * 640])
    np.testing.assert_array_equal(heard[0, 3, 0], sound[0, :640])
    assert not heard[0, 4, 4:].any()


class Narrow(torch.nn.Module):
    """Phi's interface over four weights."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(7, 6)

    def forward(self, reference_sound, reference_pose, sound):
        assert reference_sound.shape[1] == reference_pose.shape[1]
        return self.line(sound.pow(2).mean(3)) + 0 * reference_pose.mean()


def options(out: Path, steps: int, *, resume: bool = False, bare: bool = False) -> argparse.Namespace:
    return argparse.Namespace(
        out=out, steps=steps, minutes=1.0, batch=2, seed=0, device="cpu", resume=resume, no_adversarial=bare, tracks=out,
        width="published",
    )  # fmt: skip


def test_a_run_goes_on_and_extrapolates_what_follows(tmp_path, monkeypatch):
    from tests.training.test_head_motion import a_clip

    monkeypatch.setattr(published, "HeadMotionLearner", Narrow)
    clips = [a_clip("a"), a_clip("bb"), a_clip("ccc", split="validation")]
    assert published.train(options(tmp_path / "run", 2), clips) == 0
    assert published.train(options(tmp_path / "run", 3, resume=True), clips) == 0
    assert published.train(options(tmp_path / "bare", 1, bare=True), clips) == 0
    model = published.trained(tmp_path / "run")
    pose = model.extrapolate(np.zeros(640 * 75, np.float32), np.zeros((75, 6), np.float32), np.zeros(640 * 20, np.float32))
    assert pose.shape == (20, 6)
    assert np.isfinite(pose).all()
