from streaming.rtc.bitrate import BitrateControl, LineReport
from streaming.rtc.encoder import BITRATE_FLOOR_BPS

CEILING = 2_500_000


def test_an_estimate_above_what_is_sent_says_nothing_about_the_line():
    control = BitrateControl(CEILING)
    assert control.update([LineReport(200_000, 150_000, 0.0)], 0.0) == CEILING


def test_a_complaint_lowers_the_bitrate_below_the_estimate():
    control = BitrateControl(CEILING)
    assert control.update([LineReport(1_000_000, 2_000_000, 0.0)], 0.0) == 900_000


def test_the_weakest_viewer_decides_but_not_below_the_floor():
    control = BitrateControl(CEILING)
    lines = [LineReport(5_000_000, 2_000_000, 0.0), LineReport(100_000, 2_000_000, 0.0)]
    assert control.update(lines, 0.0) == BITRATE_FLOOR_BPS


def test_heavy_loss_is_a_complaint():
    control = BitrateControl(CEILING)
    assert control.update([LineReport(None, 2_000_000, 0.2)], 0.0) == 1_800_000
    assert BitrateControl(CEILING).update([LineReport(None, 2_000_000, 0.05)], 0.0) == CEILING


def test_without_complaint_it_recovers_in_seconds_however_often_it_is_asked():
    for interval in (0.1, 1.0):
        control = BitrateControl(CEILING)
        control.update([LineReport(500_000, 2_000_000, 0.0)], 0.0)
        at = 0.0
        while control.target_bps < CEILING:
            at += interval
            control.update([LineReport(800_000, 450_000, 0.0)], at)
        assert 8 < at < 20
