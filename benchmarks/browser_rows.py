"""The table of suite `browser`: each figure with what it is held against on the line that it was measured over."""

import math
from typing import Final

from benchmarks.browser_figures import Seen
from benchmarks.metrics import Distribution, Metric
from benchmarks.report import Bar, Outcome, Row

DRIFT_S: Final = 240.0
"""In less, the ups and downs of Chromium's buffers outweigh any drift."""
DRIFT = (Bar("", 5.0, -5.0),)
TTFF = (Bar("p95", 700),)
REFUSAL = (Bar("p95", 50),)
_SKEW_IMPAIRED: Final = (Bar("p1", low=-60), Bar("p99", 40))

CLEAN: Final[dict[str, tuple[Bar, ...]]] = {
    "m2s_ms": (Bar("p50", 200), Bar("p99", 260)),
    "av_skew_ms": (Bar("p1", low=-45), Bar("p99", 15)),
    "stage_audio_hold_ms": (Bar("p95", 40),),
    "real_samples_ratio": (Bar("", low=0.995),),
    "display_delay_ms": (Bar("p50", 25),),
    "freezes_per_5_min": (Bar("", 0),),
}
BARS: Final[dict[str | None, dict[str, tuple[Bar, ...]]]] = {
    None: CLEAN,
    "clean": CLEAN,
    "1%": {
        "m2s_ms": (Bar("p95", 300),),
        "av_skew_ms": _SKEW_IMPAIRED,
        "stage_audio_hold_ms": (Bar("p95", 60),),
        "real_samples_ratio": (Bar("", low=0.99),),
        "freezes_per_5_min": (Bar("", 0),),
        "concealed_ratio": (Bar("", 0.01),),
    },
    "5%": {
        "av_skew_ms": _SKEW_IMPAIRED,
        "stage_audio_hold_ms": (Bar("p95", 80),),
        "real_samples_ratio": (Bar("", low=0.95),),
        "freezes_per_5_min": (Bar("", 1),),
        "concealed_ratio": (Bar("", 0.03),),
    },
    "10%": {
        "av_skew_ms": _SKEW_IMPAIRED,
        "freezes_per_5_min": (Bar("", 5),),
        "concealed_ratio": (Bar("", 0.05),),
    },
    "bursts": {"av_skew_ms": _SKEW_IMPAIRED},
    "rate-step": {"rate_settled_s": (Bar("", 3),), "longest_freeze_ms": (Bar("", 1000),)},
    "blackhole-2": {"resumed_ms": (Bar("", 1000),)},
    "blackhole-8": {"resumed_ms": (Bar("", 3000),)},
    "blackhole-40": {"resumed_ms": (Bar("", 3000),), "slot_freed_s": (Bar("", 15),)},
}
"""By line; a line that was spelled out has none."""

NOTES: Final = {
    "m2s_ms": "click spoken -> its picture on the screen",
    "av_skew_ms": "every picture; positive: the sound is early",
    "av_skew_told_ms": "what the page measures and tells the server",
    "stage_picture_hold_ms": "the server's deliberate hold of the picture",
    "stage_audio_hold_ms": "voice received -> left the buffer, any sample (T1 -> T2)",
    "audio_buffer_ms": "of each piece's newest sample: the buffer's own part",
    "real_samples_ratio": "of what the model got: neither invented nor missing",
    "sound_recovered_ratio": "of it read out of the next packet",
    "display_delay_ms": "last packet sent -> on the screen (T8 -> T11; without a line T9 -> T11)",
    "stage_network_ms": "of it T8 -> T9",
    "stage_jitter_buffer_ms": "of it T9 -> T10, decoding included",
    "stage_present_ms": "of it T10 -> T11",
    "render_to_screen_ms": "picture drawn -> on the screen",
    "render_to_receiver_ms": "of it: colour, encode, hold, send, network",
    "click_to_ear_ms": "click spoken -> heard",
    "freezes_per_5_min": "by getStats' rule, scaled to 5 min",
    "longest_freeze_ms": "between two pictures on the screen",
    "concealed_ratio": "of the sound at the viewer",
    "jitter_buffer_audio_ms": "mean, getStats",
    "output_latency_ms": "the page's AudioContext: base, output",
    "clicks": "seen in the picture, of those spoken",
    "sent_kbps": "by the server, headers and repeats included",
    "line_lost_ratio": "of what the server sent",
    "rate_settled_s": "from a step down of the rate to a second in which no more is sent than passes",
    "rate_over_after": "the most that is sent in any second after that, of what passes",
    "resumed_ms": "from the end of a blackhole to the first picture",
    "slot_freed_s": "from its beginning until the server has let the page's place go",
}
"""Figures of the table, in their order, and what they are; those that were not measured for want of a line are left out."""
_STARTS: Final = (
    ("ttff_ms", TTFF, "Start pressed -> first picture, warm, no line between"),
    ("ttff_cold_ms", (), "first start of a new browser"),
    ("refusal_ms", REFUSAL, "HTTP 503 to one session too many"),
    ("admitted_sessions", (), ""),
)
_ALWAYS: Final = frozenset({"m2s_ms", "av_skew_ms", "display_delay_ms", "stage_audio_hold_ms", "real_samples_ratio"})


def rows(found: dict[str, Metric], link: str | None, seconds: float) -> list[Row]:
    """The table."""
    bars = BARS.get(link, {})
    known = [name for name in NOTES if name in _ALWAYS or found.get(name) not in (None, [])]
    lines = [Row(name, _judged(found.get(name)), bars.get(name, ()), NOTES[name]) for name in known]
    lines += [
        Row("av_skew_drift_ms", found["av_skew_drift_ms"], DRIFT if seconds >= DRIFT_S else (), "last minute less the first")
    ]
    lines += [Row(name, found[name], judged, note) for name, judged, note in _STARTS if name in found]
    plain = found.get("plain")
    if isinstance(plain, dict):
        lines += [Row(f"plain: {name}", _judged(plain[name]), (), NOTES[name]) for name in known if name in plain]
    return lines


def _judged(value: Metric) -> Metric:
    """What a bar is held against: of several steps of a line the worst, and one that never came is worse than any."""
    if not isinstance(value, list):
        return value
    return max((part if isinstance(part, int | float) else math.inf for part in value), default=None)


def check(outcome: Outcome, seen: Seen) -> None:
    """Note what makes the figures void: clicks that did not come back."""
    m2s, skew = outcome.metrics["m2s_ms"], outcome.metrics["av_skew_ms"]
    if not isinstance(m2s, Distribution):
        outcome.failures.append(
            f"no click came back in the picture ({len(seen.frames)} pictures, {len(seen.said)} clicks spoken)"
        )
    if not isinstance(skew, Distribution) and len(seen.heard) < 2:
        outcome.failures.append(f"no click was heard in the sound that came back ({len(seen.heard)} heard)")
