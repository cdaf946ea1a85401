import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from streaming.contract import SessionSettings, Step
from streaming.worker import ladder
from streaming.worker.ladder import JUDGED_S, Ladder, is_drawn, step_at

LEVELS = range(7)
SETTINGS = st.builds(SessionSettings, st.just("x"), st.sampled_from((256, 384, 512, 768)), st.sampled_from((25, 30, 50, 60)))
DOWN_S = 20.0
"""Two sessions are as far down as they get within this."""
TICKS = 20  # noted at each judgement, of however many sessions


def full(*sizes: int) -> list[SessionSettings]:
    return [SessionSettings("x", size=size) for size in sizes]


class Machine:
    """Draws `power` pictures of 512 px a second for sessions on a ladder; misses what does not fit."""

    def __init__(self, sessions: Sequence[SessionSettings], power: float, *, scales: bool = True) -> None:
        self.ladder = Ladder()
        self.power = power
        self.honest = True  # whether its load tells how full it is
        self.at = 100.0
        self.settings = dict(enumerate(sessions))
        self.steps = {key: self.ladder.join(key, one, scales=scales) for key, one in self.settings.items()}
        self.levels = {
            key: {step_at(level, one, scales=scales): level for level in LEVELS} for key, one in self.settings.items()
        }
        self.moves: list[tuple[float, dict[int, Step]]] = []

    @property
    def demand(self) -> float:
        return sum(step.fps * (step.size / 512) ** 2 + 0.05 * self.settings[key].fps for key, step in self.steps.items())

    @property
    def whole(self) -> bool:
        return all(self.steps[key] == Step(one.fps, one.size) for key, one in self.settings.items())

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Play; returns how long it took."""
        begun = self.at
        while self.at < begun + seconds and not until():
            self.at += JUDGED_S
            demand = self.demand
            missed = round(TICKS * max(0.0, 1 - self.power / demand))
            for tick in range(TICKS):
                self.ladder.note(missed=tick < missed)
            load = min(1.0, demand / self.power) if self.honest else 0.0
            if changed := self.ladder.judge(self.at, load):
                self.moves.append((self.at, changed))
            self.steps |= changed
        return self.at - begun

    def leave(self, key: int) -> None:
        del self.steps[key]
        self.steps |= self.ladder.leave(key)


def test_the_steps_are_those_that_were_agreed() -> None:
    assert [step_at(level, *full(512), scales=True) for level in LEVELS] == [
        Step(25, 512), Step(20, 512), Step(15, 512), Step(15, 512), Step(15, 384), Step(15, 256), Step(0, 256),
    ]  # fmt: skip
    other = SessionSettings("x", size=768, fps=60)
    assert [(step.fps, step.size) for step in (step_at(level, other, scales=True) for level in LEVELS)] == [
        (60, 768), (48, 768), (36, 768), (36, 512), (36, 384), (36, 256), (0, 256),
    ]  # fmt: skip
    assert {step_at(level, other, scales=False).size for level in LEVELS} == {768}


@examples(max_examples=40, deadline=None)
@given(SETTINGS, st.sampled_from(LEVELS), st.booleans())
def test_pictures_of_a_step_are_as_many_as_it_says_and_evenly_spread(
    settings: SessionSettings, level: int, scales: bool
) -> None:
    step = step_at(level, settings, scales=scales)
    drawn = [index for index in range(4 * settings.fps) if is_drawn(step, index, settings.fps)]
    if step.still:
        assert len(drawn) == 4 / ladder.STILL_EVERY_S
    else:
        assert len(drawn) == 4 * step.fps
        assert max(after - before for before, after in itertools.pairwise(drawn)) <= 2


@examples(max_examples=40, deadline=None)
@given(st.lists(SETTINGS, min_size=1, max_size=16), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60))
def test_sessions_are_never_more_than_one_level_apart(
    sessions: list[SessionSettings], noise: list[tuple[float, float]]
) -> None:
    machine = Machine(sessions, 1e9)
    for at, (missed, load) in enumerate(noise):
        for tick in range(TICKS):
            machine.ladder.note(missed=tick < TICKS * missed)
        machine.ladder.judge(float(at), load)
        levels = [climber.level for climber in machine.ladder._climbers.values()]  # pyright: ignore[reportPrivateUsage]
        assert max(levels) - min(levels) <= 1
        assert len(levels) > 1 or levels[0] < LEVELS[-1]


@examples(max_examples=10, deadline=None)
@given(st.lists(SETTINGS, min_size=1, max_size=8), st.floats(1.0, 300.0))
def test_what_a_machine_can_do_settles_and_stays(sessions: list[SessionSettings], power: float) -> None:
    machine = Machine(sessions, power)
    machine.run(40)
    settled = machine.steps.copy()
    before = len(machine.moves)
    machine.run(100)
    assert machine.steps == settled
    assert len(machine.moves) == before


def test_what_fits_is_not_touched() -> None:
    machine = Machine(full(512, 512, 512), 90.0)
    machine.run(60)
    assert machine.whole
    assert not machine.moves


@examples(max_examples=20, deadline=None)
@given(st.integers(1, 16), st.floats(0.25, 10.0))
def test_after_a_burst_all_is_as_it_was_within_twice_its_time_and_5_s(sessions: int, burst_s: float) -> None:
    machine = Machine(full(*[512] * sessions), 5.0)
    machine.run(burst_s)
    assert burst_s < 2 or not machine.whole
    machine.power = 40.0 * sessions
    assert machine.run(60, until=lambda: machine.whole) <= 2 * burst_s + 5


def test_a_hiccup_of_half_a_second_changes_nothing() -> None:
    machine = Machine(full(512, 512), 1.0)
    machine.run(0.5)
    machine.power = 200.0
    machine.run(10)
    assert not machine.moves


def test_one_that_is_alone_is_never_stilled_and_two_may_be() -> None:
    lone = Machine(full(512), 0.1)
    lone.run(DOWN_S)
    assert lone.steps == {0: Step(15, 256)}
    two = Machine(full(512, 512), 0.1)
    two.run(DOWN_S)
    assert [step.still for step in two.steps.values()] == [True, True]
    two.leave(0)
    assert two.steps == {1: Step(15, 256)}
    two.leave(1)
    assert two.steps == {}


def test_who_came_last_steps_down_first_and_who_comes_then_is_treated_alike() -> None:
    machine = Machine(full(512, 512), 40.0)
    machine.run(DOWN_S, until=lambda: bool(machine.moves))
    assert machine.steps == {0: Step(25, 512), 1: Step(20, 512)}
    machine.power = 10.0
    machine.run(DOWN_S)
    assert machine.ladder.join(2, full(512)[0], scales=True).size < 512


def test_sizes_are_left_alone_where_they_save_nothing() -> None:
    machine = Machine(full(512, 512), 0.1, scales=False)
    machine.run(DOWN_S)
    assert {step.size for _, changed in machine.moves for step in changed.values()} == {512}
    assert all(step.still for step in machine.steps.values())


def test_what_failed_is_tried_again_ever_more_rarely() -> None:
    machine = Machine(full(512), 22.0)
    machine.honest = False  # it says that there is time, and there is none
    machine.run(1200)
    downs = [at for at, changed in machine.moves if changed[0].fps == 20]
    waits = [after - before for before, after in itertools.pairwise(downs)]
    assert waits == sorted(waits)
    assert waits[-1] > ladder.UP_AFTER_MOST_S
    assert len(downs) < 18


def test_nobody_moves_while_something_is_loaded() -> None:
    crowd = Machine(full(512, 512), 0.1)
    for _ in range(40):
        crowd.at += JUDGED_S
        crowd.ladder.note(missed=True)
        assert not crowd.ladder.judge(crowd.at, 1.0, loading=True)
    with pytest.raises(KeyError):
        crowd.leave(3)


def test_a_worker_whose_last_session_left_while_it_was_overloaded_moves_nobody() -> None:
    left = Machine(full(512), power=5)
    left.run(DOWN_S, until=lambda: bool(left.moves))
    assert left.ladder.leave(0) == {}
    for _ in range(20):
        left.ladder.note(missed=True)
    assert left.ladder.judge(left.at + JUDGED_S, 1.0) == {}
