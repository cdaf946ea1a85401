"""Head motion judged: made movements beside those of people who were never trained on."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from engine.motion.head import MODELS, REFERENCE_STEPS, HeadMotion, load_style, style_from
from engine.runtime.ort import OrtGraph
from training.data.head_tracks import HeadClip, head_clips

Floats = NDArray[np.float32]

FPS: Final = 25
MOVING_DEG_PER_S: Final = 5.0
EDGES_HZ: Final = (0.3, 0.7, 1.2, 2.0, 3.2)
SEEDS: Final = 5
LEAST_S: Final = 4.0
"""What is judged is at least this long, or there is no deviation to speak of."""
MOST_CONTEXT: Final = 96
"""Frames of reference that the published learner was trained with at most."""
WITHIN: Final = 0.20

Mover = Callable[["Case", int], Floats]
"""A case and a seed to the pose float32[M, 6] at n 20 ms that is made for the clip's sound."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one stretch of movement at 25 fps; degrees, degrees a second.

    Attributes:
        yaw, pitch, roll: standard deviation.
        speed: mean angular speed of all three together.
        moving: share of frames faster than `MOVING_DEG_PER_S`.
        jump: most degrees from frame to frame, all three together.
        bands: dB of deg^2/Hz in the bands of `EDGES_HZ`, mean of the axes.
        correlation: of the pitch's speed with the real one's.
    """

    yaw: float
    pitch: float
    roll: float
    speed: float
    moving: float
    jump: float
    bands: tuple[float, ...]
    correlation: float = 0.0


def figures_of(pose: Floats) -> Figures:
    """Figures of float32[M, 6] at n 20 ms."""
    frames = pose[1::2, :3].astype(np.float64)
    step = np.linalg.norm(np.diff(frames, axis=0), axis=1)
    yaw, pitch, roll = frames.std(0).tolist()
    return Figures(
        yaw, pitch, roll, float(step.mean() * FPS), float((step * FPS > MOVING_DEG_PER_S).mean()), float(step.max()),
        _bands(frames),
    )  # fmt: skip


def _bands(frames: NDArray[np.float64]) -> tuple[float, ...]:
    size = min(4 * FPS, len(frames))
    window = np.hanning(size)[:, None]
    starts = range(0, len(frames) - size + 1, max(size // 2, 1))
    pieces = [frames[start : start + size] - frames[start : start + size].mean(0) for start in starts]
    power = np.mean([np.abs(np.fft.rfft(piece * window, axis=0)) ** 2 for piece in pieces], 0) / (window**2).sum() / FPS
    hz = np.fft.rfftfreq(size, 1 / FPS)
    inside = [(hz >= low) & (hz < high) for low, high in pairwise(EDGES_HZ)]
    return tuple(float(10 * np.log10(power[band].mean() + 1e-9)) for band in inside)


def mean_figures(rows: Sequence[Figures]) -> Figures:
    """The mean over clips, of the largest jump the largest."""
    values = {name: float(np.mean([getattr(row, name) for row in rows])) for name in _PLAIN}
    bands = tuple(np.mean([row.bands for row in rows], axis=0).tolist())
    return Figures(**{**values, "jump": max(row.jump for row in rows)}, bands=bands)


_PLAIN: Final = ("yaw", "pitch", "roll", "speed", "moving", "correlation")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What is made, and from what.

    Attributes:
        clip: whose sound is acted.
        first: the step from which on it is judged.
        sound: float32[320 R] at 16 kHz of the same person's reference.
        pose: float32[R, 6] of the reference, less its mean.
    """

    clip: HeadClip
    first: int
    sound: Floats
    pose: Floats


def cases_of(clips: Sequence[HeadClip], reference_s: float) -> list[Case]:
    """Clips and references: a clip's own beginning; of GRID's short clips the one before, which is of the same speaker.

    A clip that would leave less than `LEAST_S` to judge is left out.
    """
    cut, cases = round(reference_s * 50), list[Case]()
    for index, clip in enumerate(clips):
        if len(clip.pose) >= cut + LEAST_S * 50:
            cases.append(Case(clip, cut, clip.sound[: 320 * cut], _centred(clip.pose[:cut])))
        elif clip.source == "grid_s1" and len(clips) > 1:
            before = clips[index - 1]
            cases.append(Case(clip, 0, _to(before.sound, 320 * REFERENCE_STEPS), _centred(_to(before.pose, REFERENCE_STEPS))))
    return cases


def _to(rows: Floats, length: int) -> Floats:
    """The first rows, or all and the last one again."""
    return rows[np.minimum(np.arange(length), len(rows) - 1)]


def _centred(pose: Floats) -> Floats:
    return pose - pose.mean(0)


def judge(mover: Mover, cases: Sequence[Case]) -> Figures:
    """Mean figures of what is made for clips, with `SEEDS` seeds each; the correlation is that of the mean of all tries."""
    rows = list[Figures]()
    for case in cases:
        start = crc32(case.clip.name.encode())  # no two clips with the same noise: it would be one draw, seen often
        tries = [mover(case, start + n)[case.first :] for n in range(SEEDS)]
        together = _together(np.mean(tries, axis=0), case.clip.pose[case.first :])
        rows += [replace(figures_of(made), correlation=together) for made in tries]
    return mean_figures(rows)


def _together(made: Floats, real: Floats) -> float:
    """Correlation of the speeds of the pitch, over 0.12 s: where the head is differs from try to try."""
    speeds = [pose[6:, 1] - pose[:-6, 1] for pose in (made, real)]
    return float(np.corrcoef(speeds[0], speeds[1])[0, 1]) if min(speed.std() for speed in speeds) > 1e-6 else 0.0


def real(case: Case, _: int) -> Floats:
    """The movement that was filmed."""
    return case.clip.pose


def rule(case: Case, _: int) -> Floats:
    """The rules of `training.baseline.prosody`, which moved heads before."""
    return _ruled(case.clip)


@lru_cache(maxsize=512)
def _ruled(clip: HeadClip) -> Floats:
    from training.baseline.analysis import HOP, Analyser
    from training.baseline.prosody import Prosody
    from training.baseline.signal_processing import Mouth
    from training.evaluate.drivers import upsampled

    frames, mouth, prosody = Analyser().push(upsampled(clip.sound)), Mouth(), Prosody()
    pose = np.zeros((len(clip.pose), 6), np.float32)
    for at, frame in enumerate(frames):
        mouth.step(frame)
        prosody.step(frame, mouth.speech)
        if at * HOP // 960 < len(pose):
            pose[at * HOP // 960, :3] = prosody.yaw.value, prosody.pitch.value, prosody.roll.value
    return pose


@lru_cache(maxsize=512)
def speech_in(clip: HeadClip) -> Floats:
    """float32[M]: 0..1, whether somebody speaks, as the live path's signal processing says."""
    from training.baseline.analysis import Analyser
    from training.baseline.signal_processing import Mouth
    from training.evaluate.drivers import upsampled

    mouth, said = Mouth(), list[float]()
    for frame in Analyser().push(upsampled(clip.sound)):
        mouth.step(frame)
        said.append(mouth.speech)
    said += [0.0] * (2 * len(clip.pose) - len(said))
    return np.array(said[1 : 2 * len(clip.pose) : 2], np.float32)


class Live:
    """The streaming network, with the style of the reference, or with the default one."""

    def __init__(self, models: Path, *, own_style: bool) -> None:
        self._graph, self._encoder = OrtGraph.load(models / "head.onnx"), OrtGraph.load(models / "head_style.onnx")
        self._default, self._own = load_style(models / "head_style.npz"), own_style
        self._styles = dict[Case, Floats]()

    def _style(self, case: Case) -> Floats:
        if not self._own:
            return self._default
        if case not in self._styles:
            self._styles[case] = style_from(self._encoder, self._graph, case.sound, case.pose)
        return self._styles[case]

    def __call__(self, case: Case, seed: int) -> Floats:
        """See `Mover`."""
        clip = case.clip
        head, speech = HeadMotion(self._graph, self._style(case), seed), speech_in(clip)
        steps = [*range(len(clip.pose))]
        if not case.first:  # a clip as short as the way from rest is heard twice, and judged the second time
            steps *= 2
        pose = [head.step(clip.mel[2 * n : 2 * n + 2], float(speech[n])) for n in steps]
        return np.stack(pose[-len(clip.pose) :])


class PublishedMover:
    """The paper's learner: what follows the reference is extrapolated from it and the sound."""

    def __init__(self, run: Path) -> None:
        from training.head_motion_published import trained  # here: it needs PyTorch

        self._model = trained(run)
        self._made = dict[Case, Floats]()

    def __call__(self, case: Case, seed: int) -> Floats:
        """See `Mover`; it has no noise, all seeds are alike."""
        if case not in self._made:
            self._made[case] = self._extrapolated(case)
        return self._made[case]

    def _extrapolated(self, case: Case) -> Floats:
        context = min(len(case.pose) // 2, MOST_CONTEXT)
        frames = len(case.clip.pose) // 2
        made = self._model.extrapolate(
            case.sound[-640 * context :], case.pose[1::2][-context:], case.clip.sound[: 640 * frames]
        )
        at = (np.arange(len(case.clip.pose)) - 1) / 2
        return np.stack([np.interp(at, np.arange(frames), column) for column in made.T], 1).astype(np.float32)


def table(rows: Mapping[str, Figures]) -> str:
    """Rows of figures, and their ratios to the real ones."""
    head = f"{'':26}{'yaw':>6}{'pitch':>6}{'roll':>6}{'speed':>7}{'moving':>7}{'jump':>6}{'r':>7}   dB in 0.3-0.7-1.2-2-3.2 Hz"
    lines = [head]
    base = rows["real"]
    for name, row in rows.items():
        bands = " ".join(f"{band:5.1f}" for band in row.bands)
        lines.append(
            f"{name:26}{row.yaw:6.2f}{row.pitch:6.2f}{row.roll:6.2f}{row.speed:7.2f}{row.moving:7.2f}{row.jump:6.2f}"
            f"{row.correlation:7.2f}   {bands}"
        )
        if name != "real":
            ratios = [getattr(row, part) / getattr(base, part) for part in ("yaw", "pitch", "roll", "speed", "moving")]
            lines.append(f"{'  of the real ones':26}" + "".join(f"{ratio:6.2f}" for ratio in ratios[:3])
                         + "".join(f"{ratio:7.2f}" for ratio in ratios[3:]))  # fmt: skip
    return "\n".join(lines) + "\n"


def met(rows: Mapping[str, Figures], name: str) -> bool:
    """Whether a row keeps the bar: deviations and speed within 20 % of the real ones, no jump beyond 2 degrees."""
    ratios = [getattr(rows[name], part) / getattr(rows["real"], part) for part in ("yaw", "pitch", "roll", "speed")]
    return all(abs(ratio - 1) <= WITHIN for ratio in ratios) and rows[name].jump <= 2.0


def plot(movers: Mapping[str, Mover], case: Case, path: Path) -> None:
    """Yaw, pitch and roll of one clip, one column per mover, as a PNG."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, len(movers), figsize=(4 * len(movers), 6), sharex=True, sharey=True, squeeze=False)
    for column, (name, mover) in enumerate(movers.items()):
        pose = mover(case, 0)
        for row, axis in enumerate(("yaw", "pitch", "roll")):
            axes[row, column].plot(np.arange(len(pose)) / 50, pose[:, row], linewidth=0.8)
            axes[row, column].set_ylabel(f"{axis}, degrees" if not column else "")
        axes[0, column].set_title(name)
    figure.suptitle(case.clip.name)
    figure.savefig(path, dpi=80, bbox_inches="tight")
    plt.close(figure)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training evaluate head`."""
    parser.add_argument("--tracks", type=Path, default=Path("out/tracks"), help="what `prepare` made")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of head.onnx, head_style.onnx and head_style.npz")
    parser.add_argument("--published", type=Path, help="run folder of head-motion-published, to compare")
    parser.add_argument(
        "--reference", type=float, default=3.0, help="seconds that a style is learned from (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/evaluate-head"), help="folder for figures.json and plots")


def main(args: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    clips = [clip for clip in head_clips(args.tracks) if clip.split == "test" and clip.heard]
    groups: dict[str, list[HeadClip]] = {
        "addresses and consented": [clip for clip in clips if clip.source in ("us_officials", "consented")],
        "GRID, held out": [clip for clip in clips if clip.source == "grid_s1"],
    }
    cases = {name: cases_of(group, args.reference) for name, group in groups.items()}
    report(movers_of(args), {name: group for name, group in cases.items() if group}, args.out)
    return 0


def movers_of(args: argparse.Namespace) -> dict[str, Mover]:
    """Who is compared."""
    movers: dict[str, Mover] = {"real": real, "rules": rule}
    if args.published:
        movers["published learner"] = PublishedMover(args.published)
    movers["network, default style"] = Live(args.models, own_style=False)
    movers["network, own style"] = Live(args.models, own_style=True)
    return movers


def report(movers: Mapping[str, Mover], groups: Mapping[str, Sequence[Case]], out: Path) -> None:
    """Print a table per group; write figures.json and a plot of every longer clip."""
    out.mkdir(parents=True, exist_ok=True)
    found = dict[str, dict[str, Figures]]()
    for name, cases in groups.items():
        found[name] = {mover: judge(move, cases) for mover, move in movers.items()}
        seconds = sum(len(case.clip.pose) - case.first for case in cases) / 50
        sys.stdout.write(f"\n{name}: {len(cases)} clips, {seconds:.0f} s judged, {SEEDS} seeds\n{table(found[name])}")
        sys.stdout.flush()
        for case in cases:
            if case.first:
                plot(movers, case, out / f"{case.clip.name}.png")
    kept = {mover: {name: met(rows, mover) for name, rows in found.items()} for mover in movers if mover != "real"}
    sys.stdout.write(f"\nwithin {WITHIN:.0%} and no jump beyond 2 degrees: {json.dumps(kept)}\n")
    text = json.dumps({name: {mover: asdict(row) for mover, row in rows.items()} for name, rows in found.items()}, indent=1)
    (out / "figures.json").write_text(text + "\n")
