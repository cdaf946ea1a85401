"""A session as the event loop has it, with a worker that says what the test says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from streaming.contract import OutgoingSound, SessionSettings, Stamps, now
from streaming.metrics import Metrics
from streaming.remote import PATIENCE_S, Remote
from streaming.worker.messages import Frame, Opened, Speech
from streaming.worker.options import BEHIND_MOST_S

RATE, PIECE, PERIOD = 48_000, 960, 0.04


class FakeWorker:
    def send(self, message: Any) -> None:
        pass

    def picture(self, key: int, slot: int, size: int) -> np.ndarray:
        return np.zeros((size * 3 // 2, size), np.uint8)

    def leave(self, key: int) -> None:
        pass


class FakeViewfinder:
    def close(self) -> None:
        pass


class Stand:
    """A session of 25 fps, and what it lets be heard; frame 0 is due at `anchor`."""

    def __init__(self, anchor: float) -> None:
        worker, viewfinder = FakeWorker(), FakeViewfinder()
        settings = SessionSettings(portrait="p")
        parts: Any = (worker, lambda _: Path("p"), PERIOD, lambda _: viewfinder, Metrics())
        self.anchor = anchor
        self.remote = Remote("s", 1, settings, *parts)
        self.sounds = self.remote.listen()
        self.remote.hear(Opened(1, anchor, 0))

    def due(self, start: int) -> float:
        """When a worker takes the piece that begins with a sample: the last one of a frame as that is due."""
        return self.anchor + (start + PIECE) / RATE - PERIOD

    def show(self, index: int) -> None:
        self.remote.hear(Frame(1, index, 0, 64, 0, True, False, Stamps(due=self.anchor + index * PERIOD)))

    def say(self, start: int) -> None:
        self.remote.hear(Speech(1, start, 0, self.due(start), np.zeros(PIECE, np.int16)))

    def come_back(self, start: int, late_s: float = 0.0) -> None:
        """Another worker's first piece."""
        self.anchor += now() - late_s - self.due(start)
        self.say(start)

    async def heard(self, count: int) -> list[OutgoingSound]:
        return [await anext(self.sounds) for _ in range(count)]


@pytest_asyncio.fixture
async def stand() -> AsyncIterator[Stand]:
    stand = Stand(now())
    yield stand
    await stand.remote.close()


@pytest.mark.parametrize("pieces", [1, 4, 15])
async def test_an_understudy_leads_over_to_the_worker_that_comes_back_when_that_would_have_spoken(stand: Stand, pieces: int):
    stand.show(0)
    for start in (0, PIECE):
        stand.say(start)
    stand.remote.lost()
    assert stand.remote.state == "recovering"
    stand.come_back((2 + pieces) * PIECE)
    assert stand.remote.state == "live"
    *_, bridge, back = await stand.heard(4)
    assert (bridge.start, len(bridge.samples)) == (2 * PIECE, pieces * PIECE)
    assert back.start == bridge.start + len(bridge.samples)
    assert back.due - bridge.due == pytest.approx(pieces * PIECE / RATE)


async def test_what_is_missing_for_longer_is_left_out(stand: Stand):
    stand.show(0)
    stand.say(0)
    stand.remote.lost()
    start = PIECE * round(BEHIND_MOST_S * RATE / PIECE + 2)
    stand.come_back(start)
    assert [sound.start for sound in await stand.heard(2)] == [0, start]


async def test_a_worker_that_is_late_is_not_back(stand: Stand):
    stand.show(0)
    stand.say(0)
    stand.remote.lost()
    stand.come_back(PIECE, 2 * PATIENCE_S)
    assert stand.remote.state == "recovering"
