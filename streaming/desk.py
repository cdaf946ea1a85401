"""The sessions that pages have opened: who speaks in each, who watches, and when nobody is left."""

import asyncio
import contextlib
import dataclasses
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from engine.errors import MienError
from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import (
    CodedPicture,
    LiveSession,
    LiveSessions,
    LiveStatus,
    Outgoing,
    OutgoingSound,
    SessionSettings,
    now,
)
from streaming.guard.lease import Leases

log = logging.getLogger(__name__)

ABANDONED_S = 13.0  # a session is closed when so long no page, viewer, voice or camera has been heard of
SWEEP_S = 1.0
TELL_S = 1.0
PACKET_MS = 20

Push = Callable[[NDArray[np.float32], float], None]
Feed = Callable[[Push], Awaitable[None]]
"""A source of this machine's own: pushes sound as it comes until it ends or is cancelled."""


class Taken(Exception):
    """A session of that id is another's."""


@dataclass(slots=True)
class Seat:
    """One session and those who use it. It is itself the `LiveSession` that peers see.

    A voice that arrives while a sample is spoken is not heard: two voices at
    once would be neither.
    """

    live: LiveSession
    source: str  # "browser", "microphone" or "file"
    portrait: str  # the face it shows now
    client: str = ""  # who opened it, as quotas count
    resume: str = ""  # the secret of who may come back to it
    pages: set[web.WebSocketResponse] = field(default_factory=set[web.WebSocketResponse])
    used_at: float = field(default_factory=now)  # the last sign of life
    speaking: str | None = None  # the sample that is being spoken
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])
    drawing: set[web.WebSocketResponse] = field(default_factory=set[web.WebSocketResponse])  # pages that want the outline

    @property
    def id(self) -> str:
        """See `LiveSession`."""
        return self.live.id

    @property
    def settings(self) -> SessionSettings:
        """See `LiveSession`."""
        return self.live.settings

    def push_audio(self, samples: NDArray[np.float32], arrived: float) -> None:
        """See `LiveSession`; sound of others gives way to a sample."""
        if self.speaking is None:
            self.live.push_audio(samples, arrived)

    def push_picture(self, picture: CodedPicture) -> bool:
        """See `LiveSession`."""
        return self.live.push_picture(picture)

    def end_pictures(self) -> None:
        """See `LiveSession`."""
        self.live.end_pictures()

    def draw_outline(self, draw: Callable[[NDArray[np.float32]], None] | None) -> None:
        """See `LiveSession`."""
        self.live.draw_outline(draw)

    def show_outline(self, page: web.WebSocketResponse, *, on: bool) -> None:
        """Tell a page where the face is that the camera follows, or no more."""
        self.drawing.add(page) if on else self.drawing.discard(page)
        self.live.draw_outline(self._draw if self.drawing else None)

    def subscribe(self) -> AsyncIterator[Outgoing]:
        """See `LiveSession`."""
        return self.live.subscribe()

    def listen(self) -> AsyncIterator[OutgoingSound]:
        """See `LiveSession`."""
        return self.live.listen()

    def control(self, **changes: Any) -> None:
        """See `LiveSession`."""
        self.live.control(**changes)
        self.portrait = changes.get("portrait") or self.portrait

    def interrupt(self) -> None:
        """See `LiveSession`; a sample that is being spoken ends too."""
        self.stop_sample()
        self.live.interrupt()

    def record(self, stage: str, milliseconds: float) -> None:
        """See `LiveSession`."""
        self.live.record(stage, milliseconds)

    def watched_by(self, viewers: int) -> None:
        """See `LiveSession`; a viewer that is heard of is a sign of life."""
        if viewers:
            self.used_at = now()
        self.live.watched_by(viewers)

    def status(self) -> LiveStatus:
        """See `LiveSession`."""
        return self.live.status()

    async def close(self) -> None:
        """See `LiveSession`."""
        tasks, self.tasks = list(self.tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.live.close()

    def feed(self, source: Feed) -> None:
        """Let one of this machine's own sources speak."""
        self._start("feed", lambda: source(self.push_audio))

    def say(self, name: str, pcm: NDArray[np.float32]) -> None:
        """Speak a sample, mono at 48 kHz, in real time; one that is being spoken gives way to it."""
        self.stop_sample()
        self.speaking = name
        self._start("sample", lambda: self._speak(pcm))

    def stop_sample(self) -> None:
        """End the sample that is being spoken, if any."""
        self.speaking = None
        if task := self.tasks.pop("sample", None):
            task.cancel()

    def fits(self, settings: SessionSettings, source: str) -> bool:
        """Whether it is what would be opened with these settings; the face can be changed while it lives."""
        alike = dataclasses.replace(settings, portrait=self.settings.portrait) == self.settings
        return alike and source == self.source and self.status().state != "closed"

    async def _speak(self, pcm: NDArray[np.float32]) -> None:
        await push_in_time(self.live.push_audio, pcm)
        self.speaking = None

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except MienError as error:
                log.warning("a source of a session ended: %s", error)
                await self.tell({"error": str(error)})
            except Exception:
                log.exception("a source of a session failed", extra={"session": self.id, "source": name})

        self.tasks[name] = asyncio.create_task(run(), name=f"{name} of {self.id}")

    def _draw(self, points: NDArray[np.float32]) -> None:
        """Send the outline to the pages that asked; one that is still being sent is enough."""
        sending = self.tasks.get("outline")
        if sending is None or sending.done():
            message = {"outline": [[round(x, 4), round(y, 4)] for x, y in points.tolist()]}
            self._start("outline", lambda: self._tell(list(self.drawing), message))

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message to every page of this session."""
        await self._tell(list(self.pages), message)

    async def _tell(self, pages: Sequence[web.WebSocketResponse], message: Mapping[str, Any]) -> None:
        for page in pages:
            with contextlib.suppress(ConnectionError):
                await page.send_json(message)

    def hears_of_somebody(self) -> bool:
        """Whether a peer's voice or pictures arrive; pages and viewers report themselves."""
        status = self.live.status()
        seeing = status.camera.source == "browser" and status.camera.state not in ("off", "gone")
        return (status.hearing and self.source == "browser") or seeing


async def push_in_time(push: Push, pcm: NDArray[np.float32]) -> None:
    """Push mono sound at 48 kHz packet by packet as a microphone would; late packets catch up, none is skipped."""
    packet = SAMPLE_RATE_HZ * PACKET_MS // 1000
    anchor = now()
    for index, start in enumerate(range(0, len(pcm), packet)):
        await asyncio.sleep(anchor + (index + 1) * PACKET_MS / 1000 - now())
        push(pcm[start : start + packet], now())


class Desk:
    """All sessions of this server. A `LiveSessions` itself: peers look their session up here.

    Args:
        sessions: opens them on workers.
        leases: who may come back to which.
        aside: a session is opened within it; keeps out of its way what is less than that.
    """

    def __init__(
        self,
        sessions: LiveSessions,
        leases: Leases | None = None,
        aside: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._sessions = sessions
        self._aside = aside
        self._leases = leases or Leases()
        self._seats: dict[str, Seat] = {}
        self._opening: set[str] = set()

    def get(self, session_id: str) -> Seat | None:
        """The session of that id, or None."""
        return self._seats.get(session_id)

    def all(self) -> Mapping[str, Seat]:
        """Every session, by id."""
        return self._seats

    def opened_by(self, client: str) -> int:
        """How many sessions a client has, those included that are being opened for anybody."""
        return sum(seat.client == client for seat in self._seats.values()) + len(self._opening)

    @property
    def ready(self) -> bool:
        """See `LiveSessions`."""
        return self._sessions.ready

    async def start(self) -> None:
        """See `LiveSessions`."""
        await self._sessions.start()

    async def open(
        self,
        settings: SessionSettings,
        session_id: str | None = None,
        *,
        source: str = "browser",
        client: str = "",
        holds: bool = False,
    ) -> Seat:
        """Open a session. Who holds that id comes back to the one that lives, if it is what would be opened.

        Args:
            settings: what it is to be.
            session_id: the id it is to have; one of nobody's, if not given.
            source: who speaks in it.
            client: whose it is, as quotas count.
            holds: whether the resume secret of `session_id` was shown.

        Raises:
            Taken: if the id is somebody else's.
            CapacityReached, ValueError, PortraitError: see `LiveSessions.open`.
        """
        name = session_id or secrets.token_hex(4)
        if name in self._opening or (self._leases.is_held(name, at=now()) and not holds):
            raise Taken(name)
        self._opening.add(name)
        try:
            before = self._seats.get(name)
            if before is not None and holds and before.fits(settings, source):
                return _resumed(before, settings)
            if before is not None:
                await self.end(name, keep=holds)
            async with self._aside():
                live = await self._sessions.open(settings, name)
            self._seats[name] = seat = Seat(live, source, settings.portrait, client, self._leases.grant(name))
            return seat
        finally:
            self._opening.discard(name)

    async def end(self, session_id: str, *, keep: bool = False) -> None:
        """Close a session and let its pages know; unknown ids are nothing. `keep`: its holder may come back."""
        if keep:
            self._leases.end(session_id, at=now())
        else:
            self._leases.revoke(session_id)
        seat = self._seats.pop(session_id, None)
        if seat is None:
            return
        await seat.close()
        for page in list(seat.pages):
            with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
                await asyncio.wait_for(page.close(code=4404, message=b"the session ended"), 1)

    async def tell_all(self, message: Mapping[str, Any]) -> None:
        """Send a message to every page; one that does not read is not waited for."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(seat.tell(message) for seat in self._seats.values())), TELL_S)

    async def end_all(self) -> None:
        """Close every session; the workers stay."""
        await asyncio.gather(*(self.end(name) for name in list(self._seats)), return_exceptions=True)

    async def close(self) -> None:
        """See `LiveSessions`."""
        await self.end_all()
        await self._sessions.close()

    async def sweep(self) -> None:
        """Close what has been abandoned, and what closed itself."""
        instant = now()
        for seat in list(self._seats.values()):
            if seat.hears_of_somebody():
                seat.used_at = instant
            if seat.status().state == "closed" or instant - seat.used_at > ABANDONED_S:
                log.info("a session was abandoned", extra={"session": seat.id})
                await self.end(seat.id, keep=True)

    async def sweep_for_ever(self) -> None:
        """Sweep every `SWEEP_S` seconds until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep()


def _resumed(seat: Seat, settings: SessionSettings) -> Seat:
    """A session whose holder has come back to it."""
    seat.used_at = now()
    if settings.portrait != seat.portrait:
        seat.control(portrait=settings.portrait)
    return seat
