"""Sound of any rate to 16 kHz as the live path would have it."""

from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from engine.features.decimate import BLOCK, FACTOR, Decimator
from engine.timeline import SAMPLE_RATE_HZ
from training.data.media import Unusable, sound_of
from training.speech.errors import SpeechError


def to_16k(sound: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """float32[M] at 16 kHz of float32[N]: brought to 48 kHz, then through the decimator that serving uses."""
    if rate_hz != SAMPLE_RATE_HZ:
        common = gcd(rate_hz, SAMPLE_RATE_HZ)
        sound = resample_poly(sound, SAMPLE_RATE_HZ // common, rate_hz // common).astype(np.float32)
    length = len(sound) // FACTOR
    padded = np.pad(sound, (0, -len(sound) % BLOCK))
    decimator = Decimator()
    pieces = [decimator.process(block) for block in padded.reshape(-1, BLOCK)]
    return np.concatenate(pieces)[:length] if pieces else np.zeros(0, np.float32)


def to_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """int16[N] of float32[N] in -1..1; what is beyond is clipped."""
    return np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)


def read(path: Path) -> NDArray[np.float32]:
    """float32[N] at 16 kHz of any sound or video file, mono.

    Raises:
        SpeechError: if the file holds no sound that can be used.
    """
    try:
        return to_16k(sound_of(path), SAMPLE_RATE_HZ)
    except Unusable as error:
        raise SpeechError(f"{path.name}: {error}") from error
