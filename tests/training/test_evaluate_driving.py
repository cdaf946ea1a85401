from pathlib import Path

import numpy as np
import pytest

from engine.face.pose import frontal
from engine.rig import archive
from engine.rig.camera import rotation
from training.evaluate import likeness
from training.evaluate.driving import Row, page

PORTRAIT = Path(__file__).parents[2] / "engine/models/portraits/mei.mien"
PICTURE = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """float32[478, 3] px; z towards the camera."""
    return archive.load(PORTRAIT).landmarks.astype(np.float32)


def turned(face: np.ndarray, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    return ((face - face.mean(0)) @ rotation(yaw, pitch, roll).T + face.mean(0)).astype(np.float32)


def test_a_picture_is_like_itself_and_unlike_another() -> None:
    assert likeness.l1(PICTURE, PICTURE) == 0
    assert likeness.ssim(PICTURE, PICTURE) == pytest.approx(1)
    assert likeness.l1(PICTURE, 255 - PICTURE) > 0.3
    assert likeness.ssim(PICTURE, 255 - PICTURE) < 0


def test_ssim_of_flat_pictures_is_the_formula() -> None:
    a, b = np.full((32, 32, 3), 100, np.uint8), np.full((32, 32, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert likeness.ssim(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), abs=1e-6)


def test_a_face_that_is_moved_aside_has_no_distance_and_one_that_is_turned_has(face: np.ndarray) -> None:
    film = np.repeat(face[None], 5, 0)
    u = float(np.linalg.norm(face[33, :2] - face[263, :2]))
    assert likeness.distances(film + np.float32(7), film, u) == pytest.approx((0, 0, 0), abs=1e-4)
    lmd, lmd_m, ard = likeness.distances(np.repeat(turned(face, yaw=6)[None], 5, 0), film, u)
    assert lmd > 0.01
    assert lmd_m > 0.001
    assert 1.5 < ard < 3.0  # 6 degrees, most of them in one of three angles


def test_signals_have_the_signs_that_they_say(face: np.ndarray) -> None:
    rest = frontal(face)
    before = likeness.signals(face[None], rest)
    for name, value in (("yaw", 8.0), ("pitch", 5.0), ("roll", 4.0)):
        moved = likeness.signals(turned(face, **{name: value})[None], rest)
        assert moved[name] - before[name] == pytest.approx(value, abs=0.5)
    looking = face.copy()
    looking[468:, 0] += 3
    looking[468:, 1] -= 2
    assert likeness.signals(looking[None], rest)["gaze x"] > before["gaze x"]
    assert likeness.signals(looking[None], rest)["gaze y"] > before["gaze y"]
    assert (before["gap"] >= -0.02).all()
    assert (before["lids"] > 0.1).all()


def test_lag_and_gain_are_found() -> None:
    time = np.arange(200) / 25
    real = {name: np.sin(5 * time) + 0.5 * np.sin(9 * time + 1) for name in likeness.SIGNALS}
    late = {name: 0.7 * (np.sin(5 * (time - 0.06)) + 0.5 * np.sin(9 * (time - 0.06) + 1)) for name in likeness.SIGNALS}
    found = likeness.followed(late, real, 25.0)["yaw"]
    assert found.lag_ms == pytest.approx(60, abs=5)
    assert found.gain == pytest.approx(0.7, abs=0.06)
    assert found.jump == pytest.approx(0.7, abs=0.1)


def test_what_does_not_move_has_no_lag() -> None:
    real = {name: np.sin(np.arange(100.0)) for name in likeness.SIGNALS}
    still = {name: np.zeros(100) for name in likeness.SIGNALS}
    found = likeness.followed(still, real, 25.0)["yaw"]
    assert found.correlation == 0
    assert np.isnan(found.lag_ms)


def test_the_page_names_clips_means_and_signals() -> None:
    one = likeness.Likeness(0.02, 0.03, 1.5, 0.05, 0.8, 100, 2)
    signals = {str(name): likeness.Followed(0.9, 1.0, 5.0, 1.1) for name in likeness.SIGNALS}
    text = page([Row("a", one, one, signals), Row("b", one, one, signals)], "Judged by nobody.")
    assert "| a | 100 | 2 | 2.00 | 3.00 | 1.50 | 0.050 | 0.800 |" in text
    assert "| **mean** | 200 | 4 |" in text
    assert "| yaw | 0.90 | 1.00 | 5 | 1.1 |" in text
