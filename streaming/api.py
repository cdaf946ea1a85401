"""The JSON interface that the page uses: portraits, options, sessions and their events."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
from aiohttp import BodyPartReader, WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from engine.contract import ARKIT, GAZE_RANGE_DEG
from engine.errors import MienError, PortraitError
from engine.motion.script import GESTURES, POSE_RANGE, PRESETS
from streaming.camera.outline import LENGTHS
from streaming.config import RATES, SIZES, ServerConfig
from streaming.contract import CHOSEN, LOOK_AHEADS_MS, SESSION_ID, CapacityReached, SessionSettings, now
from streaming.desk import Desk, Feed, Seat, Taken
from streaming.enrolment import EnrolmentBusy
from streaming.guard import refused
from streaming.posters import Posters
from streaming.rtc.hold import PictureHold
from streaming.rtc.routes import PEERS

log = logging.getLogger(__name__)

JSON_LIMIT = 64 * 1024  # bytes
PHOTO_LIMIT = 40 * 1024 * 1024  # bytes
FIELD_LIMIT = 2000  # bytes of a name or a consent statement
STATUS_S = 0.5


class Listed(Protocol):
    """What the page shows of a portrait."""

    @property
    def id(self) -> str:
        """The name it is addressed by."""
        ...

    @property
    def name(self) -> str:
        """What its owner calls it."""
        ...

    @property
    def label(self) -> str:
        """What one sees, for who cannot see it."""
        ...

    @property
    def builtin(self) -> bool:
        """Whether it came with mien and cannot be deleted."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What this face cannot do well, a line each."""
        ...


class Library(Protocol):
    """The portraits of this server: the built-in ones and the user's own."""

    def all(self) -> Sequence[Listed]:
        """Every portrait, the user's own first."""
        ...

    def thumbnail(self, portrait_id: str) -> tuple[bytes, str]:
        """A small picture and its media type; `PortraitError` if there is no such portrait."""
        ...

    async def prepare(self) -> None:
        """Have a process ready for a photo that will probably come; what is missing is said when it comes."""
        ...

    async def enrol(self, photo: bytes, name: str, consent: str, progress: Callable[[str], None]) -> Listed:
        """Make a portrait of a photo in a process of its own; `PortraitError` and `MissingDependency` say why not."""
        ...

    def remove(self, portrait_id: str) -> None:
        """Delete one of the user's own; `PortraitError` if there is none, or it is built in."""
        ...

    async def close(self) -> None:
        """End what enrolling may have left running."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """What the handlers share."""

    config: ServerConfig
    desk: Desk
    library: Library
    samples: Mapping[str, NDArray[np.float32]]  # mono at 48 kHz
    feeds: Mapping[str, Feed]  # this machine's own sources: "microphone", "file"
    posters: Posters
    enrolments: dict[str, str] = field(default_factory=dict[str, str])  # ticket: what is being done


HOUSE = web.AppKey("house", House)


class Strict(BaseModel):
    """A message from outside: nothing in it that we did not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SessionRequest(Strict):
    """The body of `POST /api/sessions`."""

    portrait: Annotated[str, Field(min_length=1, max_length=100)]
    id: Annotated[str, Field(pattern=SESSION_ID)] | None = None
    size: Literal[256, 384, 512, 768] | None = None
    fps: Literal[25, 30, 50, 60] | None = None
    look_ahead_ms: Literal[0, 40, 80, 160] | None = None
    source: Literal["browser", "microphone", "file", "sample"] = "browser"
    camera: Literal["browser", "machine", "off"] = "browser"


class Change(Strict):
    """A change of `Controls`; what is absent stays as it is."""

    channels: dict[str, FiniteFloat | None] | None = None
    preset: Annotated[str, Field(max_length=40)] | None = None
    mouth_gain: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = None
    head_gain: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = None
    idle: bool | None = None
    portrait: Annotated[str, Field(min_length=1, max_length=100)] | None = None
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


M = TypeVar("M", bound=BaseModel)


def add_routes(app: web.Application) -> None:
    """Add the JSON interface; `app[HOUSE]` must be set."""
    app.router.add_get("/api/options", options)
    app.router.add_get("/api/portraits", portraits)
    app.router.add_post("/api/portraits", enrol)
    app.router.add_delete("/api/portraits/{portrait}", remove_portrait)
    app.router.add_get("/api/portraits/{portrait}/thumbnail", thumbnail)
    app.router.add_get("/api/portraits/{portrait}/poster", poster)
    app.router.add_post("/api/enrolments", prepare)
    app.router.add_get("/api/enrolments/{ticket}", enrolment)
    app.router.add_post("/api/sessions", open_session)
    app.router.add_get("/api/sessions/{session}", session_status)
    app.router.add_delete("/api/sessions/{session}", close_session)
    app.router.add_get("/api/sessions/{session}/events", events)


@web.middleware
async def one_line_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as `{"error": one line}` and the right status; only a bug of ours is a 500."""
    try:
        return await handler(request)
    except CapacityReached as error:
        return refused(503, str(error) or "no room for one more session; stop another one first")
    except EnrolmentBusy as error:
        return refused(503, one_line(error))
    except Taken as error:
        return refused(409, f"another page holds the session {error}; close it there")
    except (ValidationError, ValueError) as error:
        return refused(400, one_line(error))
    except MienError as error:
        return refused(422, one_line(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return refused(error.status, _http_line(error))


def _http_line(error: web.HTTPException) -> str:
    if error.status == 404:
        return error.text if error.text and not error.text.startswith("404") else "there is nothing at that address"
    if error.status == 413:
        return f"that is too large; at most {PHOTO_LIMIT // 1024**2} MB for a photo and {JSON_LIMIT // 1024} kB for the rest"
    return error.reason or "the request cannot be served"


def one_line(error: Exception) -> str:
    """An error as one line fit for a user."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    if isinstance(error, json.JSONDecodeError):
        return "the body is not JSON"
    return " ".join(str(error).split()) or type(error).__name__


async def _parsed(request: web.Request, model: type[M]) -> M:
    body = await request.content.read(JSON_LIMIT + 1)
    while len(body) <= JSON_LIMIT and not request.content.at_eof():
        body += await request.content.read(JSON_LIMIT + 1 - len(body))
    if len(body) > JSON_LIMIT:
        raise web.HTTPRequestEntityTooLarge(JSON_LIMIT, len(body))
    return model.model_validate_json(body or b"{}")


# -- portraits --------------------------------------------------------------------------------------------------------


def _described(portrait: Listed) -> dict[str, Any]:
    return {
        "id": portrait.id,
        "name": portrait.name,
        "label": portrait.label,
        "builtin": portrait.builtin,
        "notes": list(portrait.notes),
        "thumbnail": f"/api/portraits/{portrait.id}/thumbnail",
        "poster": f"/api/portraits/{portrait.id}/poster",
    }


async def portraits(request: web.Request) -> web.Response:
    """All portraits."""
    return web.json_response([_described(portrait) for portrait in request.app[HOUSE].library.all()])


async def thumbnail(request: web.Request) -> web.Response:
    """A portrait's small picture."""
    try:
        body, media_type = request.app[HOUSE].library.thumbnail(request.match_info["portrait"])
    except PortraitError as error:
        return refused(404, one_line(error))
    return web.Response(body=body, content_type=media_type, headers={"Cache-Control": "private, max-age=3600"})


async def poster(request: web.Request) -> web.Response:
    """The first frame that would be live of a portrait; its thumbnail when no worker is free to draw it."""
    house, name = request.app[HOUSE], request.match_info["portrait"]
    try:
        body, media_type = house.library.thumbnail(name)
    except PortraitError as error:
        return refused(404, one_line(error))
    drawn = await house.posters.get(name, zlib.crc32(body), badge=house.config.badge)
    if drawn is None:
        return web.Response(body=body, content_type=media_type, headers={"Cache-Control": "no-store"})
    return web.Response(body=drawn, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})


async def remove_portrait(request: web.Request) -> web.Response:
    """Delete one of the user's own portraits."""
    house, name = request.app[HOUSE], request.match_info["portrait"]
    if any(portrait.id == name and portrait.builtin for portrait in house.library.all()):
        return refused(403, "built-in portraits stay; only your own can be deleted")
    try:
        house.library.remove(name)
    except PortraitError as error:
        return refused(404, one_line(error))
    return web.Response(status=204)


async def enrol(request: web.Request) -> web.Response:
    """Make a portrait of an uploaded photo."""
    house = request.app[HOUSE]
    fields = await _form(request)
    photo, name = fields.get("photo", b""), _text(fields, "name")
    consent = _text(fields, "consent")
    if not photo:
        return refused(400, "photo: choose a picture first")
    if not consent:
        return refused(400, "consent: say that the person shown agrees, or the photo is not used")
    ticket = request.headers.get("X-Ticket", "")[:64] or f"{id(request)}"
    house.enrolments[ticket] = "Looking for a face"
    try:
        portrait = await house.library.enrol(
            photo, name or "My face", consent, lambda line: house.enrolments.__setitem__(ticket, line)
        )
    finally:
        house.enrolments.pop(ticket, None)
    return web.json_response(_described(portrait), status=201)


async def prepare(request: web.Request) -> web.Response:
    """A photo will probably come: have what it needs ready."""
    await request.app[HOUSE].library.prepare()
    return web.Response(status=204)


async def enrolment(request: web.Request) -> web.Response:
    """What is being done with a photo: `{"progress": one line}`; 404 when nothing is."""
    line = request.app[HOUSE].enrolments.get(request.match_info["ticket"])
    return refused(404, "no photo of that ticket is being prepared") if line is None else web.json_response({"progress": line})


async def _form(request: web.Request) -> dict[str, bytes]:
    """The fields of a multipart form, each within its limit."""
    if request.content_type != "multipart/form-data":
        raise ValueError(f"expected multipart/form-data, got {request.content_type}")
    fields: dict[str, bytes] = {}
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            name = part.name if isinstance(part, BodyPartReader) else None
            if name not in ("photo", "name", "consent") or not isinstance(part, BodyPartReader):
                raise ValueError(f"the form has no field {str(name)[:40]!r}; it takes photo, name and consent")
            fields[name] = await _part(part, PHOTO_LIMIT if name == "photo" else FIELD_LIMIT)
    except (HttpProcessingError, AssertionError, LookupError, RuntimeError, TypeError) as error:  # what its parser raises
        raise ValueError("the form is damaged or was cut short; send it again") from error
    return fields


async def _part(part: BodyPartReader, limit: int) -> bytes:
    body = bytearray()
    while chunk := await part.read_chunk(256 * 1024):
        body += chunk
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return bytes(body)


def _text(fields: Mapping[str, bytes], name: str) -> str:
    try:
        text = fields.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8") from error
    return " ".join(re.sub(r"[^\S ]|[\x00-\x1f\x7f]", " ", text).split())


# -- sessions ---------------------------------------------------------------------------------------------------------


async def options(request: web.Request) -> web.Response:
    """What the page may offer."""
    house = request.app[HOUSE]
    config = house.config
    ranges = dict.fromkeys(ARKIT, (0.0, 1.0)) | {name: (-most, most) for name, most in POSE_RANGE.items()}
    return web.json_response(
        {
            "sizes": SIZES,
            "rates": RATES,
            "size": config.size,
            "fps": config.fps,
            "look_ahead_ms": config.look_ahead_ms,
            "look_aheads_ms": LOOK_AHEADS_MS,
            "portrait": config.portrait,
            "badge": config.badge,
            "presets": [{"id": name, "gesture": name in GESTURES} for name in PRESETS],
            "channels": {name: {"min": low, "max": high} for name, (low, high) in ranges.items()},
            "gaze_range_deg": GAZE_RANGE_DEG,
            "samples": list(house.samples),
            "sources": ["browser", *house.feeds],
            "cameras": ["browser", *(["machine"] if config.camera is not None else [])],
            "factors": CHOSEN,
            "outline": LENGTHS,
            "ready": house.desk.ready,
        }
    )


async def open_session(request: web.Request) -> web.Response:
    """Open a session."""
    house = request.app[HOUSE]
    wanted = await _parsed(request, SessionRequest)
    if not house.desk.ready:
        return refused(503, "still warming up; try again in a few seconds")
    source = "browser" if wanted.source == "sample" else wanted.source
    if source not in ("browser", *house.feeds):
        return refused(400, f"this server was started without that source; start it with --{_switch(source)}")
    if all(portrait.id != wanted.portrait for portrait in house.library.all()):
        return refused(404, "there is no such portrait; choose another face")
    config = house.config
    settings = SessionSettings(
        portrait=wanted.portrait,
        size=wanted.size or config.size,
        fps=wanted.fps or config.fps,
        look_ahead_ms=config.look_ahead_ms if wanted.look_ahead_ms is None else wanted.look_ahead_ms,
        badge=config.badge,
        head_style=str(config.head_style) if config.head_style else None,
    )
    if wanted.camera == "machine" and config.camera is None:
        return refused(400, "this server was started without a camera of its own; start it with --camera")
    seat = await house.desk.open(settings, wanted.id, source=source)
    if wanted.camera != "browser":
        seat.control(camera=wanted.camera)
    if feed := house.feeds.get(source):
        seat.feed(feed)
    if wanted.source == "sample" and house.samples:
        _say(house, seat, sample=True)
    name = seat.id
    addresses = {"whip": f"/whip/{name}", "whep": f"/whep/{name}", "stage": f"/stage/{name}"}
    return web.json_response({"id": name, **addresses, "events": f"/api/sessions/{name}/events"}, status=201)


def _switch(source: str) -> str:
    return "audio FILE" if source == "file" else "microphone"


def _seat(request: web.Request) -> Seat:
    seat = request.app[HOUSE].desk.get(request.match_info["session"])
    if seat is None:
        raise web.HTTPNotFound(text="that session has ended")
    return seat


def _hold(app: web.Application, seat: Seat) -> PictureHold | None:
    """What holds the session's pictures, while anybody watches."""
    broadcast = app[PEERS].broadcast(seat.id) if PEERS in app else None
    return broadcast.hold if broadcast else None


def _status(app: web.Application, seat: Seat) -> dict[str, Any]:
    settings, hold = seat.settings, _hold(app, seat)
    return dataclasses.asdict(seat.status()) | {
        "source": seat.source,
        "speaking": seat.speaking,
        "portrait": seat.portrait,
        "size": settings.size,
        "look_ahead_ms": settings.look_ahead_ms,
        "picture_hold_ms": hold.ms if hold else settings.picture_hold_ms,
        "pages": len(seat.pages),
    }


async def session_status(request: web.Request) -> web.Response:
    """How a session is doing."""
    return web.json_response({"id": request.match_info["session"], **_status(request.app, _seat(request))})


async def close_session(request: web.Request) -> web.Response:
    """End a session."""
    seat = _seat(request)
    await request.app[HOUSE].desk.end(seat.id)
    return web.Response(status=204)


async def events(request: web.Request) -> web.WebSocketResponse:
    """The session's socket: commands in, its status out twice a second."""
    seat = _seat(request)
    socket = web.WebSocketResponse(heartbeat=10, max_msg_size=JSON_LIMIT)
    await socket.prepare(request)
    seat.pages.add(socket)
    reporter = asyncio.create_task(_report(request.app, seat, socket))
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT and (
                line := obey(request.app[HOUSE], seat, message.data, _hold(request.app, seat), socket)
            ):
                await socket.send_json({"error": line})
    finally:
        seat.pages.discard(socket)
        seat.show_outline(socket, on=False)
        seat.used_at = now()
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)
    return socket


async def _report(app: web.Application, seat: Seat, socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while not socket.closed:
            await socket.send_json({"status": _status(app, seat)})
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
            _say(house, seat, sample=command.sample)
        if command.sound_late_ms is not None and hold is not None:
            hold.hear(command.sound_late_ms)
        if command.outline is not None and page is not None:
            seat.show_outline(page, on=command.outline)
        if command.control is not None:
            seat.control(**command.control.model_dump(exclude_unset=True))
    except (ValidationError, ValueError, MienError) as error:
        return one_line(error)
    return None


def _say(house: House, seat: Seat, *, sample: bool | str) -> None:
    if sample is False:
        return seat.stop_sample()
    name = next(iter(house.samples), "") if sample is True else sample
    if name not in house.samples:
        raise ValueError(f"no sample is called {name!r}; there are {', '.join(house.samples) or 'none'}")
    return seat.say(name, house.samples[name])
