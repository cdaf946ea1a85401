"""A page in a headless Chromium: spoken into, watched and listened to (`page.js`)."""

import base64
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks import clock, inputs
from benchmarks.browser_figures import Seen
from benchmarks.chromium import launched
from benchmarks.journal import Heard
from benchmarks.link import Course
from benchmarks.relay import Crossed, through
from benchmarks.report import ProgressBar
from benchmarks.serving import fetched, request
from engine.errors import MienError
from engine.timeline import SAMPLE_RATE_HZ

WARM_S: Final = 6.0
"""Watched before anything counts: Chromium's buffers shrink for a few seconds after a start."""
COLUMNS: Final = 8
"""Of `Seen.frames`."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A page that was watched while it was spoken into.

    Attributes:
        seen: what it saw and heard.
        crossed: what the server sent over the line; None without one.
        heard: what the server heard.
        health: the server's connections once a second, from the beginning on: time of the page's clock in ms, and the
            session's part of `/bench/connections`.
    """

    seen: Seen
    crossed: Crossed | None
    heard: Heard | None
    health: list[tuple[float, dict[str, Any]]] = field(default_factory=list[tuple[float, dict[str, Any]]])


@contextmanager
def opened(browser: Any, address: str, *, clicks: bool) -> Generator[Any]:
    """A page, ready to be started."""
    config = {"clicks": clicks, "bits": clock.BITS, "row": clock.ROW_PX, "quietS": clock.CLICK_QUIET / SAMPLE_RATE_HZ}
    voice = base64.b64encode(inputs.sample().read_bytes()).decode() if clicks else ""
    script = (Path(__file__).parent / "page.js").read_text("utf-8")
    script = script.replace("__CONFIG__", json.dumps(config | {"voice": voice}))
    context = browser.new_context(permissions=["microphone"], bypass_csp=True)
    try:
        context.add_init_script(script)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#start:not([disabled])", timeout=60_000)
        yield page
    finally:
        context.close()


def watch(browser: Any, server: str, seconds: float, line: Course | None, what: str) -> Watched:
    """Speak clicks into the page of the server at an address for so many seconds, and note what comes back."""
    with through(server, line) as (address, relay), opened(browser, address, clicks=True) as page:
        session = begun(page)
        if relay is not None:
            relay.begin()
        before, began = _instant(page)
        health, told = _each_second(page, seconds, lambda: _health(server, session), ProgressBar(what))
        stats, ended = _instant(page)
        bench = page.evaluate(_NOTES)
        status = request("GET", f"{server}api/sessions/{session}")[1]
        journal = fetched(f"{server}bench/journal/{session}")
        page.click("#start")
        page.wait_for_timeout(300)
        crossed = relay.crossed() if relay is not None else None
    seen = Seen(
        said=np.array(bench["said"], np.float64),
        heard=np.array(bench["heard"], np.float64),
        frames=_received(np.array(bench["frames"], np.float64).reshape(-1, COLUMNS)),
        origin=float(bench["origin"]),
        began=began,
        ended=ended,
        before=before,
        stats=stats,
        server=status or {},
        told=np.array(told, np.float64),
        output_ms=tuple(map(float, bench["output"] or ())),
    )
    return Watched(seen, crossed, Heard.read(journal) if journal else None, health)


def begun(page: Any) -> str:
    """Start the page and let it settle; the name of its session."""
    page.evaluate("bench.watch(document.getElementById('video'))")
    page.click("#hear")
    page.click("#start")
    _await_pictures(page)
    page.evaluate(_LISTEN)
    page.wait_for_timeout(WARM_S * 1000)
    return str(page.evaluate("localStorage.getItem('mien.session')"))


def _instant(page: Any) -> tuple[dict[str, Any], float]:
    """What getStats says, and when."""
    return page.evaluate("bench.stats()"), float(page.evaluate("performance.now()"))


def _each_second(
    page: Any, seconds: float, ask: Callable[[], dict[str, Any]], progress: ProgressBar
) -> tuple[list[tuple[float, dict[str, Any]]], list[float]]:
    """What the server says about the session, and what the page tells it about its sound and picture."""
    health = [(float(page.evaluate("performance.now()")), ask())]
    told: list[float] = []
    for second in range(round(seconds)):
        page.wait_for_timeout(1000)
        told.append(float(page.evaluate("bench.told")))
        health.append((float(page.evaluate("performance.now()")), ask()))
        progress((second + 1) / seconds)
    return health, told


def _received(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """The pictures that came over the network: a video element is black before its first one, and that has no RTP timestamp."""
    frames = frames[np.isfinite(frames[:, 6])]
    frames = frames[clock.legible(frames[:, 1], frames[:, 6])]
    frames[:, 1], frames[:, 2] = clock.unwrapped(frames[:, 1], frames[:, 2])
    return frames


def _health(server: str, session: str) -> dict[str, Any]:
    found = cast(dict[str, Any], request("GET", f"{server}bench/connections")[1])
    return cast(dict[str, Any], found.get(session, {}))


def _await_pictures(page: Any) -> None:
    for _ in range(120):
        if page.evaluate("bench.frames.length") > 5:
            return
        if page.is_visible("#notice"):
            raise MienError(f"the page says: {page.inner_text('#notice-text')}")
        page.wait_for_timeout(500)
    raise MienError("no picture came within a minute; the server's log above may say why")


_NOTES = "({said: bench.said, heard: bench.heard, frames: bench.frames, origin: bench.origin, output: bench.output})"

_LISTEN = """async () => {
  const transceivers = bench.peers.flatMap((peer) => peer.getTransceivers());
  const heard = transceivers.find((t) => t.currentDirection?.includes("recv") && t.receiver.track.kind === "audio");
  await bench.listen(heard.receiver.track);
}"""

_RESTART = "bench.start(document.getElementById('start'), document.getElementById('video'))"


def starts(tools: Any, chromium: str | None, address: str, count: int) -> tuple[float | None, list[float]]:
    """Milliseconds to the first picture: of the first start of a new browser, and of those after it."""
    if count < 1:
        return None, []
    progress = ProgressBar("starts")
    warm: list[float] = []
    with launched(tools, chromium) as browser, opened(browser, address, clicks=False) as page:
        cold = start(page)
        for index in range(count):
            page.wait_for_timeout(400)
            stop(page)
            page.wait_for_timeout(600)
            warm.append(start(page))
            progress((index + 1) / count)
        page.click("#start")
        page.wait_for_timeout(300)
    return cold, warm


def start(page: Any) -> float:
    """Start the product's page; milliseconds from the press of the button to the first picture.

    Raises:
        MienError: when none comes within a minute.
    """
    try:
        return float(page.evaluate(_RESTART))
    except Exception as error:  # Playwright's own class, which is not imported where it may be missing
        raise MienError(f"the page did not start: {str(error).splitlines()[0]}") from error


def stop(page: Any) -> None:
    """Stop it, and wait until it has."""
    page.click("#start")
    page.wait_for_function("document.getElementById('stage').dataset.state === 'idle'", timeout=20_000)
