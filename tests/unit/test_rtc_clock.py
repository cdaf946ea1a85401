import pytest

from streaming.rtc.clock import MediaClock, Pace, ntp


def seconds(stamp: int) -> float:
    return stamp / 2**32 - 2_208_988_800


def test_ntp_counts_from_1900():
    assert ntp(0.5) == (2_208_988_800 << 32) + (1 << 31)


def test_the_clock_is_fixed_once_and_runs_with_the_media():
    clock = MediaClock()
    assert clock.ntp(0.0) is None
    clock.anchor(2.0, 1000.0)
    clock.anchor(3.0, 1234.0)
    stamp = clock.ntp(5.0)
    assert stamp is not None
    assert seconds(stamp) == pytest.approx(1003.0, abs=1e-6)


def test_packets_are_spread_over_their_emission():
    pace = Pace()
    pace.begin(10.0, 500.0)
    assert pace.due(10.0) == pytest.approx(500.0)
    assert pace.due(10.02) == pytest.approx(500.02)


def test_a_late_emission_is_not_delayed_further():
    pace = Pace()
    pace.begin(10.0, 500.0)
    pace.begin(10.04, 500.055)
    assert pace.due(10.06) == pytest.approx(500.06, abs=2 * Pace.LEAK_S)


def test_the_pace_follows_a_clock_that_falls_behind():
    pace = Pace()
    for index in range(2000):
        pace.begin(index * 0.04, 500 + index * 0.0401)
    assert pace.due(1999 * 0.04) == pytest.approx(500 + 1999 * 0.0401, abs=0.001)
