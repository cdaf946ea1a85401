"""WHIP (RFC 9725) and WHEP over HTTP: one POST of an offer, one DELETE to end."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from aiohttp import web

from streaming.contract import LiveSession
from streaming.rtc.offer import SDP_MAX, OfferError
from streaming.rtc.peer import Crowded, IceServer, Peer, Peers, RtcConfig

SDP_TYPE = "application/sdp"
PEERS = web.AppKey("peers", Peers)

Answer = Callable[[Peers, LiveSession, str], Coroutine[Any, Any, tuple[Peer, str]]]
Handler = Callable[[web.Request], Coroutine[Any, Any, web.Response]]


class Finder(Protocol):
    """The part of `LiveSessions` that is needed here."""

    def get(self, session_id: str) -> LiveSession | None:
        """See `LiveSessions`."""
        ...


def add_routes(app: web.Application, sessions: Finder, config: RtcConfig | None = None) -> Peers:
    """Serve `/whip/{session}` and `/whep/{session}`; peers end when the application does."""
    peers = app[PEERS] = Peers(sessions.get, config)
    for role, answer in (("whip", Peers.speak), ("whep", Peers.watch)):
        app.router.add_post(f"/{role}/{{session}}", _post(peers, sessions, role, answer))
        app.router.add_options(f"/{role}/{{session}}", _options)
        app.router.add_delete(f"/{role}/{{session}}/{{peer}}", _delete(peers, watches=role == "whep"))
    app.on_shutdown.append(_shutdown)
    return peers


async def _shutdown(app: web.Application) -> None:
    await app[PEERS].close()


async def _options(_: web.Request) -> web.Response:
    return web.Response(status=204, headers={"Allow": "OPTIONS, POST", "Accept-Post": SDP_TYPE})


def _post(peers: Peers, sessions: Finder, role: str, answer: Answer) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        session = sessions.get(request.match_info["session"])
        if session is None:
            return _error(404, "there is no such session")
        if request.content_type != SDP_TYPE:
            return _error(415, f"the offer must be sent as {SDP_TYPE}")
        offer = await _body(request)
        if offer is None:
            return _error(413, f"the offer is larger than {SDP_MAX // 1024} kB")
        try:
            peer, sdp = await answer(peers, session, offer)
        except OfferError as error:
            return _error(400, str(error))
        except Crowded as error:
            return _error(503, str(error))
        response = web.Response(status=201, text=sdp, content_type=SDP_TYPE)
        response.headers["Location"] = f"/{role}/{session.id}/{peer.id}"
        for server in peers.config.ice_servers:
            response.headers.add("Link", _link(server))
        return response

    return handle


def _delete(peers: Peers, *, watches: bool) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        peer = peers.find(request.match_info["session"], request.match_info["peer"], watches=watches)
        if peer is None:
            return _error(404, "there is no such connection")
        await peers.end(peer)
        return web.Response()

    return handle


async def _body(request: web.Request) -> str | None:
    """The request's text; None when it is larger than an offer may be."""
    data = bytearray()
    async for piece in request.content.iter_chunked(8192):
        data += piece
        if len(data) > SDP_MAX:
            return None
    return data.decode(errors="replace")


def _link(server: IceServer) -> str:
    link = f'<{server.url}>; rel="ice-server"'
    if server.username is not None:
        link += f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
    return link


def _error(status: int, line: str) -> web.Response:
    return web.json_response({"error": line}, status=status)
