"""Suite `starts`: what is left of a page that came and went, and how soon does its picture come the hundredth time?

The real server in a process of its own and the product's own page in a
headless Chromium, started and stopped again and again: each cycle opens a
session, a connection for the picture and one for the voice, waits for the
first picture and ends all of it. Between cycles the server is asked what it
holds. Memory is the server's and its workers', its slope the least-squares line
over the cycles after the first fifth; tasks, threads and descriptors are the
server's, before the first counted cycle and once all that was ended had time to
go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import page
from benchmarks.chromium import browser_tools, launched
from benchmarks.engine_suite import settings_json
from benchmarks.metrics import Distribution, Metric
from benchmarks.pipeline import PipelineSettings
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from benchmarks.serving import request, serving
from engine.errors import MienError

WARM_CYCLES: Final = 3
SETTLE_S: Final = 20
"""For what has ended to go: ICE keeps a port for some seconds, a session's place is kept for 15."""
PAUSE_S: Final = 0.4
"""After each press of the button: nobody is quicker, and the voice's connection comes a little after the first picture."""
ASKED: Final = 25
"""How often, over all cycles, the server is asked what it holds."""
CLIMB: Final = 0.2
"""Share of the cycles in which memory still fills what it will always fill."""
COUNTS: Final = ("tasks", "threads", "descriptors")
TTFF = (Bar("p95", 700),)
GROWTH = (Bar("", 0.05),)
NONE_LEFT = (Bar("", 0),)


@dataclass(slots=True)
class Found:
    """What was seen.

    Attributes:
        ttff_ms: of each cycle.
        cycles, server_mb, workers_mb: after how many cycles the server was asked, and the resident memory of its process
            and of its workers then.
        before, after: what `/bench/health` told before the first counted cycle, and after the last had settled.
    """

    ttff_ms: list[float] = field(default_factory=list[float])
    cycles: list[int] = field(default_factory=list[int])
    server_mb: list[float] = field(default_factory=list[float])
    workers_mb: list[float] = field(default_factory=list[float])
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] = field(default_factory=dict[str, Any])


def run_suite(settings: PipelineSettings, cycles: int, plots: Path | None) -> Outcome:
    """Start and stop the page so often.

    Raises:
        MissingDependency: without Playwright or Chromium.
        MienError: if fewer than ten cycles are asked for.
    """
    if cycles < 10:
        raise MienError(f"a slope needs ten cycles or more, got {cycles}")
    playwright, chromium = browser_tools()
    outcome = Outcome(settings_json(settings, 0) | {"cycles": cycles}, codec=settings.codec)
    with serving(settings) as address, playwright() as tools, launched(tools, chromium) as browser:
        outcome.browser = f"Chromium {browser.version}"
        with page.opened(browser, address, clicks=False) as visitor:
            found = _cycled(visitor, address, cycles)
    outcome.metrics = figures(found)
    outcome.rows = _rows(outcome.metrics)
    outcome.lines += [f"a task that was not there before: {name}" for name in new_names(found)]
    if plots:
        from benchmarks import plots as draw

        outcome.lines += draw.starts(found, plots)
    return outcome


def _cycled(visitor: Any, address: str, cycles: int) -> Found:
    found, progress = Found(), ProgressBar("starts")
    for _ in range(WARM_CYCLES):
        _cycle(visitor)
    found.before = _settled(visitor, address)
    for index in range(cycles):
        found.ttff_ms.append(_cycle(visitor))
        if index % max(cycles // ASKED, 1) == 0:
            found.cycles.append(index)
            health = _health(address)
            found.server_mb.append(float(health["rss_mb"]))
            found.workers_mb.append(float(health["workers_mb"]))
        progress((index + 1) / cycles)
    found.after = _settled(visitor, address)
    return found


def _cycle(visitor: Any) -> float:
    took = page.start(visitor)
    visitor.wait_for_timeout(PAUSE_S * 1000)
    page.stop(visitor)
    visitor.wait_for_timeout(PAUSE_S * 1000)
    return took


def _settled(visitor: Any, address: str) -> Mapping[str, Any]:
    visitor.wait_for_timeout(SETTLE_S * 1000)
    return _health(address)


def _health(address: str) -> Mapping[str, Any]:
    return request("GET", f"{address}bench/health?settled")[1]


def figures(found: Found) -> dict[str, Metric]:
    """All figures by name."""
    server, workers = _slope(found.cycles, found.server_mb), _slope(found.cycles, found.workers_mb)
    left = {f"{name}_left": int(found.after[name]) - int(found.before[name]) for name in COUNTS}
    return {
        "ttff_ms": Distribution.of(found.ttff_ms),
        "ttff_last_tenth_ms": Distribution.of(found.ttff_ms[-max(len(found.ttff_ms) // 10, 1) :]),
        "mb_per_cycle": server + workers if server is not None and workers is not None else None,
        "server_mb_per_cycle": server,
        "workers_mb_per_cycle": workers,
        "server_rss_mb": float(found.after["rss_mb"]),
        "workers_rss_mb": float(found.after["workers_mb"]),
        "rss_growth_mb": _resident(found.after) - _resident(found.before),
        "cycles": len(found.ttff_ms),
        **left,
    }


def _slope(cycles: Sequence[int], memory_mb: Sequence[float]) -> float | None:
    at, memory = np.array(cycles), np.array(memory_mb)
    level = at >= CLIMB * at.max(initial=0)
    return float(np.polyfit(at[level], memory[level], 1)[0]) if level.sum() > 2 else None


def _resident(health: Mapping[str, Any]) -> float:
    return float(health["rss_mb"]) + float(health["workers_mb"])


def new_names(found: Found) -> list[str]:
    """What runs in the server after it that did not run before."""
    before, after = (Counter[str](health["names"]) for health in (found.before, found.after))
    return sorted((after - before).elements())


def _rows(found: Mapping[str, Metric]) -> list[Row]:
    return [
        Row("ttff_ms", found["ttff_ms"], TTFF, "Start pressed -> first picture"),
        Row("ttff_last_tenth_ms", found["ttff_last_tenth_ms"], TTFF, "of the last tenth of the cycles"),
        Row("mb_per_cycle", found["mb_per_cycle"], GROWTH, f"server and workers, after the first {CLIMB:.0%} of the cycles"),
        Row("workers_mb_per_cycle", found["workers_mb_per_cycle"], (), "of it the workers"),
        Row("rss_growth_mb", found["rss_growth_mb"], (), "of all over all cycles, settled before and after"),
        Row("server_rss_mb", found["server_rss_mb"]),
        Row("workers_rss_mb", found["workers_rss_mb"]),
        *(Row(f"{name}_left", found[f"{name}_left"], NONE_LEFT) for name in COUNTS),
    ]
