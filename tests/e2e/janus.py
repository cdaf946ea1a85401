"""Janus, an SFU of others, with a WHIP endpoint before it: Janus itself speaks JSON over HTTP."""

import asyncio
import contextlib
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.e2e.relay import free_port
from tests.e2e.rtc_client import PATIENCE_S

JANUS = shutil.which("janus")
ROOM = 1234
LIBRARIES = next(iter(Path("/usr/lib").glob("*/janus")), Path("/usr/lib/janus"))
SETTINGS = {
    "janus.jcfg": """general: {{
  configs_folder = "{folder}"
  plugins_folder = "{libraries}/plugins"
  transports_folder = "{libraries}/transports"
  loggers_folder = "{folder}"
  events_folder = "{folder}"
  debug_level = 3
}}
""",
    "janus.transport.http.jcfg": """general: {{
  http = true
  port = {port}
  ip = "127.0.0.1"
  base_path = "/janus"
  json = "compact"
}}
admin: {{ admin_http = false }}
""",
    "janus.plugin.videoroom.jcfg": """room-1234: {{ publishers = 2, audiocodec = "opus", videocodec = "h264,vp8" }}
""",
}


@dataclass
class Bridge:
    """A WHIP endpoint that publishes into a Janus room; `receiving` are the kinds of media that Janus says it gets."""

    http: aiohttp.ClientSession
    janus: str
    url: str = ""
    receiving: set[str] = field(default_factory=set[str])
    handle: str = ""
    transactions: Iterator[int] = field(default_factory=itertools.count)
    listening: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    async def ask(self, path: str, **message: Any) -> dict[str, Any]:
        message["transaction"] = str(next(self.transactions))
        async with self.http.post(self.janus + path, json=message) as response:
            return await response.json()

    async def publish(self, request: web.Request) -> web.Response:
        offer = await request.text()
        session = f"/{(await self.ask('', janus='create'))['data']['id']}"
        attached = await self.ask(session, janus="attach", plugin="janus.plugin.videoroom")
        self.handle = f"{session}/{attached['data']['id']}"
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.listening.append(asyncio.create_task(self.listen(session, answered)))
        body = {"request": "joinandconfigure", "ptype": "publisher", "room": ROOM}
        await self.ask(self.handle, janus="message", body=body, jsep={"type": "offer", "sdp": offer})
        async with asyncio.timeout(PATIENCE_S):
            answer = await answered
        return web.Response(status=201, text=answer, content_type="application/sdp", headers={"Location": "/handle"})

    async def listen(self, session: str, answered: "asyncio.Future[str]") -> None:
        while True:
            async with self.http.get(self.janus + session) as response:
                event = await response.json()
            if "jsep" in event and not answered.done():
                answered.set_result(event["jsep"]["sdp"])
            if event["janus"] == "media" and event["receiving"]:
                self.receiving.add(event["type"])

    async def end(self, _: web.Request) -> web.Response:
        await self.ask(self.handle, janus="hangup")
        return web.Response()


@contextlib.asynccontextmanager
async def bridge(folder: Path) -> AsyncIterator[Bridge]:
    """A Janus of its own and the endpoint before it."""
    assert JANUS, "the test is skipped where Janus is absent"
    port = free_port()
    for name, text in SETTINGS.items():
        (folder / name).write_text(text.format(folder=folder, libraries=LIBRARIES, port=port))
    with (folder / "janus.log").open("w") as log:
        process = subprocess.Popen((JANUS, "-F", folder), stdout=log, stderr=subprocess.STDOUT)
    try:
        async with aiohttp.ClientSession() as http:
            one = Bridge(http, f"http://127.0.0.1:{port}/janus")
            await _until_it_answers(one, process)
            app = web.Application()
            app.router.add_post("/whip", one.publish)
            app.router.add_delete("/handle", one.end)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/whip"
            try:
                yield one
            finally:
                for task in one.listening:
                    task.cancel()
                await asyncio.gather(*one.listening, return_exceptions=True)
                await runner.cleanup()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def _until_it_answers(one: Bridge, process: "subprocess.Popen[bytes]") -> None:
    async with asyncio.timeout(PATIENCE_S):
        while process.poll() is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with one.http.get(f"{one.janus}/info") as response:
                    assert response.status == 200
                    return
            await asyncio.sleep(0.1)
    raise RuntimeError("Janus ended; see janus.log")
