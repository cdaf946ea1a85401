"""Cutting, repeating and continuing a voice where nobody hears it: at whole periods of its pitch."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FADE: Final = 240
"""Samples of a cross-fade: 5 ms at 48 kHz."""
SHORTEST: Final = 120
"""The shortest period looked for: 2.5 ms, 400 Hz."""
LONGEST: Final = 720
"""The longest: 15 ms, 67 Hz."""
FADED: Final = 2880
"""Samples after which a concealed gap has faded to silence: 60 ms."""

_RAMP: Final[NDArray[np.float32]] = ((np.arange(FADE) + 0.5) / FADE).astype(np.float32)


def cross_fade(old: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float32]:
    """`new` (float32[N]), faded in over its first `FADE` samples from `old` (at least as many, or all it has)."""
    n = min(FADE, len(old), len(new))
    mixed = new.copy()
    mixed[:n] = old[:n] + (new[:n] - old[:n]) * _RAMP[:n]
    return mixed


def fade_in(new: NDArray[np.float32]) -> NDArray[np.float32]:
    """`new` risen from silence over `FADE` samples."""
    return cross_fade(np.zeros(FADE, np.float32), new)


def alike(pattern: NDArray[np.float32], region: NDArray[np.float32]) -> int:
    """The offset in `region` (float32[M]) at which `pattern` (float32[N], N <= M) fits best, by normalised correlation."""
    score = np.correlate(region, pattern, "valid")
    energy = np.concatenate(([0.0], np.cumsum(np.square(region, dtype=np.float64))))
    power = energy[len(pattern) :] - energy[: -len(pattern)]
    return int(np.argmax(score / np.sqrt(power + 1e-6)))


class Continuation:
    """What a voice would have gone on to say: its last period again and again, fading to silence over `FADED` samples."""

    def __init__(self, past: NDArray[np.float32]) -> None:
        """From the last sound heard, float32[N] with N >= LONGEST + FADE."""
        pattern = past[-FADE:]
        region = past[-(LONGEST + FADE) : -SHORTEST]
        period = LONGEST - alike(pattern, region)
        self._period = past[-period:].copy()
        self._gap = float(past[-1] - past[-period - 1]) if len(past) > period else 0.0
        self._given = 0

    @property
    def silent(self) -> bool:
        """Whether it has faded out."""
        return self._given >= FADED

    def next(self, count: int) -> NDArray[np.float32]:
        """float32[count]: the sound that follows."""
        t = self._given + np.arange(count)
        self._given += count
        gain = np.clip(1 - t / FADED, 0, 1)
        seam = self._gap * np.exp(-t / 24)  # the step at the seam decays in half a millisecond instead of clicking
        return ((self._period[t % len(self._period)] + seam) * gain).astype(np.float32)
