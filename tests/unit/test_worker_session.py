import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract import GraphRequest, GraphSpec, Motion
from streaming.contract import SessionSettings, Step
from streaming.worker.arena import Arena
from streaming.worker.messages import Frame, Open, Speech
from streaming.worker.session import REPEATS_MOST, Made, WorkerSession
from streaming.worker.studio import Performance
from tests.fake_studio import FakeStudio, GreyRenderer, LoudVoice

PERIOD = 0.04


@dataclass
class Clock:
    """A clock that moves when told to."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


def session(clock: Clock, *, portrait: str = "grey-80", index: int = 0, frame_cost: float = 0.0) -> WorkerSession:
    settings = SessionSettings(portrait, size=256, badge=False)
    performance = FakeStudio().build(settings, portrait, clock)
    opened = Open(1, 0, 100.0, index, portrait, settings, {})

    readings = itertools.count(0.0, frame_cost)  # one before a frame, one after it
    return WorkerSession(opened, performance, Arena(), 100.0, PERIOD, clock, lambda: next(readings))


def frame_of(made: Made) -> Frame:
    assert isinstance(made, Frame)
    return made


def tick(worker: WorkerSession) -> Made:
    """Hears what is due with the frame, and begins it."""
    worker.listen(worker.due)
    return worker.tick()


def tick_on_time(worker: WorkerSession, clock: Clock) -> Frame:
    clock.at = max(clock.at, worker.due)
    return frame_of(tick(worker))


def heard_on_time(worker: WorkerSession, clock: Clock) -> tuple[NDArray[np.int16], Frame]:
    clock.at = max(clock.at, worker.due)
    return sound_of(worker.listen(worker.due)), frame_of(worker.tick())


def sound_of(speech: list[Speech]) -> NDArray[np.int16]:
    assert all(before.start + 960 == after.start for before, after in itertools.pairwise(speech))
    return np.concatenate([piece.samples for piece in speech])


def speak(worker: WorkerSession, clock: Clock) -> Frame:
    """The last of 30 frames with sound."""
    for _ in range(29):
        worker.push(np.full(1920, 0.5, np.float32), worker.due - 0.01)
        tick_on_time(worker, clock)
    worker.push(np.full(1920, 0.5, np.float32), worker.due - 0.01)
    return tick_on_time(worker, clock)


def test_deadlines_accumulate_from_the_anchor() -> None:
    clock = Clock()
    worker = session(clock)
    for index in range(50):
        assert worker.due == pytest.approx(100.0 + index * PERIOD)
        clock.at = worker.due + 0.007
        assert tick_on_time(worker, clock).index == index


def test_a_picture_shows_the_sound_of_its_own_instant() -> None:
    clock = Clock()
    worker = session(clock)  # which does not look ahead
    worker.performance.apply({"idle": False})
    loudness, openness = list[float](), list[float]()
    for k in range(60):
        level = 0.8 if 20 <= k < 40 else 0.0
        for half in (0, 1):
            worker.push(np.full(960, level, np.float32), worker.due - 0.04 + 0.02 * half + 0.015)
        sound, frame = heard_on_time(worker, clock)
        loudness.append(np.abs(sound).mean() / 32767)
        openness.append(float(worker._arena.picture(0, frame.slot, 256)[:256].mean()))  # pyright: ignore[reportPrivateUsage]
    mouth = (np.array(openness) - openness[0]) / np.ptp(openness)
    sound = np.array(loudness) / 0.8
    assert np.abs(mouth - sound).mean() < 0.06
    assert sound.max() == pytest.approx(1, abs=0.01)


def test_a_late_tick_repeats_the_picture_while_the_sound_moves_on() -> None:
    clock = Clock()
    worker = session(clock, frame_cost=0.010)
    first = [tick_on_time(worker, clock) for _ in range(20)]
    assert all(frame.fresh for frame in first)
    clock.at = worker.due + 0.035  # 5 ms left for a frame that takes 10
    sound, late = sound_of(worker.listen(clock.at)), frame_of(worker.tick())
    assert not late.fresh
    assert late.slot == first[-1].slot
    assert (late.index, len(sound)) == (20, 1920)
    assert tick_on_time(worker, clock).fresh


def test_one_that_is_always_late_is_slow_but_not_still() -> None:
    clock = Clock()
    worker = session(clock, frame_cost=0.2)
    for _ in range(20):
        tick_on_time(worker, clock)
    fresh = list[bool]()
    for _ in range(20):
        clock.at = worker.due + 0.03
        fresh.append(frame_of(tick(worker)).fresh)
    assert fresh.count(True) == 20 // (REPEATS_MOST + 1)


def test_a_step_spares_pictures_and_no_sound() -> None:
    clock = Clock()
    worker = session(clock)
    worker.take(Step(15, 256))
    sounds, frames = zip(*(heard_on_time(worker, clock) for _ in range(25)), strict=True)
    assert [frame.fresh for frame in frames] == [True, False, True, False, True] * 5
    assert [frame.spared for frame in frames] == [not frame.fresh for frame in frames]
    assert [frame.index for frame in frames] == list(range(25))
    assert {len(sound) for sound in sounds} == {1920}


def test_a_still_portrait_is_at_rest_and_its_sound_goes_on() -> None:
    clock = Clock()
    worker = session(clock)
    worker.performance.apply({"channels": {"jawOpen": 1.0}})
    open_mouth = speak(worker, clock)
    worker.take(Step(0, 256))
    frames = [tick_on_time(worker, clock) for _ in range(100)]
    assert sum(frame.fresh for frame in frames) == 2
    grey = [worker._arena.picture(0, frame.slot, 256)[0, 0] for frame in (open_mouth, frames[-1])]  # pyright: ignore[reportPrivateUsage]
    assert grey[1] < grey[0] - 50
    assert all(frame.spared or frame.fresh for frame in frames)


def test_a_smaller_renderer_makes_smaller_pictures() -> None:
    clock = Clock()
    worker = session(clock)
    assert tick_on_time(worker, clock).size == 256
    worker.show(GreyRenderer(128, Path("grey-80")))
    assert tick_on_time(worker, clock).size == 128


def test_one_that_is_slow_beyond_its_step_is_not_spared_as_well() -> None:
    clock = Clock()
    worker = session(clock, frame_cost=0.2)
    worker.take(Step(15, 256))
    fresh = list[bool]()
    for _ in range(40):
        clock.at = worker.due + 0.03
        fresh.append(frame_of(tick(worker)).fresh)
    assert fresh.count(True) >= 40 // (REPEATS_MOST + 2)


def test_after_a_long_sleep_the_frames_between_are_left_out() -> None:
    clock = Clock()
    worker = session(clock)
    tick_on_time(worker, clock)
    clock.at += 60.0
    worker.listen(clock.at)
    assert worker.ticks <= worker.due <= clock.at
    frame = frame_of(worker.tick())
    assert frame.index == pytest.approx(60 / PERIOD, abs=1)
    assert worker.due > clock.at - PERIOD


def test_one_that_continues_goes_on_with_the_frame_that_is_due() -> None:
    clock = Clock(at=110.01)
    worker = session(clock, index=200)
    worker.resume(clock.at)
    assert worker.index == 251
    assert worker.due >= clock.at


def test_a_picture_stays_until_the_ring_has_gone_round() -> None:
    clock = Clock()
    worker = session(clock)
    slots = [tick_on_time(worker, clock).slot for _ in range(40)]
    assert all(len(set(slots[i : i + 8])) == 8 for i in range(32))


def test_stamps_are_in_the_order_of_the_stages() -> None:
    clock = Clock()
    worker = session(clock)
    stamps = speak(worker, clock).stamps
    assert 0 < stamps.arrived <= stamps.taken <= stamps.features <= stamps.inference_end <= stamps.colour
    assert stamps.due - stamps.arrived < 0.15


@pytest.mark.parametrize("ahead_ms", [0, 40, 80, 160])
@pytest.mark.parametrize("fps", [25, 60])
def test_the_look_ahead_holds_pictures_but_not_the_sound(ahead_ms: int, fps: int) -> None:
    class Patient(LoudVoice):
        look_ahead = ahead_ms * 48

    clock, period = Clock(), 1 / fps
    settings = SessionSettings("grey-80", size=256, fps=fps, badge=False)
    performance = Performance(settings, GreyRenderer(256, Path("grey-80")), Patient(), clock)
    worker = WorkerSession(Open(1, 0, 100.0, 0, "", settings, {}), performance, Arena(), 100.0, period, clock, lambda: 0.0)
    samples, lead, missing = 48_000 // fps, performance.session.lead, 0
    heard, held = list[np.ndarray](), list[float]()
    for k in range(3 * fps):
        level = 0.8 if fps <= k < 2 * fps else 0.2
        worker.push(np.full(samples, level, np.float32), worker.due - 0.001)
        clock.at = worker.due
        for piece in worker.listen(clock.at):
            heard.append(piece.samples)
            missing += piece.missing if k >= 20 else 0
        stamps = frame_of(worker.tick()).stamps
        held.append(stamps.due - stamps.arrived)
    assert missing == 0
    sound = np.concatenate(heard)
    step = int(np.flatnonzero(sound > 20_000)[0])
    assert (ahead_ms - 20) * 48 <= lead <= (ahead_ms + 20) * 48
    assert step == pytest.approx(48_000, abs=0.065 * 48_000)  # what the inlet holds
    assert np.median(held) == pytest.approx(lead / 48_000, abs=0.065)


def test_a_barge_in_silences_at_once() -> None:
    clock = Clock()
    worker = session(clock)
    speak(worker, clock)
    worker.push(np.full(3840, 0.5, np.float32), worker.due - 0.01)
    assert heard_on_time(worker, clock)[0].any()
    worker.interrupt()
    assert not heard_on_time(worker, clock)[0].any()


class Brightening:
    """A graph whose answers the tests give."""

    spec = GraphSpec("brightening", (), ())

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        raise AssertionError("a worker runs it")


class AskingRenderer(GreyRenderer):
    """Asks for a graph before it draws."""

    def prepare(self, motion: Motion) -> GraphRequest:
        super().prepare(motion)
        return GraphRequest(Brightening(), {})


def asking(clock: Clock, frame_cost: float = 0.0) -> WorkerSession:
    settings = SessionSettings("grey-80", size=256, badge=False)
    performance = Performance(settings, AskingRenderer(256, Path("grey-80")), LoudVoice(), clock)
    readings = itertools.count(0.0, frame_cost)
    opened = Open(1, 0, 100.0, 0, "", settings, {})
    return WorkerSession(opened, performance, Arena(), 100.0, PERIOD, clock, lambda: next(readings))


def answered(worker: WorkerSession, cost_s: float = 0.0) -> Frame:
    return frame_of(worker.answer({}, cost_s))


def test_a_frame_waits_for_what_was_asked_for() -> None:
    clock = Clock()
    worker = asking(clock)
    made = tick(worker)
    assert isinstance(made, GraphRequest)
    assert worker.asking is made
    clock.at += 0.02
    frame = answered(worker)
    assert (frame.index, frame.fresh) == (0, True)
    assert frame.stamps.colour == clock.at
    assert worker.asking is None


def test_nothing_can_be_repeated_before_the_first_picture() -> None:
    clock = Clock()
    worker = asking(clock)
    tick(worker)
    assert worker.wakes == math.inf
    answered(worker)
    assert worker.wakes == pytest.approx(worker.due - PERIOD / 2)  # the first half of its sound
    worker.listen(worker.due)
    assert worker.wakes == worker.due


def test_sound_is_taken_when_it_is_due_and_before_its_frame() -> None:
    clock = Clock()
    worker = session(clock)
    for k in range(10):
        assert worker.listens == pytest.approx(worker.due - PERIOD / 2)
        assert worker.ticks == math.inf
        assert worker.listen(worker.listens - 0.001) == []
        (first,) = worker.listen(worker.listens)
        assert worker.listens == pytest.approx(worker.due)
        (second,) = worker.listen(worker.due)
        assert (first.start, second.start) == (1920 * k, 1920 * k + 960)
        assert first.due == pytest.approx(second.due - PERIOD / 2)
        assert worker.listen(worker.due + PERIOD) == []  # no frame is begun without its tick
        tick_on_time(worker, clock)


def test_frames_that_are_left_out_keep_sound_and_pictures_together() -> None:
    clock = Clock()
    worker = session(clock)
    speak(worker, clock)
    held = worker.performance.session.held_ms
    worker.listen(worker.due - PERIOD / 2)  # half of a frame's sound, then the machine sleeps
    clock.at += 10.0
    worker.listen(clock.at)
    worker.tick()
    assert worker.performance.session.held_ms == held


def test_one_whose_answer_is_late_keeps_its_sound_and_shows_the_picture_later() -> None:
    clock = Clock()
    worker = asking(clock)
    tick(worker)
    first = answered(worker)
    clock.at = worker.due
    asked, made, sounds = worker.due, list[Frame](), list[NDArray[np.int16]]()
    tick(worker)
    for _ in range(3):
        clock.at = worker.due
        overdue = worker.overdue()
        assert overdue is not None
        made.append(overdue)
        sounds.append(sound_of(worker.listen(clock.at)))
        assert worker.tick() is None  # the picture is still under way
    clock.at += 0.01
    made.append(answered(worker))
    assert [frame.index for frame in made] == [1, 2, 3, 4]
    assert [frame.fresh for frame in made] == [False, False, False, True]
    assert [frame.slot for frame in made[:3]] == [first.slot] * 3
    assert all(len(sound) == 1920 for sound in sounds)
    assert made[-1].stamps.due == asked  # a miss, by the deadline of the motion that it shows


def test_what_it_costs_is_its_own_time_and_its_part_of_the_runs() -> None:
    clock = Clock()
    worker = asking(clock, frame_cost=0.002)
    for _ in range(5):
        clock.at = worker.due
        tick(worker)
        answered(worker, cost_s=0.01)
    assert worker.cost() == pytest.approx(0.016)  # heard, begun, answered


def test_a_barge_in_drops_what_is_under_way() -> None:
    clock = Clock()
    worker = asking(clock)
    tick(worker)
    answered(worker)
    clock.at = worker.due
    worker.push(np.full(1920, 0.5, np.float32), clock.at)
    tick(worker)
    worker.interrupt()
    assert worker.asking is None
    clock.at = worker.due
    assert worker.overdue() is not None
    assert not sound_of(worker.listen(clock.at)).any()
    assert isinstance(tick(worker), GraphRequest)


def test_what_was_lost_is_asked_for_anew() -> None:
    clock = Clock()
    worker = asking(clock)
    tick(worker)
    worker.give_up()  # before there was a picture: this frame is left out
    assert worker.overdue() is None
    assert isinstance(tick(worker), GraphRequest)
    answered(worker)
    tick(worker)
    worker.give_up()
    clock.at = worker.due
    overdue = worker.overdue()
    assert overdue is not None
    assert (overdue.index, overdue.fresh) == (2, False)
