import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from streaming.api.events import obey
from streaming.metrics import Metrics
from streaming.rtc.hold import AIM_MS, MOST_MS, SLEW_MS, PictureHold


def settle(hold: PictureHold, path_ms: float, seconds: int = 30, fps: int = 25) -> float:
    """A receiver whose sound path is `path_ms` slower than its picture path, reporting once a second; its last report."""
    late = path_ms - hold.ms
    for _ in range(seconds):
        for _ in range(fps):
            hold.next()
        late = path_ms - hold.ms
        hold.hear(late)
    return late


@pytest.mark.parametrize("path_ms", [30.0, 70.0, 95.0, 105.0])
def test_the_sound_ends_up_as_late_as_aimed_at(path_ms: float) -> None:
    assert settle(PictureHold(50), path_ms) == pytest.approx(AIM_MS, abs=4)


def test_it_is_bounded_and_never_waits_for_what_no_hold_can_meet() -> None:
    hold = PictureHold(50)
    settle(hold, 400)
    assert hold.ms == MOST_MS
    settle(hold, -200)
    assert hold.ms == 0


def test_it_moves_slowly_and_without_overshoot() -> None:
    hold, seen = PictureHold(50), [50.0]
    for second in range(20):
        seen.extend(hold.next() * 1000 for _ in range(25))
        hold.hear(100 - hold.ms)
        assert second < 1 or hold.ms <= 100 - AIM_MS + 1
    assert max(abs(b - a) for a, b in itertools.pairwise(seen)) <= SLEW_MS + 1e-9


def test_without_reports_or_with_unbelievable_ones_it_stays() -> None:
    hold = PictureHold(50)
    hold.hear(4000)
    assert [round(hold.next() * 1000) for _ in range(50)] == [50] * 50


def test_a_page_tells_how_late_its_sound_is() -> None:
    nobody: Any = None
    house: Any = SimpleNamespace(metrics=Metrics())
    hold = PictureHold(50)
    assert obey(house, nobody, '{"sound_late_ms": 80}', hold) is None
    assert hold.next() > 0.05
    assert obey(house, nobody, '{"sound_late_ms": 80}') is None  # nobody watches
    assert "sound_late_ms" in str(obey(house, nobody, '{"sound_late_ms": 1e9}', hold))
