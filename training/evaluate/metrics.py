"""What a driven mouth is judged by. All signals are at 50 Hz; lengths are shares of the outer-eye distance (u)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.timeline import MOTION_RATE_HZ

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

CLOSED: Final = 0.02
"""Gap in u below which lips count as met."""
NEAR_S: Final = 0.04
"""How far from its phone a closure may be."""
LAG_LIMIT_MS: Final = 300.0
PAUSE_S: Final = 0.5
AFTER_S, BEFORE_S = 0.15, 0.10
"""Parts of a pause that belong to the speech around it: lips come to rest after it and part ahead of it."""
STILL: Final = 0.003
"""Change of the gap in u per step of 20 ms below which a mouth counts as still."""
REAL_STILL: Final = 0.015
"""Range of the real gap over 0.2 s below which the real mouth counts as still: the tracker's own noise stays below it."""

_FINE_S: Final = 0.005


def correlation(driven: Floats, real: Floats) -> float:
    """Pearson's correlation; 0 for a driver that does not move, NaN for a real mouth that does not."""
    a, b = driven - driven.mean(), real - real.mean()
    if float(b.std()) < 1e-6:
        return float("nan")
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)) if float(a.std()) > 1e-6 else 0.0


def correlation_by_lag(driven: Floats, real: Floats) -> NDArray[np.float64]:
    """float64[31]: correlation of `driven[t + lag]` with `real[t]`, lags -300 to 300 ms in steps of 20 ms."""
    most = round(LAG_LIMIT_MS * MOTION_RATE_HZ / 1000)
    n = len(real)
    values = [
        correlation(driven[max(k, 0) : n + min(k, 0)], real[max(-k, 0) : n - max(k, 0)]) if n > abs(k) + 2 else float("nan")
        for k in range(-most, most + 1)
    ]
    return np.array(values)


def best_lag_ms(by_lag: NDArray[np.float64]) -> float:
    """Lag of the highest correlation, refined by a parabola; > 0: the driven lips are late. NaN without any correlation."""
    if not np.isfinite(by_lag).all() or by_lag.max() < 0.05:
        return float("nan")
    k = int(np.argmax(by_lag))
    step_ms, middle = 1000 / MOTION_RATE_HZ, len(by_lag) // 2
    if k in (0, len(by_lag) - 1):
        return (k - middle) * step_ms
    before, at, after = by_lag[k - 1 : k + 2]
    bend = before - 2 * at + after
    return float((k - middle + (0.5 * (before - after) / bend if bend < 0 else 0.0)) * step_ms)


def mouth_distance(driven: Floats, real: Floats) -> float:
    """LMD_m: mean distance of mouth landmarks float[T, P, 2] in u, each instant's centroid removed (Chen et al. 2018)."""
    away = (driven - driven.mean(1, keepdims=True)) - (real - real.mean(1, keepdims=True))
    return float(np.linalg.norm(away, axis=-1).mean())


def gap_within(gap: Floats, begin_s: float, end_s: float) -> NDArray[np.float64]:
    """The gap every 5 ms of a span, between steps linearly; the sound's first and last step outside of it."""
    times = np.arange(begin_s, max(end_s, begin_s) + _FINE_S / 2, _FINE_S)
    return np.interp(times * MOTION_RATE_HZ, np.arange(len(gap)), gap)


def closures(gap: Floats, spans: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """Of spans that must close (m, b, p; seconds), how many have met lips within 40 ms, and how many there are."""
    hits = sum(gap_within(gap, begin - NEAR_S, end + NEAR_S).min() < CLOSED for begin, end in spans)
    return int(hits), len(spans)


def false_closures(gap: Floats, spans: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """Of open vowels (seconds), how many have met lips anywhere in their middle half, and how many there are."""
    hits = sum(gap_within(gap, begin + 0.25 * (end - begin), end - 0.25 * (end - begin)).min() < CLOSED for begin, end in spans)
    return int(hits), len(spans)


def stillness(gap: Floats, pauses: Sequence[tuple[float, float]]) -> tuple[int, int, int]:
    """Of the steps within pauses (seconds) of 0.5 s or more: those closed and still, those closed, and all of them."""
    speed = np.abs(np.diff(gap, prepend=gap[:1]))
    good = shut = count = 0
    for begin, end in pauses:
        if end - begin < PAUSE_S - 1e-6:
            continue
        first, last = int(np.ceil((begin + AFTER_S) * MOTION_RATE_HZ)), int((end - BEFORE_S) * MOTION_RATE_HZ)
        closed, still = gap[first : last + 1] < CLOSED, speed[first : last + 1] < STILL
        good, shut, count = good + int((closed & still).sum()), shut + int(closed.sum()), count + len(closed)
    return good, shut, count


def still_steps(real: Floats) -> Mask:
    """bool[M]: where the real mouth stands still for 0.2 s around."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    width = round(0.2 * MOTION_RATE_HZ) + 1
    return maximum_filter1d(real, width) - minimum_filter1d(real, width) < REAL_STILL


def jitter(gap: Floats, where: Mask) -> tuple[float, int]:
    """Sum of squared second differences of the gap (u per step squared) at steps of `where`, and their number."""
    bend = np.diff(gap, 2)
    inside = where[1:-1][: len(bend)]
    return float((bend[inside] ** 2).sum()), int(inside.sum())
