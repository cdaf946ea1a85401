# pyright: reportPrivateUsage=false
import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from engine.timeline import Timeline
from streaming.contract import Outgoing, OutgoingSound, SessionSettings, Stamps, now
from streaming.rtc import broadcast as module
from streaming.rtc.broadcast import Broadcast
from streaming.rtc.sender import SenderStats

SIZE = 64


class Session:
    """Emits what it is given."""

    def __init__(self) -> None:
        self.id = "s"
        self.settings = SessionSettings(portrait="p", size=SIZE, picture_hold_ms=20)
        self.queue: asyncio.Queue[Outgoing | None] = asyncio.Queue()
        self.spoken: asyncio.Queue[OutgoingSound] = asyncio.Queue()
        self.recorded: list[str] = []

    async def subscribe(self) -> AsyncIterator[Outgoing]:
        while (emission := await self.queue.get()) is not None:
            yield emission

    async def listen(self) -> AsyncIterator[OutgoingSound]:
        while True:
            yield await self.spoken.get()

    def record(self, stage: str, milliseconds: float) -> None:
        self.recorded.append(stage)

    def emit(self, index: int, ahead: int = 0) -> None:
        video = np.full((SIZE * 3 // 2, SIZE), 100, np.uint8)
        stamps = Stamps(arrived=now(), colour=now())
        for start in (1920 * index, 1920 * index + 960):
            self.spoken.put_nowait(OutgoingSound(start, np.zeros(960, np.int16), 0, now(), ahead))
        self.queue.put_nowait(Outgoing(index, video, True, stamps))


class Viewer:
    def __init__(self, kind: str, log: list[tuple[str, int]], codec: str = "H264") -> None:
        self.kind, self.codec_name = kind, codec
        self.stats = SenderStats()
        self.wants_key, self.started = False, False
        self.log = log

    async def transmit(self, payloads: Any, timestamp: int, *, key: bool = False) -> None:
        self.log.append((self.kind if self.kind == "audio" else self.codec_name, timestamp))


class Stand:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.session, self.log, self.ended = Session(), list[tuple[str, int]](), asyncio.Event()
        self.broadcast = Broadcast(self.session, pool, self.ended.set)  # type: ignore[arg-type]

    def add(self, kind: str, codec: str = "H264") -> Viewer:
        viewer = Viewer(kind, self.log, codec)
        self.broadcast.add(viewer)  # type: ignore[arg-type]
        return viewer

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0)

    def stamps(self, name: str) -> list[int]:
        return [stamp for who, stamp in self.log if who == name]


@pytest.fixture
async def stand(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    monkeypatch.setattr(module, "VOICE_BEGINS_S", 0.0)
    with ThreadPoolExecutor(1) as pool:
        one = Stand(pool)
        yield one
        await one.broadcast.close()


async def test_both_timestamps_say_the_same_instant_and_the_voice_leaves_first(stand: Stand):
    stand.add("audio")
    stand.add("video")
    await asyncio.sleep(0)
    stand.session.emit(50)
    await stand.until(lambda: len(stand.log) == 3)
    assert stand.log[0] == ("audio", 96_000)
    assert sorted(stand.stamps("audio")) == [96_000, 96_960]
    assert stand.stamps("H264") == [180_000]
    assert stand.broadcast.clock.ntp(2.0) is not None


async def test_sound_that_is_ahead_of_its_picture_says_so(stand: Stand):
    stand.add("audio")
    stand.add("video")
    await asyncio.sleep(0)
    stand.session.emit(50, ahead=2880)
    await stand.until(lambda: len(stand.log) == 3)
    assert stand.stamps("H264") == [180_000]
    assert stand.stamps("audio") == [98_880, 99_840]


@pytest.mark.parametrize("fps", [25, 30, 50, 60])
async def test_packets_leave_evenly_and_not_before_they_are_complete(stand: Stand, fps: int):
    piece = Timeline(fps=fps).samples_per_piece
    stand.session.settings = SessionSettings(portrait="p", fps=fps, picture_hold_ms=100)
    broadcast = Broadcast(stand.session, stand.broadcast._pool, stand.ended.set)  # type: ignore[arg-type]
    due, taken = list[float](), dict[int, float]()
    for start in range(0, 10 * piece, piece):
        taken[start + piece] = 1000 + start / 48_000  # a piece is taken at its end; the first at 1000
        broadcast._encode(OutgoingSound(start, np.zeros(piece, np.int16), 0, taken[start + piece]))
    while not broadcast._spoken.empty():
        packet, at = broadcast._spoken.get_nowait()
        assert at >= min(when for end, when in taken.items() if end >= packet.timestamp + 960) - 1e-6
        due.append(at)
    assert len(due) == 10 * piece // 960
    assert np.diff(due) == pytest.approx(0.02)
    await broadcast.close()


async def test_one_encode_per_codec_whoever_watches(stand: Stand):
    for codec in ("H264", "H264", "VP8", "H264"):
        stand.add("video", codec)
    for index in range(3):
        stand.session.emit(index)
        await stand.until(lambda index=index: len(stand.log) == 4 * (index + 1))
    lanes = stand.broadcast.stats.lanes
    assert {codec: lane.pictures for codec, lane in lanes.items()} == {"H264": 3, "VP8": 3}
    assert stand.broadcast.stats.emissions == 3
    assert stand.session.recorded.count("encode") == 6


async def test_the_last_viewer_of_a_codec_ends_its_encoder(stand: Stand):
    viewer = stand.add("video")
    assert stand.broadcast.bitrate > 0
    stand.broadcast.remove(viewer)  # type: ignore[arg-type]
    assert stand.broadcast.bitrate == 0
    stand.broadcast.feedback(viewer)  # type: ignore[arg-type]


async def test_the_voice_begins_when_the_browser_can_play_it(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "VOICE_BEGINS_S", 60.0)
    stand.broadcast.remove(stand.add("audio"))  # type: ignore[arg-type]
    stand.add("audio")
    stand.add("video")
    stand.session.emit(0)
    await stand.until(lambda: len(stand.log) > 0)
    assert stand.stamps("audio") == []


async def test_without_listeners_nothing_is_spoken(stand: Stand):
    stand.session.emit(0)
    await stand.until(lambda: stand.broadcast.stats.emissions == 1)
    assert stand.log == []


async def test_it_ends_with_its_session_and_says_so(stand: Stand):
    stand.session.queue.put_nowait(None)
    async with asyncio.timeout(60):
        await stand.ended.wait()


async def test_a_failing_session_ends_its_own_broadcast(stand: Stand, caplog: pytest.LogCaptureFixture):
    stand.add("audio")
    stand.session.queue.put_nowait("nonsense")  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        await stand.ended.wait()
    assert "the pictures of session s failed" in caplog.text


async def test_a_voice_that_fails_ends_the_broadcast_too(stand: Stand, caplog: pytest.LogCaptureFixture):
    stand.session.spoken.put_nowait("nonsense")  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        await stand.ended.wait()
    assert "the voice of session s failed" in caplog.text
