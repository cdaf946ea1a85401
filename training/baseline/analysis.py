"""Sound in, one description of it every 10 ms out."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.decimate import BLOCK, DELAY, FACTOR, Decimator
from engine.features.voicing import RATE_HZ, WINDOW, voicing
from training.baseline.level import FLOOR_DB, NoiseFloor, SpeakerLevel

HOP: Final = BLOCK  # samples at 48 kHz: 10 ms
FRAME: Final = 320  # samples at 16 kHz: 20 ms
CENTRE: Final = FRAME * FACTOR // 2 + DELAY
"""A frame's centre lies this many samples at 48 kHz (10.65 ms) before its end."""

BANDS: Final = 20
LOWEST_HZ, HIGHEST_HZ = 90.0, 6800.0
RANGE_DB: Final = (-45.0, 12.0)  # of a band, relative to the speaker's level

VOICED: Final = 0.55  # periodicity from which a frame counts as voiced

_FFT: Final = 512


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)


def _filterbank() -> NDArray[np.float32]:
    """float32[257, BANDS]: triangles on the mel scale, each of area 1 so that white noise is flat."""
    first, last = _mel(np.array([LOWEST_HZ, HIGHEST_HZ])).tolist()
    edges = first + (last - first) * np.arange(BANDS + 2) / (BANDS + 1)
    bins = _mel(np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT)[:, None]
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0)
    return (triangles / triangles.sum(axis=0)).astype(np.float32)


_HANN: Final[NDArray[np.float32]] = np.hanning(FRAME + 1)[:FRAME].astype(np.float32)
_BANK: Final[NDArray[np.float32]] = (_filterbank() / np.sum(_HANN**2)).astype(
    np.float32
)  # a full-scale white noise has 0 dB in every band
_QUIET: Final = np.float32(10 ** (FLOOR_DB / 10))


@dataclass(frozen=True, slots=True, eq=False)
class SoundFrame:
    """20 ms of sound, described relative to the speaker and the room.

    Attributes:
        bands: float32[BANDS] dB relative to the speaker's level, the room's noise taken out, within `RANGE_DB`.
        loudness_db: of the whole frame less the noise, relative to the speaker's level, not above 12.
        above_noise_db: of the whole frame over the room's noise.
        periodicity: 0..1; like the pitch, found for every second frame.
        pitch_hz: means something where the frame is voiced.
        level_db: the speaker's level in dB relative to full scale.
    """

    bands: NDArray[np.float32]
    loudness_db: float
    above_noise_db: float
    periodicity: float
    pitch_hz: float
    level_db: float


class Analyser:
    """Describes a stream of sound. Works in blocks of `HOP` samples, so how the stream was cut cannot show."""

    def __init__(self) -> None:
        self._pending = np.zeros(0, np.float32)
        self._decimator = Decimator()
        self._sound = np.zeros(WINDOW, np.float32)
        self._noise = NoiseFloor(BANDS)
        self._level = SpeakerLevel()
        self._voice = (0.0, 0.0)
        self._odd = False

    def push(self, samples: NDArray[np.float32]) -> list[SoundFrame]:
        """The frames that end within the next sound, float32[N] at 48 kHz: one per `HOP` samples."""
        sound = np.concatenate((self._pending, samples))
        whole = len(sound) // HOP * HOP
        self._pending = sound[whole:].copy()
        return [self._frame(sound[start : start + HOP]) for start in range(0, whole, HOP)]

    def _frame(self, block: NDArray[np.float32]) -> SoundFrame:
        if not abs(float(block.sum())) < 4 * HOP:  # NaN, too: what a broken device sends must not stay in the filters
            block = np.clip(np.nan_to_num(block), -1, 1)
        self._sound[: -HOP // FACTOR] = self._sound[HOP // FACTOR :]
        self._sound[-HOP // FACTOR :] = self._decimator.process(block)
        spectrum = np.fft.rfft(self._sound[-FRAME:] * _HANN, _FFT)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ _BANK + _QUIET
        noise = self._noise.update(power)
        clean = np.maximum(power - noise, 0.01 * power)
        self._odd = not self._odd
        if self._odd:
            self._voice = voicing(self._sound)
        periodicity, pitch_hz = self._voice
        total_db, noise_db = _decibels(power), _decibels(noise)
        level_db = self._level.update(total_db, noise_db, voiced=periodicity > VOICED)
        bands = 10 * np.log10(clean) - level_db
        return SoundFrame(
            bands=np.minimum(np.maximum(bands, RANGE_DB[0]), RANGE_DB[1]),
            loudness_db=min(max(_decibels(clean) - level_db, -60.0), 12.0),
            above_noise_db=total_db - noise_db,
            periodicity=periodicity,
            pitch_hz=pitch_hz,
            level_db=level_db,
        )


def _decibels(power: NDArray[np.float32]) -> float:
    return 10 * math.log10(float(power.mean()))
