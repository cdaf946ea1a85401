"""The application with stand-ins for the workers and the library, asked over HTTP."""

from collections.abc import Callable, Mapping

import numpy as np
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from streaming.app import Parts, build_app
from streaming.config import ServerConfig
from streaming.contract import LiveSessions
from streaming.desk import Feed
from tests.house import FakeLibrary, FakeSessions

TOKEN = "a-token-of-sixteen-or-more"
Client = TestClient[web.Request, web.Application]


def no_peers(app: web.Application, sessions: LiveSessions) -> None:
    """WebRTC has tests of its own."""


class House:
    """One server and what it serves."""

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        ready: bool = True,
        feeds: Mapping[str, Feed] | None = None,
        add_peers: Callable[[web.Application, LiveSessions], None] = no_peers,
    ) -> None:
        self.sessions, self.library = FakeSessions(ready=ready), FakeLibrary()
        sample = np.zeros(480, np.float32)
        parts = Parts(self.sessions, self.library, add_peers, {"hello": sample}, feeds or {})
        self.app = build_app(config or ServerConfig(), parts)
        self.client: Client = TestClient(TestServer(self.app))

    async def open(self, **wishes: object) -> str:
        answer = await self.client.post("/api/sessions", json={"portrait": "amara", **wishes})
        assert answer.status == 201, await answer.text()
        return (await answer.json())["id"]


async def error(answer: ClientResponse) -> tuple[int, str]:
    """The status of a refusal and its line."""
    line = (await answer.json())["error"]
    assert "\n" not in line
    return answer.status, line
