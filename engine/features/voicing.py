"""Is the voice on, and how high is it?"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
WINDOW: Final = 512  # 32 ms: two periods of a 65 Hz voice
LOWEST_HZ, HIGHEST_HZ = 70.0, 420.0

_SHORTEST: Final = int(RATE_HZ / HIGHEST_HZ)
_LONGEST: Final = int(RATE_HZ / LOWEST_HZ)
_FLANK: Final = 12  # a peak's width in lags
_HANN: Final[NDArray[np.float32]] = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
_FALL: Final[NDArray[np.float32]] = np.fft.irfft(np.abs(np.fft.rfft(_HANN, 2 * WINDOW)) ** 2)[: WINDOW // 2].astype(np.float32)
_UNBIAS: Final[NDArray[np.float32]] = (_FALL[0] / _FALL)[_SHORTEST : _LONGEST + 1]


def voicing(sound: NDArray[np.float32]) -> tuple[float, float]:
    """Periodicity 0..1 and pitch in Hz of the last 32 ms, float32[512] at 16 kHz.

    The peak of the autocorrelation of the windowed sound, divided by the
    window's own (Boersma 1993). The pitch means nothing where the periodicity
    is low.
    """
    spectrum = np.fft.rfft(sound * _HANN, 2 * WINDOW)
    power = spectrum.real**2 + spectrum.imag**2
    power[:5] = 0  # below 60 Hz is hum and handling
    correlation = np.fft.irfft(power)[: _LONGEST + 1]
    if correlation[0] <= 1e-9:
        return 0.0, 0.0
    ratio = correlation[_SHORTEST:] / correlation[0] * _UNBIAS
    highest = float(ratio.max())
    first = int(np.argmax(ratio > 0.9 * highest))  # multiples of the period peak as high: take the first peak
    period = first + int(np.argmax(ratio[first : first + _FLANK])) + _SHORTEST
    return min(max(highest, 0.0), 1.0), RATE_HZ / period
