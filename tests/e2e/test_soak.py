"""The long mode, `./mien test --long`: nothing grows and nothing drifts in twenty minutes, though two clocks differ."""

import pytest

from tests.e2e.test_bench import measured

MINUTES = 20
PPM = 200.0
APART_MS = PPM * MINUTES * 60 / 1000
"""What the clocks come apart by."""
SIZE = 256
"""px, the smallest: on a busy machine larger pictures become smaller ones, whose renderers take 28 MB of a worker, once."""
SOAK = ("--suite", "soak", "--seconds", str(MINUTES * 60), "--inject-ppm", str(PPM), "--size", str(SIZE))

pytestmark = [pytest.mark.long, pytest.mark.slow]


def test_two_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    status, metrics, printed = measured(capsys, *SOAK, "--sessions", "2")
    assert status == 0, printed
    assert abs(metrics["sender_skew_drift_ms"]) < APART_MS / 10
    assert abs(metrics["held_drift_ms"]) < APART_MS / 4
    assert_flat(metrics)


@pytest.mark.browser
def test_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("playwright", reason="playwright is not installed: ./mien test installs it")
    status, metrics, printed = measured(capsys, *SOAK, "--browser")
    assert status == 0, printed
    assert abs(metrics["av_skew_drift_ms"]) < APART_MS / 10
    assert abs(metrics["m2s_drift_ms"]) < APART_MS / 4
    assert_flat(metrics)


def assert_flat(metrics: dict[str, float]) -> None:
    """Memory after the first minute within 5 MB; no thread, no descriptor more."""
    assert metrics["rss_growth_mb"] < 5
    assert metrics["thread_growth"] <= 0
    assert metrics["descriptor_growth"] <= 0
