import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from streaming.api.events import obey
from streaming.metrics import Metrics
from streaming.rtc.hold import AIM_MS, LEAST_MS, MOST_MS, SLEW_MS, PictureHold


def settle(hold: PictureHold, path_ms: float, seconds: int = 30, fps: int = 25) -> float:
    """A receiver whose sound path is `path_ms` slower than its picture path, reporting once a second; its last report."""
    late = path_ms - hold.of_picture(0.0)
    for _ in range(seconds):
        for _ in range(fps):
            hold.next()
        late = path_ms - hold.of_picture(0.0)
        hold.hear(late)
    return late


@pytest.mark.parametrize("path_ms", [30.0, 70.0, 95.0, 145.0])
def test_the_sound_ends_up_as_late_as_aimed_at(path_ms: float) -> None:
    assert settle(PictureHold(50), path_ms) == pytest.approx(AIM_MS, abs=4)


def test_it_is_bounded_and_never_waits_for_what_no_hold_can_meet() -> None:
    hold = PictureHold(50)
    settle(hold, 400)
    assert hold.of_picture(0.0) == MOST_MS
    settle(hold, -300)
    assert hold.of_picture(0.0) == 0
    assert hold.of_sound(0.0) == -LEAST_MS


def test_it_moves_slowly_and_without_overshoot() -> None:
    hold, seen = PictureHold(50), [50.0]
    for second in range(20):
        for _ in range(25):
            hold.next()
            seen.append(hold.of_picture(0.0))
        hold.hear(100 - seen[-1])
        assert second < 1 or seen[-1] <= 100 - AIM_MS + 1
    assert max(abs(b - a) for a, b in itertools.pairwise(seen)) <= SLEW_MS + 1e-9


def test_without_reports_or_with_unbelievable_ones_it_stays() -> None:
    hold = PictureHold(50)
    hold.hear(4000)
    for _ in range(50):
        hold.next()
    assert hold.of_picture(0.0) == 50


@pytest.mark.parametrize(("ahead_ms", "picture", "sound"), [(0, 50, 0), (20, 30, 0), (50, 0, 0), (60, 0, 10), (140, 0, 90)])
def test_what_a_picture_is_late_by_its_look_ahead_it_need_not_wait(ahead_ms: float, picture: float, sound: float) -> None:
    hold = PictureHold(50)
    assert (hold.of_picture(ahead_ms), hold.of_sound(ahead_ms)) == (picture, sound)


def test_a_page_tells_how_late_its_sound_is() -> None:
    nobody: Any = None
    house: Any = SimpleNamespace(metrics=Metrics())
    hold = PictureHold(50)
    assert obey(house, nobody, '{"sound_late_ms": 80}', hold) is None
    hold.next()
    assert hold.of_picture(0.0) > 50
    assert obey(house, nobody, '{"sound_late_ms": 80}') is None  # nobody watches
    assert "sound_late_ms" in str(obey(house, nobody, '{"sound_late_ms": 1e9}', hold))
