import asyncio
import contextlib
import time

import pytest

from streaming import watchdog
from streaming.metrics import Metrics
from streaming.watchdog import Watchdog


def value(metrics: Metrics, name: str) -> float:
    found = metrics.registry.get_sample_value(name)
    assert found is not None
    return found


async def watched(seconds: float, metrics: Metrics, *, bound_s: float, block_s: float = 0.0) -> None:
    """Watch for a while; in the middle the loop stands still for `block_s`."""
    watching = asyncio.create_task(Watchdog(metrics, beat_s=0.005, bound_s=bound_s).watch())
    await asyncio.sleep(seconds / 2)
    if block_s:
        stand_still(block_s)
    await asyncio.sleep(seconds / 2)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def stand_still(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_loop_that_turns_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    await watched(0.05, metrics, bound_s=30)
    assert value(metrics, "mien_loop_lag_seconds_count") > 0
    assert value(metrics, "mien_loop_stalls_total") == 0
    assert caplog.text == ""


async def test_one_that_stands_still_is_told_by_what_it_was_doing(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    for _ in range(10):  # one in which the machine itself stood still is told by that
        await watched(0.1, metrics, bound_s=0.1, block_s=0.4)
        if "stand_still(block_s)" in caplog.text:
            break
    assert value(metrics, "mien_loop_stalls_total") >= 1
    assert value(metrics, "mien_loop_lag_seconds_sum") > 0.1
    assert "stand_still(block_s)" in caplog.text


async def test_it_does_not_fill_the_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "QUIET_S", 3600.0)
    monkeypatch.setattr(watchdog, "now", lambda: time.monotonic() + 7200)  # a machine that has been up for a while
    metrics = Metrics()
    for _ in range(2):
        await watched(0.05, metrics, bound_s=0.02, block_s=0.2)
    watching = asyncio.create_task(Watchdog(metrics, beat_s=0.005, bound_s=0.02).watch())
    caplog.clear()
    for _ in range(3):
        await asyncio.sleep(0.02)
        stand_still(0.1)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert len(caplog.records) == 1
