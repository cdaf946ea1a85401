"""A bad line: what is lost, delayed, held back and overtaken is as it was asked for, every time the same."""

import math

import numpy as np
import pytest

from benchmarks.link import HEADERS, OVERTAKEN_S, PRESETS, Conditions, Course, Link, Transit, course

COUNT = 6000


def arrivals(text: str, *, size: int = 100, every_s: float = 0.01, count: int = COUNT, seed: int = 1) -> np.ndarray:
    """When each of `count` datagrams arrives; NaN for those that are lost."""
    link = Link(course(text), seed)
    link.begin(0.0)
    found = [link.carry(size, index * every_s) for index in range(count)]
    return np.array([math.nan if at is None else at for at in found])


def runs(lost: np.ndarray) -> np.ndarray:
    """How many are lost in a row, each time."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_a_clean_line_changes_nothing() -> None:
    np.testing.assert_array_equal(arrivals("clean", count=50), np.arange(50) * 0.01)


@pytest.mark.parametrize("percent", [1.0, 5.0, 10.0])
def test_losses_are_as_many_as_asked_for_and_each_on_its_own(percent: float) -> None:
    lost = np.isnan(arrivals(f"loss={percent}"))
    assert lost.mean() == pytest.approx(percent / 100, rel=0.25)
    assert runs(lost).mean() == pytest.approx(1 / (1 - percent / 100), abs=0.05)


def test_losses_come_in_bursts_of_the_length_asked_for() -> None:
    lost = np.isnan(arrivals("loss=5,burst=4"))
    assert lost.mean() == pytest.approx(0.05, rel=0.2)
    assert runs(lost).mean() == pytest.approx(4, rel=0.15)


def test_the_same_seed_loses_the_same() -> None:
    np.testing.assert_array_equal(arrivals("loss=5,jitter=9,reorder=2"), arrivals("loss=5,jitter=9,reorder=2"))
    assert not np.array_equal(np.isnan(arrivals("loss=5")), np.isnan(arrivals("loss=5", seed=2)))


def test_one_impairment_does_not_move_another() -> None:
    np.testing.assert_array_equal(np.isnan(arrivals("loss=5")), np.isnan(arrivals("loss=5,jitter=30,reorder=3,delay=25")))


def test_jitter_delays_and_keeps_the_order() -> None:
    sent = np.arange(COUNT) * 0.01
    found = arrivals("delay=25,jitter=30")
    assert (np.diff(found) >= 0).all()
    extra = (found - sent) * 1000
    assert extra.min() >= 25
    assert 50 < extra.max() <= 55.001


def test_what_is_overtaken_is_what_was_asked_for() -> None:
    found = arrivals("delay=25,reorder=2")
    late = found - np.arange(COUNT) * 0.01
    held = late > 0.025 + OVERTAKEN_S / 2
    assert held.mean() == pytest.approx(0.02, rel=0.15)
    np.testing.assert_allclose(late[held], 0.025 + OVERTAKEN_S)
    np.testing.assert_allclose(late[~held], 0.025)


def test_a_rate_is_kept_and_what_waits_too_long_is_lost() -> None:
    size = 1000 - HEADERS
    found = arrivals("rate=400,queue=100", size=size, every_s=0.01, count=2000)  # 800 kb/s into 400
    assert np.isnan(found).mean() == pytest.approx(0.5, abs=0.02)
    passed = found[np.isfinite(found)]
    assert len(passed) * 8000 / (passed[-1] - passed[0]) == pytest.approx(400_000, rel=0.01)
    waited = found - np.arange(2000) * 0.01
    assert np.nanmax(waited) <= 0.1 + 0.02 + 1e-9  # the queue, and its own bits


def test_a_line_follows_its_course() -> None:
    found = arrivals("delay=10; @1 dark=1; @2 dark=0,delay=40", count=300)
    assert np.isfinite(found[:100]).all()
    assert np.isnan(found[100:200]).all()
    np.testing.assert_allclose(found[200:] - np.arange(200, 300) * 0.01, 0.04)


def test_until_it_begins_a_line_is_as_at_its_beginning() -> None:
    link = Link(course("delay=25; @1 dark=1"), 0)
    assert link.carry(100, 1000.0) == pytest.approx(1000.025)
    link.begin(1001.0)
    assert link.carry(100, 1001.5) == pytest.approx(1001.525)
    assert link.carry(100, 1002.0) is None


def test_a_course_says_when_it_is_dark() -> None:
    line = course("blackhole-2")
    assert line.at(-math.inf) == Conditions(delay=25)
    assert line.dark_spans() == [(10.0, 12.0)]
    assert line.last_step_s == 12


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_read(name: str) -> None:
    assert course(name).steps


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("los=1", "a line has no 'los'"),
        ("loss=much", "loss of a line is a number"),
        ("loss=-1", "from 0 on"),
        ("loss=100", "at most 90"),
        ("loss=nan", "from 0 on"),
        ("loss=50,burst=0.2", "bursts of 1 or more"),
        ("@5 loss=1; @3 loss=2", "come in order"),
        ("@soon loss=1", "@ of a line is a number"),
    ],
)
def test_what_is_no_line_is_said(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        course(text)


def test_what_is_under_way_comes_out_when_it_arrives() -> None:
    transit: Transit[str] = Transit(Link(course("delay=25"), 0))
    assert transit.due is None
    assert transit.put("a", 100, 0.0)
    assert transit.put("b", 100, 0.01)
    assert transit.due == pytest.approx(0.025)
    assert transit.take(0.02) == []
    assert transit.take(0.03) == ["a"]
    assert transit.take(0.04) == ["b"]
    assert transit.due is None


def test_what_arrives_at_once_comes_out_as_it_was_sent() -> None:
    transit: Transit[int] = Transit(Link(Course(), 0))
    for number in range(20):
        transit.put(number, 100, 1.0)
    assert transit.take(1.0) == list(range(20))


def test_what_is_lost_is_said() -> None:
    transit: Transit[str] = Transit(Link(course("dark=1"), 0))
    assert not transit.put("a", 100, 0.0)
    assert transit.due is None
