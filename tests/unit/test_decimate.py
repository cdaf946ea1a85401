import numpy as np
import pytest

from engine.features.decimate import BLOCK, DELAY, FACTOR, Decimator
from tests.unit import sounds


def tone(hz: float, blocks: int = 20) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(blocks * BLOCK) / sounds.RATE).astype(np.float32)


def decimated(sound: np.ndarray) -> np.ndarray:
    decimator = Decimator()
    return np.concatenate([decimator.process(block) for block in sound.reshape(-1, BLOCK)])


@pytest.mark.parametrize(("hz", "low_db", "high_db"), [(200, -0.1, 0.1), (4000, -0.1, 0.1), (5800, -1, 0), (8200, -90, -48)])
def test_speech_passes_and_what_would_fold_back_does_not(hz: float, low_db: float, high_db: float) -> None:
    out = decimated(tone(hz))[40:]
    gain_db = 10 * np.log10(np.mean(out**2) / 0.5)
    assert low_db <= gain_db <= high_db


def test_the_delay_is_the_declared_one() -> None:
    sound = np.zeros(3 * BLOCK, np.float32)
    where = BLOCK + 240  # of an impulse
    sound[where] = 1
    out = decimated(sound)
    centre = np.sum(np.arange(len(out)) * out) / np.sum(out)
    assert FACTOR * centre + FACTOR - 1 - DELAY == pytest.approx(where, abs=0.5)
