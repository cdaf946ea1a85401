"""Noises that a driver must bear: white, babble and a room, at a given ratio."""

import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import RATE_HZ
from training.evaluate.judge import Noise
from training.speech.sound import read

SNR_DB: Final = 10.0
VOICES: Final = 6
"""People who talk at once in babble."""
_LOUD: Final = 95


def mixed(sound: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float = SNR_DB) -> NDArray[np.float32]:
    """The sum of two float32[N], the noise at `snr_db` below the sound's power where it speaks; within full scale."""
    step = RATE_HZ // 50
    power = (sound[: len(sound) // step * step].reshape(-1, step).astype(np.float64) ** 2).mean(1)
    spoken = power[power > np.percentile(power, _LOUD) * 1e-3].mean() if len(power) else 0.0
    gain = np.sqrt(spoken / max(float((noise.astype(np.float64) ** 2).mean()), 1e-12) * 10 ** (-snr_db / 10))
    out = sound + noise * np.float32(gain)
    return (out / max(1.0, float(np.abs(out).max()))).astype(np.float32)


def noises(folder: Path, voices: list[NDArray[np.float32]]) -> dict[str, Noise]:
    """The kinds that can be had: white always, babble of `voices` (float32[N] at 16 kHz), rooms of `folder`'s recordings."""
    made: dict[str, Noise] = {"white": lambda sound, name: mixed(sound, _rng(name).standard_normal(len(sound), np.float32))}
    if len(voices) >= VOICES:
        made["babble"] = lambda sound, name: mixed(sound, _babble(voices, len(sound), _rng(name)))
    rooms = [read(path) for path in sorted(folder.glob("noise*")) if path.is_file()]
    if rooms:
        made["room"] = lambda sound, name: mixed(sound, _piece(rooms, len(sound), _rng(name)))
    return made


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _piece(sounds: list[NDArray[np.float32]], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A piece of one of the sounds, begun anywhere and repeated as far as needed."""
    sound = sounds[int(rng.integers(len(sounds)))]
    begin = int(rng.integers(len(sound)))
    return np.resize(np.roll(sound, -begin), length)


def _babble(voices: list[NDArray[np.float32]], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    chosen = rng.choice(len(voices), VOICES, replace=False)
    pieces = [_piece([voices[int(i)]], length, rng) for i in chosen]
    return np.sum([piece / max(float(np.sqrt((piece**2).mean())), 1e-6) for piece in pieces], axis=0).astype(np.float32)
