import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from streaming.contract import Outgoing, Stamps, now
from streaming.rtc import lane as module
from streaming.rtc.encoder import EncodedPicture
from streaming.rtc.lane import Lane, LaneStats
from streaming.rtc.line import Line
from streaming.rtc.sender import SenderStats


class Encoder:
    """Encodes nothing, but remembers what it was asked."""

    def __init__(self) -> None:
        self.bitrate = 2_000_000
        self.asked: list[tuple[int, bool]] = []
        self.fails = False

    def set_bitrate(self, bps: int) -> None:
        self.bitrate = bps

    def encode(self, picture: Any, index: int, *, key: bool) -> EncodedPicture:
        self.asked.append((index, key))
        if self.fails:
            self.fails = False
            raise RuntimeError("no")
        return EncodedPicture(index, index * 3600, key, (b"picture",))


class Viewer:
    def __init__(self) -> None:
        self.stats = SenderStats()
        self.wants_key = self.started = False
        self.line = Line(2_000_000)
        self.seen: list[int] = []

    async def transmit(self, payloads: Any, timestamp: int, *, key: bool = False) -> None:
        self.seen.append(timestamp // 3600)


def emission(index: int, *, fresh: bool = True) -> Outgoing:
    return Outgoing(index, np.zeros((3, 2), np.uint8), fresh, Stamps(arrived=now(), colour=now()))


class Stand:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.encoder, self.times = Encoder(), dict[str, float]()
        self.lane = Lane(self.encoder, pool, lambda: 0.0, LaneStats(), self.times.__setitem__)

    def viewer(self) -> Viewer:
        viewer = Viewer()
        self.lane.add(viewer)  # type: ignore[arg-type]
        return viewer

    async def play(self, *indices: int) -> float:
        """Returns the time of the last one."""
        taken = 0.0
        for index in indices:
            before, taken = len(self.encoder.asked), now()
            self.lane.offer(emission(index), taken)
            async with asyncio.timeout(60):
                while len(self.encoder.asked) == before:
                    await asyncio.sleep(0)
            for _ in range(200):
                await asyncio.sleep(0)
        return taken


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    with ThreadPoolExecutor(1) as pool:
        one = Stand(pool)
        yield one
        one.lane.close()
        await asyncio.sleep(0)


async def delivered(viewer: Viewer, count: int) -> list[int]:
    async with asyncio.timeout(60):
        while len(viewer.seen) < count:
            await asyncio.sleep(0)
    return viewer.seen


async def test_one_encode_serves_all_and_a_newcomer_begins_with_a_key_frame(stand: Stand):
    first = stand.viewer()
    await stand.play(0, 1)
    await delivered(first, 2)
    second = stand.viewer()
    await stand.play(2, 3)
    assert await delivered(first, 4) == [0, 1, 2, 3]
    assert await delivered(second, 2) == [2, 3]
    assert stand.encoder.asked == [(0, True), (1, False), (2, True), (3, False)]
    assert set(stand.times) == {"encode", "send", "residence"}
    assert (stand.lane.stats.pictures, stand.lane.stats.keys) == (4, 2)


async def test_requests_for_key_frames_are_bundled(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KEY_INTERVAL_S", 3600.0)
    viewer = stand.viewer()
    await stand.play(0)
    await delivered(viewer, 1)
    viewer.wants_key = True
    await stand.play(1)
    assert stand.encoder.asked[-1] == (1, False)  # too soon after the last one
    monkeypatch.setattr(module, "KEY_INTERVAL_S", 0.0)
    await stand.play(2)
    await delivered(viewer, 3)
    assert stand.encoder.asked[-1] == (2, True)
    assert not viewer.wants_key


async def test_a_picture_that_comes_too_early_replaces_the_one_that_waits(stand: Stand):
    stand.viewer()
    for index in range(3):
        stand.lane.offer(emission(index), now())
    await stand.play(3)
    assert [index for index, _ in stand.encoder.asked] == [3]
    assert stand.lane.stats.skipped == 3


async def test_a_picture_that_repeats_is_left_out_unless_somebody_needs_it(stand: Stand):
    first = stand.viewer()
    at = await stand.play(0)
    assert await delivered(first, 1) == [0]
    for index in (1, 2, 3):
        stand.lane.offer(emission(index, fresh=False), at)
    assert stand.lane.stats.repeated == 3
    second = stand.viewer()
    stand.lane.offer(emission(4, fresh=False), at)
    assert await delivered(second, 1) == [4]
    stand.lane.offer(emission(5, fresh=False), at + 1.5 * module.REFRESH_S)  # at + s - at may round to less than s
    assert await delivered(first, 3) == [0, 4, 5]
    first.wants_key = True
    stand.lane._key_at = -1e9  # pyright: ignore[reportPrivateUsage]
    stand.lane.offer(emission(6, fresh=False), at + 1.5 * module.REFRESH_S)
    assert await delivered(second, 3) == [4, 5, 6]
    assert stand.encoder.asked == [(0, True), (4, True), (5, False), (6, True)]


async def test_a_failure_costs_one_picture(stand: Stand, caplog: pytest.LogCaptureFixture):
    viewer = stand.viewer()
    stand.encoder.fails = True
    await stand.play(0, 1)
    assert await delivered(viewer, 1) == [1]
    assert stand.encoder.asked == [(0, True), (1, True)]
    assert "could not be encoded" in caplog.text


async def test_the_weakest_line_sets_the_bitrate(stand: Stand):
    stand.viewer()
    viewer = stand.viewer()
    viewer.line.picture_bps = 900_000
    stand.lane.take_feedback()
    assert stand.encoder.bitrate == 900_000
