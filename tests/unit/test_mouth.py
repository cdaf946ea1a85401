"""The mouth is read from pixels, and its lag behind the sound found to a few milliseconds."""

import numpy as np
import pytest

from benchmarks import mouth
from benchmarks.mouth import Window

RATE = 48_000


def drawn(openings: np.ndarray, seed: int = 0) -> np.ndarray:
    """uint8[N, 60, 80]: skin and lips about a dark ellipse as high as the mouth is open, that moves a little; noisy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :80]
    pictures = []
    for index, opening in enumerate(openings):
        dx, dy = 2 * np.sin(index / 20), 2 * np.cos(index / 31)
        distance = ((x - 40 - dx) / 25) ** 2 + ((y - 30 - dy) / (2 + 16 * opening)) ** 2
        picture = np.where(distance < 1, 45.0, 150.0) - 25 * ((distance >= 1) & (distance < 1.5))
        pictures.append(np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8))
    return np.array(pictures)


def test_a_wider_mouth_reads_wider() -> None:
    wanted = np.linspace(0, 1, 20)
    assert (np.diff(mouth.opening(drawn(wanted))) > 0).all()


@pytest.mark.parametrize("lag_ms", [-80, 0, 60, 120])
def test_the_lag_behind_the_sound_is_found(lag_ms: int) -> None:
    rng = np.random.default_rng(3)
    t = np.arange(12 * RATE) / RATE
    pace = np.cumsum(np.repeat(rng.uniform(3, 6, 120), RATE // 10)) / RATE
    syllables = np.clip(np.sin(2 * np.pi * pace), 0, 1)
    sound = (0.2 * syllables * rng.normal(size=len(t))).astype(np.float32)
    depicted = np.arange(960, 11 * RATE, 1920) + 5 * RATE
    openings = np.interp((depicted - 5 * RATE) / RATE - lag_ms / 1000, t, syllables)
    found = mouth.lag_behind(sound, 5 * RATE, depicted, mouth.opening(drawn(openings)))
    assert found is not None
    assert found.milliseconds == pytest.approx(lag_ms, abs=12)
    assert found.correlation > 0.8


def test_a_mouth_that_ignores_the_sound_does_not_correlate() -> None:
    rng = np.random.default_rng(0)
    sound = (rng.normal(size=12 * RATE) * np.repeat(rng.uniform(0, 1, 60), RATE // 5)).astype(np.float32)
    depicted = np.arange(960, 11 * RATE, 1920)
    found = mouth.lag_behind(sound, 0, depicted, mouth.opening(drawn(rng.uniform(0, 1, len(depicted)))))
    assert found is not None
    assert found.correlation < 0.35


def test_a_still_mouth_tells_nothing() -> None:
    depicted = np.arange(960, 4 * RATE, 1920)
    assert mouth.lag_behind(np.zeros(4 * RATE, np.float32), 0, depicted, np.zeros(len(depicted))) is None


def test_the_window_spans_the_mouth_at_any_size() -> None:
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[61, :2], landmarks[291, :2] = (200, 300), (312, 300)
    landmarks[0, :2], landmarks[17, :2], landmarks[152, :2] = (256, 280), (256, 330), (256, 390)
    assert Window.around(landmarks, 512, 512) == Window(280, 360, 200, 312)
    assert Window.around(landmarks, 256, 512) == Window(140, 180, 100, 156)
