import pytest

from streaming.rtc.estimator import BACKOFF, LEAST_BPS, PROBE_PACKETS, PROBES_S, LineEstimator, SentPacket

MOST_BPS = 2_700_000.0


def sent(estimator: LineEstimator, count: int, at: float, every_s: float, size: int = 1200) -> list[SentPacket]:
    return [estimator.send(i, size, at + i * every_s) for i in range(count)]


def fallen() -> LineEstimator:
    """One that knows since the instant 1 that 10 packets took 0.32 s to arrive: 300 kb/s."""
    estimator = LineEstimator(MOST_BPS)
    packets = sent(estimator, 10, 0.6, 0.001)
    drain_s = estimator.hear([(packet, 10.6 + 0.032 * i) for i, packet in enumerate(packets)], 1.0)
    assert estimator.estimate_bps == pytest.approx(BACKOFF * 300_000, rel=0.05)
    assert 0 < drain_s <= 0.3
    return estimator


def test_a_line_that_fell_gives_as_much_as_arrives():
    fallen()


def test_one_picture_that_waits_for_itself_is_no_congestion():
    estimator = LineEstimator(MOST_BPS)
    packets = sent(estimator, 20, 0.0, 0.0)
    assert estimator.hear([(packet, 10 + 0.004 * i) for i, packet in enumerate(packets)], 0.2) == 0.0
    assert estimator.estimate_bps == MOST_BPS


def test_heavy_loss_is_too_much_with_or_without_a_queue():
    estimator = LineEstimator(MOST_BPS)
    for second in range(2):
        packets = sent(estimator, 100, second, 0.01)
        estimator.hear([(p, None if i % 3 == 0 else 10 + p.sent) for i, p in enumerate(packets)], second + 1.05)
    assert LEAST_BPS < estimator.estimate_bps < 800_000


def test_a_probe_that_arrives_as_it_was_sent_raises_the_estimate_at_once():
    estimator = fallen()
    before = estimator.estimate_bps
    assert estimator.probe(1.0 + PROBES_S[0] / 2) is None
    at = 1.1 + PROBES_S[0]
    bps = estimator.probe(at)
    assert bps == pytest.approx(2 * before)
    assert estimator.probe(at) is None
    every_s = 8 * 1200 / (2 * before)
    probes = [estimator.send(100 + i, 1200, at + i * every_s, probe=True) for i in range(PROBE_PACKETS)]
    estimator.hear([(packet, packet.sent + 10) for packet in probes], at + 0.3)
    assert estimator.estimate_bps == pytest.approx(2 * before, rel=0.05)


def test_a_probe_that_arrives_at_the_rate_of_the_line_changes_nothing():
    estimator = fallen()
    at, before = 1.1 + PROBES_S[0], estimator.estimate_bps
    assert estimator.probe(at)
    probes = [estimator.send(100 + i, 1200, at + 0.018 * i, probe=True) for i in range(PROBE_PACKETS)]
    estimator.hear([(packet, at + 10 + 0.032 * i) for i, packet in enumerate(probes)], at + 0.3)
    assert before <= estimator.estimate_bps < 300_000
    assert estimator.probe(at + PROBES_S[0]) is None  # the pause has doubled
