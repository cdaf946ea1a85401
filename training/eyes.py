"""Fits blinks and saccades to ARKit captures and talking video: `engine/models/eyes.json`, in seconds.

From the captures: the blinks' shape, the distribution of the intervals between
them, their link to large saccades, the saccades' size and direction. From the
tracks' training split: how many more blinks than elsewhere lie near the ends
of phrases. From the literature: how often a person blinks who does not speak
(Bentivoglio et al. 1997), because the captures' emotions were acted.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.errors import MienError
from engine.motion.eyes import MODEL, STEP_S, Blinks, EyeStyle, Gaze
from training.data.captures import captures_in
from training.data.splits import split_of
from training.data.tracks import SOUND_RATE_HZ, Track, tracks_in
from training.eye_events import HOME_DEG, Blink, Eyes, Floats, Saccade, blinks_of, phrase_ends, saccades_of

REST_PER_MINUTE: Final = 17.0  # Bentivoglio et al. 1997: 17 at rest, 26 in conversation
DOUBLE_S: Final = 0.6
LARGE_DEG: Final = 10.0
CONTACT_SHARE: Final = 0.6
"""Captures that look ahead for this share of their time or more keep eye contact, as a presenter does."""
FEWEST_BLINKS: Final = 5
PARTIAL: Final = 0.65
"""Of the deepest fifth. At 60 frames a second, smoothed, a shut lid may well be seen at three quarters."""
_SMOOTH_RISE: Final = 0.514  # of a smooth step lies between 15 and 85 %
_TAU_FALL, _TAU_TOP, _CLOSE_TOP = 1.235, 0.298, 0.243  # exp(-t^1.5) from 85 to 15 %; above 85 % of it, and of a smooth step


class EyesError(MienError):
    """Nothing can be fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """All blinks and saccades of a number of captures, pooled.

    Attributes:
        blinks: of all captures.
        depth: float64[B], of the blinks over the deepest fifth of their own capture.
        interval: float64[I], between blinks, `DOUBLE_S` or more, over the median of its own capture.
        double: share of the intervals that are shorter.
        saccades: of all captures.
        home_s: float64[N], stays at rest, of captures with eye contact.
        away_s: float64[N], stays elsewhere.
        seconds: of all captures.
    """

    blinks: Sequence[Blink]
    depth: Floats
    interval: Floats
    double: float
    saccades: Sequence[Saccade]
    home_s: Floats
    away_s: Floats
    seconds: float

    @property
    def per_minute(self) -> float:
        """Blinks."""
        return 60 * len(self.blinks) / self.seconds

    def spans(self, name: str) -> Floats:
        """One of the times of those blinks that nothing ran into."""
        return np.array([value for blink in self.blinks if np.isfinite(value := getattr(blink, name))])


def find(captures: Sequence[Eyes]) -> Found:
    """Blinks and saccades of captures, or of generated eyes."""
    blinks: list[Blink] = []
    depth, intervals, saccades, home, away = [], [], [], [], []
    doubles = 0
    for eyes in captures:
        own = blinks_of(eyes)
        blinks += own
        saccades += saccades_of(eyes)
        stays = _stays(eyes)
        home += stays[0]
        away += stays[1]
        if len(own) < FEWEST_BLINKS:
            continue
        deep = np.array([blink.depth for blink in own])
        depth += (deep / np.percentile(deep, 80)).tolist()
        gaps = np.diff([blink.begin_s for blink in own])
        doubles += int((gaps < DOUBLE_S).sum())
        intervals += (gaps[gaps >= DOUBLE_S] / np.median(gaps[gaps >= DOUBLE_S])).tolist()
    if len(intervals) < FEWEST_BLINKS:
        raise EyesError(f"{len(intervals)} intervals between blinks were found; give more captures")
    share = doubles / (doubles + len(intervals))
    total = sum(eyes.seconds for eyes in captures)
    return Found(blinks, np.array(depth), np.array(intervals), share, saccades, np.array(home), np.array(away), total)


def _stays(eyes: Eyes) -> tuple[list[float], list[float]]:
    """Seconds of stays near where the eyes rest (if they mostly do), and elsewhere."""
    gaze = _without_blinks(eyes)
    near = np.linalg.norm(gaze - np.median(gaze, axis=0), axis=1) < HOME_DEG
    starts = np.concatenate([[0], np.flatnonzero(np.diff(near.astype(np.int8))) + 1])
    lengths = np.diff(np.concatenate([starts, [len(near)]])) * STEP_S
    long = lengths >= 0.1  # shorter ones are blinks seen by the gaze, and saccades under way
    at_home = near[starts]
    contact = near.mean() >= CONTACT_SHARE
    return (lengths[long & at_home].tolist() if contact else []), lengths[long & ~at_home].tolist()


def _without_blinks(eyes: Eyes) -> Floats:
    """The gaze, led straight over blinks: trackers see eyes sink behind closing lids."""
    steps = np.arange(len(eyes.gaze))
    seen = np.ones(len(steps), np.bool_)
    for blink in blinks_of(eyes):
        seen[max(round(blink.begin_s / STEP_S) - 4, 0) : round(blink.end_s / STEP_S) + 5] = False
    if not seen.any():
        return eyes.gaze
    return np.stack([np.interp(steps, steps[seen], eyes.gaze[seen, side]) for side in range(2)], 1)


def lognormal(values: Floats) -> tuple[float, float]:
    """Median and spread by maximum likelihood."""
    logs = np.log(values)
    return float(np.exp(logs.mean())), float(logs.std())


def likelihoods(values: Floats) -> dict[str, float]:
    """Mean log-likelihood of an observation under the best log-normal, gamma and exponential distribution."""
    families = {"log-normal": stats.lognorm, "gamma": stats.gamma, "exponential": stats.expon}
    return {name: float(family.logpdf(values, *family.fit(values, floc=0)).mean()) for name, family in families.items()}


def fit(found: Found, lift: float, minutes: float = 60.0) -> EyeStyle:
    """The style whose blinks and saccades are as those found.

    Args:
        found: in captures.
        lift: how many times more blinks than elsewhere lie within half a second of a phrase's end.
        minutes: to simulate, to settle the rate.
    """
    close = found.spans("close_s") / _SMOOTH_RISE
    tau = found.spans("open_s") / _TAU_FALL
    hold = np.maximum(found.spans("hold_s") - _TAU_TOP * tau - _CLOSE_TOP * close, 0)
    partial = found.depth < PARTIAL
    large = [saccade for saccade in found.saccades if saccade.amplitude_deg >= LARGE_DEG]
    clear = [saccade for saccade in found.saccades if not saccade.blink]
    sizes = np.array([saccade.amplitude_deg for saccade in clear]) - 1.45
    shape, _, scale = stats.gamma.fit(sizes, floc=0)
    level = float(np.mean([saccade.level for saccade in clear]))
    chance = found.per_minute / 60 * 0.3
    share = float(np.mean([saccade.blink for saccade in large])) if large else 0.0
    fixation = (1.1, 0.5)
    mean_fixation = fixation[0] * float(np.exp(fixation[1] ** 2 / 2))
    style = EyeStyle(
        interval_s=(60 / REST_PER_MINUTE, lognormal(found.interval)[1]),
        double=found.double,
        double_s=0.45,
        close_s=lognormal(close),
        hold_s=float(hold.mean()),
        open_s=lognormal(tau),
        partial=float(partial.mean()),
        partial_depth=float(found.depth[partial].mean()) if partial.any() else 0.7,
        evenness=float(np.sqrt(np.mean([min(blink.evenness - 1, 0) ** 2 for blink in found.blinks]))),
        turn_deg=LARGE_DEG,
        turn_blink=max((share - chance) / (1 - chance), 0.0),
        phrase_end=_phrase_blink(lift),
        saccade_deg=(float(shape), float(scale)),
        upright=float(1 / np.tan(np.pi / 2 * level)),
        home_s=fixation,
        away_s=lognormal(found.away_s),
        glance=min(mean_fixation / float(found.home_s.mean()), 1.0) if len(found.home_s) else 0.25,
    )
    return _at_rest(style, minutes)


def _phrase_blink(lift: float) -> float:
    """Probability that an end brings a blink, so that `lift` times as many as by chance lie within half a second of it.

    The generator cannot foresee an end: the half second before it holds what chance brings.
    """
    chance = REST_PER_MINUTE / 60
    return float(np.clip(lift * chance - chance / 2, 0, 0.9))


def _at_rest(style: EyeStyle, minutes: float) -> EyeStyle:
    """The style with intervals such that it blinks `REST_PER_MINUTE` times, doubles and those with saccades included."""
    for _ in range(6):
        rate = find([generate(style, seed, minutes / 6) for seed in range(6)]).per_minute
        median, spread = style.interval_s
        style = replace(style, interval_s=(median * rate / REST_PER_MINUTE, spread))
    return style


def generate(style: EyeStyle, seed: int, minutes: float) -> Eyes:
    """Eyes of somebody who is silent, as `engine.motion.idle.IdleSource` moves them, without its head."""
    rng = np.random.default_rng(seed).spawn(2)
    blinks, gaze = Blinks(style, rng[0]), Gaze(style, rng[1])
    steps = round(minutes * 60 / STEP_S)
    lids, places = np.zeros((steps, 2)), np.zeros((steps, 2))
    for step in range(steps):
        if gaze.step() >= style.turn_deg:
            blinks.bring(style.turn_blink)
        lids[step] = blinks.step()
        places[step] = gaze.left, gaze.up
    return Eyes(f"seed {seed}", lids, places)


def video_eyes(track: Track) -> Eyes:
    """Lids of a video: how far the eyes are shut against how far they mostly are open. Gaze is left at rest."""
    opening = track.eye.astype(np.float64)
    lids = np.clip(1 - opening / np.percentile(opening, 80, axis=0), 0, 1)
    return Eyes(track.name, lids, np.zeros((len(lids), 2)))


SHUT: Final = 0.35
"""Shallower dips of the lids in a video are looks down, or noise."""


def near_ends(tracks: Sequence[Track]) -> tuple[int, int, float, float]:
    """Ends of phrases, blinks within half a second of one, blinks expected there by chance, blinks a minute."""
    ends_found = hits = blinks_found = 0
    seconds = expected = 0.0
    for track in tracks:
        begins = np.array([blink.begin_s for blink in blinks_of(video_eyes(track)) if blink.depth > SHUT])
        ends = _inner(phrase_ends(track.sound, SOUND_RATE_HZ), track.seconds)
        ends_found += len(ends)
        hits += sum(int((np.abs(begins - end) < 0.5).sum()) for end in ends)
        blinks_found += len(begins)
        seconds += track.seconds
    if seconds:
        expected = ends_found * blinks_found / seconds
    return ends_found, hits, expected, 60 * blinks_found / seconds if seconds else 0.0


def _inner(ends: Floats, seconds: float) -> NDArray[np.float64]:
    return ends[(ends > 0.5) & (ends < seconds - 0.5)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--captures", type=Path, required=True, metavar="DIR", help="ARKit captures, CSV at 60 fps")
    parser.add_argument("--tracks", type=Path, metavar="DIR", help="tracks of talking video, for the ends of phrases")
    parser.add_argument("--minutes", type=float, default=60.0, help="to simulate, to settle the rate (default 60)")
    parser.add_argument("--out", type=Path, default=MODEL, metavar="FILE", help=f"default {MODEL}")


def main(args: argparse.Namespace) -> int:
    """Fit, write, and say what was found."""
    found = find([Eyes.of(capture.name, capture.controls) for capture in captures_in(args.captures)])
    figures: dict[str, object] = {
        "captures_s": round(found.seconds, 1),
        "blinks": len(found.blinks),
        "blinks_per_minute": round(found.per_minute, 1),
        "saccades": len(found.saccades),
        "interval_log_likelihood": {name: round(value, 3) for name, value in likelihoods(found.interval).items()},
    }
    lift = 1.0
    if args.tracks:
        own = [track for track in tracks_in(args.tracks) if split_of(track.source, track.name, track.speaker) == "train"]
        ends, hits, expected, per_minute = near_ends([track for track in own if track.source == "grid_s1"])
        lift = hits / expected if expected else 1.0
        figures |= {"phrase_ends": ends, "blinks_near_ends": hits, "by_chance": round(expected, 1)}
        figures |= {"video_blinks_per_minute": round(per_minute, 1)}
    style = {name: _rounded(value) for name, value in asdict(fit(found, lift, args.minutes)).items()}
    args.out.write_text(json.dumps({"style": style, "fitted_on": figures}, indent=1) + "\n", "utf-8")
    EyeStyle.load(args.out)
    sys.stdout.write(json.dumps({"style": style, "fitted_on": figures}, indent=1) + f"\nwritten to {args.out}\n")
    return 0


def _rounded(value: object) -> object:
    if isinstance(value, tuple):
        return [float(f"{part:.4g}") for part in value]
    return float(f"{value:.4g}")
