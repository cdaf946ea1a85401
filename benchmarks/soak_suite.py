"""Suite `soak`: does anything grow, drift or stall when a session goes on and on?

The engine's path of suite `engine`, for minutes. Every second a thread beside
it reads memory, threads and descriptors of the server and its workers; the
measuring itself makes all its room beforehand. With `--inject-ppm 200` the
server's media clock runs that much faster than the microphone's, as two real
clocks do: the sound held back (T1 -> T7) and the skew between a picture and its
sound must end where they began. With `--browser` the same is watched in
Chromium, see `benchmarks.browser_suite`.
"""

import dataclasses
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks import engine_suite
from benchmarks.calibration import calibrate
from benchmarks.engine_suite import Findings, metrics_of, rows_of, settings_json
from benchmarks.metrics import Distribution, Metric, slope_per_hour
from benchmarks.pipeline import PipelineSettings
from benchmarks.report import Bar, Outcome, Row
from streaming.contract import now

STEP_S = 1.0
WINDOW_S = 60.0
"""What the beginning and the end of a soak are the medians of; a quarter of it when it is shorter than four of these."""
SETTLE_S = 60.0
"""After which memory counts; a third of the soak when it is shorter than three of these."""
GROWTH = (Bar("", 5.0),)
DRIFT = (Bar("", 5.0, -5.0),)


@dataclass(frozen=True, slots=True)
class Health:
    """What a process and its children held over time.

    Attributes:
        at_s: float64[N], instants of the server's clock.
        server_mb, workers_mb: float64[N], resident.
        shared_mb: float64[N], of it shared between processes.
        threads, descriptors: float64[N], of all of them.
    """

    at_s: NDArray[np.float64]
    server_mb: NDArray[np.float64]
    workers_mb: NDArray[np.float64]
    shared_mb: NDArray[np.float64]
    threads: NDArray[np.float64]
    descriptors: NDArray[np.float64]

    def between(self, began: float, ended: float) -> "Health":
        """The part in [began, ended)."""
        part = (self.at_s >= began) & (self.at_s < ended)
        return Health(*(getattr(self, field.name)[part] for field in dataclasses.fields(self)))

    @property
    def resident_mb(self) -> NDArray[np.float64]:
        """Of all processes."""
        return self.server_mb + self.workers_mb


class Physician(threading.Thread):
    """Looks at this process and its children every `STEP_S`, for at most `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(name="physician", daemon=True)
        self._table = np.full((round(seconds / STEP_S), 6), np.nan)
        self._done = threading.Event()

    def run(self) -> None:
        """See `threading.Thread`."""
        for row in self._table:
            if self._done.wait(STEP_S):
                return
            row[:] = _examined()

    def finish(self) -> Health:
        """End and hand over."""
        self._done.set()
        self.join()
        known = self._table[np.isfinite(self._table[:, 0])]
        return Health(*known.T)


def _examined() -> tuple[float, ...]:
    me = psutil.Process()
    server, workers, shared, threads, descriptors = 0.0, 0.0, 0.0, 0, 0
    for process in (me, *me.children(recursive=True)):
        try:
            memory = process.memory_info()
            threads += process.num_threads()
            descriptors += process.num_fds() if sys.platform != "win32" else 0
        except psutil.Error:
            continue
        shared += getattr(memory, "shared", 0) / 2**20
        if process.pid == me.pid:
            server += memory.rss / 2**20
        else:
            workers += memory.rss / 2**20
    return now(), server, workers, shared, float(threads), float(descriptors)


def run_suite(settings: PipelineSettings, voice: NDArray[np.float32], plots: Path | None, *, browser: bool) -> Outcome:
    """Soak; what grew and what drifted."""
    physician = Physician(settings.seconds + 600)
    physician.start()
    found = engine_suite.measure(settings, voice, "soak", mouth_seen=False)
    health = physician.finish()
    outcome = Outcome(settings_json(settings, len(voice)), codec=settings.codec)
    outcome.metrics = metrics_of(found, None, calibrate().p50)
    rows = _drift(outcome, found) + _growth(outcome, health.between(found.run.began, found.run.ended))
    outcome.rows = [*rows, *rows_of(found, None, outcome.metrics)]
    if plots:
        from benchmarks import plots as draw

        outcome.lines += draw.soak(found, health.between(found.run.began, found.run.ended), plots)
    if browser:
        from benchmarks import browser_suite

        watched = browser_suite.run_suite(settings, 0, plots)
        outcome.metrics |= {name: value for name, value in watched.metrics.items() if value is not None}
        outcome.rows += watched.rows
        outcome.failures += watched.failures
    return outcome


def _drift(outcome: Outcome, found: Findings) -> list[Row]:
    """How far the delay of the sound, and the picture's against the sound, moved from the first to the last minute."""
    journey, frames, run = found.journeys[0], found.frames[0], found.run
    at = frames["due"] - run.began
    skew = (frames["encoded"] - frames["spoken"]) * 1000
    window = min(WINDOW_S, run.settings.seconds / 4)
    held = _moved(journey.at_s, journey.whole, window)
    apart = _moved(at, skew, window)
    outcome.metrics |= {
        "held_drift_ms": held,
        "sender_skew_ms": Distribution.of(skew),
        "sender_skew_drift_ms": apart,
        "held_slope_ms_per_h": _slope(journey.at_s, journey.whole),
        "sender_skew_slope_ms_per_h": _slope(at, skew),
        "inject_ppm": run.settings.ppm,
    }
    injected = f"last minute less first, medians, {run.settings.ppm:g} ppm injected"
    unmended = run.settings.ppm * run.settings.seconds / 1000
    return [
        Row("sender_skew_drift_ms", apart, DRIFT, f"picture against its sound; {injected}"),
        Row("held_drift_ms", held, (), f"T1 -> T7; {unmended:.0f} ms if nothing followed the clock; jitter holds more, too"),
        Row("sender_skew_ms", outcome.metrics["sender_skew_ms"], (), "picture's bitstream after its sound's"),
    ]


def _moved(at_s: NDArray[np.float64], values: NDArray[np.float64], window_s: float) -> float | None:
    known = np.isfinite(values) & np.isfinite(at_s)
    at_s, values = at_s[known], values[known]
    if len(values) == 0:
        return None
    first, last = values[at_s < at_s[0] + window_s], values[at_s > at_s[-1] - window_s]
    return float(np.median(last) - np.median(first))


def _slope(at_s: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    known = np.isfinite(values) & np.isfinite(at_s)
    return slope_per_hour(at_s[known], values[known])


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
        Row("rss_slope_mb_per_h", found["rss_slope_mb_per_h"]),
        Row("server_rss_mb", found["server_rss_mb"]),
        Row("workers_rss_mb", found["workers_rss_mb"]),
        Row("shared_mb", found["shared_mb"], (), "counted in each process that shares it"),
        Row("thread_growth", found["thread_growth"], (Bar("", 0),)),
        Row("descriptor_growth", found["descriptor_growth"], (Bar("", 0),)),
    ]
