"""What PD-FGC's audio encoder hears: windows of 80 mel bands by 20 frames of 10 ms, one per picture at 25 fps.

Facts of the public code, in 16 kHz samples: a mel frame m is that of the
samples [160 m - 1120, 160 m + 160); picture f hears the frames 4 (f - 2) to
4 (f - 2) + 19, so its window is centred on sample 640 f - 240 and ends with
`LOOK_AHEAD` samples beyond the picture's middle, 640 f + 320. The whole signal
is brought to one level first. A live voice has no whole: there the level is
that of the speech so far (`Level`), and everything else is the same.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import RATE_HZ, triangles

WINDOW: Final = 1280  # samples: 80 ms
HOP: Final = 160  # samples: 10 ms
BEFORE: Final = WINDOW - HOP
"""Samples of silence that any sound is taken to follow."""
BANDS: Final = 80
LOWEST_HZ, HIGHEST_HZ = 125.0, 7600.0

FRAMES: Final = 20
"""Mel frames that one picture hears."""
PER_PICTURE: Final = 4
"""Mel frames from one picture to the next: 25 fps."""
FIRST_PICTURE: Final = 2
"""Pictures before this one have no window, nor have the last two."""
LOOK_AHEAD: Final = HOP * (FRAMES - PER_PICTURE * FIRST_PICTURE) - HOP * PER_PICTURE // 2
"""Samples of sound after the middle of a picture that its window reaches: 1600, 100 ms."""

TARGET_RMS: Final = 0.1
QUIETEST_RMS: Final = 1e-4
"""Sound is not amplified any further than this would need."""

_FLOOR: Final = 1e-5  # magnitude
_REFERENCE_DB, _RANGE_DB = 20.0, 100.0
_SINE: Final[NDArray[np.float64]] = 0.5 * np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)


def _slaney_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: 3 mel per 200 Hz up to 1 kHz, then 27 per factor of 6.4."""
    above = 15.0 + 27.0 * np.log(np.maximum(hz, 1e3) / 1e3) / np.log(6.4)
    return np.where(hz < 1e3, hz * 3 / 200, above)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15.0, mel * 200 / 3, 1e3 * 6.4 ** ((mel - 15.0) / 27.0))


def _filterbank() -> NDArray[np.float64]:
    """float64[641, BANDS]: triangles in Hz, their feet evenly spaced on Slaney's scale, each of area 1 Hz."""
    first, last = _slaney_mel(np.array([LOWEST_HZ, HIGHEST_HZ])).tolist()
    edges = _slaney_hz(first + (last - first) * np.arange(BANDS + 2) / (BANDS + 1))
    return triangles(np.arange(WINDOW // 2 + 1) * RATE_HZ / WINDOW, edges) * 2 / (edges[2:] - edges[:-2])


_BANK: Final = _filterbank()


def log_mel(frames: NDArray[np.floating], gain: float | NDArray[np.float64] = 1.0) -> NDArray[np.float32]:
    """float32[T, BANDS] in 0..1 of pieces of sound float[T, WINDOW]: 100 dB, 1 at a magnitude of 20 dB.

    `gain` amplifies the sound: all of it, or piece by piece as float64[T].
    """
    magnitude = np.abs(np.fft.rfft(frames.astype(np.float64) * _SINE)) @ _BANK * np.reshape(gain, (-1, 1))
    decibels = 20 * np.log10(np.maximum(magnitude, _FLOOR)) - _REFERENCE_DB
    return np.clip((decibels + _RANGE_DB) / _RANGE_DB, 0, 1).astype(np.float32)


def gain_of(sound: NDArray[np.floating]) -> float:
    """What brings a whole sound float[N] in -1..1 to `TARGET_RMS`."""
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0
    return TARGET_RMS / max(QUIETEST_RMS, rms)


def mel_of(sound: NDArray[np.floating], gain: float | None = None) -> NDArray[np.float32]:
    """float32[ceil(N / HOP) + 7, BANDS] of a whole sound float[N] in -1..1, as the public code has it.

    Silence follows until the last frame that hears anything is full. Without a `gain` it is `gain_of` the sound.
    """
    count = -(-len(sound) // HOP) + WINDOW // HOP - 1
    padded = np.zeros(BEFORE + count * HOP)
    padded[BEFORE : BEFORE + len(sound)] = sound
    return log_mel(_pieces(padded), gain_of(sound) if gain is None else gain)


def pictures_of(mel_frames: int) -> range:
    """The pictures that so many mel frames have a window for."""
    return range(FIRST_PICTURE, max(mel_frames // PER_PICTURE - 2, FIRST_PICTURE))


def windows_of(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[F, 1, BANDS, FRAMES], what the encoder hears for each of `pictures_of` a whole sound's mel float32[M, BANDS]."""
    count = len(pictures_of(len(mel)))
    if not count:
        return np.zeros((0, 1, BANDS, FRAMES), np.float32)
    views = np.lib.stride_tricks.sliding_window_view(mel, FRAMES, axis=0)[::PER_PICTURE]
    return np.ascontiguousarray(views[:count, None])


class Level:
    """How loud a voice has been so far, for sound that has no end yet.

    The mean power of the 10 ms blocks that are no pause: of all at first, of
    the last few seconds later on. A block fainter than the level by `PAUSE` is
    a pause; there the level falls, slowly, so that a lower voice is found
    again, but by no more than `FALLS`: the noise of a room stays what it is.
    """

    START_RMS: Final = 0.05
    STARTS: Final = 5
    """Blocks that the starting value counts for."""
    REMEMBERS: Final = 500
    """Blocks after which the mean forgets: 5 s."""
    PAUSE: Final = 0.03
    """-15 dB, as a share of power."""
    FADE: Final = 10 ** (-0.2 / 100)
    """Of power, per block of a pause: 2 dB a second."""
    FALLS: Final = 0.1
    """-10 dB, as a share of power."""
    LOWEST_RMS: Final = 0.005

    def __init__(self) -> None:
        self._power = self._spoken = self.START_RMS**2
        self._blocks = self.STARTS

    def gain(self, block: NDArray[np.floating]) -> float:
        """Hear the next 10 ms, float[HOP], and say what brings the voice to `TARGET_RMS`."""
        power = float(np.mean(np.square(block, dtype=np.float64)))
        if power > self.PAUSE * self._power:
            self._blocks = min(self._blocks + 1, self.REMEMBERS)
            self._spoken = self._power = max(self._power + (power - self._power) / self._blocks, self.LOWEST_RMS**2)
        else:
            self._power = max(self._power * self.FADE, self._spoken * self.FALLS, self.LOWEST_RMS**2)
        return TARGET_RMS / float(np.sqrt(self._power))


class MelStream:
    """The mel frames of 16 kHz sound that comes in pieces; how it was cut cannot show.

    Frame m is given out with sample 160 (m + 1) of the stream, which is the
    last that it hears; with a fixed `gain` the frames are those of `mel_of`.

    Args:
        gain: of all the sound; None for that of a `Level`, which hears up to the frame's end and no further.
    """

    def __init__(self, gain: float | None = None) -> None:
        self._gain = gain
        self._level = Level()
        self._rest = np.zeros(BEFORE, np.float32)

    def push(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[T, BANDS], the frames that end within the next float32[N]."""
        joined = np.concatenate((self._rest, sound))
        pieces = _pieces(joined)
        self._rest = joined[len(pieces) * HOP :]
        if self._gain is not None:
            return log_mel(pieces, self._gain)
        return log_mel(pieces, np.array([self._level.gain(piece[-HOP:]) for piece in pieces]))


def _pieces(sound: NDArray[np.floating]) -> NDArray[np.floating]:
    """float[T, WINDOW], a view: all pieces of a sound float[N] that begin at multiples of `HOP`."""
    if len(sound) < WINDOW:
        return np.zeros((0, WINDOW), sound.dtype)
    return np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
