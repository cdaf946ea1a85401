"""A body that stops coming, or trickles, is given up: whoever reads it gets `Stalled`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler

from engine.errors import MienError

SILENT_S: Final = 10.0  # without a byte
BODY_S: Final = 120.0  # for all of it: 10 MB at 700 kb/s


class Stalled(MienError):
    """A request's body did not come in time."""


@asynccontextmanager
async def patience(content: StreamReader, *, silent_s: float = SILENT_S, body_s: float = BODY_S) -> AsyncGenerator[None, None]:
    """Within it, a body is given up that brings nothing for `silent_s`, or is not complete after `body_s`."""
    watch = asyncio.create_task(_watch(content, silent_s, body_s), name="waiting for a body")
    try:
        yield
    finally:
        watch.cancel()


async def _watch(content: StreamReader, silent_s: float, body_s: float) -> None:
    loop, seen = asyncio.get_running_loop(), -1
    deadline = loop.time() + body_s
    while not content.is_eof() and content.total_bytes > seen and loop.time() < deadline:
        seen = content.total_bytes
        await asyncio.sleep(min(silent_s, max(deadline - loop.time(), 0.0)))
    if not content.is_eof():
        content.set_exception(Stalled("the request's body stopped coming; send it again"))


@web.middleware
async def give_up_stalled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """`patience` as aiohttp's middleware, for every request with a body."""
    if not request.can_read_body:
        return await handler(request)
    async with patience(request.content):
        return await handler(request)
