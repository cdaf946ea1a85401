"""Log-mel of 16 kHz sound: what our own voice networks hear, in training and live."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
WINDOW: Final = 400  # samples: 25 ms
HOP: Final = 160  # samples: 10 ms
FRAMES_PER_STEP: Final = 2
"""Mel frames per motion step of 20 ms: what a network takes at once."""
BANDS: Final = 40
LOWEST_HZ, HIGHEST_HZ = 60.0, 6600.0  # the decimator's pass band ends there
FLOOR: Final = 1e-8
"""Power below which nothing is told apart: -80 dB of a full-scale white noise."""
FLOOR_VALUE: Final = -1.0
"""What silence looks like; see `log_mel`."""

_FFT: Final = 512


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)


def triangles(bins: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[B, N]: at each of `bins` float64[B], N triangles of height 1 whose feet are the neighbours of N + 2 edges."""
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    return np.maximum(np.minimum((bins[:, None] - low) / (mid - low), (high - bins[:, None]) / (high - mid)), 0)


def _filterbank() -> NDArray[np.float64]:
    """float64[257, BANDS]: triangles on the mel scale, each of area 1, so that white noise is flat."""
    first, last = _hz_to_mel(np.array([LOWEST_HZ, HIGHEST_HZ])).tolist()
    edges = first + (last - first) * np.arange(BANDS + 2) / (BANDS + 1)
    bank = triangles(_hz_to_mel(np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT), edges)
    return bank / bank.sum(axis=0)


_HANN: Final[NDArray[np.float32]] = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
_BANK: Final[NDArray[np.float32]] = (_filterbank() / np.sum(_HANN.astype(np.float64) ** 2)).astype(np.float32)


def log_mel(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[T, BANDS] of float32[N] at 16 kHz; T = (N - WINDOW) // HOP + 1, or 0.

    Frame t is that of the samples [t HOP, t HOP + WINDOW): nothing after its
    window, so a stream's frames are those of the whole. Values are decades of
    power over 4, plus 1: `FLOOR_VALUE` (-1) in silence, +1 at full scale.
    """
    if len(sound) < WINDOW:
        return np.zeros((0, BANDS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * _HANN
    spectrum = np.fft.rfft(windows, _FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ _BANK
    return (np.log10(np.maximum(power, FLOOR)) / 4 + 1).astype(np.float32)


class MelStream:
    """The frames of a stream of 16 kHz sound that came in pieces; how it was cut cannot show.

    The stream is taken to begin after `WINDOW - HOP` samples of silence, so
    that it has one frame per `HOP` samples from the first on: frame t ends
    with sample (t + 1) HOP of the stream.
    """

    def __init__(self) -> None:
        self._rest = np.zeros(WINDOW - HOP, np.float32)

    def push(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[T, BANDS], the frames that end within the next float32[N]."""
        joined = np.concatenate((self._rest, sound))
        frames = log_mel(joined)
        self._rest = joined[len(frames) * HOP :]
        return frames


def mel_of(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[N // HOP, BANDS] of a whole sound float32[N], as `MelStream` would give it."""
    return MelStream().push(sound)
