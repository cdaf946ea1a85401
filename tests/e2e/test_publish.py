"""Sessions pushed to real WHIP servers: our own endpoint, one made of aiortc alone, and Janus."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from streaming import publish
from streaming.publish import Publisher
from streaming.publish_target import Target
from streaming.rtc.peer import RtcConfig
from tests.e2e.janus import JANUS, bridge
from tests.e2e.rtc_client import PATIENCE_S, until
from tests.e2e.rtc_fakes import ClockSession, Sessions
from tests.e2e.rtc_measure import Stand, served


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "WAITS_S", (0.1,))
    monkeypatch.setattr(publish, "LOOK_S", 0.05)
    monkeypatch.setattr(publish, "GOODBYE_S", PATIENCE_S)  # but a loaded machine hears it late


@contextlib.asynccontextmanager
async def publishing(stand: Stand, url: str, token: str | None = None, *more: ClockSession) -> AsyncIterator[Publisher]:
    publisher = Publisher(Target(url, token), Sessions(stand.session, *more), stand.peers)
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


@dataclass
class Foreign:
    """A WHIP server that is aiortc and nothing of ours: answers, decodes what comes, remembers what it was asked."""

    status: int = 201
    leaves: bool = False  # as soon as it has answered
    url: str = ""
    tracks: dict[str, MediaStreamTrack] = field(default_factory=dict[str, MediaStreamTrack])
    bearers: list[str] = field(default_factory=list[str])
    deleted: int = 0
    connections: list[RTCPeerConnection] = field(default_factory=list[RTCPeerConnection])

    async def post(self, request: web.Request) -> web.Response:
        self.bearers.append(request.headers.get("Authorization", ""))
        if self.status != 201:
            return web.Response(status=self.status)
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connections.append(pc)
        pc.on("track", lambda track: self.tracks.__setitem__(track.kind, track))
        await pc.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        answer = pc.localDescription.sdp
        if self.leaves:
            await pc.close()
        headers = {"Location": "/resource/1"}
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    async def moved(self, _: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/in"})

    async def delete(self, _: web.Request) -> web.Response:
        self.deleted += 1
        return web.Response()


@contextlib.asynccontextmanager
async def foreign(status: int = 201, *, leaves: bool = False) -> AsyncIterator[Foreign]:
    server = Foreign(status, leaves)
    app = web.Application()
    app.router.add_post("/moved", server.moved)
    app.router.add_post("/in", server.post)
    app.router.add_delete("/resource/1", server.delete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    try:
        yield server
    finally:
        for pc in server.connections:
            await pc.close()
        await runner.cleanup()


async def test_a_session_is_pushed_to_another_server_of_ours_and_again_when_it_is_cut_off():
    async with served(size=256) as here, served() as there, publishing(here, there.url + "whip/s"):
        await until(lambda: len(there.session.pictures) > 20 and len(there.session.pushed) > 40)
        assert there.session.pictures[0].key
        sound = np.concatenate([samples for samples, _ in there.session.pushed])
        assert np.abs(sound).max() > 0.3  # the clock's clicks
        assert here.session.viewers == 0  # nobody sees it here
        await there.peers.end_session("s")
        seen = len(there.session.pictures)
        await until(lambda: len(there.session.pictures) > seen + 20)
        assert len(here.peers.peers("s")) == 1
    assert there.peers.peers("s") == []


async def test_a_server_of_others_decodes_what_is_pushed_and_hears_when_it_ends():
    async with served(size=256) as here, foreign() as there:
        async with publishing(here, there.url.replace("/in", "/moved"), "a token"):
            await until(lambda: len(there.tracks) == 2)
            async with asyncio.timeout(PATIENCE_S):
                picture = await there.tracks["video"].recv()
                await there.tracks["audio"].recv()
            assert (picture.width, picture.height) == (256, 256)  # pyright: ignore[reportAttributeAccessIssue]
        assert there.bearers == ["Bearer a token"]
        assert there.deleted == 1
        assert here.peers.broadcast("s") is None


@pytest.mark.slow
@pytest.mark.skipif(not JANUS, reason="Janus is not installed: sudo apt-get install janus")
async def test_janus_receives_what_is_pushed(tmp_path: Path):
    async with served(size=256) as here, bridge(tmp_path) as there, publishing(here, there.url):
        await until(lambda: there.receiving == {"audio", "video"})
        peer = here.peers.peers("s")[0]
        assert peer.connected
        await until(lambda: all(sender.stats.round_trip.smoothed_s is not None for sender in peer.senders))  # it reports


async def test_every_session_has_an_endpoint_of_its_own_where_the_address_says_so():
    other = ClockSession("other", size=64)
    async with served(size=64) as here, served(size=64) as there, publishing(here, there.url + "whip/{session}", None, other):
        await until(lambda: bool(here.peers.peers("other")))  # the server there knows no such session, and refuses it
        await until(lambda: len(there.session.pictures) > 5)
        await other.close()


@pytest.mark.parametrize(
    ("status", "line"),
    [(401, "--publish-token"), (404, "no WHIP endpoint"), (503, "no room now"), (500, "refused the offer (500)")],
)
async def test_a_refusal_is_one_line_however_often_it_is_repeated(status: int, line: str, caplog: pytest.LogCaptureFixture):
    async with served(size=64) as here, foreign(status) as there, publishing(here, there.url, "secret"):
        await until(lambda: len(there.bearers) >= 3)
    said = [record.getMessage() for record in caplog.records if record.name == "streaming.publish"]
    assert len(said) == 1
    assert line in said[0]
    assert "secret" not in said[0]
    assert here.peers.peers("s") == []


async def test_a_server_that_is_not_there_or_gives_no_way_for_media_is_said_so(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    async with served(size=64) as here, publishing(here, "http://127.0.0.1:1/whip"):
        await until(lambda: "cannot be reached" in caplog.text)
    caplog.clear()
    impatient = RtcConfig(connect_timeout_s=0.3)
    async with served(impatient, size=64) as here, foreign(leaves=True) as there, publishing(here, there.url):
        await until(lambda: "media do not get through" in caplog.text)
