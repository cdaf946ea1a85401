"""From what the page saw and heard to latencies: pure arithmetic on a `Seen`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import BITS, TICK
from benchmarks.metrics import Distribution, Metric, freezes, last_over_first, moved, slope_per_hour
from engine.timeline import SAMPLE_RATE_HZ

REACH_MS = 1150.0
"""A click's picture is looked for this long: less than the shortest pause between two clicks."""
BACK = SAMPLE_RATE_HZ / TICK
"""A second: no picture is that much older than the one before it."""
_PER_MS = SAMPLE_RATE_HZ / 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a page noted. Instants are milliseconds of its performance.now().

    Attributes:
        said: float64[C], clicks that left the source.
        heard: float64[H], clicks that left the loudspeaker.
        frames: float64[F, 8]: displayed (T11), media instant, latest click (both in `TICK`s), time of day when painted,
            when its last packet was received (T9), how many ms its decoding took, RTP timestamp, when it was handed to the
            compositor (T10).
        origin: time of day of instant 0, ms.
        began, ended: between them things count.
        before, stats: getStats at these instants: "audio", "video", "codec".
        server: the session's status as the server tells it.
        told: float64[B], by how much the page said its sound is later than its picture, ms, once a second.
        output_ms: base and output latency of the page's sound, as Chromium tells them.
    """

    said: Floats
    heard: Floats
    frames: Floats
    origin: float
    began: float
    ended: float
    before: Mapping[str, Any]
    stats: Mapping[str, Any]
    server: Mapping[str, Any]
    told: Floats = field(default_factory=lambda: np.zeros(0))
    output_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Clicks found in the pictures. float64[N] each; instants in ms, NaN where one was not heard.

    Attributes:
        sample: of the media clock.
        said, shown, heard: when it left the source, its picture was displayed, it left the loudspeaker.
    """

    sample: Floats
    said: Floats
    shown: Floats
    heard: Floats


def matched(seen: Seen, fps: int) -> Matched:
    """Each click with its picture: the first one displayed that depicts its instant or, that one lost, a later one."""
    samples_per_frame = SAMPLE_RATE_HZ // fps
    shown = seen.frames[:, 0]
    index = np.floor(seen.frames[:, 1] * TICK / samples_per_frame)
    rows: list[tuple[float, float, float, float]] = []
    for click in np.unique(seen.frames[:, 2]).tolist():
        at = np.flatnonzero((seen.frames[:, 2] == click) & (index >= click * TICK // samples_per_frame))
        if len(at) == 0 or not seen.began <= shown[at[0]] < seen.ended:
            continue
        said = seen.said[(seen.said < shown[at[0]]) & (seen.said > shown[at[0]] - REACH_MS)]
        near = seen.heard[np.abs(seen.heard - shown[at[0]]) < REACH_MS / 2]
        if len(said):
            heard = float(near[np.abs(near - shown[at[0]]).argmin()]) if len(near) else np.nan
            rows.append((click * TICK, float(said[-1]), float(shown[at[0]]), heard))
    return Matched(*np.array(rows, np.float64).reshape(-1, 4).T)


def skew(seen: Seen, clicks: Matched, fps: int) -> tuple[Floats, Floats]:
    """When each picture was displayed, and how much later than its sound was heard, in ms.

    The loudspeaker's clock is known at clicks; between them it is taken to run straight. A session that was opened anew
    counts from 0 again: then nothing is known.
    """
    return _later(seen, clicks.sample, clicks.heard, fps)


def spoken_to_shown(seen: Seen, clicks: Matched, fps: int) -> tuple[Floats, Floats]:
    """When each picture was displayed, and how many ms after the first of what it depicts was spoken; as in `skew`."""
    return _later(seen, clicks.sample, clicks.said, fps)


def _later(seen: Seen, sample: Floats, instant: Floats, fps: int) -> tuple[Floats, Floats]:
    """How much later than its first sample's instant each picture was displayed, by a clock that is known at `sample`."""
    known = np.isfinite(instant)
    if known.sum() < 2 or (np.diff(seen.frames[:, 1]) < -BACK).any():
        return np.zeros(0), np.zeros(0)
    at, lead = sample[known], instant[known] - sample[known] / _PER_MS
    samples_per_frame = SAMPLE_RATE_HZ // fps
    begin = np.floor(seen.frames[:, 1] * TICK / samples_per_frame) * samples_per_frame
    counted = (begin >= at.min()) & (begin <= at.max()) & (seen.frames[:, 0] >= seen.began) & (seen.frames[:, 0] < seen.ended)
    shown, begin = seen.frames[counted, 0], begin[counted]
    return shown, shown - (begin / _PER_MS + np.interp(begin, at, lead))


def figures(seen: Seen, fps: int) -> dict[str, Metric]:
    """All figures by name."""
    clicks = matched(seen, fps)
    at, apart = skew(seen, clicks, fps)
    spoken_at, took = spoken_to_shown(seen, clicks, fps)
    displayed = seen.frames[(seen.frames[:, 0] >= seen.began) & (seen.frames[:, 0] < seen.ended)]
    painted = since_painted(displayed, seen.origin)
    on_screen = displayed[:, 0] - displayed[:, 4]
    window = min(60_000.0, (seen.ended - seen.began) / 4)
    return {
        "m2s_ms": Distribution.of(clicks.shown - clicks.said),
        "m2s_drift_ms": moved(spoken_at, took, window),
        "m2s_p99_last_over_first": last_over_first(spoken_at, took, window, 99),
        "av_skew_ms": Distribution.of(apart),
        "av_skew_slope_ms_per_h": slope_per_hour(at / 1000, apart) if len(at) else None,
        "av_skew_drift_ms": moved(at, apart, window),
        "av_skew_told_ms": Distribution.of(-seen.told),
        "av_skew_told_drift_ms": moved(1000.0 * np.arange(len(seen.told), dtype=np.float64), -seen.told, window),
        "stage_picture_hold_ms": seen.server.get("picture_hold_ms"),
        "click_to_ear_ms": Distribution.of(clicks.heard - clicks.said),
        "render_to_screen_ms": Distribution.of(painted),
        "render_to_receiver_ms": Distribution.of(painted - on_screen),
        "display_delay_ms": Distribution.of(on_screen),
        "stage_jitter_buffer_ms": Distribution.of(displayed[:, 7] - displayed[:, 4]),
        "stage_decode_ms": Distribution.of(displayed[:, 5]),
        "stage_present_ms": Distribution.of(displayed[:, 0] - displayed[:, 7]),
        "frame_interval_ms": Distribution.of(np.diff(displayed[:, 0])),
        "freeze_count": _counted(seen, "video", "freezeCount"),
        "freezes_recomputed": freezes(displayed[:, 0]),
        "freezes_per_5_min": freezes(displayed[:, 0]) * 300_000 / (seen.ended - seen.began),
        "concealed_ratio": _ratio(seen, "audio", "concealedSamples", "totalSamplesReceived"),
        "jitter_buffer_video_ms": _mean_ms(seen, "video"),
        "jitter_buffer_audio_ms": _mean_ms(seen, "audio"),
        "frames_decoded": _counted(seen, "video", "framesDecoded"),
        "frames_dropped_by_browser": _counted(seen, "video", "framesDropped"),
        "clicks": f"{len(clicks.said)}/{int(((seen.said >= seen.began) & (seen.said < seen.ended)).sum())}",
        "video_codec": str(seen.stats.get("codec") or "") or None,
        "server_stages_p50_ms": _percentiles(seen.server, "p50"),
        "server_stages_p95_ms": _percentiles(seen.server, "p95"),
        "output_latency_ms": " + ".join(f"{ms:.0f}" for ms in seen.output_ms) or None,
    }


def since_painted(frames: Floats, origin: float) -> Floats:
    """Ms from the painting of each picture to its display, by the time of day both were noted in."""
    span = (1 << BITS) * TICK / _PER_MS
    apart = (frames[:, 0] + origin - frames[:, 3] * TICK / _PER_MS) % span
    return np.where(apart > span / 2, apart - span, apart)


def _percentiles(server: Mapping[str, Any], part: str) -> dict[str, float]:
    return {name: float(stage[part]) for name, stage in dict(server.get("stages_ms") or {}).items()}


def _delta(seen: Seen, kind: str, name: str) -> float | None:
    """By how much a count of getStats rose; one that fell is of another connection."""
    after, before = seen.stats.get(kind, {}).get(name), float(seen.before.get(kind, {}).get(name) or 0)
    return None if after is None else float(after) - (before if after >= before else 0)


def _counted(seen: Seen, kind: str, name: str) -> int | None:
    value = _delta(seen, kind, name)
    return None if value is None else round(value)


def _ratio(seen: Seen, kind: str, part: str, whole: str) -> float | None:
    a, b = _delta(seen, kind, part), _delta(seen, kind, whole)
    return a / b if a is not None and b else None


def _mean_ms(seen: Seen, kind: str) -> float | None:
    seconds, count = _delta(seen, kind, "jitterBufferDelay"), _delta(seen, kind, "jitterBufferEmittedCount")
    return 1000 * seconds / count if seconds is not None and count else None
