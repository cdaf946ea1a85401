"""What a bad line did to a page: pure arithmetic on what the relay noted and the page saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.browser_figures import Seen, since_painted
from benchmarks.metrics import Distribution, Metric
from benchmarks.relay import Crossed

WINDOW_MS = 1000.0
"""Over which a rate is counted."""
STEP_MS = 100.0
PLACE_S = 15.0
"""For so long a page that has vanished keeps its place at most."""

Floats = NDArray[np.float64]


def figures(seen: Seen, crossed: Crossed) -> dict[str, Metric]:
    """Figures that every line has: the network and what follows from when the server sent (T8)."""
    frames = seen.frames[(seen.frames[:, 0] >= seen.began) & (seen.frames[:, 0] < seen.ended)]
    sent = sent_at(crossed, frames[:, 6]) - seen.origin
    span_s = (seen.ended - seen.began) / 1000
    counted = _between(crossed, seen.origin + seen.began, seen.origin + seen.ended)
    return {
        "display_delay_ms": Distribution.of(frames[:, 0] - sent),
        "stage_network_ms": Distribution.of(frames[:, 4] - sent),
        "sent_kbps": float(counted[:, 1].sum() * 8 / span_s / 1000) if span_s else None,
        "line_lost_ratio": float(1 - counted[:, 5].mean()) if len(counted) else None,
        "longest_freeze_ms": float(np.diff(frames[:, 0]).max()) if len(frames) > 1 else None,
    }


def sent_at(crossed: Crossed, timestamps: Floats) -> Floats:
    """When the last packet of each picture was first sent (T8), by its RTP timestamp: time of day in ms; NaN if unknown.

    A picture's packets are those of the RTP source that knows most of the timestamps; another source with the same
    ones is that of the retransmissions.
    """
    sources = np.unique(crossed.packets[np.isfinite(crossed.packets[:, 2]), 2])
    if not len(sources):
        return np.full(len(timestamps), np.nan)
    found = [_last_sent(crossed.packets[crossed.packets[:, 2] == source], timestamps) for source in sources.tolist()]
    known = [int(np.isfinite(instants).sum()) for instants in found]
    first = [instants for instants, count in zip(found, known, strict=True) if count > max(known) / 2]
    return np.fmin.reduce(first)


def _last_sent(packets: Floats, timestamps: Floats) -> Floats:
    _, first = np.unique(packets[:, 3], return_index=True)  # a repeated packet counts when it was sent first
    once = packets[np.sort(first)]
    order = np.lexsort((once[:, 0], once[:, 4]))
    stamps, instants = once[order, 4], once[order, 0]
    at = np.searchsorted(stamps, timestamps, side="right") - 1
    return np.where((at >= 0) & (stamps[at] == timestamps), instants[at], np.nan)


def _between(crossed: Crossed, began: float, ended: float) -> Floats:
    at = crossed.packets[:, 0]
    return crossed.packets[(at >= began) & (at < ended)]


def rate_kbps(crossed: Crossed) -> tuple[Floats, Floats]:
    """Instants in s of the course, and kb/s sent (headers counted) in the second that begins there."""
    at, size = crossed.packets[:, 0] - crossed.began_ms, crossed.packets[:, 1]
    begins = np.arange(0.0, max(float(at.max(initial=0.0)) - WINDOW_MS, 0.0), STEP_MS)
    total = np.concatenate([[0.0], np.cumsum(size)])
    sums = total[np.searchsorted(at, begins + WINDOW_MS)] - total[np.searchsorted(at, begins)]
    return begins / 1000, sums * 8 / WINDOW_MS


@dataclass(frozen=True, slots=True)
class StepDown:
    """What followed when the line's rate fell.

    Attributes:
        settled_s: from the step to the first second in which no more is sent than passes; None if there is none.
        over: the most that is sent in any second after that, as a share of what passes: probing for more.
    """

    settled_s: float | None
    over: float | None


def steps_down(crossed: Crossed) -> list[StepDown]:
    """Each step down of the line's rate, up to the next step."""
    at, kbps = rate_kbps(crossed)
    steps = crossed.course.steps
    found: list[StepDown] = []
    for (_, before), (begin, now), (end, _) in zip(steps, steps[1:], [*steps[2:], (np.inf, None)], strict=False):
        if now.rate and (not before.rate or now.rate < before.rate):
            inside = (at >= begin) & (at + WINDOW_MS / 1000 <= end)
            since, sent = at[inside] - begin, kbps[inside] / now.rate
            under = np.flatnonzero(sent <= 1)
            first = int(under[0]) if len(under) else None
            found.append(StepDown(None, None) if first is None else StepDown(float(since[first]), float(sent[first:].max())))
    return found


def resumed_ms(seen: Seen, crossed: Crossed) -> list[float | None]:
    """For each time the line was dark: ms from its end to the first picture on the screen that was made after it.

    None if none came. What is shown meanwhile and was made before is sent again by the server, and old.
    """
    made = seen.frames[:, 0] - since_painted(seen.frames, seen.origin)
    found: list[float | None] = []
    for _, end in crossed.course.dark_spans():
        light = crossed.began_ms + end * 1000 - seen.origin
        shown = seen.frames[made > light, 0]
        found.append(float(shown[0] - light) if len(shown) else None)
    return found


def freed_s(seen: Seen, crossed: Crossed, health: Sequence[tuple[float, dict[str, Any]]]) -> list[float | None]:
    """For each time the line was dark for longer than `PLACE_S`: seconds until the server had let the page's connections go.

    None if it did not.
    """
    found: list[float | None] = []
    for begin, end in crossed.course.dark_spans():
        if end - begin <= PLACE_S:
            continue
        dark, light = (crossed.began_ms + at * 1000 - seen.origin for at in (begin, end))
        empty = [at for at, session in health if dark < at < light and not session.get("peers")]
        found.append((empty[0] - dark) / 1000 if empty else None)
    return found
