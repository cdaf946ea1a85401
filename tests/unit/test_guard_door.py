import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from streaming.guard.door import Door

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.asynccontextmanager
async def served(door: Door) -> AsyncIterator[int]:
    """A server behind a door; its port."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application(middlewares=[door.middleware()])
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(door.protocols(runner.server), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def connected(port: int, said: bytes) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    try:
        yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_who_says_nothing_or_too_little_is_shown_out() -> None:
    async with served(Door(first_s=0.02)) as port:
        for said in (b"", REQUEST[:-2]):
            async with connected(port, said) as reader:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""


async def test_who_has_asked_for_something_may_stay() -> None:
    for first_s in (0.02, 0.2, 2.0):  # a loaded machine may not hear within the first of them
        async with served(Door(first_s=first_s)) as port, connected(port, REQUEST) as reader:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                assert b" 200 " in await reader.readuntil(b"here")
                await asyncio.sleep(2 * first_s)
                assert not reader.at_eof()
                return
    pytest.fail("it was shown out")


async def test_no_more_come_in_than_there_is_room_for() -> None:
    async with served(Door(at_most=1)) as port, connected(port, REQUEST) as first:
        assert b" 200 " in await first.readuntil(b"here")
        async with connected(port, REQUEST) as second:
            with contextlib.suppress(ConnectionError):
                assert await second.read() == b""
        assert not first.at_eof()
