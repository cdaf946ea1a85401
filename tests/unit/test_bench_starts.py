"""What is left of pages that came and went, when it is known."""

import pytest

from benchmarks.metrics import Distribution
from benchmarks.starts_suite import Found, figures, new_names


def found(per_cycle_mb: float = 0.02, of_workers_mb: float = 0.0) -> Found:
    """A hundred cycles; memory fills 5 MB within the first ten, and then grows."""
    cycles = list(range(0, 100, 4))
    memory = [100 + min(cycle, 10) / 2 + per_cycle_mb * cycle for cycle in cycles]
    before = {"tasks": 5, "threads": 9, "descriptors": 20, "rss_mb": 100.0, "workers_mb": 200.0, "names": ["a", "b"]}
    after = {"tasks": 6, "threads": 9, "descriptors": 19, "rss_mb": 107.0, "workers_mb": 201.0, "names": ["a", "a", "b"]}
    return Found([200.0] * 90 + [300.0] * 10, cycles, memory, [200 + of_workers_mb * at for at in cycles], before, after)


def test_what_fills_once_is_no_growth() -> None:
    assert figures(found())["mb_per_cycle"] == pytest.approx(0.02)
    assert figures(found(0.0))["mb_per_cycle"] == pytest.approx(0.0, abs=1e-9)
    assert figures(found())["rss_growth_mb"] == pytest.approx(8.0)


def test_what_a_worker_keeps_counts() -> None:
    metrics = figures(found(0.02, 0.3))
    assert metrics["mb_per_cycle"] == pytest.approx(0.32)
    assert metrics["workers_mb_per_cycle"] == pytest.approx(0.3)


def test_what_is_left_is_counted_and_named() -> None:
    metrics = figures(found())
    assert [metrics[f"{name}_left"] for name in ("tasks", "threads", "descriptors")] == [1, 0, -1]
    assert new_names(found()) == ["a"]


def test_the_last_starts_are_told_apart() -> None:
    metrics = figures(found())
    last, all_of_them = metrics["ttff_last_tenth_ms"], metrics["ttff_ms"]
    assert isinstance(last, Distribution)
    assert isinstance(all_of_them, Distribution)
    assert (last.p50, last.n) == (300, 10)
    assert (all_of_them.p50, all_of_them.n) == (200, 100)
