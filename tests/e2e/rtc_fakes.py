"""A session that needs no worker: a Gray-code clock in the picture, clicks in the sound, and an ear for what is pushed."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.timeline import Timeline
from streaming.contract import CodedPicture, LiveStatus, Outgoing, OutgoingSound, SessionSettings, Stamps, Step, now
from streaming.worker.ladder import is_drawn

BITS = 24
STRIP = 32  # rows of the clock at the top
CLICK_FRAMES = 25  # one click in so many frames


class ClockSession:
    """Emits at its frame rate from a fixed anchor; obeys the laws of `LiveSession` that peers rely on."""

    def __init__(self, session_id: str = "s", **settings: Any) -> None:
        self.id = session_id
        self.settings = SessionSettings(portrait="clock", **settings)
        self.pushed: list[tuple[NDArray[np.float32], float]] = []
        self.clicks_ms: dict[int, float] = {}
        self.closed = asyncio.Event()
        self.viewers = 0
        self.pictures: list[CodedPicture] = []
        self.pictures_ended = 0
        self.draw: Callable[[NDArray[np.float32]], None] | None = None
        self.colour: tuple[int, int, int] | None = None  # Y, U, V below the clock, instead of the texture
        self.step = Step(self.settings.fps, self.settings.size)
        self._anchor = now()
        self._video = np.zeros(0, np.uint8)

    def push_audio(self, samples: NDArray[np.float32], arrived: float) -> None:
        self.pushed.append((samples, arrived))

    def push_picture(self, picture: CodedPicture) -> bool:
        self.pictures.append(picture)
        return True

    def end_pictures(self) -> None:
        self.pictures_ended += 1

    def draw_outline(self, draw: Callable[[NDArray[np.float32]], None] | None) -> None:
        self.draw = draw

    async def subscribe(self) -> AsyncIterator[Outgoing]:
        fps = self.settings.fps
        index = int((now() - self._anchor) * fps) + 1
        while not self.closed.is_set():
            due = self._anchor + index / fps
            await asyncio.sleep(max(0.0, due - now()))
            yield self._emission(index, due)
            index += 1

    def _emission(self, index: int, due: float) -> Outgoing:
        wall_ms = time.time() * 1000
        fresh = is_drawn(self.step, index, self.settings.fps) or not self._video.size
        if fresh:
            self._video = self._picture(index, wall_ms)
        stamps = Stamps(due=due, arrived=now(), colour=now())
        return Outgoing(index, self._video, fresh, stamps, spared=not fresh)

    async def listen(self) -> AsyncIterator[OutgoingSound]:
        timeline = Timeline(fps=self.settings.fps)
        frame, piece = timeline.samples_per_frame, timeline.samples_per_piece
        start = (int((now() - self._anchor) * self.settings.fps) + 1) * frame
        while not self.closed.is_set():
            due = self._anchor + (start + piece - frame) / 48_000  # the last piece of a frame is due with its picture
            await asyncio.sleep(max(0.0, due - now()))
            samples = np.zeros(piece, np.int16)
            if start % (CLICK_FRAMES * frame) == 0:
                samples[:240] = 20_000 * np.sin(2 * np.pi * 2000 * np.arange(240) / 48_000)
                self.clicks_ms[start // frame] = time.time() * 1000
            yield OutgoingSound(start, samples, 0, due)
            start += piece

    def _picture(self, index: int, wall_ms: float) -> NDArray[np.uint8]:
        size = self.step.size
        video = np.full((size * 3 // 2, size), 128, np.uint8)
        video[:size] = np.roll(_texture(size), 2 * index, axis=1)
        if self.colour is not None:
            video[:size] = self.colour[0]
            chroma = video[size:].reshape(2, -1)
            chroma[0], chroma[1] = self.colour[1:]
        clock = int(wall_ms) & ((1 << BITS) - 1)
        gray, cell = clock ^ clock >> 1, size // BITS
        for bit in range(BITS):
            video[:STRIP, bit * cell : (bit + 1) * cell] = 235 if gray >> bit & 1 else 16
        return video

    def control(self, **changes: Any) -> None: ...

    def interrupt(self) -> None: ...

    def record(self, stage: str, milliseconds: float) -> None: ...

    def watched_by(self, viewers: int) -> None:
        self.viewers = viewers

    def status(self) -> LiveStatus:
        return LiveStatus("live", self.settings.fps, 0, 0)

    async def close(self) -> None:
        self.closed.set()


@functools.cache
def _texture(size: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(60, 200, (size // 16, size // 16), dtype=np.uint8)
    return np.kron(coarse, np.ones((16, 16), np.uint8))


class Sessions:
    """The part of `LiveSessions` that routes use."""

    def __init__(self, *sessions: ClockSession) -> None:
        self.sessions = {session.id: session for session in sessions}

    def get(self, session_id: str) -> ClockSession | None:
        return self.sessions.get(session_id)

    def all(self) -> dict[str, ClockSession]:
        return {name: session for name, session in self.sessions.items() if not session.closed.is_set()}
