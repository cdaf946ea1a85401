import numpy as np
import pytest

from streaming.contract import Outgoing, Stamps
from streaming.worker.meter import QUIET_DBFS, Meter

VIDEO = np.zeros((6, 4), np.uint8)


def frame(index: int, due: float, took: float = 0.01, *, fresh: bool = True, spared: bool = False) -> Outgoing:
    stamps = Stamps(due, due - 0.03, due, due + 0.001, due + 0.001, due + took - 0.001, due + took, due)
    return Outgoing(index, VIDEO, fresh, stamps, spared=spared)


def test_a_frame_without_a_picture_of_its_own_in_time_is_a_miss() -> None:
    meter = Meter(25)
    meter.show(frame(0, 0.0))
    meter.show(frame(1, 0.04, took=0.039))
    assert meter.misses == 0
    meter.show(frame(2, 0.08, took=0.041))
    meter.show(frame(3, 0.12, fresh=False))
    assert (meter.frames, meter.misses) == (4, 2)


def test_a_picture_that_was_to_repeat_is_no_miss_unless_its_sound_is_late() -> None:
    meter = Meter(25)
    meter.show(frame(0, 0.0, fresh=False, spared=True))
    assert meter.misses == 0
    meter.show(frame(1, 0.04, took=0.041, fresh=False, spared=True))
    assert (meter.frames, meter.misses) == (2, 1)


def test_the_stages_of_a_frame_are_recorded() -> None:
    meter = Meter(25)
    meter.show(frame(0, 1.0))
    summary = meter.stages.summary()
    expected = {"audio_hold": 30, "queue": 0, "features": 1, "inference": 8, "colour": 1}
    assert {name: round(stage["p50"], 6) for name, stage in summary.items()} == expected


def test_frames_per_second_are_those_of_fresh_pictures() -> None:
    meter = Meter(25)
    for index in range(100):
        meter.show(frame(index, index * 0.04, fresh=index % 2 == 0))
    assert meter.fps(99 * 0.04 + 0.02) == pytest.approx(12.5, rel=0.05)
    assert meter.fps(200.0) == 0


def test_the_level_rises_at_once_and_falls_slowly() -> None:
    meter = Meter(25)
    assert meter.level_dbfs(0.0) == QUIET_DBFS
    meter.hear(np.full(960, 0.1, np.float32), 1.0)
    assert meter.level_dbfs(1.0) == pytest.approx(-20, abs=0.01)
    meter.hear(np.zeros(960, np.float32), 1.1)
    assert meter.level_dbfs(1.1) == pytest.approx(-23, abs=0.01)
    assert meter.level_dbfs(60.0) == QUIET_DBFS


def test_the_stages_are_without_the_look_ahead() -> None:
    meter = Meter(25)
    meter.lead_s = 0.02
    meter.show(frame(0, 1.0))
    assert round(meter.stages.summary()["audio_hold"]["p50"], 6) == 10
