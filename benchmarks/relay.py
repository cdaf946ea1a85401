"""A bad line between a browser and a server of this machine: all of the browser's traffic goes through it.

The browser is sent to `Relay.address` and finds there what the server has.
In offers, answers and trickled candidates (WHIP, WHEP) the relay puts nowhere in
the place of the browser's addresses and sockets of its own in the place of
the server's: so media have no way around it. Datagrams are lost, delayed and held
back as `benchmarks.link` says. HTTP and WebSockets are delayed as much and
stand still while the line is dark, but lose nothing: of a real TCP's
retransmission nothing is seen here, which is kind to the server where a line
loses much.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, hdrs, web
from numpy.typing import NDArray

from benchmarks.link import Course, Link, Transit

SDP_TYPES: Final = frozenset({"application/sdp", "application/trickle-ice-sdpfrag"})
DATAGRAM_MOST: Final = 2048
FRONTS_MOST: Final = 64
"""Sockets that stand for the server's; those of long ended connections are closed."""
BODY_MOST: Final = 1 << 26
DARK_STEP_S: Final = 0.01
_CANDIDATE: Final = re.compile(r"^a=candidate:.*(?:\r?\n|$)", re.MULTILINE)
_NOWHERE: Final = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
"""In the place of a browser's candidates, for servers that want to have one to check: the discard port."""
_OF_ONE_HOP: Final = frozenset(
    {hdrs.CONNECTION, hdrs.KEEP_ALIVE, hdrs.TRANSFER_ENCODING, hdrs.CONTENT_LENGTH, hdrs.UPGRADE, hdrs.TE, hdrs.TRAILER}
)

Deliver = Callable[[], None]
Place = tuple[Any, ...]
"""A socket's address, as Python has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """What the server sent over the line.

    Attributes:
        course: the line's.
        began_ms: time of day of the course's instant 0, ms.
        packets: float64[N, 6], a row for each datagram as it was sent: time of day in ms, bytes with headers, RTP source,
            sequence number and timestamp (NaN for what is no RTP), whether it got through.
    """

    course: Course
    began_ms: float
    packets: NDArray[np.float64]


class Relay:
    """Carries a browser's traffic to the server at `target` ("http://host:port/") in a thread of its own."""

    def __init__(self, target: str, course: Course, seed: int = 1) -> None:
        self.address = ""
        self._target = target.rstrip("/")
        self._course = course
        self._zero = float("inf")  # when the course begins, by the monotonic clock
        self._began_ms = float("nan")
        self._packets: list[tuple[float, ...]] = []
        self._links = Link(course, 2 * seed), Link(course, 2 * seed + 1)
        self._up, self._down = map(_Direction, self._links)
        self._fronts: list[_Front] = []
        self._ready, self._ending = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="relay", daemon=True)

    def __enter__(self) -> "Relay":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None, "it has been entered"
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def begin(self) -> None:
        """Let the course begin now."""
        self._zero, self._began_ms = time.monotonic(), time.time() * 1000
        for link in self._links:
            link.begin(self._zero)

    def crossed(self) -> Crossed:
        """What has been sent so far."""
        return Crossed(self._course, self._began_ms, np.array(list(self._packets), np.float64).reshape(-1, 6))

    # private

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=BODY_MOST)
        app.router.add_route("*", "/{rest:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://localhost:{runner.addresses[0][1]}/"
        async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as self._http:
            self._ready.set()
            await self._ending.wait()
            await runner.cleanup()
        for front in self._fronts:
            front.close()

    async def _cross(self) -> None:
        """Wait for as long as a segment of TCP takes from one end to the other."""
        while (conditions := self._course.at(time.monotonic() - self._zero)).dark:
            await asyncio.sleep(DARK_STEP_S)
        await asyncio.sleep(conditions.delay / 1000)

    # -- HTTP --------------------------------------------------------------------------------------------------------

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self._pass_socket(request)
        body = await request.read()
        if request.content_type in SDP_TYPES:
            body = _CANDIDATE.sub(_NOWHERE, body.decode()).encode()
        await self._cross()
        if request.transport is None:  # the browser has given up waiting
            return web.Response(status=408)
        headers = [(name, value) for name, value in request.headers.items() if name.title() not in _OF_ONE_HOP]
        address = self._target + str(request.rel_url)
        asking = self._http.request(request.method, address, headers=headers, data=body, allow_redirects=False)
        async with asking as answer:
            data = await answer.read()
            if answer.content_type in SDP_TYPES:
                data = _CANDIDATE.sub(self._fronted, data.decode()).encode()
            await self._cross()
            response = web.Response(status=answer.status, body=data)
            response.headers.clear()
            for name, value in answer.headers.items():
                if name.title() not in _OF_ONE_HOP:
                    response.headers.add(name, value)
            return response

    async def _pass_socket(self, request: web.Request) -> web.StreamResponse:
        await self._cross()
        offered = [word.strip() for word in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",") if word.strip()]
        kept = {name: request.headers[name] for name in (hdrs.HOST, hdrs.ORIGIN, hdrs.COOKIE) if name in request.headers}
        try:
            address = self._target + str(request.rel_url)
            server = await self._http.ws_connect(address, protocols=offered, headers=kept, autoping=False)
        except WSServerHandshakeError as error:
            return web.Response(status=error.status)
        browser = web.WebSocketResponse(protocols=[server.protocol] if server.protocol else [], autoping=False)
        await browser.prepare(request)
        await _first_to_end(self._carry(browser, server), self._carry(server, browser))
        return browser

    async def _carry(self, source: "_Socket", sink: "_Socket") -> None:
        """Messages one way, until either side closes."""
        async for message in source:
            await self._cross()
            if message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            elif message.type is WSMsgType.PING:  # or each side would take the relay for the other
                await sink.ping(message.data)
            elif message.type is WSMsgType.PONG:
                await sink.pong(message.data)
        await sink.close(code=source.close_code or 1000)

    # -- UDP ---------------------------------------------------------------------------------------------------------

    def _fronted(self, found: re.Match[str]) -> str:
        """A candidate of the server, with a socket of ours in its place."""
        words = found[0].split(" ")
        if words[2].lower() != "udp":
            return ""
        front = _Front((words[4], int(words[5])), self._up, self._down, self._note)
        self._fronts.append(front)
        if len(self._fronts) > FRONTS_MOST:
            self._fronts.pop(0).close()
        words[5] = str(front.port)
        return " ".join(words)

    def _note(self, at: float, data: bytes, passed: bool) -> None:
        source, sequence, timestamp = _rtp(data) or (np.nan, np.nan, np.nan)
        self._packets.append((at * 1000, len(data) + 28, source, sequence, timestamp, passed))


_Socket = web.WebSocketResponse | ClientWebSocketResponse


async def _first_to_end(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one has ended."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Direction:
    """One direction of the line, on a running event loop."""

    def __init__(self, link: Link) -> None:
        self._transit: Transit[Deliver] = Transit(link)
        self._timer: asyncio.TimerHandle | None = None

    def send(self, deliver: Deliver, size: int) -> bool:
        """Call `deliver` soon, when a datagram of `size` bytes arrives; false when it is lost."""
        passed = self._transit.put(deliver, size, time.monotonic())
        self._await_next()
        return passed

    def _await_next(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transit.due is not None:
            wait = max(0.0, self._transit.due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._arrive)

    def _arrive(self) -> None:
        for deliver in self._transit.take(time.monotonic()):
            deliver()
        self._await_next()


class _Front:
    """Stands for one socket of the server; behind it there is a socket for each of the browser's that finds it."""

    def __init__(self, server: Place, up: _Direction, down: _Direction, note: Callable[[float, bytes, bool], None]) -> None:
        self._server, self._up, self._down, self._note = server, up, down, note
        self._loop = asyncio.get_running_loop()
        self._family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket = self._opened()
        self._socket.bind((server[0], 0))
        self._backs: dict[Place, socket.socket] = {}
        self._loop.add_reader(self._socket, self._from_browser)

    @property
    def port(self) -> int:
        """Where the browser finds it, on the server's address."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """End it; what is under way is lost."""
        for opened in (self._socket, *self._backs.values()):
            self._loop.remove_reader(opened)
            opened.close()

    def _opened(self) -> socket.socket:
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        opened.setblocking(False)
        return opened

    def _from_browser(self) -> None:
        with contextlib.suppress(OSError):
            data, browser = self._socket.recvfrom(DATAGRAM_MOST)
            back = self._backs.get(browser) or self._new_back(browser)
            self._up.send(lambda: _send(back, data, self._server), len(data))

    def _new_back(self, browser: Place) -> socket.socket:
        back = self._backs[browser] = self._opened()
        back.bind((self._server[0], 0))
        self._loop.add_reader(back, self._from_server, back, browser)
        return back

    def _from_server(self, back: socket.socket, browser: Place) -> None:
        with contextlib.suppress(OSError):
            data = back.recv(DATAGRAM_MOST)
            at = time.time()  # before it sets out: this thread may be held up between
            self._note(at, data, self._down.send(lambda: _send(self._socket, data, browser), len(data)))


def _send(sender: socket.socket, data: bytes, place: Place) -> None:
    with contextlib.suppress(OSError):  # the far side is gone, or this front has been closed
        sender.sendto(data, place)


def _rtp(data: bytes) -> tuple[int, int, int] | None:
    """Source, sequence number and timestamp of an RTP packet (RFC 3550); None for STUN, DTLS and RTCP (RFC 7983, 5761)."""
    if len(data) < 12 or not 128 <= data[0] <= 191 or 64 <= data[1] & 0x7F <= 95:
        return None
    sequence, timestamp, source = struct.unpack_from("!HII", data, 2)
    return source, sequence, timestamp


@contextlib.contextmanager
def through(target: str, course: Course | None) -> Generator[tuple[str, Relay | None]]:
    """The address to send a browser to, and the relay that it then goes through; no course, no relay."""
    if course is None:
        yield target, None
        return
    with Relay(target, course) as relay:
        yield relay.address, relay
