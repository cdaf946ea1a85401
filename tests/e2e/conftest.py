"""A browser, a server in a thread, and a voice to speak with."""

import asyncio
import shutil
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from benchmarks.chromium import FLAGS
from streaming.app import Parts, build_app
from streaming.config import ServerConfig
from streaming.contract import LiveSessions
from streaming.rtc.peer import Peers, RtcConfig
from streaming.rtc.routes import PEERS, add_routes
from tests.house import FakeLibrary, FakeSessions

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SPEECH_S = 4
NOT_OURS = ("Failed to load resource: net::ERR_NETWORK_CHANGED",)  # Chromium's, when an interface comes or goes


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV of syllables: bursts of a buzz with formants, four a second."""
    t = np.arange(SPEECH_S * 48_000) / 48_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20)) * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t))
    file = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((buzz * 8000).astype("<i2").tobytes())
    return file


@pytest.fixture(scope="module")  # while it lives, Playwright's own event loop runs: tests of other modules bring theirs
def browser(speech: Path) -> Iterator[Any]:
    """Chromium with a microphone that plays `speech`."""
    yield from chromium(f"--use-file-for-fake-audio-capture={speech}")


def chromium(*more: str) -> Iterator[Any]:
    """Chromium with fake devices."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: sudo apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: ./mien test installs it")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more], timeout=120_000)
        yield browser
        browser.close()


class Server:
    """An application in an event loop of its own, in a thread."""

    def __init__(self, config: ServerConfig | None = None, *, ready: bool = True) -> None:
        self.sessions, self.library = FakeSessions(ready=ready), FakeLibrary()
        self._config = config or ServerConfig()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self.port = 0

    def __enter__(self) -> "Server":
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._do(_settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def peers(self) -> Peers:
        """All connections, to be used in the server's own thread."""
        assert self._runner is not None, "it has been started"
        return self._runner.app[PEERS]

    def start(self) -> None:
        """Serve, on the same port as before."""
        self._do(self._start())

    def stop(self) -> None:
        """End the server; its sessions end with it."""
        if self._runner is not None:
            self._do(self._runner.cleanup())
            self._runner = None

    def soon(self, function: Callable[..., object], *args: object) -> None:
        """Call something in the server's own thread."""
        self._loop.call_soon_threadsafe(function, *args)

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> None:
        def add_peers(app: web.Application, sessions: LiveSessions) -> None:
            add_routes(app, sessions, RtcConfig(ice_servers=self._config.ice_servers))

        samples = {"hello": np.zeros(48_000 * 3, np.float32)}
        app = build_app(self._config, Parts(self.sessions, self.library, add_peers, samples))
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]


async def _settled() -> None:
    """Nothing is left in the running loop that would be destroyed with it."""
    loop, left = asyncio.get_running_loop(), asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_asyncgens()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


class Visit:
    """One visitor's page, and everything that went wrong on it."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(permissions=["microphone", "camera"], **context)
        self.context.add_init_script(
            "window.violations = []; addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective))"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)  # a loaded machine is slow, not wrong
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def ready(self) -> Any:
        """The page, once its workers are warm and its faces are there."""
        self.page.wait_for_selector("#start:enabled")
        return self.page

    def live(self) -> Any:
        """The page, once the picture is there."""
        self.page.wait_for_selector("#stage[data-state=live]")
        return self.page

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and message.text not in NOT_OURS:
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def clean(self) -> None:
        """Nothing was logged and no policy was violated."""
        assert self.page.evaluate("violations") == []
        assert self.complaints == []


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Visit]:
    visit = Visit(browser, server.url)
    yield visit
    visit.context.close()
