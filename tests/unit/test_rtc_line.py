import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.rtc.bitrate import LineReport
from streaming.rtc.encoder import BITRATE_FLOOR_BPS
from streaming.rtc.feedback import Feedback
from streaming.rtc.line import Line
from tests.unit.rtc_lines import CEILING_BPS, watch


@pytest.mark.parametrize(
    ("text", "stall"),
    [
        ("delay=25", None),
        ("rate=5000,delay=25", None),
        ("loss=5,delay=25", None),
        ("loss=10,delay=25", None),
        ("loss=3,burst=4,delay=25,jitter=15", None),
        ("delay=25,jitter=40", None),
        ("delay=25", (0.4, 0.06)),  # a receiver that is held up
        ("delay=25", (1.3, 0.15)),
    ],
)
def test_a_line_that_bears_all_is_given_all(text: str, stall: tuple[float, float] | None):
    seen = watch(text, 8, stall=stall)
    assert set(seen.between(0, 8)) == {CEILING_BPS}
    assert not seen.line.is_thin


def test_a_line_that_falls_is_known_in_a_third_of_a_second_and_used_again_when_it_has_risen():
    seen = watch("rate=2000,delay=25; @2 rate=300; @5 rate=2000", 12)
    assert 1_300_000 < min(seen.between(1, 2)) <= max(seen.between(1, 2)) < 1_900_000
    assert len(seen.steep) == 1
    assert 2.0 < seen.steep[0] < 2.35
    thin = seen.between(2.4, 5)
    assert BITRATE_FLOOR_BPS <= min(thin) <= max(thin) < 300_000
    assert seen.between(11.5, 12)[-1] > 1_000_000


def test_a_long_queue_is_not_waited_for():
    seen = watch("delay=25; @2 rate=1000,queue=1500", 5)
    assert seen.steep
    assert seen.line.drained_at - seen.steep[-1] <= 0.3
    assert max(seen.between(2.5, 5)) < 950_000


def test_without_reports_about_packets_the_receivers_estimate_counts():
    line = Line(CEILING_BPS)
    line.report(LineReport(1_000_000, 2_000_000, 0.0, queued_s=0.2), 0.0)
    assert line.picture_bps < 900_000
    number = line.number(1000, 1.0)
    line.hear(Feedback(number, (5.0,)), 1.1)
    before = line.picture_bps
    line.report(LineReport(100_000, 2_000_000, 0.0, queued_s=0.2), 2.0)
    assert line.picture_bps == before


def test_where_packets_are_lost_at_random_pictures_are_made_smaller():
    line = Line(CEILING_BPS)
    line.hear(Feedback(line.number(1000, 1.0), (5.0,)), 1.1)
    assert line.spent_bps == line.picture_bps
    for lost, share in ((0.01, 1.0), (0.05, 0.68), (0.1, 0.4), (0.5, 0.4)):
        for second in range(60):
            line.report(LineReport(None, 2_000_000, lost), 2.0 + second)
        assert line.spent_bps == pytest.approx(share * line.picture_bps, rel=0.01)
    line.picture_bps = CEILING_BPS // 3
    assert line.spent_bps == line.picture_bps  # a thin line's losses are of too much, which its rate is about


def test_numbers_go_round():
    line = Line(CEILING_BPS)
    assert [line.number(100, at / 1000) for at in range(65_537)][-2:] == [65_535, 0]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 120), st.lists(st.none() | st.floats(-1e9, 1e9), max_size=40)), max_size=20))
def test_a_receiver_may_say_anything(reports: list[tuple[int, list[float | None]]]):
    line = Line(CEILING_BPS)
    for at, (base, arrivals) in enumerate(reports):
        for _ in range(10):
            line.number(1200, at / 10, probe=at % 3 == 0)
        line.hear(Feedback(base, tuple(arrivals)), at / 10 + 0.05)
        line.probe(at / 10 + 0.05)
        assert BITRATE_FLOOR_BPS <= line.picture_bps <= CEILING_BPS
        assert line.drained_at <= at / 10 + 1
