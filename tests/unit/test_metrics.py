"""The arithmetic of the benchmarks."""

import json

import numpy as np
import pytest

from benchmarks import metrics
from benchmarks.metrics import Distribution, last_over_first, moved


def test_percentiles_of_a_known_distribution() -> None:
    found = Distribution.of(np.arange(1001, dtype=np.float64))
    assert found is not None
    assert (found.p1, found.p50, found.p95, found.p99, found.max, found.n) == (10, 500, 950, 990, 1000, 1001)


def test_what_is_no_number_is_not_counted() -> None:
    found = Distribution.of([1.0, float("nan"), float("inf"), 3.0])
    assert found is not None
    assert (found.n, found.max) == (2, 3.0)
    assert Distribution.of([]) is None
    assert Distribution.of([float("nan")]) is None


def test_every_name_is_in_the_json_and_what_was_not_measured_is_null() -> None:
    found = metrics.as_json({"render_ms": Distribution.of([1.0, 2.0]), "deadline_miss_rate": 0.01, "beside": [1, None]})
    assert set(metrics.NAMES) <= set(found)
    assert found["m2s_ms"] is None
    assert found["render_ms"] == {"p1": 1.01, "p50": 1.5, "p95": 1.95, "p99": 1.99, "max": 2.0, "n": 2}
    assert found["beside"] == [1, None]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_numbers_that_json_lacks_become_null() -> None:
    assert metrics.as_json({"capacity_sessions": float("nan")})["capacity_sessions"] is None


def test_slope_is_per_hour() -> None:
    seconds = np.arange(0, 100, 0.5)
    assert metrics.slope_per_hour(seconds, 3.0 + seconds * 0.01) == pytest.approx(36.0)
    assert metrics.slope_per_hour(np.zeros(5), np.zeros(5)) is None
    assert metrics.slope_per_hour(np.zeros(2), np.zeros(2)) is None


def test_a_freeze_is_a_long_interval_after_thirty_others() -> None:
    steady = np.arange(100) * 40.0
    assert metrics.freezes(steady) == 0
    late = steady.copy()
    late[60:] += 149  # 189 ms
    assert metrics.freezes(late) == 0
    late[60:] += 2
    assert metrics.freezes(late) == 1
    assert metrics.freezes(np.array([])) == 0


def test_the_last_window_is_held_against_the_first() -> None:
    at = np.arange(0.0, 600.0)
    values = np.where(at < 300, 100.0, 103.0) + np.where(at % 10 == 0, 20.0, 0.0)
    assert moved(at, values, 60) == pytest.approx(3.0)
    assert last_over_first(at, values, 60, 99) == pytest.approx(123 / 120)
    assert moved(at, np.full(600, np.nan), 60) is None
    assert last_over_first(np.zeros(0), np.zeros(0), 60, 99) is None
