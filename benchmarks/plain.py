"""A plain aiortc server, as its examples have it, with the product's own workers behind it.

What is compared is the media path alone: the sessions, the engine, the
pictures and the sound are the same, but they are received and sent by
`RTCPeerConnection` with aiortc's own jitter buffer, encoders, bitrates and
reports. Nothing is tuned, neither for nor against it; only the default STUN
server is left out, which a machine without a network would wait for.
"""
# pyright: reportUnknownMemberType=false
# PyAV and aiortc are partly untyped.

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from benchmarks import health
from benchmarks.journal import Journal
from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import Outgoing, OutgoingSound, SessionSettings, now
from streaming.live import Live
from streaming.remote import Remote

VIDEO_CLOCK_HZ: Final = 90_000
ROOM: Final = 5
"""Frames that wait for a track at most; the oldest gives way."""


class QueueTrack(MediaStreamTrack):
    """Sends what is put into it, in order, the oldest given up when there is no room."""

    def __init__(self, kind: str, room: int) -> None:
        super().__init__()
        self.kind = kind
        self._frames: asyncio.Queue[AudioFrame | VideoFrame] = asyncio.Queue(room)

    def put(self, frame: AudioFrame | VideoFrame) -> None:
        """The newest one."""
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    async def recv(self) -> AudioFrame | VideoFrame:
        """See `MediaStreamTrack`."""
        return await self._frames.get()


class Guest:
    """One page: its connection and its session."""

    def __init__(self, session: Remote) -> None:
        self.session = session
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pictures, self._sound = QueueTrack("video", ROOM), QueueTrack("audio", 2 * ROOM)
        self._tasks = [asyncio.create_task(self._show()), asyncio.create_task(self._speak())]
        self.peer.on("track", self._listen)
        self.peer.on("connectionstatechange", self._changed)

    async def answer(self, offer: str) -> str:
        """The answer to the page's offer."""
        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self.peer.addTrack(self._sound)
        self.peer.addTrack(self._pictures)
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return self.peer.localDescription.sdp

    async def close(self) -> None:
        """End both."""
        for task in self._tasks:
            task.cancel()
        await self.peer.close()
        await self.session.close()

    def _listen(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._tasks.append(asyncio.create_task(self._hear(track)))

    async def _changed(self) -> None:
        if self.peer.connectionState in ("failed", "closed"):
            await self.close()

    async def _hear(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = cast(AudioFrame, await track.recv())
                packed = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                self.session.push_audio(packed.mean(axis=1).astype(np.float32) / 32768, now())

    async def _show(self) -> None:
        async for outgoing in self.session.subscribe():
            self._pictures.put(_picture(outgoing, self.session.settings.fps))

    async def _speak(self) -> None:
        async for outgoing in self.session.listen():
            self._sound.put(_sound(outgoing))


def _picture(outgoing: Outgoing, fps: int) -> VideoFrame:
    frame = VideoFrame.from_ndarray(outgoing.video, format="yuv420p")
    frame.pts, frame.time_base = outgoing.index * VIDEO_CLOCK_HZ // fps, Fraction(1, VIDEO_CLOCK_HZ)
    return frame


def _sound(outgoing: OutgoingSound) -> AudioFrame:
    """20 ms at 25 and 50 fps; aiortc's encoder makes packets of any length."""
    frame = AudioFrame.from_ndarray(outgoing.samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
    frame.pts = outgoing.start
    return frame


def serve(live: Live, settings: SessionSettings, journals: Mapping[str, Journal], greet: Callable[[str], None]) -> None:
    """Serve until told to end; `greet` is told the page's address."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(live, settings, journals, greet))


async def _serve(live: Live, settings: SessionSettings, journals: Mapping[str, Journal], greet: Callable[[str], None]) -> None:
    guests: list[Guest] = []

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=Path(__file__).with_suffix(".html").read_text("utf-8"), content_type="text/html")

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({}, status=200 if live.ready else 503)

    async def offer(request: web.Request) -> web.Response:
        guest = Guest(await live.open(settings))
        guests.append(guest)
        answer = await guest.answer(await request.text())
        return web.Response(status=201, text=answer, content_type="application/sdp", headers={"Location": guest.session.id})

    def connections() -> dict[str, dict[str, Any]]:
        return {guest.session.id: _of(guest) for guest in guests if guest.session.state != "closed"}

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/readyz", ready)
    app.router.add_post("/offer", offer)
    health.add_routes(app, connections, journals)
    await _run(app, live, greet)


def _of(guest: Guest) -> dict[str, Any]:
    connected = guest.peer.connectionState == "connected"
    return {"viewers": int(connected), "peers": 1, "voice": None, "bitrate_bps": 0, "keys": 0}


async def _run(app: web.Application, live: Live, greet: Callable[[str], None]) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await live.start()
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    greet(f"http://localhost:{runner.addresses[0][1]}/")
    try:
        await ending.wait()
    finally:
        await live.close()
        await runner.cleanup()
