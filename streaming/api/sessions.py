"""Sessions: opened, come back to, looked at, ended; and the admissions by which others take part."""

import time
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from streaming.api.bodies import Id, Strict, parsed
from streaming.api.events import say
from streaming.api.health import waiting_for
from streaming.api.house import HOUSE, House
from streaming.api.status import seat_of, status_of
from streaming.contract import SessionSettings
from streaming.desk import Seat
from streaming.guard.admission import LIFE_S, OF_A_SESSION, Scope
from streaming.guard.answers import refused
from streaming.guard.gate import CALLER, Caller

SWITCHES: Final = {"file": "--audio FILE", "microphone": "--microphone"}


class SessionRequest(Strict):
    """The body of `POST /api/sessions`."""

    portrait: Id
    id: Id | None = None
    size: Literal[256, 384, 512, 768] | None = None
    fps: Literal[25, 30, 50, 60] | None = None
    look_ahead_ms: Literal[0, 40, 80, 160] | None = None
    source: Literal["browser", "microphone", "file", "sample"] = "browser"
    camera: Literal["browser", "machine", "off"] = "browser"


class AdmissionRequest(Strict):
    """The body of `POST /api/admissions`."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    session: Id | None = None
    seconds: Annotated[int, Field(ge=1, le=LIFE_S)] = LIFE_S


def add_routes(app: web.Application) -> None:
    """Add the sessions' routes."""
    app.router.add_post("/api/sessions", open_session)
    app.router.add_get("/api/sessions/{session}", session_status)
    app.router.add_delete("/api/sessions/{session}", close_session)
    app.router.add_post("/api/admissions", admit)


async def open_session(request: web.Request) -> web.Response:
    """Open a session (201), or come back to the one whose resume secret is shown (200)."""
    house, caller = request.app[HOUSE], request[CALLER]
    wanted = await parsed(request, SessionRequest)
    if refusal := _refusal(house, caller, wanted):
        return refusal
    before = house.desk.get(wanted.id or "")
    source = "browser" if wanted.source == "sample" else wanted.source
    holds = caller.holds is not None
    seat = await house.desk.open(_settings(house, wanted), wanted.id, source=source, client=caller.client, holds=holds)
    if seat is not before:
        _begin(house, seat, wanted)
    elif seat.status().camera.source != wanted.camera:
        seat.control(camera=wanted.camera)
    return web.json_response(_told(house, seat), status=200 if seat is before else 201)


def _refusal(house: House, caller: Caller, wanted: SessionRequest) -> web.Response | None:
    """Why a session cannot be opened, if so."""
    if line := waiting_for(house):
        return refused(503, f"still {line}; try again in a few seconds" if line == "warming up" else line)
    if caller.holds not in (None, wanted.id) or (
        caller.admission is not None and caller.admission.session not in (None, wanted.id)
    ):
        return refused(403, "that token is for a session of another id")
    if wanted.source in SWITCHES and wanted.source not in house.feeds:
        return refused(400, f"this server was started without that source; start it with {SWITCHES[wanted.source]}")
    if wanted.camera == "machine" and house.config.camera is None:
        return refused(400, "this server was started without a camera of its own; start it with --camera")
    if all(portrait.id != wanted.portrait for portrait in house.library.all()):
        return refused(404, "there is no such portrait; choose another face")
    most = house.config.sessions_per_client
    if caller.holds is None and house.desk.opened_by(caller.client) >= most:
        return refused(429, f"you have {most} sessions, which is as many as one address may; end one first")
    return None


def _settings(house: House, wanted: SessionRequest) -> SessionSettings:
    config = house.config
    return SessionSettings(
        portrait=wanted.portrait,
        size=wanted.size or config.size,
        fps=wanted.fps or config.fps,
        look_ahead_ms=config.look_ahead_ms if wanted.look_ahead_ms is None else wanted.look_ahead_ms,
        badge=config.badge,
        head_style=str(config.head_style) if config.head_style else None,
    )


def _begin(house: House, seat: Seat, wanted: SessionRequest) -> None:
    if wanted.camera != "browser":
        seat.control(camera=wanted.camera)
    if feed := house.feeds.get(seat.source):
        seat.feed(feed)
    if wanted.source == "sample" and house.samples:
        say(house, seat, sample=True)


def _told(house: House, seat: Seat) -> dict[str, str]:
    """Where a session is reached, and by which tokens."""
    name = seat.id
    return {
        "id": name,
        "whip": f"/whip/{name}",
        "whep": f"/whep/{name}",
        "stage": f"/stage/{name}",
        "events": f"/api/sessions/{name}/events",
        "resume": seat.resume,
        "admission": house.gate.admissions.issue(OF_A_SESSION, name, at=time.time()),
    }


async def admit(request: web.Request) -> web.Response:
    """Issue an admission; who holds a session may let others into it, the operator into anything."""
    caller, wanted = request[CALLER], await parsed(request, AdmissionRequest)
    session = wanted.session or caller.holds
    if caller.holds is not None and (session != caller.holds or not OF_A_SESSION.issuperset(wanted.scopes)):
        return refused(403, f"a resume secret admits to its own session: {', '.join(sorted(OF_A_SESSION))}")
    admissions = request.app[HOUSE].gate.admissions
    token = admissions.issue(wanted.scopes, session, at=time.time(), life_s=wanted.seconds)
    return web.json_response({"admission": token, "expires_in": wanted.seconds}, status=201)


async def session_status(request: web.Request) -> web.Response:
    """How a session is doing."""
    return web.json_response({"id": request.match_info["session"], **status_of(request.app, seat_of(request))})


async def close_session(request: web.Request) -> web.Response:
    """End a session."""
    seat = seat_of(request)
    await request.app[HOUSE].desk.end(seat.id)
    return web.Response(status=204)
