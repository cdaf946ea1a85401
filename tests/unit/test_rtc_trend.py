import random

from streaming.rtc.trend import DelayTrend


def told(delays_ms: list[float], every_s: float = 0.02) -> list[str]:
    trend, signals = DelayTrend(), list[str]()
    for i, delay_ms in enumerate(delays_ms):
        trend.add(i * every_s, 500.0 + i * every_s + delay_ms / 1000)
        signals.append(trend.signal)
    return signals


def test_delays_that_stay_are_normal_whatever_the_clocks_say():
    assert set(told([25.0] * 200)) == {"normal"}
    noise = random.Random(1)
    assert set(told([25 + 3 * noise.random() for _ in range(400)])) == {"normal"}


def test_delays_that_grow_are_too_much_and_those_that_shrink_too_little():
    grows = told([25.0] * 40 + [25.0 + 4 * i for i in range(60)])
    assert set(grows[:40]) == {"normal"}
    assert "over" in grows[40:60]
    assert "under" in told([25.0] * 40 + [400.0 - 6 * i for i in range(60)])


def test_a_burst_that_waits_for_itself_is_one_group():
    trend = DelayTrend()
    for picture in range(200):
        for packet in range(9):
            trend.add(0.04 * picture, 0.04 * picture + 0.025 + 0.004 * packet)
        assert trend.signal == "normal"
