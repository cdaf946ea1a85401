"""What a bad line did, when it is known."""

import numpy as np
import pytest

from benchmarks.browser_figures import Seen
from benchmarks.clock import BITS
from benchmarks.line_figures import StepDown, figures, freed_s, rate_kbps, resumed_ms, sent_at, steps_down
from benchmarks.link import course
from benchmarks.metrics import Distribution
from benchmarks.relay import Crossed

ORIGIN = 1e12
VIDEO, SOUND, REPEATS = 7.0, 8.0, 9.0


def packets(seconds: float = 40.0, size: float = 1000.0, per_picture: int = 5, until: float = np.inf) -> np.ndarray:
    """Pictures at 25 fps of some packets 1 ms apart, each followed by a repeat from another source; sound beside them."""
    rows = []
    for index in range(round(seconds * 25)):
        at = ORIGIN + index * 40
        if index / 25 >= until:
            size = 100.0
        rows += [(at + part, size, VIDEO, index * per_picture + part, index * 3600, 1) for part in range(per_picture)]
        rows += [(at + 20, size, REPEATS, index, index * 3600, 1), (at + 5, 100, SOUND, index, index * 1920, 1)]
    return np.array(sorted(rows), np.float64)


def crossed(text: str = "", until: float = np.inf) -> Crossed:
    return Crossed(course(text), ORIGIN, packets(until=until))


def seen(shown: np.ndarray, stamps: np.ndarray, age_ms: float = 60.0) -> Seen:
    frames = np.zeros((len(shown), 8))
    frames[:, 0], frames[:, 4], frames[:, 6] = shown, shown - 10, stamps
    frames[:, 3] = ((shown + ORIGIN - age_ms) * 3) % (1 << BITS)
    nothing = np.zeros(0)
    return Seen(nothing, nothing, frames, ORIGIN, 0.0, 40_000.0, {}, {}, {})


def test_a_picture_was_sent_with_its_last_packet_and_not_with_a_repeat_of_one() -> None:
    found = sent_at(crossed(), np.array([0.0, 3600.0, 5.0]))
    assert found[:2].tolist() == [ORIGIN + 4, ORIGIN + 44]
    assert np.isnan(found[2])


def test_a_packet_that_is_repeated_by_its_own_source_counts_once() -> None:
    table = packets(seconds=2)
    again = table[(table[:, 2] == VIDEO) & (table[:, 3] == 4)] + [15, 0, 0, 0, 0, 0]
    line = Crossed(course(""), ORIGIN, np.concatenate([table, again]))
    assert sent_at(line, np.array([0.0]))[0] == ORIGIN + 4


def test_nothing_was_sent_without_a_stream() -> None:
    assert np.isnan(sent_at(Crossed(course(""), ORIGIN, np.zeros((0, 6))), np.array([1.0])))[0]


def test_the_way_to_the_screen_splits_into_network_and_browser() -> None:
    index = np.arange(900)
    found = figures(seen(index * 40 + 4 + 30.0, index * 3600.0), crossed())
    delay, network = found["display_delay_ms"], found["stage_network_ms"]
    assert isinstance(delay, Distribution)
    assert isinstance(network, Distribution)
    assert delay.p50 == pytest.approx(30)
    assert network.p50 == pytest.approx(20)
    assert found["longest_freeze_ms"] == pytest.approx(40)
    assert found["line_lost_ratio"] == 0


def test_a_rate_is_what_was_sent_in_a_second() -> None:
    at, kbps = rate_kbps(crossed())
    assert at[0] == 0
    assert np.median(kbps) == pytest.approx(25 * (6 * 1000 + 100) * 8 / 1000)


def test_a_step_down_is_settled_when_no_more_is_sent_than_passes() -> None:
    (step,) = steps_down(crossed("rate=2000; @10 rate=300; @30 rate=2000", until=12.0))
    assert step.settled_s == pytest.approx(2.0, abs=0.3)
    assert step.over is not None
    assert 0.4 < step.over <= 1
    assert steps_down(crossed("rate=2000; @10 rate=300; @30 rate=2000")) == [StepDown(None, None)]
    assert steps_down(crossed("delay=25")) == []


def test_probing_for_more_is_told_apart() -> None:
    line = crossed("rate=2000; @10 rate=300", until=12.0)
    line.packets[(line.packets[:, 0] > ORIGIN + 20_000) & (line.packets[:, 0] < ORIGIN + 21_000), 1] = 300
    (step,) = steps_down(line)
    assert step.settled_s == pytest.approx(2.0, abs=0.3)
    assert step.over == pytest.approx((6 * 25 * 300 + 25 * 300) * 8 / 300_000, rel=0.05)


def test_a_page_has_resumed_with_the_first_picture_after_the_dark() -> None:
    line = crossed("blackhole-2")
    shown = np.concatenate([np.arange(0, 10_000, 40.0), np.arange(12_700, 40_000, 40.0)])
    assert resumed_ms(seen(shown, shown), line) == [pytest.approx(700, abs=1)]
    assert resumed_ms(seen(shown, shown, age_ms=900), line) == [pytest.approx(940, abs=1)]  # those before are old
    assert resumed_ms(seen(shown[:200], shown[:200]), line) == [None]


def test_a_place_is_free_when_the_server_has_no_peer_left() -> None:
    line = crossed("blackhole-40")
    health = [(second * 1000.0, {"peers": 0 if 21 <= second < 50 else 2}) for second in range(60)]
    page = seen(np.zeros(1), np.zeros(1))
    assert freed_s(page, line, health) == [pytest.approx(11)]
    assert freed_s(page, line, [(at, {"peers": 2}) for at, _ in health]) == [None]
    assert freed_s(page, crossed("blackhole-8"), health) == []  # whoever was away for so short a time keeps it
