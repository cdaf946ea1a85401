import pytest

from streaming.rtc.bitrate import SINK, BitrateControl, LineReport
from streaming.rtc.encoder import BITRATE_FLOOR_BPS, VOICE_BPS

CEILING = 2_500_000
QUEUED_S = 0.2


def test_an_estimate_without_congestion_says_nothing_about_the_line():
    control = BitrateControl(CEILING)
    assert control.update(LineReport(200_000, 1_500_000, 0.05), 0.0) == CEILING


def test_nor_does_one_above_what_is_sent():
    assert BitrateControl(CEILING).update(LineReport(200_000, 150_000, 0.0, QUEUED_S), 0.0) == CEILING


def test_a_complaint_lowers_the_bitrate_below_the_estimate():
    control = BitrateControl(CEILING)
    assert control.update(LineReport(1_500_000, 2_000_000, 0.0, QUEUED_S), 0.0) == 1_350_000 - VOICE_BPS
    control.update(LineReport(900_000, 1_300_000, 0.0, QUEUED_S), 1.0)
    assert control.target_bps == 810_000 - VOICE_BPS


def test_it_does_not_fall_below_the_floor():
    control = BitrateControl(CEILING)
    for second, sent_bps in enumerate((2_000_000, 900_000, 400_000, 200_000)):
        control.update(LineReport(100_000, sent_bps, 0.0, QUEUED_S), float(second))
    assert control.target_bps == BITRATE_FLOOR_BPS


def test_one_report_is_not_believed_whatever_it_says():
    control = BitrateControl(CEILING)
    for at in (0.0, 0.1, 0.2):
        assert control.update(LineReport(80_000, 2_000_000, 0.0, QUEUED_S), at) == SINK * CEILING
    assert BitrateControl(CEILING).update(LineReport(80_000, 0.0, 0.9, QUEUED_S), 0.0) == CEILING


def test_heavy_loss_is_a_complaint():
    control = BitrateControl(CEILING)
    assert control.update(LineReport(None, 2_000_000, 0.2), 0.0) == 1_800_000
    assert BitrateControl(CEILING).update(LineReport(None, 2_000_000, 0.05), 0.0) == CEILING


def test_without_complaint_it_recovers_in_seconds_however_often_it_is_asked():
    for interval in (0.1, 1.0):
        control = BitrateControl(CEILING)
        control.update(LineReport(500_000, 2_000_000, 0.0, QUEUED_S), 0.0)
        at = 0.0
        while control.target_bps < CEILING:
            at += interval
            control.update(LineReport(800_000, 450_000, 0.0), at)
        assert 10 < at < 35


@pytest.mark.parametrize("believed", [0.85, 0.6])
def test_a_cap_of_300_kbps_is_kept_and_used(believed: float):
    """A receiver that reports a share of what reached it while a queue of at most 0.25 s grows."""
    control, cap, queue_s, rates = BitrateControl(CEILING), 300_000, 0.0, list[float]()
    for tenth in range(600):
        sent = control.target_bps + VOICE_BPS
        queue_s = min(max(queue_s + 0.1 * (sent - cap) / cap, 0.0), 0.25)
        estimate = believed * min(sent, cap)
        control.update(LineReport(int(estimate), control.target_bps, 0.0, queue_s), tenth / 10)
        rates.append(sent)
    assert max(rates[30:]) < 1.25 * cap  # while it tries for more
    assert sum(rates[30:]) / len(rates[30:]) < cap
    assert sum(rates[30:]) / len(rates[30:]) > 0.5 * cap
