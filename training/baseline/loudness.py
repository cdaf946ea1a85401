"""Controls that any driver must beat: a jaw that follows the loudness, and one that never moves."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel
from engine.features.mel import RATE_HZ
from engine.timeline import MOTION_RATE_HZ

_STEP: Final = RATE_HZ // MOTION_RATE_HZ
_RANGE_DB: Final = (-30.0, 0.0)
"""Level, relative to the sound's loud parts, between which the jaw goes from shut to fully open speech."""
_JAW: Final = 0.35


def loudness_controls(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[M, 58] at 50 Hz of float32[N] at 16 kHz: jawOpen by the level in 60 ms around each instant.

    The level is taken relative to the 95th percentile of the whole sound: a
    thing that no live driver could know.
    """
    steps = len(sound) // _STEP
    padded = np.pad(sound.astype(np.float64) ** 2, (3 * _STEP // 2, 3 * _STEP // 2))
    energy = np.concatenate(([0.0], np.cumsum(padded)))
    begin = np.arange(steps) * _STEP
    level = 10 * np.log10((energy[begin + 3 * _STEP] - energy[begin]) / (3 * _STEP) + 1e-9)
    level -= np.percentile(level, 95)
    controls = np.zeros((steps, len(CHANNELS)), np.float32)
    controls[:, Channel["jawOpen"]] = _JAW * np.clip((level - _RANGE_DB[0]) / (_RANGE_DB[1] - _RANGE_DB[0]), 0, 1)
    return controls


def shut_controls(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[M, 58] of zeros."""
    return np.zeros((len(sound) // _STEP, len(CHANNELS)), np.float32)
