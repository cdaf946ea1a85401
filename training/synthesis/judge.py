"""`python -m training factor-judge --factorial DIR --out RUN`: the network that measures factors in pictures.

It sees a face beside the same face at rest. It learns from the train
people's stills what lips, eyes and brows do, and from pairs of one person
what changed: most pairs are one factor apart, where nothing else may seem to
change. Pose is the tracker's.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.errors import ModelError
from training.networks.factor_judge import Cut, FactorJudge
from training.run import Run, seed_all
from training.synthesis.data import FactorialSet
from training.synthesis.factors import FACTORS, GAZE
from training.synthesis.lesson import Lesson
from training.synthesis.looks import MOUTH, UPPER, Looks, Marks, look, looks_of
from training.synthesis.measures import Measured, cross_talk, natural_range, of_motion, own_over_others
from training.tracker import fitting

JUDGED: Final = (0, 2, 3, 4)
"""The factors that the network says, in its order: all but pose."""
POSE_DEG: Final = 20.0
CHANGES: Final = 2.0
"""Weight of what changed within a pair, over what is."""


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
        marks = self._marks.find(rest)
        looks = look(pictures, marks, self._marks).beside(looks_of(rest[None], marks[None], marks))
        return said_of(self._network, looks)


def network_of() -> FactorJudge:
    """The network, untrained."""
    lip, _, gaze, blink, expression = (part.shape[1] for part in of_motion(np.zeros((1, 58), np.float32)))
    return FactorJudge(UPPER, MOUTH, gaze=gaze, blink=blink, expression=expression, lip=lip)


@torch.no_grad()
def said_of(network: nn.Module, looks: Looks, batch: int = 64) -> Measured:
    """What a network says of cuts beside their rest; gaze in degrees."""
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
    parser.add_argument("--eyes", type=Path, metavar="RUN", help="of face-eyes: begin with what it sees")
    parser.add_argument("--lips", type=Path, metavar="RUN", help="of face-lips: likewise")
    fitting.add_loop_arguments(parser, steps=4000, batch=16, rate=2e-3, each="pairs")


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    run = Run(args.out, fitting.options_of(args), resume=args.resume)
    seed_all(args.seed)
    stills, marks = FactorialSet.load(args.factorial).stills, Marks.load()
    kept = args.out / "looks"
    train, validation = (Lesson.load(stills, split, marks, args.size, kept) for split in ("train", "validation"))
    spread = [float(np.sqrt(part.var(0).sum())) for part in train.truth]
    network, copy = (network_of().to(args.device, memory_format=torch.channels_last) for _ in range(2))  # type: ignore[call-overload]
    for cut, start in ((network.upper, args.eyes), (network.mouth, args.lips)):
        if start:
            _begin_with(cut, start)
    fitting.fit(
        run, network, copy, partial(train.batch, seed=args.seed, count=args.batch), partial(_loss, spread=spread),
        partial(_validate, lesson=validation, people=stills.people[validation.rows]), args,
    )  # fmt: skip
    run.close()
    return 0


def _begin_with(cut: Cut, run: Path) -> None:
    """Give a cut the features of a tracker's part, which are made the same way."""
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise ModelError(f"no checkpoint in {run}: train one with python -m training face-eyes or face-lips")
    known = torch.load(checkpoint, map_location="cpu", weights_only=True)["parts"]["ema"]
    begins, stem = "features.", "0.0.weight"
    features = {name.removeprefix(begins): v for name, v in known.items() if name.startswith(begins)}
    features[stem] = torch.cat([features[stem], torch.zeros_like(features[stem])], 1)  # rest is not looked at yet
    cut.features.load_state_dict(features)


def _loss(network: nn.Module, batch: fitting.Batch, spread: list[float]) -> dict[str, Tensor]:
    """Squared errors of what is and of what changed, in each factor's own spread."""
    cuts = (batch[name].permute(0, 3, 1, 2).float() / 255 for name in ("upper", "mouth"))
    said = network(*cuts, batch["pose"] / POSE_DEG)
    seen = 1 - batch["blink"].mean(1).clamp(0, 1)
    out: dict[str, Tensor] = {}
    for factor, values in zip(JUDGED, said, strict=True):
        off = (values * (POSE_DEG if factor == GAZE else 1) - batch[FACTORS[factor]]) / spread[factor]
        weight = seen if factor == GAZE else torch.ones_like(seen)
        before, after = off.chunk(2)
        both = torch.minimum(*weight.chunk(2))
        out[FACTORS[factor]] = (weight * off.square().sum(1)).mean() + CHANGES * (
            both * (after - before).square().sum(1)
        ).mean()
    return {"loss": torch.stack(list(out.values())).sum(), **out}


def _validate(network: nn.Module, lesson: Lesson, people: NDArray[np.str_]) -> dict[str, float]:
    """Errors over the factors' spread, and the weakest ratio of a factor's own change over the largest in another."""
    said = said_of(network, lesson.beside_rest())
    figures = {
        f"{FACTORS[f]}_error": float(np.sqrt(np.square(said[f] - lesson.truth[f]).sum(1).mean() / lesson.truth[f].var(0).sum()))
        for f in JUDGED
    }
    natural = natural_range(said, people)
    before, after = (tuple(values[lesson.pairs[:, i]] for values in said) for i in (0, 1))
    ratio = own_over_others(cross_talk(before, after, lesson.varied, natural))
    return figures | {f"{name}_own_over_others": float(r) for name, r in zip(FACTORS, ratio, strict=True)}
