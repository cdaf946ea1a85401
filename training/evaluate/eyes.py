"""Compares generated eyes with captured ones: rate, intervals, shape and depth of blinks, size and direction of saccades."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from engine.motion.eyes import EyeStyle
from engine.motion.idle import IdleSource, IdleStyle
from engine.timeline import MOTION_RATE_HZ, MOTION_STEP
from training.data.captures import captures_in
from training.data.tracks import tracks_in
from training.eye_events import Eyes, Floats, blinks_of
from training.eyes import LARGE_DEG, REST_PER_MINUTE, Found, find, near_ends

QUANTILES: Final = (10, 25, 50, 75, 90)
PHRASE_S: Final = (2.5, 1.5)
"""Means of phrases and of pauses between them, of the conversation that the generator is told of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a quantity of captures and of the generator."""

    name: str
    captured: Sequence[float]
    generated: Sequence[float]
    note: str = ""

    def text(self) -> str:
        """Quantiles, or single figures, side by side."""
        sides = ["  ".join(f"{value:7.3g}" for value in values) for values in (self.captured, self.generated)]
        return f"{self.name:34}{sides[0]:>46} |{sides[1]:>46}  {self.note}"


def generated(style: EyeStyle, seeds: int, minutes: float, *, talking: bool) -> tuple[list[Eyes], Floats, int]:
    """Eyes of several seeds; how many blinks lie within half a second of each end of a phrase; how many ends there were."""
    eyes, hits = [], list[int]()
    for seed in range(seeds):
        source, rng = IdleSource(seed, IdleStyle(style)), np.random.default_rng(seed)
        flags = _conversation(rng, round(minutes * 60 * MOTION_RATE_HZ), talking=talking)
        controls = []
        for step, flag in enumerate(flags.tolist()):
            source.hear(step * MOTION_STEP, speaking=flag)
            (motion,) = source.advance(step * MOTION_STEP)
            controls.append(motion.values)
        own = Eyes.of(f"seed {seed}", np.array(controls))
        eyes.append(own)
        ends = np.flatnonzero(flags[:-1] & ~flags[1:]) / MOTION_RATE_HZ
        begins = np.array([blink.begin_s for blink in blinks_of(own)])
        hits += [int((np.abs(begins - end) < 0.5).sum()) for end in ends]
    return eyes, np.array(hits, np.float64), len(hits)


def _conversation(rng: np.random.Generator, steps: int, *, talking: bool) -> np.ndarray:
    """bool[steps]: phrases and pauses in turn, or silence."""
    flags = np.zeros(steps, np.bool_)
    at = 0
    while talking and at < steps:
        phrase, pause = (max(float(rng.gamma(4, mean / 4)), 0.4) for mean in PHRASE_S)
        flags[at : at + round(phrase * MOTION_RATE_HZ)] = True
        at += round((phrase + pause) * MOTION_RATE_HZ)
    return flags


def rows(captured: Found, silent: Found, talking: Found) -> list[Row]:
    """The table."""

    def quantiles(values: Floats) -> list[float]:
        return np.percentile(values, QUANTILES).tolist()

    def pair(name: str, of: str, scale: float) -> Row:
        return Row(name, quantiles(captured.spans(of) * scale), quantiles(silent.spans(of) * scale))

    table = [
        Row("blinks a minute, silent", [captured.per_minute], [silent.per_minute], f"literature {REST_PER_MINUTE:g}"),
        Row("blinks a minute, in conversation", [captured.per_minute], [talking.per_minute], "literature 26"),
        Row("intervals over their median", quantiles(captured.interval), quantiles(silent.interval)),
        Row("double blinks, share", [captured.double], [silent.double]),
        pair("closing 15-85 %, ms", "close_s", 1000),
        pair("above 85 %, ms", "hold_s", 1000),
        pair("opening 85-15 %, ms", "open_s", 1000),
        Row("depth over the deepest fifth", quantiles(captured.depth), quantiles(silent.depth)),
    ]
    clear = [[item for item in side.saccades if not item.blink] for side in (captured, silent)]
    sizes = [quantiles(np.array([item.amplitude_deg for item in side])) for side in clear]
    level = [float(np.mean([item.level for item in side])) for side in clear]
    large = [[item.blink for item in side.saccades if item.amplitude_deg >= LARGE_DEG] for side in (captured, silent)]
    brought = [float(np.mean(side)) for side in large]
    table += [
        Row("saccades, degrees", sizes[0], sizes[1]),
        Row("saccades more sideways, share", level[:1], level[1:]),
        Row("saccades of 10 degrees with a blink", brought[:1], brought[1:]),
        Row("stays on the camera, s", quantiles(captured.home_s), quantiles(silent.home_s), "captures: three with eye contact"),
        Row("stays elsewhere, s", quantiles(captured.away_s), quantiles(silent.away_s)),
    ]
    return table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--captures", type=Path, required=True, metavar="DIR", help="ARKit captures, CSV at 60 fps")
    parser.add_argument("--tracks", type=Path, metavar="DIR", help="tracks of talking video, for the ends of phrases")
    parser.add_argument("--minutes", type=float, default=10.0, help="to generate for each of eight seeds (default 10)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the distributions")


def main(args: argparse.Namespace) -> int:
    """Print the table; draw it if asked to."""
    style = EyeStyle.load()
    captured = find([Eyes.of(capture.name, capture.controls) for capture in captures_in(args.captures)])
    quiet, _, _ = generated(style, 8, args.minutes, talking=False)
    spoken, hits, ends = generated(style, 8, args.minutes, talking=True)
    silent, talking = find(quiet), find(spoken)
    write = sys.stdout.write
    write(f"{'':34}{'captured: ' + ' '.join(f'{q} %' for q in QUANTILES):>46} |{'generated: the same':>46}\n")
    for row in rows(captured, silent, talking):
        write(row.text() + "\n")
    chance = talking.per_minute / 60
    write(f"blinks within 0.5 s of an end of a phrase, generated: {hits.mean():.2f} (by chance {chance:.2f}, n {ends})\n")
    if args.tracks:
        for source in sorted({track.source for track in tracks_in(args.tracks)}):
            own = [track for track in tracks_in(args.tracks) if track.source == source]
            found, near, expected, rate = near_ends(own)
            if found:
                share, by_chance = near / found, expected / found
                write(f"the same in {source}: {share:.2f} (by chance {by_chance:.2f}, n {found}), {rate:.0f} a minute\n")
    write(f"captured: {captured.seconds:.0f} s, {len(captured.blinks)} blinks, {len(captured.saccades)} saccades; ")
    write(f"generated: {silent.seconds:.0f} s, {len(silent.blinks)} blinks\n")
    if args.plot:
        draw(captured, silent, args.plot)
    return 0


def draw(captured: Found, made: Found, path: Path) -> None:
    """Cumulative distributions, captured and generated, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    pairs = {
        "interval over its median": (captured.interval, made.interval),
        "closing, s": (captured.spans("close_s"), made.spans("close_s")),
        "above 85 %, s": (captured.spans("hold_s"), made.spans("hold_s")),
        "opening, s": (captured.spans("open_s"), made.spans("open_s")),
        "depth": (captured.depth, made.depth),
        "saccade, degrees": tuple(np.array([s.amplitude_deg for s in found.saccades]) for found in (captured, made)),
    }
    figure, axes = plt.subplots(2, 3, figsize=(11, 6))
    for axis, (name, (real, ours)) in zip(axes.flat, pairs.items(), strict=True):
        for values, label in ((real, "captured"), (ours, "generated")):
            axis.plot(np.sort(values), np.linspace(0, 1, len(values)), label=label)
        axis.set_xlabel(name)
        axis.set_xlim(0, np.percentile(real, 98) * 1.3)
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
