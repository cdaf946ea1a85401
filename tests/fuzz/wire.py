"""Damaged requests, frames and datagrams for a server that runs: over real sockets, as strangers send them."""

import asyncio
import contextlib
import gc
import logging
import socket
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from aiohttp import web

from streaming.app import build_runner
from streaming.contract import SessionSettings
from streaming.rtc.routes import add_routes
from tests.e2e.rtc_client import client
from tests.e2e.rtc_measure import served
from tests.fuzz.feeding import Counting, Found
from tests.fuzz.mutation import mutant
from tests.fuzz.parsers import PARSERS
from tests.unit.rtc_offers import offer
from tests.unit.served import House

AT_ONCE: Final = 8
PATIENCE_S: Final = 0.2
"""For an answer to a request that may be incomplete."""
LOOK_S: Final = 0.001
_HEAD: Final = (
    b"%s HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s"
)
_CLIENT_HELLO: Final = bytes.fromhex(
    "16feff0000000000000000003a0100002e000000000000002efefd" + "5a" * 32 + "000000040035002f01000000"
)  # RFC 6347, section 4.2


class Watch:
    """Everything that goes wrong on a loop meanwhile: what nobody handled, what was logged, how long it was held up."""

    def __init__(self) -> None:
        self.raised: list[tuple[int, str]] = []
        self.slowest_ms, self.slowest, self.number = 0.0, 0, 0
        self._log = Counting()

    @contextlib.asynccontextmanager
    async def over(self) -> AsyncIterator["Watch"]:
        """Watch the running loop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.raised.append((self.number, str(context))))
        logging.getLogger().addHandler(self._log)
        looking = asyncio.create_task(self._look())
        try:
            yield self
        finally:
            looking.cancel()
            logging.getLogger().removeHandler(self._log)
            loop.set_exception_handler(None)

    def found(self, inputs: int) -> Found:
        """What became of so many inputs."""
        return Found(inputs, self.raised, self.slowest_ms, self.slowest, self._log.bytes)

    async def _look(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(LOOK_S)
            took = 1000 * (time.thread_time() - before)
            if took > self.slowest_ms:
                self.slowest_ms, self.slowest = took, self.number


def _request(line: bytes, kind: bytes = b"application/json", body: bytes = b"", more: bytes = b"") -> bytes:
    return _HEAD % (line, kind, len(body), more, body)


def _upgrade(session: str) -> bytes:
    wanted = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    return _request(b"GET /api/sessions/%s/events" % session.encode(), more=wanted + key)


def requests(session: str) -> list[bytes]:
    """Good ones, of every kind."""
    token, sdp = b"Authorization: Bearer abc.def\r\n", b"application/sdp"
    opening, admission, *_ = PARSERS["json"].seeds()
    found = [_request(b"POST /api/sessions", body=opening), _request(b"POST /api/admissions", body=admission)]
    found += [_request(b"POST /api/portraits", b"multipart/form-data; boundary=b", form) for form in PARSERS["form"].seeds()]
    found += [_request(b"POST /%s/%s" % (role, session.encode()), sdp, offer().encode(), token) for role in (b"whip", b"whep")]
    for fragment in PARSERS["fragment"].seeds():
        at = b"PATCH /whep/%s/%s" % (session.encode(), b"a" * 22)
        found.append(_request(at, b"application/trickle-ice-sdpfrag", fragment, b'If-Match: "x"\r\n'))
    for path in (b"/api/options", b"/api/portraits/mei/thumbnail", b"/metrics", b"/readyz", b"/nowhere"):
        found.append(_request(b"GET " + path))
    return [*found, _request(b"DELETE /api/sessions/nobody", more=token), _upgrade(session)]


async def http(inputs: int, first: int = 0) -> Found:
    """Requests."""
    async with _house() as (session, port):
        return await _asked(port, requests(session), inputs, first)


async def frames(inputs: int, first: int = 0) -> Found:
    """Frames of a WebSocket, after a good upgrade."""
    seeds = [_frame(text, kind) for text in PARSERS["json"].seeds() for kind in (1, 2, 8, 9, 10)]
    async with _house() as (session, port):
        return await _asked(port, seeds, inputs, first, _upgrade(session))


@contextlib.asynccontextmanager
async def _house() -> AsyncIterator[tuple[str, int]]:
    """A server without workers that has met every kind of request before; one of its sessions, and its port."""
    house = House(add_peers=lambda app, sessions: add_routes(app, sessions) and None)
    runner = build_runner(house.app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        session, port = (await house.sessions.open(SessionSettings("amara"))).id, runner.addresses[0][1]
        for request in requests(session):
            await _answer(port, 0, request)
        gc.freeze()  # as the server does when it is warm
        yield session, port
    finally:
        await runner.cleanup()
        await house.client.close()


async def _asked(port: int, seeds: Sequence[bytes], inputs: int, first: int, before: bytes = b"") -> Found:
    """Each input over a connection and from an address of its own, so that quotas stand in nobody's way."""
    watch, numbers = Watch(), iter(range(first, first + inputs))

    async def ask() -> None:
        for number in numbers:
            watch.number = number
            answer = await _answer(port, number, before + mutant(seeds, number), b"\r\n\r\n" if before else b"\r\n")
            if answer.startswith(b"HTTP/1.1 500"):
                watch.raised.append((number, answer.decode(errors="replace")))

    async with watch.over():
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return watch.found(inputs)


async def datagrams(inputs: int, first: int = 0) -> Found:
    """Datagrams to the port of a viewer's connection, which must go on."""
    watch = Watch()
    seeds = [*PARSERS["stun"].seeds(), *PARSERS["rtp"].seeds(), *PARSERS["rtcp"].seeds(), _CLIENT_HELLO]
    async with served(size=256) as stand, client(stand, watches=True) as viewer, watch.over():
        await viewer.picture()
        places = _ports(viewer.pc.remoteDescription.sdp)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(first, first + inputs):
                watch.number = number
                stranger.sendto(mutant(seeds, number), places[number % len(places)])
                if number % 16 == 0:
                    await asyncio.sleep(LOOK_S)
        for _ in range(5):
            await viewer.picture()
        if viewer.pc.connectionState != "connected":
            watch.raised.append((first, f"the viewer is {viewer.pc.connectionState}"))
    return watch.found(inputs)


def _ports(sdp: str) -> Sequence[tuple[str, int]]:
    candidates = (line.split() for line in sdp.splitlines() if line.startswith("a=candidate"))
    return [(words[4], int(words[5])) for words in candidates if words[4] == "127.0.0.1"]


def _frame(text: bytes, kind: int) -> bytes:
    """A masked frame (RFC 6455, section 5.2), its mask being zero."""
    size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return bytes([0x80 | kind]) + size + bytes(4) + text


async def _answer(port: int, number: int, data: bytes, until: bytes = b"\r\n") -> bytes:
    """What comes back at first."""
    source = f"127.{1 + number // 60_000 % 200}.{number // 240 % 250}.{1 + number % 240}"
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE_S):
                return await reader.readuntil(until)
        finally:
            writer.close()
    return b""


def run(name: str, first: int, inputs: int) -> Found:
    """Feed one of `WIRES`."""
    return asyncio.run(WIRES[name](inputs, first))


WIRES: Final[dict[str, Any]] = {"http": http, "frames": frames, "datagrams": datagrams}
