"""WHIP (RFC 9725) and WHEP over HTTP.

A POST of an offer makes a connection; the resource that it names takes
candidates and ICE restarts by PATCH (sections 4.3.1 to 4.3.3), and DELETE ends
it. WHEP does the same the other way round.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

from aiohttp import web

from streaming.contract import LiveSession
from streaming.rtc.fragment import FRAGMENT_MAX, FRAGMENT_TYPE, checked_fragment
from streaming.rtc.ice import IceSide, TooEarly
from streaming.rtc.offer import SDP_MAX, OfferError
from streaming.rtc.peer import Crowded, Peer, Peers, RtcConfig

SDP_TYPE = "application/sdp"
RETRY_S = 10  # after a refusal for want of room
PEERS = web.AppKey("peers", Peers)

Answer = Callable[[Peers, LiveSession, str], Coroutine[Any, Any, tuple[Peer, str]]]
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Finder(Protocol):
    """The part of `LiveSessions` that is needed here."""

    def get(self, session_id: str) -> LiveSession | None:
        """See `LiveSessions`."""
        ...


def add_routes(app: web.Application, sessions: Finder, config: RtcConfig | None = None) -> Peers:
    """Serve `/whip/{session}` and `/whep/{session}`; peers end when the application does."""
    peers = app[PEERS] = Peers(sessions.get, config)
    for role, answer in (("whip", Peers.speak), ("whep", Peers.watch)):
        endpoint, resource = f"/{role}/{{session}}", f"/{role}/{{session}}/{{peer}}"
        watches = role == "whep"
        app.router.add_post(endpoint, _post(peers, sessions, role, answer))
        app.router.add_options(endpoint, _options({"Allow": "OPTIONS, POST", "Accept-Post": SDP_TYPE}, peers))
        app.router.add_patch(resource, _patch(peers, watches=watches))
        app.router.add_delete(resource, _delete(peers, watches=watches))
        app.router.add_options(resource, _options({"Allow": "DELETE, OPTIONS, PATCH", "Accept-Patch": FRAGMENT_TYPE}))
    app.on_shutdown.append(_shutdown)
    return peers


async def _shutdown(app: web.Application) -> None:
    await app[PEERS].close()


def _options(headers: Mapping[str, str], peers: Peers | None = None) -> Handler:
    """What is understood here; of an endpoint also the STUN and TURN servers to gather with (section 4.6)."""

    async def handle(_: web.Request) -> web.Response:
        response = web.Response(status=204, headers=headers)
        return _with_servers(response, peers) if peers else response

    return handle


def _post(peers: Peers, sessions: Finder, role: str, answer: Answer) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        session = sessions.get(request.match_info["session"])
        if session is None:
            return _error(404, "there is no such session")
        if request.content_type != SDP_TYPE:
            return _error(415, f"the offer must be sent as {SDP_TYPE}", {"Accept-Post": SDP_TYPE})
        if not _accepts(request, SDP_TYPE):
            return _error(406, f"the answer is {SDP_TYPE}, which the request's Accept leaves out")
        offer = await _body(request, SDP_MAX)
        if offer is None:
            return _error(413, f"the offer is larger than {SDP_MAX // 1024} kB")
        try:
            peer, sdp = await answer(peers, session, offer)
        except OfferError as error:
            return _error(400, str(error))
        except Crowded as error:
            return _error(503, str(error), {"Retry-After": str(RETRY_S)})
        assert peer.ice is not None, "a peer that was answered has an ICE side"
        headers = {"Location": f"/{role}/{session.id}/{peer.id}", "ETag": peer.ice.tag, "Accept-Patch": FRAGMENT_TYPE}
        return _with_servers(web.Response(status=201, text=sdp, content_type=SDP_TYPE, headers=headers), peers)

    return handle


def _patch(peers: Peers, *, watches: bool) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        peer = _peer(peers, request, watches=watches)
        if peer is None or peer.ice is None:
            return _error(404, "there is no such connection")
        if request.content_type != FRAGMENT_TYPE:
            return _error(415, f"candidates must be sent as {FRAGMENT_TYPE}", {"Accept-Patch": FRAGMENT_TYPE})
        if refusal := _unmatched(request, peer.ice):
            return refusal
        text = await _body(request, FRAGMENT_MAX)
        if text is None:
            return _error(413, f"the fragment is larger than {FRAGMENT_MAX // 1024} kB")
        try:
            ours = await peer.ice.take(checked_fragment(text, peers.config.reach()))
        except OfferError as error:
            return _error(400, str(error))
        except TooEarly as error:
            return _error(409, str(error))
        if ours is None:
            return web.Response(status=204)
        return _with_servers(web.Response(text=ours, content_type=FRAGMENT_TYPE, headers={"ETag": peer.ice.tag}), peers)

    return handle


def _delete(peers: Peers, *, watches: bool) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        peer = _peer(peers, request, watches=watches)
        if peer is None:
            return _error(404, "there is no such connection")
        await peers.end(peer)
        return web.Response()

    return handle


def _peer(peers: Peers, request: web.Request, *, watches: bool) -> Peer | None:
    return peers.find(request.match_info["session"], request.match_info["peer"], watches=watches)


def _unmatched(request: web.Request, ice: IceSide) -> web.Response | None:
    """The refusal of a PATCH that was not written for this generation of ICE; a restart says `If-Match: *`."""
    tags = [tag.strip() for tag in request.headers.get("If-Match", "").split(",") if tag.strip()]
    if not tags:
        return _error(428, "If-Match must name the connection's ETag, or be * to restart ICE")
    if "*" not in tags and ice.tag not in tags:
        return _error(412, "ICE has been restarted since: that is not the connection's ETag any more")
    return None


def _accepts(request: web.Request, media_type: str) -> bool:
    """Whether the Accept header (RFC 9110, section 12.5.1) lets a media type through."""
    ranges = [part.split(";")[0].strip().lower() for part in request.headers.get("Accept", "*/*").split(",")]
    return any(wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*") for wanted in ranges)


async def _body(request: web.Request, most: int) -> str | None:
    """The request's text; None when it is larger than `most` bytes."""
    data = bytearray()
    async for piece in request.content.iter_chunked(8192):
        data += piece
        if len(data) > most:
            return None
    return data.decode(errors="replace")


def _with_servers(response: web.Response, peers: Peers) -> web.Response:
    for server in peers.config.ice_servers.at(time.time()):
        response.headers.add("Link", server.link)
    return response


def _error(status: int, line: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": line}, status=status, headers=headers)
