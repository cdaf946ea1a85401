"""What a run found out: distributions, plain numbers, and what was not measured. Names as in the project's measuring guide."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Distribution:
    """Percentiles of n values; the mean alone is never reported."""

    p1: float
    p50: float
    p95: float
    p99: float
    max: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.floating]) -> "Distribution | None":
        """The distribution of the values that are numbers; None when there is none."""
        array = np.asarray(values, np.float64)
        array = array[np.isfinite(array)]
        if array.size == 0:
            return None
        p1, p50, p95, p99 = (float(value) for value in np.percentile(array, (1, 50, 95, 99)))
        return cls(p1, p50, p95, p99, float(array.max()), int(array.size))

    def as_json(self) -> dict[str, float | int | None]:
        """`{"p1", "p50", "p95", "p99", "max", "n"}`."""
        rounded = {name: _rounded(getattr(self, name)) for name in ("p1", "p50", "p95", "p99", "max")}
        return {**rounded, "n": self.n}


Metric: TypeAlias = Distribution | float | int | str | Sequence["Metric"] | Mapping[str, "Metric"] | None

NAMES = (
    "m2s_ms",
    "engine_residence_ms",
    "stage_audio_hold_ms",
    "stage_features_ms",
    "stage_queue_ms",
    "stage_inference_ms",
    "stage_colour_ms",
    "stage_encode_ms",
    "stage_send_ms",
    "stage_network_ms",
    "stage_jitter_buffer_ms",
    "stage_present_ms",
    "stage_picture_hold_ms",
    "render_ms",
    "deadline_miss_rate",
    "av_skew_ms",
    "av_skew_slope_ms_per_h",
    "freeze_count",
    "concealed_ratio",
    "ttff_ms",
    "display_delay_ms",
    "capacity_sessions",
    "loop_lag_ms",
    "rss_slope_mb_per_h",
)
"""Present in every suite's JSON: null where the suite does not measure it."""


def as_json(metrics: Mapping[str, Metric]) -> dict[str, object]:
    """The metrics object of the output contract: all of `NAMES`, null where not measured, and what else was found."""
    found = {name: _plain(value) for name, value in metrics.items()}
    return {**{name: found.pop(name, None) for name in NAMES}, **found}


def _plain(value: Metric) -> object:
    if isinstance(value, Distribution):
        return value.as_json()
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def slope_per_hour(seconds: NDArray[np.floating], values: NDArray[np.floating]) -> float | None:
    """Least-squares slope of values over time, per hour; None for fewer than three points or no span of time."""
    if len(seconds) < 3 or np.ptp(seconds) <= 0:
        return None
    return float(np.polyfit(seconds, values, 1)[0] * 3600)


def moved(at: NDArray[np.floating], values: NDArray[np.floating], window: float) -> float | None:
    """Median of the values in the last window of time less that of those in the first; None without any."""
    ends = _ends(at, values, window)
    return None if ends is None else float(np.median(ends[1]) - np.median(ends[0]))


def last_over_first(at: NDArray[np.floating], values: NDArray[np.floating], window: float, percentile: float) -> float | None:
    """A percentile of the values in the last window of time over that of those in the first; None without any."""
    ends = _ends(at, values, window)
    return None if ends is None else float(np.percentile(ends[1], percentile) / np.percentile(ends[0], percentile))


def _ends(
    at: NDArray[np.floating], values: NDArray[np.floating], window: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None:
    known = np.isfinite(values) & np.isfinite(at)
    at, values = at[known], values[known]
    if len(values) == 0:
        return None
    return values[at < at[0] + window], values[at > at[-1] - window]


def freezes(display_ms: NDArray[np.floating]) -> int:
    """Freezes among instants of display, by the rule of getStats: an interval >= max(3 x mean, mean + 150 ms).

    The mean is that of the last 30 intervals, as in libwebrtc.
    """
    intervals = np.diff(display_ms)
    count = 0
    for i in range(30, len(intervals)):
        mean = float(intervals[i - 30 : i].mean())
        count += bool(intervals[i] >= max(3 * mean, mean + 150))
    return count
