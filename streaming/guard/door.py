"""Connections that ask for nothing: a stranger holds few of them, and none for long."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

FIRST_S: Final = 15.0  # from connecting to the end of a first request's headers; a handshake of TLS is long over by then
CONNECTIONS_AT_MOST: Final = 512


class Door:
    """Makes the protocols of a server's connections, and closes those that bring no request in time, or are too many.

    Args:
        first_s, at_most: see `FIRST_S` and `CONNECTIONS_AT_MOST`.
    """

    def __init__(self, *, first_s: float = FIRST_S, at_most: int = CONNECTIONS_AT_MOST) -> None:
        self._first_s, self._at_most = first_s, at_most
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    def middleware(self) -> Middleware:
        """Notes which connections have brought a request."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            if timer := self._silent.pop(request.protocol, None):
                timer.cancel()
            return await handler(request)

        return note

    def protocols(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """The protocols of `server`, for `loop.create_server`."""

        def make() -> asyncio.BaseProtocol:
            if len(server.connections) >= self._at_most:
                return _Full()
            protocol, loop = server(), asyncio.get_running_loop()
            self._silent[protocol] = loop.call_later(self._first_s, self._show_out, protocol)
            return protocol

        return make

    def _show_out(self, protocol: web.RequestHandler) -> None:
        del self._silent[protocol]
        protocol.force_close()


class _Full(asyncio.Protocol):
    """Closes its connection as soon as it is one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        transport.close()


DOOR: Final = web.AppKey("door", Door)
