"""Suite `browser`: how long after a word is spoken does the face on the screen say it, and do they stay together?

The real server in a process of its own, the product's own page in a headless
Chromium, WebRTC both ways over loopback or over a bad line (`--link`, see
`benchmarks.relay`). End points: T0 a 2 kHz, 5 ms click leaves the page's
microphone (a WebAudio source in its place, so that T0 and T11 are read from one
clock); T11 `expectedDisplayTime` of the picture that carries the click's
instant in its Gray-code clock. T1 and T2 are read from what the server's
session was given and gave out (`benchmarks.hearing`), T8 is when the relay got
the picture's last packet. Skew: T11 of every picture less the instant at which
its sound leaves the loudspeaker (`getOutputTimestamp`), positive when the sound
is early. Time to first frame: from the press of Start, with Chromium's own fake
microphone and no line between, to the first picture on the screen.

The null system is the same with `--renderer null`; with `--beside-plain` a plain
aiortc server (`benchmarks.plain`) is watched after it, over the same line. What
is not seen here: a sound card's and a display's own delay.
"""

import time
from pathlib import Path
from typing import Any, Final

from benchmarks import browser_figures, hearing, line_figures, page
from benchmarks.browser_rows import check, rows
from benchmarks.chromium import browser_tools, launched
from benchmarks.engine_suite import settings_json
from benchmarks.link import Course, course
from benchmarks.metrics import Distribution, Metric
from benchmarks.page import Watched
from benchmarks.pipeline import PipelineSettings
from benchmarks.report import Outcome
from benchmarks.serving import request, serving
from engine.errors import MienError

AFTER_S: Final = 12.0
"""Watched after a line has changed for the last time."""
ASKED_EVERY_MS: Final = 1000.0
SESSIONS_AT_MOST: Final = 64


def run_suite(
    settings: PipelineSettings, starts: int, plots: Path | None, *, link: str | None = None, beside_plain: bool = False
) -> Outcome:
    """Speak through the page for `seconds`, then start it `starts` times.

    Raises:
        MissingDependency: without Playwright or Chromium.
        MienError: if no picture comes.
    """
    playwright, chromium = browser_tools()
    line = course(link) if link is not None else None
    more: dict[str, object] = {"starts": starts, "link": link, "beside_plain": beside_plain}
    outcome = Outcome(settings_json(settings, 0) | more, codec=settings.codec)
    with serving(settings, "--journal") as address, playwright() as tools:
        with launched(tools, chromium) as browser:
            outcome.browser = f"Chromium {browser.version}"
            watched = _watch(browser, address, settings, line, "browser")
        cold, warm = page.starts(tools, chromium, address, starts)
        admitted, refused = _refusals(address, settings) if starts else (None, [])
    outcome.metrics = figures(watched, settings) | {
        "ttff_ms": Distribution.of(warm),
        "ttff_cold_ms": cold,
        "refusal_ms": Distribution.of(refused),
        "admitted_sessions": admitted,
    }
    plain = _beside(settings, line) if beside_plain else None
    if plain is not None:
        outcome.metrics["plain"] = figures(plain, settings)
    outcome.rows = rows(outcome.metrics, link, settings.seconds)
    outcome.codec = str(outcome.metrics.get("video_codec") or settings.codec)
    check(outcome, watched.seen)
    if plots:
        from benchmarks import plots as draw

        outcome.lines += draw.browser(watched, settings.fps, plots)
    return outcome


def _watch(browser: Any, address: str, settings: PipelineSettings, line: Course | None, what: str) -> Watched:
    seconds = max(settings.seconds, line.last_step_s + AFTER_S if line is not None and line.last_step_s else 0.0)
    return page.watch(browser, address, seconds, line, what)


def _beside(settings: PipelineSettings, line: Course | None) -> Watched:
    """The same of a plain aiortc server."""
    playwright, chromium = browser_tools()
    plain = serving(settings, "--journal", "--plain")
    with plain as address, playwright() as tools, launched(tools, chromium) as browser:
        return _watch(browser, address, settings, line, "plain aiortc")


def figures(watched: Watched, settings: PipelineSettings) -> dict[str, Metric]:
    """All that a page that was watched tells, by name."""
    seen, crossed = watched.seen, watched.crossed
    found = browser_figures.figures(seen, settings.fps)
    if watched.heard is not None:
        began = max(seen.origin + seen.began, watched.heard.begin_ms)  # a long run's beginning is not kept
        told = ((seen.origin + at, session.get("voice")) for at, session in watched.health)
        voices = [voice for at, voice in told if voice and at >= began - ASKED_EVERY_MS]
        found |= hearing.figures(watched.heard, voices, began, seen.origin + seen.ended)
    if crossed is not None:
        steps = line_figures.steps_down(crossed)
        found |= line_figures.figures(seen, crossed) | {
            "rate_settled_s": [step.settled_s for step in steps],
            "rate_over_after": [step.over for step in steps],
            "resumed_ms": line_figures.resumed_ms(seen, crossed),
            "slot_freed_s": line_figures.freed_s(seen, crossed, watched.health),
        }
    return found


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
