"""Pushing sessions to a WHIP server (RFC 9725): an SFU, a streaming service, another mien."""

import asyncio
import logging
import os
import random
import ssl
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import web

from engine.errors import MienError
from streaming.contract import LiveSession, now
from streaming.publish_target import Target
from streaming.rtc.offer import SDP_MAX, OfferError
from streaming.rtc.peer import Peers

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""How soon a session that has been opened is published."""
WAITS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before the next attempt, up to a quarter longer so that many servers do not come at once."""
STEADY_S: Final = 30.0
"""A connection that stood so long was a good one: the next attempt is the first again."""
ANSWER_S: Final = 10.0
GOODBYE_S: Final = 2.0


class PublishError(MienError):
    """A session could not be pushed; the message is one line that says why, and what to do."""


class Sessions(Protocol):
    """The part of `LiveSessions` that is needed here."""

    def all(self) -> Mapping[str, LiveSession]:
        """See `LiveSessions`."""
        ...


class Publisher:
    """Keeps sessions pushed to a server for as long as they are open, whatever happens to the way there.

    A push keeps no session alive: one that its page has left ends as it would without.
    """

    def __init__(self, target: Target, sessions: Sessions, peers: Peers) -> None:
        self._target, self._sessions, self._peers = target, sessions, peers
        self._pushes: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    def attach(self, app: web.Application) -> None:
        """Run with an application; end before its peers do."""
        app.on_startup.append(self.start)
        app.on_shutdown.insert(0, self.stop)

    async def start(self, _: object = None) -> None:
        """Begin."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        self._task = asyncio.create_task(self._follow(), name="publishing")

    async def stop(self, _: object = None) -> None:
        """Say goodbye to the server and end."""
        tasks = [*self._pushes.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    # private

    async def _follow(self) -> None:
        """Push what is open, all of it or one at a time."""
        while True:
            open_now = self._sessions.all()
            for name in [name for name in self._pushes if name not in open_now]:
                self._pushes.pop(name).cancel()
            wanted = list(open_now) if self._target.takes_all else list(self._pushes or open_now)[:1]
            for name in wanted:
                if name not in self._pushes:
                    self._pushes[name] = asyncio.create_task(self._keep_pushing(open_now[name]), name=f"publishing {name}")
            await asyncio.sleep(LOOK_S)

    async def _keep_pushing(self, session: LiveSession) -> None:
        attempt, said = 0, ""
        while True:
            begun = now()
            try:
                await self._push(session)
                line = "the connection was lost"
            except PublishError as error:
                line = str(error)
            if now() - begun > STEADY_S:
                attempt, said = 0, ""
            wait = WAITS_S[min(attempt, len(WAITS_S) - 1)] * random.uniform(1, 1.25)
            if line != said:
                log.warning("publishing to %s: %s; trying again", self._target.name, line)
            attempt, said = attempt + 1, line
            await asyncio.sleep(wait)

    async def _push(self, session: LiveSession) -> None:
        """One connection, until it is lost.

        Raises:
            PublishError: if it was not made.
        """
        peer, offer = await self._peers.publish(session)
        resource = None
        try:
            resource, answer = await self._offer(self._target.of(session.id), offer)
            await self._peers.accept(peer, answer)
            await peer.ended.wait()
            if not peer.stood:
                raise PublishError("it answered, but media do not get through: UDP is blocked, or it needs --ice-server")
        except OfferError as error:
            raise PublishError(str(error)) from error
        finally:
            await self._peers.end(peer)
            if resource is not None:
                await self._withdraw(resource)

    async def _offer(self, url: str, sdp: str) -> tuple[str | None, str]:
        """The address of the connection, where the server names one on its own host, and its answer."""
        assert self._http is not None, "it has been started"
        try:
            async with self._http.post(url, data=sdp, headers=self._headers("application/sdp")) as response:
                body = await _text(response)
                if response.status != 201:
                    raise PublishError(_refusal(response.status))
                return _resource(str(response.url), response.headers.get("Location")), body
        except TimeoutError as error:
            raise PublishError(f"it does not answer within {ANSWER_S:.0f} s") from error
        except (aiohttp.ClientConnectorCertificateError, ssl.SSLError) as error:
            raise PublishError("its certificate is not trusted here") from error
        except aiohttp.ClientConnectorError as error:
            raise PublishError(f"it cannot be reached ({_reason(error.os_error)})") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise PublishError(f"it does not speak HTTP as it should ({type(error).__name__})") from error

    async def _withdraw(self, resource: str) -> None:
        assert self._http is not None, "it has been started"
        timeout = aiohttp.ClientTimeout(total=GOODBYE_S)
        try:
            async with self._http.delete(resource, headers=self._headers(), timeout=timeout):
                pass
        except (aiohttp.ClientError, TimeoutError):
            log.info("the server could not be told that the push ended")

    def _headers(self, content_type: str | None = None) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self._target.token}"} if self._target.token else {}
        return token | ({"Content-Type": content_type, "Accept": content_type} if content_type else {})


def _resource(endpoint: str, location: str | None) -> str | None:
    """The connection's address; one on another host is not used, as the token would go there."""
    if not location:
        return None
    resource = urljoin(endpoint, location)
    return resource if urlsplit(resource)[:2] == urlsplit(endpoint)[:2] else None


async def _text(response: aiohttp.ClientResponse) -> str:
    data = bytearray()
    async for piece in response.content.iter_chunked(8192):
        data += piece
        if len(data) > SDP_MAX:
            raise PublishError(f"its answer is larger than {SDP_MAX // 1024} kB")
    return data.decode(errors="replace")


def _reason(error: OSError) -> str:
    """What the system says, without the address: "Connection refused"."""
    if error.errno is not None and error.errno > 0:  # those of name look-ups are negative
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def _refusal(status: int) -> str:
    match status:
        case 401 | 403:
            return f"it does not admit us ({status}): give the right --publish-token"
        case 404 | 405 | 410:
            return f"there is no WHIP endpoint at that address ({status})"
        case 429 | 503:
            return f"it has no room now ({status})"
        case _:
            return f"it refused the offer ({status})"
