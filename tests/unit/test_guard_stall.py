import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from streaming.guard.stall import Stalled, patience
from tests.unit.served import House


def body() -> StreamReader:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.transport = asyncio.Transport()  # as connected
    return StreamReader(protocol, 2**20, loop=loop)


async def test_a_body_that_stops_coming_is_given_up() -> None:
    content = body()
    content.feed_data(b"begun")
    with pytest.raises(Stalled):
        async with patience(content, silent_s=0.01):
            await content.read()


async def test_one_that_trickles_is_given_up_too() -> None:
    content = body()

    async def trickle() -> None:
        while True:
            content.feed_data(b"x")
            await asyncio.sleep(0)

    trickling = asyncio.create_task(trickle())
    with pytest.raises(Stalled):
        async with patience(content, silent_s=10, body_s=0.02):
            await content.read()
    trickling.cancel()


async def test_a_handler_may_take_its_time_once_the_body_is_there() -> None:
    content = body()
    content.feed_data(b"all")
    content.feed_eof()
    async with patience(content, silent_s=0.001):
        await asyncio.sleep(0.01)
        assert await content.read() == b"all"
    assert content.exception() is None


async def test_a_stalled_upload_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.guard.stall.patience.__wrapped__.__kwdefaults__", {"silent_s": 0.02, "body_s": 1.0})
    house = House()
    async with house.client as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
        answer = await reader.readline()
        assert b" 408 " in answer
        assert await reader.read()
        writer.close()
        await writer.wait_closed()
    assert house.sessions.opened == {}
