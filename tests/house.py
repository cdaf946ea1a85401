"""Stand-ins for the workers and the portrait library that obey the same contracts; no process, no face."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import NoFace, PortraitError
from engine.timeline import Timeline
from streaming.contract import (
    CameraStatus,
    CapacityReached,
    CodedPicture,
    LiveSession,
    LiveStatus,
    Outgoing,
    OutgoingSound,
    SessionSettings,
    Stamps,
    Step,
    now,
)
from streaming.worker.ladder import is_drawn


@dataclass
class FakeSession:
    """Emits a bar that moves down a grey picture, and silence; remembers what it was told."""

    id: str
    settings: SessionSettings
    pushed: list[int] = field(default_factory=list[int])
    changes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    interrupts: int = 0
    viewers: int = 0
    closed: bool = False
    fail_with: str = ""
    pictures: list[CodedPicture] = field(default_factory=list[CodedPicture])
    pictures_ended: int = 0
    draw: Callable[[NDArray[np.float32]], None] | None = None
    camera: CameraStatus = field(default_factory=CameraStatus)
    step: Step | None = None

    def push_audio(self, samples: Any, arrived: float) -> None:
        self.pushed.append(len(samples))

    def push_picture(self, picture: CodedPicture) -> bool:
        self.pictures.append(picture)
        return True

    def end_pictures(self) -> None:
        self.pictures_ended += 1

    def draw_outline(self, draw: Callable[[NDArray[np.float32]], None] | None) -> None:
        self.draw = draw

    async def subscribe(self) -> AsyncIterator[Outgoing]:
        fps, index, anchor = self.settings.fps, 0, now()
        video = _picture(self.settings.size, 0)
        while not self.closed:
            step = self.step or Step(fps, self.settings.size)
            fresh = is_drawn(step, index, fps)
            if fresh:
                video = _picture(step.size, index)
            yield Outgoing(index, video, fresh, Stamps(due=now()), spared=not fresh)
            index += 1
            await asyncio.sleep(max(anchor + index / fps - now(), 0))

    async def listen(self) -> AsyncIterator[OutgoingSound]:
        piece, start, anchor = Timeline(fps=self.settings.fps).samples_per_piece, 0, now()
        while not self.closed:
            yield OutgoingSound(start, np.zeros(piece, np.int16), 0, now())
            start += piece
            await asyncio.sleep(max(anchor + start / 48_000 - now(), 0))

    def control(self, **changes: Any) -> None:
        if self.fail_with:
            raise ValueError(self.fail_with)
        if "portrait" in changes:
            self.settings = replace(self.settings, portrait=changes["portrait"])
        self.changes.append(changes)

    def interrupt(self) -> None:
        self.interrupts += 1

    def record(self, stage: str, milliseconds: float) -> None:
        """Nobody reads it here."""

    def watched_by(self, viewers: int) -> None:
        self.viewers = viewers

    def status(self) -> LiveStatus:
        stages = {"audio_hold": {"p50": 20.0}, "queue": {"p50": 18.0}, "inference": {"p50": 8.0}, "encode": {"p50": 3.0}}
        state = "closed" if self.closed else "live"
        rate, held = float(self.settings.fps), 60.0
        status = LiveStatus(state, rate, 100, 0, stages, held, -30.0, hearing=False, viewers=self.viewers, camera=self.camera)
        return replace(status, step=self.step)

    async def close(self) -> None:
        self.closed = True


def _picture(size: int, index: int) -> NDArray[np.uint8]:
    """I420: a bar that moves down a grey picture."""
    video = np.full((size * 3 // 2, size), 128, np.uint8)
    video[:size] = 110
    top = index * 8 % (size - 32)
    video[top : top + 32] = 220
    return video


class FakeSessions:
    """Has room for `room` sessions and is ready from `start` on."""

    def __init__(self, room: int = 2, *, ready: bool = True) -> None:
        self.room, self.ready = room, ready
        self.opened: dict[str, FakeSession] = {}

    async def open(self, settings: SessionSettings, session_id: str | None = None) -> LiveSession:
        await asyncio.sleep(0)
        if sum(not session.closed for session in self.opened.values()) >= self.room:
            raise CapacityReached("no room for one more session; stop another one first")
        session = FakeSession(session_id or f"fake-{len(self.opened)}", settings)
        self.opened[session.id] = session
        return session

    def get(self, session_id: str) -> FakeSession | None:
        return self.opened.get(session_id)

    def all(self) -> Mapping[str, FakeSession]:
        return {name: session for name, session in self.opened.items() if not session.closed}

    async def start(self) -> None:
        """Ready as it was made."""

    async def close(self) -> None:
        for session in self.opened.values():
            await session.close()


@dataclass(frozen=True)
class FakePortrait:
    id: str
    name: str
    label: str = "a face"
    builtin: bool = True
    notes: Sequence[str] = ()


class FakeLibrary:
    """Six flat faces; a photo is good if it is a JPEG."""

    def __init__(self) -> None:
        names = ("Amara", "Edith", "Marco", "Mei", "Ravi", "Samuel")
        self.faces = {name.lower(): FakePortrait(name.lower(), name) for name in names}
        self.consents: list[str] = []
        self.photos: list[bytes] = []
        self.prepared = 0

    def all(self) -> Sequence[FakePortrait]:
        return tuple(self.faces.values())

    def thumbnail(self, portrait_id: str) -> tuple[bytes, str]:
        if portrait_id not in self.faces:
            raise PortraitError("there is no such portrait")
        shade = 60 + 25 * (sum(portrait_id.encode()) % 6)
        body = io.BytesIO()
        Image.new("RGB", (64, 64), (shade, 110, 120)).save(body, "PNG")
        return body.getvalue(), "image/png"

    async def prepare(self) -> None:
        self.prepared += 1

    async def enrol(self, photo: bytes, name: str, consent: str, progress: Callable[[str], None]) -> FakePortrait:
        progress("Fitting the mesh")
        await asyncio.sleep(0)
        if not photo.startswith(b"\xff\xd8"):
            raise NoFace("no face was found in the photo; use one where both eyes are visible")
        face = FakePortrait(f"my-{len(self.faces)}", name, builtin=False)
        self.faces = {face.id: face, **self.faces}
        self.consents.append(consent)
        self.photos.append(photo)
        return face

    def remove(self, portrait_id: str) -> None:
        if self.faces.pop(portrait_id, None) is None:
            raise PortraitError("there is no such portrait")

    async def close(self) -> None:
        """Nothing is running."""
