"""`python -m training factor-judge --factorial DIR --out RUN`: the network that measures factors in pictures.

It learns from the train people's stills what lips, eyes and brows do, and
from pairs of the same person what changed: half the pairs are one factor
apart, where nothing else may seem to change. Pose is the tracker's.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.prepare import Clip, Progress
from training.data.splits import Split
from training.networks.factor_judge import FactorJudge
from training.run import Run, seed_all
from training.synthesis.data import FactorialSet, Stills
from training.synthesis.factors import FACTORS, GAZE
from training.synthesis.looks import MOUTH, UPPER, Looks, Marks, looks_of
from training.synthesis.measures import Measured, cross_talk, natural_range, of_motion, own_over_others, rest_of
from training.tracker import fitting

JUDGED: Final = (0, 2, 3, 4)
"""The factors that the network says, in its order: all but pose."""
POSE_DEG: Final = 20.0
CHANGES: Final = 2.0
"""Weight of what changed within a pair, over what is."""
_APART: Final = 0.6  # share of the pairs that are one factor apart
_JITTER: Final = 3  # px by which cuts are off, more than the tracker is
_COARSE: Final = 0.5  # share of the cuts that are shown as a small or soft picture would have them


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is learnt from: cuts of some rows, what they show, and pairs of them.

    Attributes:
        rows: intp[N] of the stills.
        looks: of these rows.
        truth: see `of_motion`.
        pairs: intp[P, 2], places among the rows, base first, that are one factor apart; `varied`: which one, int8[P].
        of_person: for each person the places.
    """

    rows: NDArray[np.intp]
    looks: Looks
    truth: Measured
    pairs: NDArray[np.intp]
    varied: NDArray[np.int8]
    of_person: list[NDArray[np.intp]]

    @classmethod
    def of(cls, stills: Stills, rows: NDArray[np.intp], looks: Looks) -> "Lesson":
        """What some rows teach, of which `looks` are the cuts."""
        _, who = np.unique(stills.people[rows], return_inverse=True)
        place = {int(row): i for i, row in enumerate(rows)}
        derived = [i for i, row in enumerate(rows) if int(stills.base[row]) in place]
        pairs = np.array([(place[int(stills.base[rows[i]])], i) for i in derived], np.intp).reshape(-1, 2)
        people = [np.flatnonzero(who == person) for person in range(int(who.max()) + 1)]
        return cls(rows, looks, of_motion(stills.motion[rows]), pairs, stills.varied[rows[pairs[:, 1]]], people)


def look(pictures: NDArray[np.uint8], rest: NDArray[np.float32], marks: Marks) -> Looks:
    """Cuts of one person's pictures uint8[N, S, S, 3]."""
    return looks_of(pictures, np.stack([marks.find(rgb) for rgb in pictures]), rest)


class Judge:
    """Measures pictures with a trained network; see `training.synthesis.measures.Measure`."""

    def __init__(self, network: FactorJudge, marks: Marks) -> None:
        self._network, self._marks = network.eval(), marks

    @classmethod
    def load(cls, run: Path) -> "Judge":
        """From a run folder of `factor-judge`.

        Raises:
            ModelError: if there is no checkpoint.
        """
        network = network_of()
        fitting.averaged(run, network, "factor-judge")
        return cls(network, Marks.load())

    def __call__(self, pictures: NDArray[np.uint8], rest: NDArray[np.uint8]) -> Measured:
        """See `Measure`."""
        return said_of(self._network, look(pictures, self._marks.find(rest), self._marks))


def network_of() -> FactorJudge:
    """The network, untrained."""
    lip, _, gaze, blink, expression = (part.shape[1] for part in of_motion(np.zeros((1, 58), np.float32)))
    return FactorJudge(UPPER, MOUTH, gaze=gaze, blink=blink, expression=expression, lip=lip)


@torch.no_grad()
def said_of(network: nn.Module, looks: Looks, batch: int = 64) -> Measured:
    """What a network says of cuts; gaze in degrees."""
    parts: list[tuple[Tensor, ...]] = []
    device = next(network.parameters()).device
    for first in range(0, len(looks.upper), batch):
        some = slice(first, first + batch)
        inputs = _tensors(looks.upper[some], looks.mouth[some], looks.pose_deg[some])
        parts.append(network(*(part.to(device) for part in inputs)))
    lip, gaze, blink, expression = (torch.cat(own).cpu().numpy() for own in zip(*parts, strict=True))
    return lip, looks.pose_deg, gaze * np.float32(POSE_DEG), blink, expression


def _tensors(upper: NDArray[np.uint8], mouth: NDArray[np.uint8], pose_deg: NDArray[np.float32]) -> tuple[Tensor, ...]:
    cuts = (torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2))).float() / 255 for part in (upper, mouth))
    return *cuts, torch.from_numpy(pose_deg / np.float32(POSE_DEG))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--factorial", type=Path, required=True, metavar="DIR", help="made by prepare-factorial")
    parser.add_argument("--out", type=Path, default=Path("out/factor-judge"), help="run folder (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures looked at (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16, help="pairs of a step (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--every", type=int, default=500, help="steps between validations (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    run = Run(args.out, fitting.options_of(args), resume=args.resume)
    seed_all(args.seed)
    stills, marks = FactorialSet.load(args.factorial).stills, Marks.load()
    train, validation = (_lesson(stills, split, marks, args) for split in ("train", "validation"))
    spread = [float(np.sqrt(part.var(0).sum())) for part in train.truth]
    network, copy = (network_of().to(args.device, memory_format=torch.channels_last) for _ in range(2))  # type: ignore[call-overload]
    fitting.fit(
        run, network, copy, partial(_batch, lesson=train, args=args), partial(_loss, spread=spread),
        partial(_validate, lesson=validation, people=stills.people[validation.rows]), args,
    )  # fmt: skip
    run.close()
    return 0


def _lesson(stills: Stills, split: Split, marks: Marks, args: argparse.Namespace) -> Lesson:
    """The rows of a split; whom an earlier call looked at is not looked at again."""
    rows = stills.rows(split)
    names = np.unique(stills.people[rows])
    progress = Progress("looking", len(names))
    parts: list[Looks] = []
    places: list[NDArray[np.intp]] = []
    for name in names.tolist():
        mine = np.flatnonzero(stills.people[rows] == name)
        parts.append(_kept(stills, rows[mine], marks, args.size, args.out / "looks" / f"{name}.npz"))
        places.append(mine)
        progress.step(Clip(Path(name), "", name, name), "")
    back = np.argsort(np.concatenate(places))
    upper, mouth, pose_deg = (np.concatenate([getattr(p, n) for p in parts])[back] for n in ("upper", "mouth", "pose_deg"))
    return Lesson.of(stills, rows, Looks(upper, mouth, pose_deg))


def _kept(stills: Stills, rows: NDArray[np.intp], marks: Marks, size: int, path: Path) -> Looks:
    """Cuts of one person's rows, looked up or made."""
    motion = stills.motion[rows]
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            if np.array_equal(file["motion"], motion):
                return Looks(file["upper"], file["mouth"], file["pose_deg"])
    rest = marks.find(stills.read([rest_of(stills, str(stills.people[rows[0]]))], size)[0])
    looks = look(stills.read(rows, size), rest, marks)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, motion=motion, upper=looks.upper, mouth=looks.mouth, pose_deg=looks.pose_deg)
    return looks


def _batch(index: int, lesson: Lesson, args: argparse.Namespace) -> Mapping[str, NDArray[Any]]:
    """Pairs: bases first, then as many others."""
    rng = np.random.default_rng([args.seed, index])
    near = round(_APART * args.batch)
    apart = lesson.pairs[rng.choice(len(lesson.pairs), near)]
    whom = rng.choice(len(lesson.of_person), args.batch - near)
    anyone = np.stack([rng.choice(lesson.of_person[person], 2) for person in whom])
    places = np.concatenate([apart, anyone]).T.reshape(-1)
    looks = (lesson.looks.upper[places], lesson.looks.mouth[places])
    upper, mouth = (np.stack([_worn(one, rng) for one in part]) for part in looks)
    truth = {FACTORS[f]: lesson.truth[f][places] for f in JUDGED}
    truth["gaze"] = truth["gaze"] / np.float32(POSE_DEG)
    return {"upper": upper, "mouth": mouth, "pose": lesson.looks.pose_deg[places], **truth}


def _worn(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A cut a little off, in other light, and maybe as a small or noisy picture has it."""
    height, width = rgb.shape[:2]
    dx, dy = rng.integers(-_JITTER, _JITTER + 1, 2)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    out = np.asarray(cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.float32)
    if rng.random() < _COARSE:
        times = float(rng.uniform(1.2, 2.4))
        small = cv2.resize(out, (round(width / times), round(height / times)), interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    out = (out - 128) * rng.uniform(0.7, 1.3) + 128 + rng.uniform(-25, 25) + rng.uniform(-10, 10, 3)
    out += rng.normal(0, rng.uniform(0, 4), out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def _loss(network: nn.Module, batch: fitting.Batch, spread: list[float]) -> dict[str, Tensor]:
    """Squared errors of what is and of what changed, in each factor's own spread."""
    cuts = (batch[name].permute(0, 3, 1, 2).float() / 255 for name in ("upper", "mouth"))
    said = network(*cuts, batch["pose"] / POSE_DEG)
    seen = 1 - batch["blink"].mean(1).clamp(0, 1)
    out: dict[str, Tensor] = {}
    for factor, values in zip(JUDGED, said, strict=True):
        unit = spread[factor] / (POSE_DEG if factor == GAZE else 1)
        off = (values - batch[FACTORS[factor]]) / unit
        weight = seen if factor == GAZE else torch.ones_like(seen)
        before, after = off.chunk(2)
        both = torch.minimum(*weight.chunk(2))
        out[FACTORS[factor]] = (weight * off.square().sum(1)).mean() + CHANGES * (
            both * (after - before).square().sum(1)
        ).mean()
    return {"loss": torch.stack(list(out.values())).sum(), **out}


def _validate(network: nn.Module, lesson: Lesson, people: NDArray[np.str_]) -> dict[str, float]:
    """Errors over the factors' spread, and the weakest ratio of a factor's own change over the largest in another."""
    said = said_of(network, lesson.looks)
    figures = {
        f"{FACTORS[f]}_error": float(np.sqrt(np.square(said[f] - lesson.truth[f]).sum(1).mean() / lesson.truth[f].var(0).sum()))
        for f in JUDGED
    }
    natural = natural_range(said, people)
    before, after = (tuple(values[lesson.pairs[:, i]] for values in said) for i in (0, 1))
    ratio = own_over_others(cross_talk(before, after, lesson.varied, natural))
    return figures | {f"{name}_own_over_others": float(r) for name, r in zip(FACTORS, ratio, strict=True)}
