"""Which sample of the source is heard where in what came out: from the sound alone, without asking the engine.

Between the two lies an inlet that holds sound back, reads it up to half a
percent faster or slower, leaves out or repeats a period, and conceals gaps. So
the delay is found anew for every frame, near that of the frame before.
"""

import numpy as np
from numpy.typing import NDArray

_NEAR = 480  # samples that the delay may change from one frame to the next: 10 ms
_SURE = 0.8  # correlation below which a frame's sound does not tell
_AUDIBLE = 1e-3  # RMS below which there is nothing to compare


def source_positions(
    source: NDArray[np.float32],
    heard: NDArray[np.float32],
    samples_per_frame: int,
    most_delay: int = 24_000,
    newest: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Where in `source` each frame of `heard` begins: float64[frames], NaN where nothing tells.

    Args:
        source: float32[N], as it was pushed.
        heard: float32[frames * samples_per_frame], as it came out.
        samples_per_frame: cuts `heard` into frames.
        most_delay: the largest delay looked for, in samples.
        newest: int64[frames], how much of `source` there was when each frame came out, when the two did not begin together.
    """
    frames = len(heard) // samples_per_frame
    found = np.full(frames, np.nan)
    delay: int | None = None
    for index in range(frames):
        begin = index * samples_per_frame
        pattern = heard[begin : begin + samples_per_frame]
        if float(np.sqrt(np.mean(pattern**2))) < _AUDIBLE:
            continue
        near = None if delay is None else _best(source, pattern, begin - delay - _NEAR, begin - delay + _NEAR)
        latest = begin if newest is None else int(newest[index])
        best = near if near and near[1] > _SURE else _best(source, pattern, latest - most_delay, latest + samples_per_frame)
        if best and best[1] > _SURE:
            delay = begin - best[0]
            found[index] = best[0]
    return _bridged(found, samples_per_frame)


def _best(source: NDArray[np.float32], pattern: NDArray[np.float32], low: int, high: int) -> tuple[int, float] | None:
    """The position in [low, high] at which `source` resembles `pattern` most, and how much (-1..1)."""
    low, high = max(low, 0), min(high, len(source) - len(pattern))
    if high < low:
        return None
    region = source[low : high + len(pattern)].astype(np.float64)
    size = 1 << int(np.ceil(np.log2(len(region) + len(pattern))))
    product = np.fft.irfft(np.fft.rfft(region, size) * np.conj(np.fft.rfft(pattern, size)), size)[: high - low + 1]
    energy = np.concatenate([[0.0], np.cumsum(region**2)])
    power = energy[len(pattern) :] - energy[: -len(pattern)]
    score = product / np.sqrt(np.maximum(power[: len(product)], 1e-9) * float(pattern @ pattern))
    at = int(score.argmax())
    return low + at, float(score[at])


def _bridged(found: NDArray[np.float64], samples_per_frame: int) -> NDArray[np.float64]:
    """Gaps (silences) filled with the delay between their ends, if it is nearly the same at both."""
    begin = np.arange(len(found)) * float(samples_per_frame)
    delay = begin - found
    known = np.flatnonzero(np.isfinite(delay))
    for before, after in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
        if after - before > 1 and abs(delay[after] - delay[before]) < _NEAR:
            delay[before:after] = np.linspace(delay[before], delay[after], after - before, endpoint=False)
    return begin - delay
