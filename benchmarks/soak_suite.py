"""Suite `soak`: does anything grow, drift or stall when a session goes on and on?

The engine's path of suite `engine`, for minutes; with `--browser` the real
server in a process of its own and as many pages in a headless Chromium as there
are sessions, of which the first is measured as in suite `browser`. Every second
memory, threads and descriptors of the server and its workers are looked at from
beside; what measures makes all its room beforehand, or is in another process.
With `--inject-ppm 200` the server's media clock runs that much faster than the
microphone's, as two real clocks do: the sound held back (T1 -> T7), the skew
between a picture and its sound and the way from voice to screen must end where
they began.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import browser_suite, engine_suite, page
from benchmarks.browser_rows import check
from benchmarks.browser_rows import rows as rows_of_browser
from benchmarks.calibration import calibrate
from benchmarks.chromium import browser_tools, launched
from benchmarks.engine_suite import Findings, metrics_of, rows_of, settings_json
from benchmarks.metrics import Distribution, Metric, last_over_first, moved, slope_per_hour
from benchmarks.page import Watched
from benchmarks.physician import Health, Physician
from benchmarks.pipeline import PipelineSettings
from benchmarks.report import Bar, Outcome, Row
from benchmarks.serving import request, serving
from streaming.contract import now

WINDOW_S: Final = 60.0
"""What the beginning and the end of a soak are the medians of; a quarter of it when it is shorter than four of these."""
SETTLE_S: Final = 60.0
"""After which memory counts; a third of the soak when it is shorter than three of these."""
LONG_S: Final = 1000.0
"""From which on a slope of memory says something."""
ROOM_S: Final = 600.0
"""For what comes before and after the seconds that count."""
GROWTH: Final = (Bar("", 5.0),)
SLOPE: Final = (Bar("", 2.0),)
DRIFT: Final = (Bar("", 5.0, -5.0),)
SLOWER: Final = (Bar("", 1.1),)
_LAST_LESS_FIRST: Final = "last minute less first, medians"


def run_suite(settings: PipelineSettings, voice: NDArray[np.float32], plots: Path | None, *, browser: bool) -> Outcome:
    """Soak; what grew and what drifted.

    Raises:
        MissingDependency: with `browser`, without Playwright or Chromium.
        MienError: with `browser`, if no picture comes.
    """
    return _served(settings, plots) if browser else _engine(settings, voice, plots)


def _engine(settings: PipelineSettings, voice: NDArray[np.float32], plots: Path | None) -> Outcome:
    with Physician(settings.seconds + ROOM_S) as physician:
        found = engine_suite.measure(settings, voice, "soak", mouth_seen=False)
    health = physician.health.between(found.run.began, found.run.ended)
    outcome = Outcome(settings_json(settings, len(voice)), codec=settings.codec)
    outcome.metrics = metrics_of(found, None, calibrate().p50)
    outcome.rows = [*_drift(outcome, found), *_growth(outcome, health), *rows_of(found, None, outcome.metrics)]
    if plots:
        from benchmarks import plots as draw

        outcome.lines += [draw.drift(found, plots), draw.memory(health, plots)]
    return outcome


def _served(settings: PipelineSettings, plots: Path | None) -> Outcome:
    playwright, chromium = browser_tools()
    outcome = Outcome(settings_json(settings, 0), codec=settings.codec)
    with serving(settings) as address, playwright() as tools, launched(tools, chromium) as browser:
        outcome.browser = f"Chromium {browser.version}"
        server = int(request("GET", f"{address}bench/health")[1]["pid"])
        with Physician(settings.seconds + ROOM_S, server) as physician, ExitStack() as others:
            for _ in range(settings.sessions - 1):
                page.begun(others.enter_context(page.opened(browser, address, clicks=True)))
            watched = page.watch(browser, address, settings.seconds, None, "soak")
    health = physician.health.between(_at(watched, watched.seen.began), _at(watched, watched.seen.ended))
    outcome.metrics = browser_suite.figures(watched, settings)
    outcome.codec = str(outcome.metrics.get("video_codec") or settings.codec)
    growth = _growth(outcome, health)
    outcome.metrics["inject_ppm"] = settings.ppm
    outcome.rows = [*_stayed(outcome, settings), *growth, *rows_of_browser(outcome.metrics, None, settings.seconds)]
    check(outcome, watched.seen)
    if plots:
        from benchmarks import plots as draw

        outcome.lines += [*draw.browser(watched, settings.fps, plots), draw.memory(health, plots)]
    return outcome


def _at(watched: Watched, instant_ms: float) -> float:
    """An instant of the page's clock by this process's."""
    return (watched.seen.origin + instant_ms) / 1000 - (time.time() - now())


def _stayed(outcome: Outcome, settings: PipelineSettings) -> list[Row]:
    """Whether a viewer's delay at the end is what it was at the beginning."""
    unmended = settings.ppm * settings.seconds / 1000
    injected = f"{settings.ppm:g} ppm injected; {unmended:.0f} ms if nothing followed the clock"
    note, told = "voice to screen of every picture, p99 of the last minute over that of the first", "av_skew_told_drift_ms"
    return [
        Row(told, outcome.metrics[told], DRIFT, f"as the page measures it; {_LAST_LESS_FIRST}"),
        Row("m2s_drift_ms", outcome.metrics["m2s_drift_ms"], (), f"{_LAST_LESS_FIRST}, {injected}"),
        Row("m2s_p99_last_over_first", outcome.metrics["m2s_p99_last_over_first"], SLOWER, note),
    ]


def _drift(outcome: Outcome, found: Findings) -> list[Row]:
    """How far the delay of the sound, and the picture's against the sound, moved from the first to the last minute."""
    journey, frames, run = found.journeys[0], found.frames[0], found.run
    at = frames["due"] - run.began
    skew = (frames["encoded"] - frames["spoken"]) * 1000
    window = min(WINDOW_S, run.settings.seconds / 4)
    held = moved(journey.at_s, journey.whole, window)
    apart = moved(at, skew, window)
    slower = last_over_first(journey.at_s, journey.whole, window, 99)
    outcome.metrics |= {
        "held_drift_ms": held,
        "held_p99_last_over_first": slower,
        "sender_skew_ms": Distribution.of(skew),
        "sender_skew_drift_ms": apart,
        "held_slope_ms_per_h": slope_per_hour(*_known(journey.at_s, journey.whole)),
        "sender_skew_slope_ms_per_h": slope_per_hour(*_known(at, skew)),
        "inject_ppm": run.settings.ppm,
    }
    injected = f"{_LAST_LESS_FIRST}, {run.settings.ppm:g} ppm injected"
    unmended = run.settings.ppm * run.settings.seconds / 1000
    return [
        Row("sender_skew_drift_ms", apart, DRIFT, f"picture against its sound; {injected}"),
        Row("held_drift_ms", held, (), f"T1 -> T7; {unmended:.0f} ms if nothing followed the clock; jitter holds more, too"),
        Row("held_p99_last_over_first", slower, SLOWER, "the same, p99 of the last minute over that of the first"),
        Row("sender_skew_ms", outcome.metrics["sender_skew_ms"], (), "picture's bitstream after its sound's"),
    ]


def _known(at_s: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.isfinite(values) & np.isfinite(at_s)
    return at_s[known], values[known]


def _growth(outcome: Outcome, health: Health) -> list[Row]:
    """What was held more at the end than after the first minute."""
    if len(health.at_s) < 4:
        return []
    span = float(health.at_s[-1] - health.at_s[0])
    settled = health.between(float(health.at_s[0]) + min(SETTLE_S, span / 3), float("inf"))
    part = max(len(settled.at_s) // 4, 1)

    def grown(values: NDArray[np.float64]) -> float:
        return float(np.median(values[-part:]) - np.median(values[:part]))

    found: dict[str, Metric] = {
        "rss_slope_mb_per_h": slope_per_hour(settled.at_s, settled.resident_mb),
        "rss_growth_mb": grown(settled.resident_mb),
        "server_rss_mb": Distribution.of(settled.server_mb),
        "workers_rss_mb": Distribution.of(settled.workers_mb),
        "shared_mb": Distribution.of(settled.shared_mb),
        "threads": Distribution.of(settled.threads),
        "thread_growth": grown(settled.threads),
        "descriptors": Distribution.of(settled.descriptors),
        "descriptor_growth": grown(settled.descriptors),
    }
    outcome.metrics |= found
    return [
        Row(
            "rss_growth_mb",
            found["rss_growth_mb"],
            GROWTH,
            f"over {span:.0f} s, after {min(SETTLE_S, span / 3):.0f} s to settle",
        ),
        Row("rss_slope_mb_per_h", found["rss_slope_mb_per_h"], SLOPE if span >= LONG_S else ()),
        Row("server_rss_mb", found["server_rss_mb"]),
        Row("workers_rss_mb", found["workers_rss_mb"]),
        Row("shared_mb", found["shared_mb"], (), "counted in each process that shares it"),
        Row("thread_growth", found["thread_growth"], (Bar("", 0),)),
        Row("descriptor_growth", found["descriptor_growth"], (Bar("", 0),)),
    ]
