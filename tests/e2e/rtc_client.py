"""A WHIP or WHEP client made of aiortc, and what tests do with one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from tests.e2e.rtc_measure import Stand

SDP = {"Content-Type": "application/sdp"}
PATIENCE_S = 60.0  # a loaded machine is slow, not wrong


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0.02)
        sound = (8000 * np.sin(2 * np.pi * 300 * np.arange(self.at, self.at + 960) / 48_000)).astype(np.int16)
        frame = AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, self.at
        self.at += 960
        return frame


class Client:
    """A peer that speaks or watches, with no candidate in its offer."""

    def __init__(self, *, watches: bool, session: str = "s", token: str | None = None) -> None:
        self.session = session
        self.headers = SDP | ({"Authorization": f"Bearer {token}"} if token else {})
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.role = "whep" if watches else "whip"
        self.location = ""
        if watches:
            self.pc.addTransceiver("audio", "recvonly")
            self.pc.addTransceiver("video", "recvonly")
        else:
            self.pc.addTransceiver(Tone(), "sendonly")

    async def connect(self, url: str) -> str:
        connected = asyncio.Event()
        self.pc.on("connectionstatechange", lambda: self.pc.connectionState == "connected" and connected.set())
        await self.pc.setLocalDescription(await self.pc.createOffer())
        lines = self.pc.localDescription.sdp.split("\r\n")
        sdp = "\r\n".join(line for line in lines if "candidate" not in line)
        async with aiohttp.ClientSession() as http, http.post(self.at(url), data=sdp, headers=self.headers) as response:
            assert response.status == 201, await response.text()
            self.location = response.headers["Location"]
            answer = await response.text()
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(PATIENCE_S):
            await connected.wait()
        return answer

    def at(self, url: str) -> str:
        """The address of its endpoint."""
        return f"{url}{self.role}/{self.session}"

    def track(self, kind: str) -> MediaStreamTrack:
        return next(t.receiver.track for t in self.pc.getTransceivers() if t.kind == kind)

    async def picture(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return await self.track("video").recv()


@contextlib.asynccontextmanager
async def client(stand: Stand, *, watches: bool) -> AsyncIterator[Client]:
    one = Client(watches=watches)
    try:
        await one.connect(stand.url)
        yield one
    finally:
        await one.pc.close()


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def request(stand: Stand, method: str, path: str, **options: Any) -> tuple[int, str, Any]:
    async with aiohttp.ClientSession() as http, http.request(method, stand.url + path, **options) as response:
        return response.status, await response.text(), response.headers
