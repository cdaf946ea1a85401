"""Suite `browser`: how long after a word is spoken does the face on the screen say it, and do they stay together?

The real server in a process of its own, the product's own page in a headless
Chromium, WebRTC both ways over loopback. End points: T0 a 2 kHz, 5 ms click
leaves the page's microphone (a WebAudio source in its place, so that T0 and T11
are read from one clock); T11 `expectedDisplayTime` of the picture that carries
the click's instant in its Gray-code clock. Skew: T11 of every picture less the
instant at which its sound leaves the loudspeaker (`getOutputTimestamp`),
positive when the sound is early. Time to first frame: from the press of Start,
with Chromium's own fake microphone, to the first picture on the screen.

The null system is the same with `--renderer null`. What is not seen here: a
sound card's and a display's own delay, and a network.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import clock
from benchmarks.browser_figures import Seen, figures
from benchmarks.engine_suite import settings_json
from benchmarks.environment import ROOT
from benchmarks.metrics import Distribution, Metric
from benchmarks.pipeline import PipelineSettings
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from engine.errors import MienError, MissingDependency
from engine.timeline import SAMPLE_RATE_HZ

WARM_S: Final = 6.0
"""Watched before anything counts: Chromium's buffers shrink for a few seconds after a start."""
READY_S: Final = 120.0
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
M2S = (Bar("p50", 260),)
SKEW = (Bar("p1", low=-60), Bar("p99", 40))
DRIFT = (Bar("", 5.0, -5.0),)
DRIFT_S: Final = 240.0
"""In less, the ups and downs of Chromium's buffers outweigh any drift."""
TTFF = (Bar("p95", 1500),)
REFUSAL = (Bar("p95", 50),)
SESSIONS_AT_MOST: Final = 64


def run_suite(settings: PipelineSettings, starts: int, plots: Path | None) -> Outcome:
    """Speak through the page for `seconds`, then start it `starts` times.

    Raises:
        MissingDependency: without Playwright or Chromium.
    """
    playwright, chromium = browser_tools()
    outcome = Outcome(settings_json(settings, 0) | {"starts": starts}, codec=settings.codec)
    with serving(settings) as address, playwright() as tools:
        with launched(tools, chromium) as browser:
            outcome.browser = f"Chromium {browser.version}"
            seen = _watch(browser, address, settings)
        found = figures(seen, settings.fps)
        cold, warm = _starts(tools, chromium, address, starts)
        refused = _refusals(address, settings)
    outcome.metrics = found | {
        "ttff_ms": Distribution.of(warm),
        "ttff_cold_ms": cold,
        "refusal_ms": Distribution.of(refused[1]),
        "admitted_sessions": refused[0],
    }
    outcome.rows = _rows(outcome.metrics, settings.seconds)
    outcome.codec = str(found.get("video_codec") or settings.codec)
    _check(outcome, seen)
    if plots:
        from benchmarks import plots as draw

        outcome.lines += draw.browser(seen, settings.fps, plots)
    return outcome


def browser_tools() -> tuple[Any, str | None]:
    """What starts Playwright, and Chromium's path if it is known.

    Raises:
        MissingDependency: without Playwright.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingDependency("suite browser drives Chromium by Playwright: pip install playwright") from error
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return sync_playwright, chromium


# -- the server -------------------------------------------------------------------------------------------------------


@contextmanager
def serving(settings: PipelineSettings) -> Generator[str]:
    """The address of the running server, its workers warm."""
    options = {
        "--size": settings.size,
        "--fps": settings.fps,
        "--look-ahead-ms": settings.look_ahead_ms,
        "--portrait": settings.portrait.stem,
        "--renderer": settings.renderer,
        "--ppm": settings.ppm,
        "--picture-hold-ms": settings.picture_hold_ms,
        "--workers": settings.workers,
    }
    words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.server", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise MienError("the server did not start; its own lines above say why")
        _await_ready(address)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdout is not None:
            process.stdout.close()


def _await_ready(address: str) -> None:
    deadline = time.monotonic() + READY_S
    while request("GET", address + "readyz")[0] != 200:
        if time.monotonic() > deadline:
            raise MienError(f"the server's workers were not warm after {READY_S:.0f} s")
        time.sleep(0.2)


def request(method: str, address: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON body of an answer of the server."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    asked.add_header("Origin", address.split("/api")[0].rstrip("/"))
    try:
        with urllib.request.urlopen(asked, timeout=60) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, None


def _refusals(address: str, settings: PipelineSettings, times: int = 5) -> tuple[int, list[float]]:
    """How many sessions are let in, and how many milliseconds each of `times` refusals of one more took.

    A machine that lets in `SESSIONS_AT_MOST` refuses nobody.
    """
    opened: list[str] = []
    took: list[float] = []
    while len(opened) < SESSIONS_AT_MOST and len(took) < times:
        began = time.monotonic()
        status, found = request("POST", address + "api/sessions", {"portrait": settings.portrait.stem, "size": settings.size})
        if status == 201:
            opened.append(found["id"])
        elif status == 503:
            took.append((time.monotonic() - began) * 1000)
        elif status == 429:  # so many at once are not a client's way
            time.sleep(0.2)
        else:
            raise MienError(f"the server answered {status} to a session")
    for name in opened:
        request("DELETE", address + f"api/sessions/{name}")
    return len(opened), took


# -- the browser ------------------------------------------------------------------------------------------------------


@contextmanager
def launched(tools: Any, chromium: str | None) -> Generator[Any]:
    """A running headless Chromium.

    Raises:
        MissingDependency: if it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "microphone.wav"
        _write_wav(sound)
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={sound}"]
        try:
            browser = tools.chromium.launch(executable_path=chromium, headless=True, args=flags)
        except Exception as error:  # Playwright's own class, which is not imported where it may be missing
            cure = "install Debian's chromium, or run: playwright install chromium"
            raise MissingDependency(f"Chromium does not start; {cure}") from error
        try:
            yield browser
        finally:
            browser.close()


def _write_wav(file: Path) -> None:
    """Two seconds of syllables, which Chromium's fake microphone repeats."""
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    voiced = np.sin(2 * np.pi * 120 * t) + 0.5 * np.sin(2 * np.pi * 720 * t) + 0.3 * np.sin(2 * np.pi * 1200 * t)
    sound = 0.25 * voiced * np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((sound * 32767).astype("<i2").tobytes())


@contextmanager
def _page(browser: Any, address: str, *, clicks: bool) -> Generator[Any]:
    """The product's page, ready to be started."""
    config = {"clicks": clicks, "bits": clock.BITS, "row": clock.ROW_PX, "quietS": clock.CLICK_QUIET / SAMPLE_RATE_HZ}
    script = (Path(__file__).parent / "page.js").read_text("utf-8").replace("__CONFIG__", json.dumps(config))
    context = browser.new_context(permissions=["microphone"], bypass_csp=True)
    try:
        context.add_init_script(script)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#start:not([disabled])", timeout=60_000)
        yield page
    finally:
        context.close()


def _watch(browser: Any, address: str, settings: PipelineSettings) -> Seen:
    """Speak clicks into the page and note what comes back."""
    progress = ProgressBar("browser")
    with _page(browser, address, clicks=True) as page:
        page.evaluate("bench.watch(document.getElementById('video'))")
        page.click("#hear")
        page.click("#start")
        _await_pictures(page)
        page.evaluate(_LISTEN)
        page.wait_for_timeout(WARM_S * 1000)
        before, began = page.evaluate("bench.stats()"), page.evaluate("performance.now()")
        believed: list[list[float]] = []
        for second in range(round(settings.seconds)):
            page.wait_for_timeout(1000)
            believed.append(page.evaluate("bench.believed()"))
            progress((second + 1) / settings.seconds)
        stats, ended = page.evaluate("bench.stats()"), page.evaluate("performance.now()")
        bench = page.evaluate(_NOTES)
        server = request("GET", address + "api/sessions/" + page.evaluate("localStorage.getItem('mien.session')"))[1]
        page.click("#start")
        page.wait_for_timeout(300)
    return Seen(
        said=np.array(bench["said"], np.float64),
        heard=np.array(bench["heard"], np.float64),
        frames=np.array(bench["frames"], np.float64).reshape(-1, 6),
        origin=float(bench["origin"]),
        began=float(began),
        ended=float(ended),
        before=before,
        stats=stats,
        server=server or {},
        believed=np.array(believed, np.float64).reshape(-1, 2),
        output_ms=tuple(map(float, bench["output"] or ())),
    )


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
  const heard = transceivers.find((t) => t.currentDirection === "recvonly" && t.receiver.track.kind === "audio");
  await bench.listen(heard.receiver.track);
}"""

_RESTART = "bench.start(document.getElementById('start'), document.getElementById('video'))"


def _starts(tools: Any, chromium: str | None, address: str, starts: int) -> tuple[float | None, list[float]]:
    """Milliseconds to the first picture: of the first start of a new browser, and of those after it."""
    if starts < 1:
        return None, []
    progress = ProgressBar("starts")
    warm: list[float] = []
    with launched(tools, chromium) as browser, _page(browser, address, clicks=False) as page:
        cold = float(page.evaluate(_RESTART))
        for index in range(starts):
            page.wait_for_timeout(400)
            page.click("#start")
            page.wait_for_function("document.getElementById('stage').dataset.state === 'idle'", timeout=20_000)
            page.wait_for_timeout(600)
            warm.append(float(page.evaluate(_RESTART)))
            progress((index + 1) / starts)
        page.click("#start")
        page.wait_for_timeout(300)
    return cold, warm


# -- the report -------------------------------------------------------------------------------------------------------


def _rows(found: dict[str, Metric], seconds: float) -> list[Row]:
    drift = DRIFT if seconds >= DRIFT_S else ()
    return [
        Row("m2s_ms", found["m2s_ms"], M2S, "click spoken -> its picture on the screen"),
        Row("av_skew_ms", found["av_skew_ms"], SKEW, "every picture; positive: the sound is early"),
        Row("av_skew_drift_ms", found["av_skew_drift_ms"], drift, "median of the last minute less that of the first"),
        Row("av_skew_believed_ms", found["av_skew_believed_ms"], (), "Chromium's own estimate, getStats"),
        Row("picture_hold_ms", found["stage_picture_hold_ms"], (), "of it the server's deliberate hold of the picture"),
        Row("ttff_ms", found["ttff_ms"], TTFF, "Start pressed -> first picture, warm"),
        Row("ttff_cold_ms", found["ttff_cold_ms"], (), "first start of a new browser"),
        Row("render_to_screen_ms", found["render_to_screen_ms"], (), "picture drawn -> on the screen"),
        Row("  render_to_receiver_ms", found["render_to_receiver_ms"], (), "of it: colour, encode, send, network"),
        Row("  display_delay_ms", found["display_delay_ms"], (), "of it: last packet received -> on the screen (T9 -> T11)"),
        Row("    decode", found["stage_decode_ms"]),
        Row("click_to_ear_ms", found["click_to_ear_ms"], (), "click spoken -> heard"),
        Row("frame_interval_ms", found["frame_interval_ms"]),
        Row("freeze_count", found["freeze_count"]),
        Row("freezes_recomputed", found["freezes_recomputed"]),
        Row("concealed_ratio", found["concealed_ratio"]),
        Row("jitter_buffer_video_ms", found["jitter_buffer_video_ms"], (), "mean, getStats"),
        Row("jitter_buffer_audio_ms", found["jitter_buffer_audio_ms"], (), "mean, getStats"),
        Row("output_latency_ms", found["output_latency_ms"], (), "the page's AudioContext: base, output"),
        Row("clicks", found["clicks"], (), "seen in the picture, of those spoken"),
        Row("refusal_ms", found["refusal_ms"], REFUSAL, "HTTP 503 to one session too many"),
        Row("admitted_sessions", found["admitted_sessions"]),
    ]


def _check(outcome: Outcome, seen: Seen) -> None:
    m2s, skew = outcome.metrics["m2s_ms"], outcome.metrics["av_skew_ms"]
    if not isinstance(m2s, Distribution):
        outcome.failures.append(
            f"no click came back in the picture ({len(seen.frames)} pictures, {len(seen.said)} clicks spoken)"
        )
    if not isinstance(skew, Distribution):
        outcome.failures.append(f"no click was heard in the sound that came back ({len(seen.heard)} heard)")
