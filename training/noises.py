"""Noises as log-mel hears them: files, hisses, hum, voices in the background, music."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import BANDS, FRAMES_PER_STEP, RATE_HZ
from training.augment import decibel_power
from training.corpus import pairs
from training.speech.sound import read

SECONDS: Final = 30  # of each made-up noise
BABBLES: Final = 6
MUSICS: Final = 8


class Noises:
    """Powers of noises to add to speech.

    Args:
        folder: noises and room responses (`rir*`), files that PyAV reads; None for made-up ones alone.
        voices: float32[N] at 16 kHz, what babble is made of.
        rng: decides.

    Attributes:
        rooms: float32[N] each, room responses at 16 kHz.
    """

    def __init__(self, folder: Path | None, voices: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> None:
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder else []
        rooms = [read(path) for path in files if path.name.startswith("rir")]
        self.rooms = [*(room / np.sqrt(np.sum(room**2)) for room in rooms), *(made_up_room(rng) for _ in range(24))]
        recorded = [read(path) for path in files if not path.name.startswith("rir")]
        self.names = [path.stem for path in files if not path.name.startswith("rir")]
        made = [*hisses(rng), *(babble(voices, rng) for _ in range(BABBLES)), *(music(rng) for _ in range(MUSICS))]
        self._powers = [_power(sound) for sound in [*recorded, *made]]

    def power(self, steps: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """float32[T, 2, 40] power whose mean over all time is about 1; a fifth begin or end on the way."""
        source = self._powers[int(rng.integers(len(self._powers)))]
        start = int(rng.integers(max(len(source) - steps, 0) + 1))
        power = np.resize(source[start:], (steps, FRAMES_PER_STEP, BANDS)).copy()
        if rng.random() < 0.2:
            turn = int(rng.integers(steps))
            part = slice(0, turn) if rng.random() < 0.5 else slice(turn, steps)
            power[part] *= np.float32(10 ** (-rng.uniform(1, 3)))
        return power


def _power(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled = sound * np.float32(0.1 / max(float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))), 1e-6))
    power = decibel_power(pairs(scaled))
    return power / max(float(power.mean()), 1e-9)


def made_up_room(rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[N], unit energy: a direct path, and a tail that decays by 60 dB in 0.1 to 0.6 s (Polack's model)."""
    decay_s = float(rng.uniform(0.1, 0.6))
    time_s = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    tail = rng.normal(size=len(time_s)) * 10 ** (-3 * time_s / decay_s)
    tail[: int(float(rng.uniform(0.002, 0.012)) * RATE_HZ)] = 0
    tail *= 10 ** (-float(rng.uniform(0, 12)) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return (tail / np.sqrt(np.sum(tail**2))).astype(np.float32)


def hisses(rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """White, pink, brown noise; mains hum; a fan."""
    count = SECONDS * RATE_HZ
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / RATE_HZ), 20)
    spectrum = np.fft.rfft(rng.normal(size=count))
    for slope in (0.0, 0.5, 1.0):
        yield np.fft.irfft(spectrum / frequency**slope, count).astype(np.float32)
    time_s = np.arange(count) / RATE_HZ
    for mains in (50, 60, 100, 120, 50, 60):
        partials = [k for k in range(1, 16) if rng.random() < 0.6] or [1]
        hum = sum(
            np.sin(2 * np.pi * mains * k * time_s + float(rng.uniform(0, 6))) / k ** float(rng.uniform(0.3, 1.5))
            for k in partials
        )
        yield (hum + 10 ** float(rng.uniform(-3, -1)) * rng.normal(size=count)).astype(np.float32)
    fan = np.fft.irfft(spectrum / frequency**0.7, count)
    yield (fan * (1 + 0.3 * np.sin(2 * np.pi * 21 * time_s))).astype(np.float32)


def babble(voices: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> NDArray[np.float32]:
    """Four to nine people talking at once."""
    count = SECONDS * RATE_HZ
    mixed = np.zeros(count, np.float32)
    for _ in range(int(rng.integers(4, 10))):
        line = np.concatenate(
            [voices[int(i)] for i in rng.integers(len(voices), size=12)] if voices else [np.zeros(1, np.float32)]
        )
        line = np.roll(np.resize(line, count), int(rng.integers(count)))
        mixed += line / max(float(np.sqrt(np.mean(line**2))), 1e-4)
    return mixed


def music(rng: np.random.Generator) -> NDArray[np.float32]:
    """Chords of decaying partials over a beat: what plays in the background, made up from numbers."""
    count = SECONDS * RATE_HZ
    out = np.zeros(count, np.float32)
    beat = int(float(rng.uniform(0.25, 0.6)) * RATE_HZ)
    root = 55 * 2 ** float(rng.uniform(0, 2))
    for start in range(0, count, beat):
        chord = root * 2 ** (rng.choice([0, 2, 3, 4, 5, 7, 9, 10, 12, 16, 19], size=int(rng.integers(1, 5))) / 12)
        length = min(int(beat * float(rng.uniform(0.6, 3))), count - start)
        time_s = np.arange(length) / RATE_HZ
        for tone in chord:
            fade = np.exp(-time_s * float(rng.uniform(1, 7)))
            for partial in range(1, int(rng.integers(3, 9))):
                if tone * partial < RATE_HZ / 2:
                    out[start : start + length] += (np.sin(2 * np.pi * tone * partial * time_s) * fade / partial**1.3).astype(
                        np.float32
                    )
        if rng.random() < 0.7:
            hit = min(int(0.12 * RATE_HZ), count - start)
            drum = rng.normal(size=hit) * np.exp(-np.arange(hit) / (0.02 * RATE_HZ))
            out[start : start + hit] += (float(rng.uniform(0.3, 1.5)) * drum).astype(np.float32)
    return out
