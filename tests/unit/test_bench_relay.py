"""The relay between a browser and a server: nothing goes around it, and what it carries arrives as the line lets it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import ClientSession, WSMsgType, web

from benchmarks.link import course
from benchmarks.relay import Relay

OFFER = "v=0\r\na=ice-ufrag:abcd\r\na=candidate:1 1 udp 1 192.0.2.7 4000 typ host\r\na=mid:0\r\n"


class Server:
    """Echoes datagrams, answers offers with its own address, and repeats what a WebSocket says."""

    def __init__(self) -> None:
        self.offers: list[str] = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.setblocking(False)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/whep/s", self._answer)
        app.router.add_get("/events", self._events)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        asyncio.get_running_loop().add_reader(self.udp, self._echo)
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            asyncio.get_running_loop().remove_reader(self.udp)
            self.udp.close()
            await runner.cleanup()

    def _echo(self) -> None:
        data, place = self.udp.recvfrom(2048)
        self.udp.sendto(data, place)

    async def _answer(self, request: web.Request) -> web.Response:
        self.offers.append(await request.text())
        port = self.udp.getsockname()[1]
        lines = [f"a=candidate:1 1 udp 1 127.0.0.1 {port} typ host", "a=candidate:2 1 tcp 1 127.0.0.1 9 typ host", "a=mid:0"]
        headers = {"Location": "/whep/s/1", "Host-Was": request.headers["Host"]}
        return web.Response(status=201, text="\r\n".join(lines), content_type="application/sdp", headers=headers)

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        sockets = web.WebSocketResponse(protocols=["mien"])
        await sockets.prepare(request)
        async for message in sockets:
            if message.data == "end":
                await sockets.close(code=4404)
            else:
                await sockets.send_str(message.data.upper())
        return sockets


@pytest.fixture
def browser() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.setblocking(False)
        yield opened


async def asked(relay: Relay) -> tuple[int, str, dict[str, str]]:
    headers = {"Content-Type": "application/sdp"}
    async with ClientSession() as http, http.post(relay.address + "whep/s", data=OFFER, headers=headers) as answer:
        return answer.status, await answer.text(), dict(answer.headers)


async def test_offer_and_answer_name_the_relay_alone() -> None:
    server = Server()
    async with server.serving() as address:
        with Relay(address, course("clean")) as relay:
            status, answer, headers = await asked(relay)
        real = server.udp.getsockname()[1]
    assert status == 201
    assert headers["Location"] == "/whep/s/1"
    assert headers["Host-Was"] in relay.address
    assert "192.0.2.7" not in server.offers[0]
    assert " 127.0.0.1 9 " in server.offers[0]
    candidate, mid = answer.splitlines()
    assert candidate.startswith("a=candidate:1 1 udp 1 127.0.0.1 ")
    assert candidate.split()[5] != str(real)
    assert mid == "a=mid:0"


async def test_datagrams_go_there_and_back_and_are_noted(browser: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with Server().serving() as address:
        with Relay(address, course("clean")) as relay:
            port = int((await asked(relay))[1].split()[5])
            rtp = bytes([128, 96, 0, 7, 0, 0, 1, 0, 0, 0, 0, 42]) + b"picture"
            await loop.sock_sendto(browser, rtp, ("127.0.0.1", port))
            data, place = await asyncio.wait_for(loop.sock_recvfrom(browser, 2048), 20)
            packets = relay.crossed().packets
    assert data == rtp
    assert place[1] == port
    assert packets[:, 1:].tolist() == [[len(data) + 28, 42, 7, 256, 1]]


async def test_a_dark_line_lets_nothing_through(browser: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with Server().serving() as address:
        with Relay(address, course("@0.000001 dark=1")) as relay:
            port = int((await asked(relay))[1].split()[5])
            relay.begin()
            asking = asyncio.create_task(asked(relay))
            await loop.sock_sendto(browser, b"lost", ("127.0.0.1", port))
            assert not (await asyncio.wait({asking}, timeout=0.05))[0]
            asking.cancel()
            with pytest.raises(BlockingIOError):
                browser.recv(2048)


async def test_websockets_pass_with_their_protocol_and_their_end() -> None:
    async with Server().serving() as address:
        with Relay(address, course("delay=1")) as relay:
            async with ClientSession() as http, http.ws_connect(relay.address + "events", protocols=["mien", "x"]) as events:
                assert events.protocol == "mien"
                await events.send_str("hello")
                assert (await events.receive()).data == "HELLO"
                await events.send_str("end")
                assert (await events.receive()).type is WSMsgType.CLOSE
                assert events.close_code == 4404
