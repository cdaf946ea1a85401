"""A process that is kept running: what happens when it cannot start, falls, is silent, or is not wanted any more."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from streaming import kept
from streaming.kept import AGAIN_S, FALLS, SILENCE_S, Kept, Watch


class Child:
    """Stands for a process that runs until it is told or killed."""

    def __init__(self, gone: Callable[[], None], at: float) -> None:
        self.gone = gone
        self.heard_at = at
        self.pid = 4711
        self.killed = self.reaped = False
        self.told: list[str] = []

    def kill(self) -> None:
        self.killed = True

    async def reap(self) -> None:
        await asyncio.sleep(0)
        self.reaped = True
        self.gone()

    async def stop(self, farewell: str) -> None:
        self.told.append(farewell)

    def send(self, message: str) -> None:
        self.told.append(message)


class One(Kept[str]):
    role: ClassVar[str] = "a process"
    rest_s: ClassVar[float] = 5.0

    def __init__(self, clock: "Clock") -> None:
        super().__init__()
        self.clock = clock
        self.refused = False
        self.children: list[Child] = []
        self.worn_out: list[bool] = []

    def _new(self, gone: Callable[[], None]) -> Any:
        return Child(gone, self.clock.at)

    async def _launch(self, child: Any) -> None:
        if self.refused:
            raise OSError("no room for another process")
        self.children.append(child)

    def _bereave(self, *, worn_out: bool) -> None:
        self.worn_out.append(worn_out)


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    it = Clock()
    monkeypatch.setattr(kept, "now", it)
    return it


async def test_one_that_cannot_be_started_is_tried_again_after_a_while(clock: Clock):
    one = One(clock)
    one.refused = True
    with pytest.raises(OSError, match="no room"):
        await one.look_after()
    assert one.pid is None
    one.refused = False
    await one.look_after()
    assert one.pid is None  # it rests
    clock.at += AGAIN_S
    await one.look_after()
    assert one.pid == 4711
    one.send("hello")
    assert one.children[0].told == ["hello"]


async def test_one_that_falls_is_replaced_and_rests_when_it_falls_again_and_again(clock: Clock):
    one = One(clock)
    for _ in range(FALLS):
        await one.look_after()
        one.ready = True
        one.children[-1].gone()
        assert not one.ready
        one.children[-1].gone()  # it is not mourned twice
    assert one.worn_out == [False] * (FALLS - 1) + [True]
    await one.look_after()
    assert len(one.children) == FALLS
    assert all(child.reaped for child in one.children)
    clock.at += one.rest_s
    await one.look_after()
    assert len(one.children) == FALLS + 1


async def test_one_that_is_silent_is_killed_sooner_once_it_serves(clock: Clock):
    one = One(clock)
    await one.look_after()
    clock.at += SILENCE_S + 1
    await one.look_after()
    assert not one.children[0].killed  # a start takes longer
    one.ready = True
    await one.look_after()
    assert one.children[0].killed
    await one.look_after()
    assert len(one.children) == 2


async def test_one_that_falls_while_all_end_is_buried_and_not_replaced(clock: Clock):
    one = One(clock)
    await one.look_after()
    one.ending = True
    one.children[0].gone()
    assert one.worn_out == []
    await one.stop("farewell")
    assert one.children[0].reaped
    await one.look_after()
    assert len(one.children) == 1


async def test_a_watch_goes_on_when_one_cannot_be_started_and_ends_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "WATCH_S", 0.0)
    poor, rich, rounds = One(clock), One(clock), list[int]()
    poor.refused = True
    watch = Watch([poor, rich], lambda: rounds.append(1))
    watch.begin()
    watch.begin()
    while len(rounds) < 3:
        await asyncio.sleep(0)
    await watch.end()
    await watch.end()
    assert (poor.children, len(rich.children)) == ([], 1)
