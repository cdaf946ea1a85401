"""Real cameras: WebRTC peers, films, the camera process, its falls."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from av import VideoFrame
from numpy.typing import NDArray

from streaming.camera.cameras import CameraOptions, Cameras
from streaming.camera.messages import Encoded, Found, Outline
from streaming.capture.camera import CameraFeed
from streaming.contract import CodedPicture, Outgoing, PictureCodec, SessionSettings, now
from streaming.live import Live
from streaming.remote import Remote
from streaming.rtc.routes import add_routes
from streaming.worker.options import WorkerOptions
from tests.e2e.rtc_client import PATIENCE_S, SDP, Tone, until
from tests.e2e.rtc_measure import CHROMIUM, chromium, served
from tests.unit.films import BLACK, BLUE, GREEN, RED, bar, coded, film

STUDIO = WorkerOptions(studio="tests.fake_studio:FakeStudio", warm="grey-50", sizes=(256,))
TRACKER = CameraOptions(tracker="tests.fake_tracker:tracker")
VP8 = PictureCodec("vp8")


class Pictures(MediaStreamTrack):
    """A camera: 25 pictures a second of a bar, or whatever `shown` is set to."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.shown: NDArray[np.uint8] = bar(0.75)

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.04)
        frame = VideoFrame.from_ndarray(self.shown, "rgb24")
        frame.pts, frame.time_base = self.at, Fraction(1, 90_000)
        self.at += 3600
        return frame


class Sender:
    """A peer that sends a voice, a camera's pictures, or both."""

    def __init__(self, *tracks: MediaStreamTrack, codec: str = "") -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for track in tracks:
            transceiver = self.pc.addTransceiver(track, "sendonly")
            if codec and track.kind == "video":
                known = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([c for c in known if c.name == codec])

    async def connect(self, url: str) -> str:
        connected = asyncio.Event()
        self.pc.on("connectionstatechange", lambda: self.pc.connectionState == "connected" and connected.set())
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = "\r\n".join(line for line in self.pc.localDescription.sdp.split("\r\n") if "candidate" not in line)
        async with aiohttp.ClientSession() as http, http.post(f"{url}whip/s", data=sdp, headers=SDP) as response:
            assert response.status == 201, await response.text()
            answer = await response.text()
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(PATIENCE_S):
            await connected.wait()
        return answer


@asynccontextmanager
async def sending(url: str, *tracks: MediaStreamTrack, codec: str = "") -> AsyncIterator[Sender]:
    one = Sender(*tracks, codec=codec)
    try:
        await one.connect(url)
        yield one
    finally:
        await one.pc.close()


# -- peers and their pictures, no process ---------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_camera_arrives_coded_a_key_frame_first(codec: str):
    async with served() as stand, sending(stand.url, Pictures(), codec=codec):
        await until(lambda: len(stand.session.pictures) > 20)
        first, *others = stand.session.pictures
        assert (first.key, first.codec.name) == (True, codec.lower())
        assert not all(picture.key for picture in others)
        assert stand.session.pushed == []
        camera = stand.peers.peers("s")[0].camera
        assert camera is not None
        assert camera.stream.stats.lost == 0


async def test_the_answer_prefers_vp8_and_takes_what_it_needs_for_losses():
    async with served() as stand:
        async with sending(stand.url, Pictures()) as sender:
            video = sender.pc.remoteDescription.sdp.split("m=video")[1]
        assert video.split("a=rtpmap:")[1].split()[1].startswith("VP8")
        for feedback in ("nack", "nack pli", "goog-remb"):
            assert feedback in video
        assert "rtx/90000" in video
        assert "a=recvonly" in video


async def test_a_camera_and_a_voice_replace_only_their_like():
    async with served() as stand, sending(stand.url, Tone()) as voice, sending(stand.url, Pictures()) as first:
        await until(lambda: len(stand.session.pushed) > 5 and len(stand.session.pictures) > 5)
        async with sending(stand.url, Pictures()):
            await until(lambda: first.pc.connectionState == "closed")
            assert voice.pc.connectionState == "connected"
            async with sending(stand.url, Tone(), Pictures()) as both:
                await until(lambda: voice.pc.connectionState == "closed")
                await until(lambda: len(stand.peers.peers("s")) == 1)
                async with sending(stand.url, Tone()):
                    heard = len(stand.session.pushed)
                    await until(lambda: len(stand.session.pushed) > heard + 5)
                    seen = len(stand.session.pictures)
                    await until(lambda: len(stand.session.pictures) > seen + 5)
                    assert both.pc.connectionState == "connected"


# -- the process ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def following(options: CameraOptions = TRACKER) -> AsyncIterator[Cameras]:
    cameras = Cameras(options)
    cameras.prepare()
    try:
        await until(lambda: cameras.ready)
        yield cameras
    finally:
        pid = cameras.pid
        await cameras.close()
        assert pid is None or not psutil.pid_exists(pid)


@asynccontextmanager
async def filming(push: Callable[[CodedPicture], bool], shown: Callable[[], NDArray[np.uint8]]) -> AsyncIterator[None]:
    """Pushes what is shown, each picture a key frame."""

    async def film() -> None:
        while True:
            (data,) = coded([shown()])
            push(CodedPicture(VP8, True, data, now()))
            await asyncio.sleep(0.03)

    task = asyncio.create_task(film())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_one_camera_breaks_is_mended_for_all():
    async with following() as cameras:
        good: list[Found | Outline | Encoded] = []
        one, other = cameras.open(good.append), cameras.open(lambda _: None)
        bad = [RED]
        async with filming(one.push, lambda: bar(0.75)):
            await until(lambda: len(good) > 3)
            async with filming(other.push, lambda: bad[0]):
                await until(lambda: "a fault inside mien" in other.status("browser").reason)
                seen, pid = len(good), cameras.pid
                await until(lambda: len(good) > seen + 3)
                assert cameras.pid == pid
                bad[0] = GREEN
                await until(lambda: cameras.pid not in (pid, None))
                bad[0] = bar(0.5)
                seen = len(good)
                await until(lambda: len(good) > seen + 3)
                await until(lambda: other.status("browser").state == "following")


async def test_a_process_that_stalls_is_replaced():
    async with following() as cameras:
        camera, shown, pid = cameras.open(lambda _: None), [BLUE], cameras.pid
        async with filming(camera.push, lambda: shown[0]):
            await until(lambda: cameras.pid not in (pid, None))
            shown[0] = bar(0.5)
            await until(lambda: camera.status("browser").state == "following")


async def test_missing_networks_are_said_once_and_the_process_rests(tmp_path: Path):
    cameras = Cameras(CameraOptions(tracker="tests.fake_tracker:broken"))
    camera = cameras.open(lambda _: None)
    try:
        await until(lambda: camera.status("browser").reason == "there are no networks")
        assert not cameras.ready
    finally:
        await cameras.close()


# -- the whole way --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def live(own_camera: CameraFeed | None = None) -> AsyncIterator[tuple[Live, Remote, str]]:
    """Workers with grey faces, a session "s", and the address of its WHIP endpoint."""
    sessions = Live(Path, workers=1, options=STUDIO, cameras=Cameras(TRACKER), own_camera=own_camera)
    await sessions.start()
    app = web.Application()
    add_routes(app, sessions)
    app.router.add_get("/", _blank)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await until(lambda: sessions.ready)
        session = await sessions.open(SessionSettings("grey-80", size=256, badge=False), "s")
        session.control(idle=False)
        yield sessions, session, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await sessions.close()
        await runner.cleanup()


async def _blank(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>camera</title>", content_type="text/html")


async def greys(session: Remote, wanted: Callable[[int], bool]) -> int:
    """Wait for a picture of a wanted grey. The fake face is as grey as its yaw, see `tests.fake_studio`."""
    async with asyncio.timeout(PATIENCE_S):
        async for outgoing in session.subscribe():
            if wanted(grey := _grey(outgoing)):
                return grey
    raise AssertionError("the session ended")


def _grey(outgoing: Outgoing) -> int:
    """The grey level 0..255 of a picture in limited range."""
    return round((int(outgoing.video[0, 0]) - 16) * 255 / 219)


async def test_a_browsers_camera_moves_the_face_and_lets_go_of_it():
    async with live() as (sessions, session, url):
        track = Pictures()
        async with sending(url, track):
            await greys(session, lambda grey: abs(grey - 95) < 4)
            await until(lambda: seen_by(session) == ("browser", "following", 1))
            session.control(neutral=True)
            await greys(session, lambda grey: abs(grey - 80) < 4)
            track.shown = BLACK
            await until(lambda: session.status().camera.state == "dark")
        await until(lambda: session.status().camera.state in ("off", "gone"))
        await until(lambda: sessions.pool.ready)


def seen_by(session: Remote) -> tuple[str, str, int]:
    """Whose camera it is, how it stands, and how many faces are in view."""
    camera = session.status().camera
    return camera.source, camera.state, camera.faces


async def test_factors_are_kept_when_the_worker_is_replaced():
    async with live() as (sessions, session, url), sending(url, Pictures()):
        await greys(session, lambda grey: abs(grey - 95) < 4)
        session.control(factors={"pose": "voice"})
        await greys(session, lambda grey: abs(grey - 80) < 4)
        (worker,) = sessions.pool.workers
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: worker.pid not in (pid, None) and session.state == "live")
        await greys(session, lambda grey: abs(grey - 80) < 4)
        session.control(factors={"pose": "camera"})
        await greys(session, lambda grey: abs(grey - 95) < 4)


async def test_this_machines_camera_is_a_film(tmp_path: Path):
    feed = CameraFeed(str(film(tmp_path / "person.mp4", [bar(0.25)] * 30)))
    async with live(feed) as (_, session, _):
        session.control(camera="machine")
        await greys(session, lambda grey: abs(grey - 65) < 4)
        points: list[Any] = []
        session.draw_outline(points.append)
        await until(lambda: bool(points))
        assert np.allclose(points[0][:, 0], 0.25, atol=0.05)
        session.control(camera="off")
        await greys(session, lambda grey: abs(grey - 80) < 4)
        await until(lambda: session.status().camera.state == "off")


CANVAS = """async () => {
  const camera = document.createElement("canvas"), pen = camera.getContext("2d");
  [camera.width, camera.height] = [640, 480];
  let count = 0;
  setInterval(() => {
    pen.fillStyle = "#5a5a5a"; pen.fillRect(0, 0, 640, 480);
    pen.fillStyle = "#fafafa"; pen.fillRect(464, count++ % 2, 32, 480);
  }, 33);
  const pc = window.pc = new RTCPeerConnection(), stream = camera.captureStream(30);
  pc.addTransceiver(stream.getVideoTracks()[0], {direction: "sendonly", streams: [stream]});
  await pc.setLocalDescription(await pc.createOffer());
  const headers = {"content-type": "application/sdp"};
  const answer = await fetch("/whip/s", {method: "POST", headers, body: pc.localDescription.sdp});
  await pc.setRemoteDescription({type: "answer", sdp: await answer.text()});
}"""
SENT = """async () => {
  let found = {};
  (await pc.getStats()).forEach((s) => { if (s.type === "outbound-rtp") found = s; });
  return found;
}"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium, or set MIEN_CHROMIUM")
async def test_chromium_as_the_camera_moves_the_face():
    async with live() as (_, session, url), chromium(url, microphone=False) as page:
        await page.evaluate(CANVAS)
        await greys(session, lambda grey: abs(grey - 95) < 5)
        async with asyncio.timeout(PATIENCE_S):
            while (await page.evaluate(SENT))["framesEncoded"] <= 20:
                await asyncio.sleep(0.1)
        await until(lambda: session.status().camera.state == "following")
