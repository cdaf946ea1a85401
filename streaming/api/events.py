"""A session's socket: commands in, its status out."""

import asyncio
import contextlib
from typing import Annotated, Final, Literal

from aiohttp import WSMsgType, web
from pydantic import Field, FiniteFloat, ValidationError

from engine.errors import MienError
from streaming.api.bodies import JSON_LIMIT, Id, Strict
from streaming.api.errors import one_line
from streaming.api.house import HOUSE, House
from streaming.api.status import hold_of, seat_of, status_of
from streaming.contract import now
from streaming.desk import Seat
from streaming.guard.answers import refused
from streaming.guard.gate import SOCKET_PROTOCOL
from streaming.guard.quota import MESSAGES, PAGES_PER_SESSION, Bucket
from streaming.rtc.hold import PictureHold

STATUS_S: Final = 0.5
PING_S: Final = 2.0
"""A page that is alive is heard of at least this often, whatever it has to say."""
SILENT_S: Final = 10.0
"""A page that has not answered for one and a half times this long is gone."""


class Change(Strict):
    """A change of `Controls`; what is absent stays as it is."""

    channels: dict[str, FiniteFloat | None] | None = None
    preset: Annotated[str, Field(max_length=40)] | None = None
    mouth_gain: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = None
    head_gain: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = None
    idle: bool | None = None
    portrait: Id | None = None
    camera: Literal["browser", "machine", "off"] | None = None
    factors: dict[Annotated[str, Field(max_length=40)], Literal["voice", "camera", "still"]] | None = None
    neutral: Literal[True] | None = None
    eye_contact: bool | None = None


class Command(Strict):
    """A message on the events socket."""

    control: Change | None = None
    interrupt: bool = False
    sample: bool | Annotated[str, Field(max_length=40)] | None = None
    sound_late_ms: Annotated[float, Field(ge=-10_000, le=10_000)] | None = None
    outline: bool | None = None


def add_routes(app: web.Application) -> None:
    """Add the socket's route."""
    app.router.add_get("/api/sessions/{session}/events", events)


async def events(request: web.Request) -> web.StreamResponse:
    """The session's socket: commands in, its status out twice a second."""
    seat = seat_of(request)
    if len(seat.pages) >= PAGES_PER_SESSION:
        return refused(429, f"this session has {PAGES_PER_SESSION} pages open, which is as many as it may")
    socket = web.WebSocketResponse(heartbeat=SILENT_S, autoping=False, max_msg_size=JSON_LIMIT, protocols=(SOCKET_PROTOCOL,))
    await socket.prepare(request)
    seat.pages.add(socket)
    reporter = asyncio.create_task(_report(request.app, seat, socket))
    try:
        await _listen(request.app, seat, socket)
    finally:
        seat.pages.discard(socket)
        seat.show_outline(socket, on=False)
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)
    return socket


async def _listen(app: web.Application, seat: Seat, socket: web.WebSocketResponse) -> None:
    """Obey what comes on a socket until it closes; who says too much is heard slowly."""
    bucket = Bucket(MESSAGES, at=now())
    async for message in socket:
        seat.used_at = now()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        if (wait := bucket.take(at=now())) > 0:
            await asyncio.sleep(wait)
        if message.type is not WSMsgType.TEXT:
            continue
        if line := obey(app[HOUSE], seat, message.data, hold_of(app, seat), socket):
            await socket.send_json({"error": line})


async def _report(app: web.Application, seat: Seat, socket: web.WebSocketResponse) -> None:
    pinged_at = float("-inf")
    with contextlib.suppress(ConnectionError):
        while not socket.closed:
            if now() - pinged_at >= PING_S:
                pinged_at = now()
                await socket.ping()
            await socket.send_json({"status": status_of(app, seat)})
            await asyncio.sleep(STATUS_S)


def obey(
    house: House, seat: Seat, message: str, hold: PictureHold | None = None, page: web.WebSocketResponse | None = None
) -> str | None:
    """Do what a page asks on its socket; what cannot be done is answered in one line."""
    try:
        command = Command.model_validate_json(message)
        if command.interrupt:
            seat.interrupt()
        if command.sample is not None:
            say(house, seat, sample=command.sample)
        if command.sound_late_ms is not None:
            house.metrics.skew(command.sound_late_ms)
            if hold is not None:
                hold.hear(command.sound_late_ms)
        if command.outline is not None and page is not None:
            seat.show_outline(page, on=command.outline)
        if command.control is not None:
            seat.control(**command.control.model_dump(exclude_unset=True))
    except (ValidationError, ValueError, MienError) as error:
        return one_line(error)
    return None


def say(house: House, seat: Seat, *, sample: bool | str) -> None:
    """Speak a sample, true being the first one, or end the one that is spoken.

    Raises:
        ValueError: if there is none of that name.
    """
    if sample is False:
        return seat.stop_sample()
    name = next(iter(house.samples), "") if sample is True else sample
    if name not in house.samples:
        raise ValueError(f"no sample is called {name!r}; there are {', '.join(house.samples) or 'none'}")
    return seat.say(name, house.samples[name])
