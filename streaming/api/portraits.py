"""Portraits: listed, shown, deleted, and made of a photo."""

import re
import zlib
from typing import Any, Final

from aiohttp import web

from engine.errors import PortraitError
from streaming.api.bodies import photo_form, text_of
from streaming.api.errors import one_line
from streaming.api.house import HOUSE, Listed
from streaming.contract import SESSION_ID
from streaming.guard.answers import refused

TICKET: Final = re.compile(SESSION_ID)


def add_routes(app: web.Application) -> None:
    """Add the portraits' routes."""
    app.router.add_get("/api/portraits", portraits)
    app.router.add_post("/api/portraits", enrol)
    app.router.add_delete("/api/portraits/{portrait}", remove)
    app.router.add_get("/api/portraits/{portrait}/thumbnail", thumbnail)
    app.router.add_get("/api/portraits/{portrait}/poster", poster)
    app.router.add_post("/api/enrolments", prepare)
    app.router.add_get("/api/enrolments/{ticket}", enrolment)


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


async def remove(request: web.Request) -> web.Response:
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
    fields = await photo_form(request)
    photo, name = fields.get("photo", b""), text_of(fields, "name")
    consent = text_of(fields, "consent")
    if not photo:
        return refused(400, "photo: choose a picture first")
    if not consent:
        return refused(400, "consent: say that the person shown agrees, or the photo is not used")
    ticket = request.headers.get("X-Ticket") or f"{id(request)}"
    if not TICKET.fullmatch(ticket):
        return refused(400, "X-Ticket consists of a-z, 0-9 and -, 64 at most")
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
    """What is being done with a photo: `{"progress": one line}`; 204 when nothing is, yet or any more."""
    line = request.app[HOUSE].enrolments.get(request.match_info["ticket"])
    return web.Response(status=204) if line is None else web.json_response({"progress": line})
