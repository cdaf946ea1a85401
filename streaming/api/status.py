"""How a session is doing, for its pages."""

import dataclasses
from typing import Any

from aiohttp import web

from streaming.api.house import HOUSE
from streaming.desk import Seat
from streaming.rtc.broadcast import Broadcast
from streaming.rtc.hold import PictureHold
from streaming.rtc.routes import PEERS


def seat_of(request: web.Request) -> Seat:
    """The session that a request's address names.

    Raises:
        web.HTTPNotFound: if there is none, or none any more.
    """
    seat = request.app[HOUSE].desk.get(request.match_info["session"])
    if seat is None:
        raise web.HTTPNotFound(text="that session has ended")
    return seat


def hold_of(app: web.Application, seat: Seat) -> PictureHold | None:
    """What keeps a session's pictures and sound together, while anybody watches."""
    broadcast = _broadcast_of(app, seat)
    return broadcast.hold if broadcast else None


def status_of(app: web.Application, seat: Seat) -> dict[str, Any]:
    """A session's status as its pages get it."""
    settings, broadcast = seat.settings, _broadcast_of(app, seat)
    return dataclasses.asdict(seat.status()) | {
        "source": seat.source,
        "speaking": seat.speaking,
        "portrait": seat.portrait,
        "size": settings.size,
        "look_ahead_ms": settings.look_ahead_ms,
        "picture_hold_ms": broadcast.picture_held_ms if broadcast else 0.0,
        "pages": len(seat.pages),
    }


def _broadcast_of(app: web.Application, seat: Seat) -> Broadcast | None:
    return app[PEERS].broadcast(seat.id) if PEERS in app else None
