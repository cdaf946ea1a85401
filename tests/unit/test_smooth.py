"""Smoothing: a still face stays still, a moving one is not late."""

import numpy as np
import pytest

from engine.face.pose import similarity
from engine.face.smooth import GAP_S, Smoother
from engine.rig.camera import rotation
from engine.rig.topology import LID_LOWER, LID_UPPER
from tests.unit.disc_faces import template

FPS = 30.0
FACE = template() * 300 + np.array([320, 240, 0], np.float32)
U = float(np.linalg.norm(FACE[33] - FACE[263]))


def run(frames: np.ndarray, fps: float = FPS) -> np.ndarray:
    smoother = Smoother()
    return np.stack([smoother.smooth(frame, i / fps) for i, frame in enumerate(frames)])


def turned(yaw_deg: np.ndarray) -> np.ndarray:
    centre = FACE.mean(0)
    turns = np.stack([rotation(float(yaw), 0, 0) for yaw in yaw_deg])
    return np.einsum("tij,nj->tni", turns, FACE - centre) + centre


def yaw_of(frames: np.ndarray) -> np.ndarray:
    turns, _, _ = similarity(frames, frames[0])
    return np.degrees(np.arctan2(-turns[:, 2, 0], turns[:, 2, 2]))


def test_the_first_face_is_as_it_was_seen() -> None:
    assert Smoother().smooth(FACE, 3.0) == pytest.approx(FACE, abs=1e-3)


def test_noise_on_a_still_face_goes() -> None:
    noise = np.random.default_rng(0).normal(0, 0.004 * U, (150, 478, 3))
    out = run(FACE + noise)[60:]
    assert np.percentile(np.abs(out - out.mean(0))[..., :2], 95) < 0.25 * np.percentile(np.abs(noise[..., :2]), 95)


@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
def test_a_turning_head_is_not_late_by_a_frame(fps: float) -> None:
    t = np.arange(int(4 * fps)) / fps
    seen = turned(20 * np.sin(2 * np.pi * 0.7 * t))
    drawn, want = yaw_of(run(seen, fps)), yaw_of(seen)
    speed = np.gradient(want, 1 / fps)
    fast = np.abs(speed) > 20
    assert np.median((want - drawn)[fast] / speed[fast]) < 0.5 / fps


def test_a_slow_turn_is_followed_within_half_a_degree() -> None:
    seen = turned(np.linspace(0, 12, 180))  # 2 degrees a second
    assert np.abs(yaw_of(run(seen)) - yaw_of(seen))[30:].max() < 0.5


def test_a_blink_is_seen_when_it_happens() -> None:
    upper, lower = list(LID_UPPER["Right"][1:-1]), list(LID_LOWER["Right"][1:-1])
    shut = np.array([0, 0, 0, 0, 0.5, 1, 1, 0.5, 0, 0])
    seen = np.repeat(FACE[None], 10, 0)
    seen[:, upper] += shut[:, None, None] * (FACE[lower] - FACE[upper])
    gap = np.linalg.norm(run(seen)[:, 159] - seen[0, 145], axis=-1)
    assert gap.argmin() in (5, 6)
    assert gap.min() < 0.3 * gap[0]


def test_where_a_moving_face_will_be() -> None:
    smoother = Smoother()
    for i in range(20):
        smoother.smooth(FACE + np.array([6 * i, 0, 0], np.float32), i / FPS)
    expected = smoother.expected(20 / FPS)
    assert expected is not None
    assert (expected - FACE)[:, 0].mean() == pytest.approx(6 * 20, abs=3)


def test_what_was_seen_long_ago_says_nothing() -> None:
    smoother = Smoother()
    smoother.smooth(FACE, 0.0)
    assert smoother.expected(2 * GAP_S) is None
    assert smoother.smooth(FACE + 50, 2 * GAP_S) == pytest.approx(FACE + 50, abs=1e-3)


def test_reset_equals_new() -> None:
    smoother = Smoother()
    for i in range(5):
        smoother.smooth(FACE + i, i / FPS)
    smoother.reset()
    assert smoother.expected(5 / FPS) is None
    again = [smoother.smooth(FACE + i, i / FPS) for i in range(5)]
    assert np.array_equal(np.stack(again), run(np.stack([FACE + i for i in range(5)])))
