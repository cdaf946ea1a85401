"""Plots of what was measured, as PNG. Needs matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingDependency

if TYPE_CHECKING:
    from benchmarks.capacity_suite import Tried
    from benchmarks.engine_suite import Findings
    from benchmarks.page import Watched
    from benchmarks.physician import Health
    from benchmarks.relay import Crossed
    from benchmarks.starts_suite import Found

COLOURS = ("#3b6ea5", "#e0a030", "#8c8c8c", "#b5432e", "#5a9e6f", "#6b4f8f")


def engine(found: "Findings", folder: Path) -> list[str]:
    """Histogram of the residence, and the stages of the median and the slow journeys as stacked bars."""
    return [
        _histogram(
            found.whole - found.lead_ms, (60, 100), "engine residence, ms (look-ahead excluded)", folder / "residence.png"
        ),
        _stages(found, folder / "stages.png"),
    ]


def capacity(tried: Sequence["Tried"], admitted: int, most_ms: float, folder: Path) -> list[str]:
    """Misses and residence against the number of sessions; the residence of the largest number that fits."""
    measured = [(one.sessions, one.findings) for one in tried if one.findings is not None]
    if not measured:
        return []
    numbers = [sessions for sessions, _ in measured]
    figure, axes = _pyplot().subplots(2, 1, figsize=(9, 6), sharex=True)
    axes[0].plot(numbers, [100 * (found.miss_rate or 0.0) for _, found in measured], "o-", color=COLOURS[3])
    axes[0].axhline(1, color="k", lw=0.8, ls="--")
    axes[0].set_ylabel("misses, %")
    for part, colour in (("p50", COLOURS[0]), ("p99", COLOURS[3])):
        values = [getattr(found.residence, part) if found.residence else np.nan for _, found in measured]
        axes[1].plot(numbers, values, "o-", color=colour, label=part)
    axes[1].axhline(most_ms, color="k", lw=0.8, ls="--", label="budget of p99")
    axes[1].set_ylabel("engine residence, ms")
    axes[1].set_xlabel("sessions")
    axes[1].xaxis.get_major_locator().set_params(integer=True)
    for axis in axes:
        axis.axvline(admitted, color=COLOURS[4], lw=1.5, ls=":", label="let in")
        axis.set_ylim(bottom=0)
    axes[1].legend()
    best = max((one for one in tried if one.findings is not None), key=lambda one: (one.fits, one.sessions)).findings
    assert best is not None
    label = f"engine residence of {len(best.run.takes)} sessions, ms (look-ahead excluded)"
    histogram = _histogram(best.whole - best.lead_ms, (most_ms,), label, folder / "capacity-residence.png")
    return [_saved(figure, folder / "capacity.png"), histogram]


def drift(found: "Findings", folder: Path) -> str:
    """Delay and skew over time."""
    frames = found.frames[0]
    at = frames["due"] - found.run.began
    figure, axes = _pyplot().subplots(2, 1, figsize=(9, 6), sharex=True)
    _over_time(axes[0], found.journeys[0].at_s, found.journeys[0].whole, "T1 to T7, ms")
    _over_time(axes[1], at, (frames["encoded"] - frames["spoken"]) * 1000, "picture after its sound, ms")
    axes[1].set_xlabel("seconds")
    return _saved(figure, folder / "drift.png")


def memory(health: "Health", folder: Path) -> str:
    """What the server and its workers held over time."""
    figure, axis = _pyplot().subplots(figsize=(9, 3.5))
    seconds = health.at_s - health.at_s[:1]
    axis.plot(seconds, health.server_mb, color=COLOURS[0], label="server")
    axis.plot(seconds, health.workers_mb, color=COLOURS[3], label="workers")
    axis.set_ylim(bottom=0)
    axis.set_ylabel("resident, MB")
    axis.set_xlabel("seconds")
    axis.legend()
    return _saved(figure, folder / "memory.png")


def browser(watched: "Watched", fps: int, folder: Path) -> list[str]:
    """Mouth to screen of every click and the skew of every picture over time; and the rate sent, over a line."""
    from benchmarks.browser_figures import matched, skew

    seen = watched.seen
    clicks = matched(seen, fps)
    at, apart = skew(seen, clicks, fps)
    plt = _pyplot()
    figure, axes = plt.subplots(2 if watched.crossed is None else 3, 1, figsize=(9, 6), sharex=True)
    axes[0].plot((clicks.said - seen.began) / 1000, clicks.shown - clicks.said, "o-", color=COLOURS[0], ms=4)
    axes[0].axhline(260, color="k", lw=0.8, ls="--")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("mouth to screen, ms")
    axes[1].plot((at - seen.began) / 1000, apart, ".", color=COLOURS[3], ms=2)
    for bound in (-60, 40):
        axes[1].axhline(bound, color="k", lw=0.8, ls="--")
    axes[1].set_ylabel("skew, ms (sound early > 0)")
    if watched.crossed is not None:
        _line(axes[2], watched.crossed)
    axes[-1].set_xlabel("seconds")
    return [_saved(figure, folder / "browser.png")]


def graphs(taken_s: Mapping[str, Sequence[float]], folder: Path) -> list[str]:
    """What the runs of each network took, by name: a histogram each, on one axis of time."""
    rows = -(-len(taken_s) // 3)
    figure, axes = _pyplot().subplots(rows, 3, figsize=(12, 2.2 * rows), squeeze=False)
    for axis in axes.flat[len(taken_s) :]:
        axis.set_visible(False)
    for axis, (name, seconds) in zip(axes.flat, taken_s.items(), strict=False):
        values = np.asarray(seconds) * 1000
        axis.hist(values[values <= np.percentile(values, 99)], bins=50, color=COLOURS[0])
        for value in np.percentile(values, (50, 99)):
            axis.axvline(float(value), color=COLOURS[3], lw=1.2)
        axis.set_title(f"{name}: p50 {np.median(values):.2f}, p99 {np.percentile(values, 99):.2f} ms", fontsize=7)
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    return [_saved(figure, folder / "graphs.png")]


def _line(axis: Any, crossed: "Crossed") -> None:
    """What was sent, and what the line carries."""
    from benchmarks.line_figures import rate_kbps

    at, kbps = rate_kbps(crossed)
    axis.plot(at, kbps, color=COLOURS[0], label="sent")
    steps = [(begin, conditions.rate or np.nan) for begin, conditions in crossed.course.steps]
    ends = [*(begin for begin, _ in steps[1:]), float(at.max(initial=0.0))]
    for (begin, rate), end in zip(steps, ends, strict=True):
        axis.plot((begin, end), (rate, rate), color="k", lw=0.8, ls="--")
    for begin, end in crossed.course.dark_spans():
        axis.axvspan(begin, end, color="#c8c8c8")
    axis.set_ylim(bottom=0)
    axis.set_ylabel("sent, kb/s")


def starts(found: "Found", folder: Path) -> list[str]:
    """Time to first frame of every start, and the memory of server and workers."""
    figure, axes = _pyplot().subplots(2, 1, figsize=(9, 5), sharex=True)
    axes[0].plot(found.ttff_ms, ".", color=COLOURS[0], ms=3)
    axes[0].axhline(700, color="k", lw=0.8, ls="--")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("first picture, ms")
    axes[1].plot(found.cycles, found.server_mb, "o-", color=COLOURS[0], ms=3, label="server")
    axes[1].plot(found.cycles, found.workers_mb, "o-", color=COLOURS[3], ms=3, label="workers")
    axes[1].set_ylim(bottom=0)
    axes[1].set_ylabel("resident, MB")
    axes[1].legend()
    axes[1].set_xlabel("starts")
    return [_saved(figure, folder / "starts.png")]


def _stages(found: "Findings", file: Path) -> str:
    whole = found.whole
    bands = {"around p50": (45, 55), "around p95": (93, 97), "above p99": (99, 100)}
    known = np.isfinite(whole)
    figure, axis = _pyplot().subplots(figsize=(9, 2.6))
    for row, (low, high) in enumerate(bands.values()):
        floor, ceiling = np.percentile(whole[known], (low, high))
        part = known & (whole >= floor) & (whole <= ceiling)
        left = 0.0
        for colour, name in zip(COLOURS, found.journeys[0].stages, strict=True):
            stage = np.concatenate([journey.stages[name] for journey in found.journeys])
            width = float(np.nanmean(stage[part]))
            axis.barh(row, width, left=left, color=colour, label=name if row == 0 else None)
            left += width
    axis.set_yticks(range(len(bands)), list(bands))
    axis.invert_yaxis()
    axis.set_xlabel("ms, look-ahead excluded")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncol=6, frameon=False)
    return _saved(figure, file)


def _histogram(values: NDArray[np.float64], bars: Sequence[float], label: str, file: Path) -> str:
    values = values[np.isfinite(values)]
    figure, axis = _pyplot().subplots(figsize=(9, 3.2))
    axis.hist(values, bins=80, color=COLOURS[0])
    for value, name in zip(np.percentile(values, (50, 99)), ("p50", "p99"), strict=True):
        axis.axvline(float(value), color=COLOURS[3], lw=1.2)
        axis.text(float(value), axis.get_ylim()[1] * 0.95, f" {name} {value:.0f}", color=COLOURS[3], va="top")
    for bar in bars:
        axis.axvline(bar, color="k", lw=0.8, ls="--")
    axis.set_xlabel(label)
    axis.set_ylabel("samples")
    return _saved(figure, file)


def _over_time(axis: Any, at_s: NDArray[np.float64], values: NDArray[np.float64], label: str) -> None:
    axis.plot(at_s, values, ",", color="#c8c8c8")
    steps = np.arange(np.nanmin(at_s), np.nanmax(at_s), 10.0)
    medians = [float(np.nanmedian(part)) if len(part := values[(at_s >= s) & (at_s < s + 10)]) else np.nan for s in steps]
    axis.plot(steps + 5, medians, color=COLOURS[0], lw=1.5, label="median of 10 s")
    axis.set_ylabel(label)
    axis.legend(loc="upper right")


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingDependency("plots are drawn by matplotlib: pip install matplotlib") from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _saved(figure: Any, file: Path) -> str:
    figure.savefig(file, dpi=110, bbox_inches="tight")
    _pyplot().close(figure)
    return f"plot: {file}"
