"""Suite `camera`: how long after a person turns their head does the face on the screen turn its own?

The real server and its camera process, a page in a headless Chromium, WebRTC
both ways over loopback. The camera is a canvas of 640x480 at 30 fps with a
drawn person of another portrait; T0 is the instant at which the head is drawn
turned by 24 degrees, T11 the `expectedDisplayTime` of the first picture that
shows a tenth of the turn (and of the one that shows half). Chromium's coder,
the receiver, decoder, tracker, motion, renderer, encoder, the server's hold of
the picture and Chromium's display are in it; a real camera's exposure and its
cable are not, nor a display's own delay.

Then a sample is spoken while the head goes on turning, with idle life: the
share of frames that the worker missed.
"""

import base64
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.camera_figures import turns
from benchmarks.chromium import browser_tools, launched
from benchmarks.engine_suite import settings_json
from benchmarks.inputs import portraits
from benchmarks.metrics import Distribution
from benchmarks.pipeline import PipelineSettings
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from benchmarks.serving import serving
from engine.contract import Motion
from engine.errors import MienError
from engine.render.mesh import MeshRenderer
from engine.rig.archive import load

TURN_DEG: Final = 12.0
CAMERA_FPS: Final = 30
FOLLOW_S: Final = 60.0
LATENCY = (Bar("p50", 180),)
MISSES = (Bar("", 0.01),)
SENT_FPS = (Bar("", low=27),)


def run_suite(settings: PipelineSettings) -> Outcome:
    """Turn a head before the camera for `seconds`, then speak as long.

    Raises:
        MissingDependency: without Playwright or Chromium.
        MienError: when no face is followed.
    """
    playwright, chromium = browser_tools()
    outcome = Outcome(settings_json(settings, 0), codec=settings.codec)
    person = next(file for file in portraits().values() if file.stem != settings.portrait.stem)
    drawn = heads(person)
    with serving(settings) as address, playwright() as tools, launched(tools, chromium) as browser:
        outcome.browser = f"Chromium {browser.version}"
        context = browser.new_context(bypass_csp=True)
        page = context.new_page()
        page.goto(address + "livez")
        page.evaluate((Path(__file__).parent / "camera.js").read_text("utf-8"))
        wanted = {"portrait": settings.portrait.stem, "size": settings.size}
        page.evaluate("([wanted, heads, fps]) => bench.start(wanted, heads, fps)", [wanted, drawn, CAMERA_FPS])
        _measure(page, settings.seconds, outcome)
        context.close()
    return outcome


def heads(portrait: Path) -> list[str]:
    """A person turned to either side, as a camera of 640x480 sees them: two JPEGs in base64."""
    renderer = MeshRenderer(load(portrait), 512)
    found: list[str] = []
    for yaw in (-TURN_DEG, TURN_DEG):
        renderer.prepare(Motion.of(0, {"yaw": yaw}))
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(_seen(renderer.finish(None).rgb), cv2.COLOR_RGB2BGR))[1]
        found.append(base64.b64encode(jpeg.tobytes()).decode())
    return found


def _seen(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = np.full((480, 640, 3), 128, np.uint8)
    picture[:, 80:560] = cv2.resize(rgb, (480, 480), interpolation=cv2.INTER_AREA)
    return picture


def _measure(page: Any, seconds: float, outcome: Outcome) -> None:
    _await_face(page)
    progress = ProgressBar("camera")
    page.evaluate("bench.flips.length = bench.frames.length = 0")
    before = page.evaluate("bench.sent()")
    _wait(page, seconds, progress, 0.0)
    sent, quiet = page.evaluate("bench.sent()"), page.evaluate("bench.status")
    notes = page.evaluate("({flips: bench.flips, frames: bench.frames})")
    page.evaluate("bench.socket.send(JSON.stringify({control: {idle: true}})); bench.sample = true; bench.frames.length = 0")
    page.wait_for_timeout(2000)
    began = page.evaluate("bench.status")
    _wait(page, seconds, progress, 0.5)
    ended, errors = page.evaluate("bench.status"), page.evaluate("bench.errors")

    shown = np.array([frame[0] for frame in notes["frames"]], np.float64)
    pictures = np.array([frame[1] for frame in notes["frames"]], np.float32)
    seen = turns(np.array([flip[0] for flip in notes["flips"]], np.float64), shown, pictures)
    span_s = (sent["at"] - before["at"]) / 1000
    outcome.metrics = {
        "camera_to_screen_ms": Distribution.of(seen.first_ms),
        "camera_to_screen_half_ms": Distribution.of(seen.half_ms),
        "camera_late_ms": quiet["camera"]["late_ms"],
        "camera_followed_fps": ended["camera"]["fps"],
        "camera_sent_fps": (sent["frames"] - before["frames"]) / span_s,
        "camera_sent_kbps": (sent["bytes"] - before["bytes"]) * 8 / span_s / 1000,
        "camera_encode_ms": 1000 * (sent["encodeS"] - before["encodeS"]) / max(sent["frames"] - before["frames"], 1),
        "camera_codec": str(sent.get("codec", "")),
        "turns_unseen": seen.unseen,
        "stage_picture_hold_ms": quiet["picture_hold_ms"],
        "deadline_miss_rate": (ended["misses"] - began["misses"]) / max(ended["frames"] - began["frames"], 1),
        "frames": ended["frames"] - began["frames"],
    }
    outcome.rows = _rows(outcome)
    outcome.failures += [f"the server said: {line}" for line in errors]
    if len(seen.first_ms) < 3 or seen.unseen > len(seen.first_ms):
        outcome.failures.append(f"of the turns {seen.unseen} did not show and {len(seen.first_ms)} did")


def _rows(outcome: Outcome) -> list[Row]:
    found = outcome.metrics
    return [
        Row("camera_to_screen_ms", found["camera_to_screen_ms"], LATENCY, "head drawn turned -> first picture that shows it"),
        Row("camera_to_screen_half_ms", found["camera_to_screen_half_ms"], (), "-> picture that shows half of it"),
        Row("  camera_late_ms", found["camera_late_ms"], (), "of it: arrived -> read, median of a second"),
        Row("  camera_encode_ms", found["camera_encode_ms"], (), "of it: Chromium's coder, mean"),
        Row("  picture_hold_ms", found["stage_picture_hold_ms"], (), "of it: the server's deliberate hold of the picture"),
        Row("camera_sent_fps", found["camera_sent_fps"], SENT_FPS, "coded and sent by Chromium"),
        Row("camera_sent_kbps", found["camera_sent_kbps"]),
        Row("camera_followed_fps", found["camera_followed_fps"], (), "pictures in which a face was looked for"),
        Row("deadline_miss_rate", found["deadline_miss_rate"], MISSES, "voice and camera together"),
    ]


def _await_face(page: Any) -> None:
    status: Any = None
    for _ in range(round(FOLLOW_S * 2)):
        page.wait_for_timeout(500)
        status = page.evaluate("bench.status")
        if status and status["camera"]["state"] == "following" and page.evaluate("bench.frames.length") > 25:
            page.wait_for_timeout(3000)  # what is neutral is being learned
            return
    why = f"the camera is {status['camera']['state']}: {status['camera']['reason']}" if status else "the server says nothing"
    raise MienError(f"no face was followed within {FOLLOW_S:.0f} s; {why}")


def _wait(page: Any, seconds: float, progress: ProgressBar, done: float) -> None:
    for second in range(round(seconds)):
        page.wait_for_timeout(1000)
        progress(done + 0.5 * (second + 1) / seconds)
