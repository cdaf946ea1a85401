"""What strangers send to a real server: offers without a token, candidates of others, bytes of any kind, signals."""

import asyncio
import contextlib
import json
import logging
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from streaming.api.house import HOUSE
from streaming.app import Parts, build_app, build_runner
from streaming.config import ServerConfig
from streaming.contract import LiveSessions
from streaming.rtc.peer import RtcConfig
from streaming.rtc.routes import PEERS, add_routes
from tests.e2e.rtc_client import PATIENCE_S, SDP, Client, request
from tests.e2e.rtc_measure import served
from tests.house import FakeLibrary, FakeSessions
from tests.unit.rtc_offers import offer

log = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]


def add_peers(app: web.Application, sessions: LiveSessions) -> None:
    add_routes(app, sessions)


@contextlib.asynccontextmanager
async def whole_server() -> AsyncIterator[tuple[web.Application, str]]:
    """The application with its real peers, its sessions being stand-ins."""
    app = build_app(ServerConfig(), Parts(FakeSessions(), FakeLibrary(), add_peers))
    runner = build_runner(app, answer_s=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield app, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_offers_without_a_token_make_no_peer_and_leave_the_live_one_alone() -> None:
    async with whole_server() as (app, url), aiohttp.ClientSession(url) as http:
        session = await (await http.post("api/sessions", json={"portrait": "mei", "size": 256})).json()
        viewer = Client(watches=True, session=session["id"], token=session["admission"])
        try:
            await viewer.connect(url)
            await viewer.picture()
            peers, loop = app[PEERS], asyncio.get_running_loop()
            began = loop.time()
            for _ in range(20):
                answers = await asyncio.gather(*(http.post(viewer.at("/"), data=offer(), headers=SDP) for _ in range(10)))
                assert {answer.status for answer in answers} == {401}
                assert len(peers.peers(session["id"])) == 1
            log.info("200 offers without a token refused in %.2f s", loop.time() - began)
            await viewer.picture()
            assert app[HOUSE].desk.get(session["id"]) is not None
        finally:
            await viewer.pc.close()


def candidates(ports: dict[str, int]) -> tuple[str, ...]:
    return tuple(f"a=candidate:{i} 1 udp 2122194687 {host} {port} typ host" for i, (host, port) in enumerate(ports.items()))


async def heard(traps: dict[str, socket.socket]) -> set[str]:
    """The addresses at which a datagram arrives: until there is a first one, and for a second more."""
    found: set[str] = set()
    loop, ends = asyncio.get_running_loop(), float("inf")
    async with asyncio.timeout(PATIENCE_S):
        while loop.time() < ends:
            for host, trap in traps.items():
                with contextlib.suppress(BlockingIOError):
                    trap.recv(2048)
                    found.add(host)
                    ends = min(ends, loop.time() + 1.0)
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
def traps() -> Iterator[dict[str, socket.socket]]:
    """Sockets that wait for datagrams at this host's address, and at others in its place."""
    with contextlib.ExitStack() as stack:
        found: dict[str, socket.socket] = {}
        for host in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
            trap = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            trap.setblocking(False)
            try:
                trap.bind((host, 0))
            except OSError:
                pytest.skip(f"{host} cannot be bound here")
            found[host] = trap
        yield found


async def test_nothing_is_sent_to_addresses_that_may_not_be(traps: dict[str, socket.socket]) -> None:
    ports: dict[str, int] = {host: trap.getsockname()[1] for host, trap in traps.items()}
    async with served(RtcConfig(connect_timeout_s=PATIENCE_S)) as stand:
        status, _, _ = await request(stand, "POST", "whep/s", data=offer(candidates=candidates(ports)), headers=SDP)
        assert status == 201
        assert await heard(traps) == {"127.0.0.1"}
        many = candidates({f"127.9.{i // 250}.{i % 250}": ports["127.9.9.9"] for i in range(200)})
        status, line, _ = await request(stand, "POST", "whep/s", data=offer(candidates=many), headers=SDP)
        assert (status, "more than 20 candidates" in line) == (400, True)


# -- bytes ------------------------------------------------------------------------------------------------------------

BATCHES = 10
HOST = b"Host: localhost"
FORM = b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\nxxxxx'
MULTIPART = b"Content-Type: multipart/form-data; boundary=b"
SEEDS = tuple(
    b"\r\n".join(lines)
    for lines in (
        (b"GET / HTTP/1.1", HOST, b"Cookie: mien=x; a=b", b"", b""),
        (b"POST /login HTTP/1.1", HOST, MULTIPART, b"Content-Length: 58", b"", FORM),
        (b"GET /?token=abc HTTP/1.1", HOST, b"Accept: text/html", b"", b""),
        (b"POST /whep/s HTTP/1.1", HOST, b"Authorization: Bearer a.b.c", b"Content-Length: 5", b"", b"v=0\r\n"),
        (b"POST /api/sessions HTTP/1.1", HOST, b"Content-Length: 20", b"", b'{"portrait": "nobo"}'),
        (b"POST /api/sessions HTTP/1.1", HOST, b"Transfer-Encoding: chunked", b"", b"2", b"{}", b"0", b"", b""),
        (b"POST /api/portraits HTTP/1.1", HOST, MULTIPART, b"Content-Length: 58", b"", FORM),
        (b"GET /api/sessions/s/events HTTP/1.1", HOST, b"Upgrade: websocket", b"Connection: Upgrade",
         b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"", b""),
    )
)  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    request = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(request))
        match rng.randrange(4):
            case 0:
                request[at] = rng.randrange(256)
            case 1:
                request[at : at + rng.randint(1, 9)] = b""
            case 2:
                request[at:at] = rng.randbytes(rng.randint(1, 9))
            case _:
                request[at:at] = request[at : at + 20] * rng.randint(1, 20)
        request = request or bytearray(b"\0")
    return bytes(request)


async def answered(port: int, data: bytes, patience_s: float) -> bytes:
    """The first line of what comes back; nothing when the server hangs up, or waits for more for so long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(patience_s):
            return await reader.readline()
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_whatever_comes_is_no_fault_of_ours_and_leaves_no_long_log(caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(0)
    async with whole_server() as (_, url):
        port = int(url.rstrip("/").rpartition(":")[2])
        for _ in range(BATCHES):
            batch = [mutated(rng) for _ in range(20)]
            lines = await asyncio.gather(*(answered(port, data, 0.2) for data in batch))
            assert not any(b" 500 " in line for line in lines), batch
            ours = [record for record in caplog.records if record.name != "streaming.watchdog"]  # the machine may be busy
            assert sum(len(logging.Formatter().format(record)) for record in ours) <= 200 * len(batch), batch
            caplog.clear()
        assert b" 200 " in await answered(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", PATIENCE_S)


# -- signals ----------------------------------------------------------------------------------------------------------

SERVER = """
import sys
sys.path.insert(0, {root!r})
from streaming import server
from streaming.app import Parts
from streaming.config import ServerConfig
from streaming.rtc.routes import add_routes
from tests.house import FakeLibrary, FakeSessions
server.real_parts = lambda _: Parts(FakeSessions(), FakeLibrary(), add_routes)
server.serve(ServerConfig(port=0, drain_s=60), lambda address: print(address, flush=True))
"""


class Process:
    """`serve` in a process of its own, its sessions being stand-ins."""

    def __init__(self) -> None:
        script = SERVER.format(root=str(ROOT))
        self.process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def ask(self, method: str, path: str, body: object = None) -> int:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, method=method), timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.process.kill()
    process.process.communicate()


async def test_sigterm_lets_a_session_end_first(process: Process) -> None:
    assert process.ask("POST", "api/sessions", {"portrait": "mei", "id": "one"}) == 201
    async with aiohttp.ClientSession() as http, http.ws_connect(process.url + "api/sessions/one/events") as page:
        process.process.send_signal(signal.SIGTERM)
        while "end in 60 s" not in (await page.receive_json()).get("error", ""):
            pass
        assert await asyncio.to_thread(process.ask, "GET", "readyz") == 503
        assert await asyncio.to_thread(process.ask, "POST", "api/sessions", {"portrait": "mei"}) == 503
        assert await asyncio.to_thread(process.ask, "GET", "api/sessions/one") == 200
        assert await asyncio.to_thread(process.ask, "DELETE", "api/sessions/one") == 204
    assert await asyncio.to_thread(process.process.wait, PATIENCE_S) == 0


async def test_a_second_one_does_not_wait(process: Process) -> None:
    assert process.ask("POST", "api/sessions", {"portrait": "mei", "id": "one"}) == 201
    async with aiohttp.ClientSession() as http, http.ws_connect(process.url + "api/sessions/one/events") as page:
        process.process.send_signal(signal.SIGTERM)
        while "error" not in await page.receive_json():
            pass
        process.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            async for _ in page:
                pass
        assert page.close_code == 4404
    assert await asyncio.to_thread(process.process.wait, PATIENCE_S) == 0
