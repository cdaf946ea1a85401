"""Head motion judged: made movements beside those of people who were never trained on."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
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
LEAST_S: Final = 7.0
"""Shorter clips are judged whole, reference and all: what follows 3 s of them is too short for a deviation."""
WITHIN: Final = 0.20

Mover = Callable[[HeadClip, int], Floats]
"""A clip and a seed to the pose float32[M, 6] at n 20 ms that is made from its sound (and its first 3 s of movement)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one stretch of movement at 25 fps; degrees, degrees a second.

    Attributes:
        yaw, pitch, roll: standard deviation.
        speed: mean angular speed of all three together.
        moving: share of frames faster than `MOVING_DEG_PER_S`.
        jump: most degrees from frame to frame, all three together.
        bands: dB of deg^2/Hz in the bands of `EDGES_HZ`, mean of the axes.
        correlation: with the real movement's pitch; 0 if it is the real one.
    """

    yaw: float
    pitch: float
    roll: float
    speed: float
    moving: float
    jump: float
    bands: tuple[float, ...]
    correlation: float = 0.0


def figures_of(pose: Floats, real: Floats | None = None) -> Figures:
    """Figures of float32[M, 6] at n 20 ms; `real` is the movement it stands for."""
    frames = pose[1::2, :3].astype(np.float64)
    step = np.linalg.norm(np.diff(frames, axis=0), axis=1)
    together = 0.0
    if real is not None and frames[:, 1].std() > 1e-6:
        together = float(np.corrcoef(frames[:, 1], real[1::2, 1])[0, 1])
    yaw, pitch, roll = frames.std(0).tolist()
    return Figures(
        yaw, pitch, roll, float(step.mean() * FPS), float((step * FPS > MOVING_DEG_PER_S).mean()), float(step.max()),
        _bands(frames), together,
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


def judged_from(clip: HeadClip) -> int:
    """The step that judging begins with: after the reference, where enough is left."""
    return REFERENCE_STEPS if len(clip.pose) >= LEAST_S * 50 else 0


def judge(mover: Mover, clips: Sequence[HeadClip]) -> Figures:
    """Mean figures of what is made for clips, with `SEEDS` seeds each."""
    rows = []
    for clip in clips:
        first = judged_from(clip)
        start = crc32(clip.name.encode())  # no two clips with the same noise: it would be one draw, seen often
        rows += [figures_of(mover(clip, start + n)[first:], clip.pose[first:]) for n in range(SEEDS)]
    return mean_figures(rows)


def real(clip: HeadClip, _: int) -> Floats:
    """The movement that was filmed."""
    return clip.pose


def rule(clip: HeadClip, _: int) -> Floats:
    """The rules of `engine.motion.prosody`, which moved heads before."""
    from engine.features.analysis import HOP, Analyser
    from engine.motion.prosody import Prosody
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
    from engine.features.analysis import Analyser
    from training.baseline.signal_processing import Mouth
    from training.evaluate.drivers import upsampled

    mouth, said = Mouth(), list[float]()
    for frame in Analyser().push(upsampled(clip.sound)):
        mouth.step(frame)
        said.append(mouth.speech)
    said += [0.0] * (2 * len(clip.pose) - len(said))
    return np.array(said[1 : 2 * len(clip.pose) : 2], np.float32)


class Live:
    """The streaming network, with the style of the clip's first 3 s, or with the default one."""

    def __init__(self, models: Path, *, own_style: bool) -> None:
        self._graph, self._encoder = OrtGraph.load(models / "head.onnx"), OrtGraph.load(models / "head_style.onnx")
        self._default, self._own = load_style(models / "head_style.npz"), own_style

    def __call__(self, clip: HeadClip, seed: int) -> Floats:
        """See `Mover`."""
        style = self._default
        if self._own:
            cut = REFERENCE_STEPS
            style = style_from(self._encoder, self._graph, clip.sound[: 320 * cut], clip.pose[:cut] - clip.pose[:cut].mean(0))
        head, speech = HeadMotion(self._graph, style, seed), speech_in(clip)
        steps = range(len(clip.pose))
        if not judged_from(clip):  # a clip as short as the way from rest is heard twice, and judged the second time
            steps = [*steps, *steps]
        pose = [head.step(clip.mel[2 * n : 2 * n + 2], float(speech[n])) for n in steps]
        return np.stack(pose[-len(clip.pose) :])


class PublishedMover:
    """The paper's learner: what follows the reference of 3 s is extrapolated from it and the sound."""

    def __init__(self, run: Path) -> None:
        from training.head_motion_published import trained

        self._model = trained(run)

    def __call__(self, clip: HeadClip, seed: int) -> Floats:
        """See `Mover`; it has no noise, all seeds are alike."""
        frames = len(clip.pose) // 2
        context = REFERENCE_STEPS // 2
        pose = clip.pose[1 : 2 * frames : 2]
        after = self._model.extrapolate(clip.sound[: 640 * context], pose[:context], clip.sound[640 * context : 640 * frames])
        whole = np.concatenate([pose[:context], after]) if judged_from(clip) else _stretched(after, frames)
        at = (np.arange(len(clip.pose)) - 1) / 2
        return np.stack([np.interp(at, np.arange(frames), column) for column in whole.T], 1).astype(np.float32)


def _stretched(rows: Floats, length: int) -> Floats:
    return np.concatenate([np.repeat(rows[:1], length - len(rows), 0), rows])


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


def plot(movers: Mapping[str, Mover], clip: HeadClip, path: Path) -> None:
    """Yaw, pitch and roll of one clip, one column per mover, as a PNG."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, len(movers), figsize=(4 * len(movers), 6), sharex=True, sharey=True, squeeze=False)
    for column, (name, mover) in enumerate(movers.items()):
        pose = mover(clip, 0)
        for row, axis in enumerate(("yaw", "pitch", "roll")):
            axes[row, column].plot(np.arange(len(pose)) / 50, pose[:, row], linewidth=0.8)
            axes[row, column].set_ylabel(f"{axis}, degrees" if not column else "")
        axes[0, column].set_title(name)
    figure.suptitle(clip.name)
    figure.savefig(path, dpi=80, bbox_inches="tight")
    plt.close(figure)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training evaluate head`."""
    parser.add_argument("--tracks", type=Path, default=Path("out/tracks"), help="what `prepare` made")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of head.onnx, head_style.onnx and head_style.npz")
    parser.add_argument("--published", type=Path, help="run folder of head-motion-published, to compare")
    parser.add_argument("--out", type=Path, default=Path("out/evaluate-head"), help="folder for figures.json and plots")


def main(args: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    clips = [clip for clip in head_clips(args.tracks) if clip.split == "test" and clip.heard]
    groups = {
        "addresses": [clip for clip in clips if clip.source == "us_officials"],
        "consented": [clip for clip in clips if clip.source == "consented"],
        "GRID, held out": [clip for clip in clips if clip.source == "grid_s1"],
    }
    report(movers_of(args), {name: group for name, group in groups.items() if group}, args.out)
    return 0


def movers_of(args: argparse.Namespace) -> dict[str, Mover]:
    """Who is compared."""
    movers: dict[str, Mover] = {"real": real, "rules": rule}
    if args.published:
        movers["published learner"] = PublishedMover(args.published)
    movers["network, default style"] = Live(args.models, own_style=False)
    movers["network, style of 3 s"] = Live(args.models, own_style=True)
    return movers


def report(movers: Mapping[str, Mover], groups: Mapping[str, Sequence[HeadClip]], out: Path) -> None:
    """Print a table per group; write figures.json and a plot of every longer clip."""
    out.mkdir(parents=True, exist_ok=True)
    found = dict[str, dict[str, Figures]]()
    for name, clips in groups.items():
        usable = [clip for clip in clips if len(clip.pose) >= REFERENCE_STEPS]
        found[name] = {mover: judge(move, usable) for mover, move in movers.items()}
        sys.stdout.write(f"\n{name}: {len(usable)} clips, {sum(len(clip.pose) for clip in usable) / 50:.0f} s\n")
        sys.stdout.write(table(found[name]))
        for clip in usable:
            if judged_from(clip):
                plot(movers, clip, out / f"{clip.name}.png")
    kept = {mover: {name: met(rows, mover) for name, rows in found.items()} for mover in movers if mover != "real"}
    sys.stdout.write(f"\nwithin {WITHIN:.0%} and no jump beyond 2 degrees: {json.dumps(kept)}\n")
    text = json.dumps({name: {mover: asdict(row) for mover, row in rows.items()} for name, rows in found.items()}, indent=1)
    (out / "figures.json").write_text(text + "\n")
