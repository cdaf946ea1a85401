"""Training of the networks that look closer at a part of the face: an eye, the mouth."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.contract.graph import GraphSpec
from engine.face.crop import Floats, cut, into
from engine.face.landmarks import as_input
from training.networks.face_landmarks import FacePart
from training.run import Run, seed_all
from training.tracker import fitting
from training.tracker.augment import Augment
from training.tracker.data import Balanced, Shard
from training.tracker.landmarks import Source, held_out_of, shards_of, sources_of, tensors
from training.tracker.points import OUTER, correlation, rounded

OFF: Final = 0.012
"""Deviation of what the first look says of a point, over the outer-eye distance."""
OFF_TURN: Final = 3.0
"""Degrees by which a crop is turned, deviation."""
OFF_SCALE: Final = 0.04
OFF_ALL: Final = 0.015
"""Deviation by which all points are off together, over the outer-eye distance."""

SHARES: Final[Mapping[str, float]] = dict(zip(fitting.KINDS, (0.25, 0.15, 0.60), strict=True))
"""Of a batch: close up, exact labels are worth more than many people."""

Arrays = Mapping[str, NDArray[Any]]
Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What is looked at.

    Attributes:
        name: of the run.
        spec: the network's signature, one input and one output.
        points: landmarks in the network's order, intp[P] for each crop that a face gives.
        squares: the crops' matrices for landmarks float[478, 3], as many.
        relations: intp[R, 2], pairs of the network's points whose distance matters by itself; the first three are a gap.
        u: the outer-eye distance in px of a crop.
        heavy: intp[], the network's points that count more.
        sight: how much of the heavy points can be seen, float32[B] in 0..1, of points float32[B, P, 2]; what nobody can see
            is not worth learning.
        teacher: what the teacher's word on the heavy points counts beside an exact label.
    """

    name: str
    spec: GraphSpec
    points: tuple[NDArray[np.intp], ...]
    squares: Callable[[NDArray[np.floating]], tuple[Floats, ...]]
    relations: NDArray[np.intp]
    u: float
    heavy: NDArray[np.intp]
    sight: Callable[[Tensor], Tensor] = lambda points: points.new_ones(len(points))
    teacher: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a crop in px."""
        height, width = self.spec.inputs[0].shape[2:]
        return width, height


def train(part: Part, args: argparse.Namespace) -> int:
    """Train a part's network; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    run = Run(args.out, fitting.options_of(args), resume=args.resume)
    seed_all(args.seed)
    sources = sources_of(args.faces, args.shards, args.known, SHARES)
    network, copy = FacePart(part.spec), FacePart(part.spec)
    if args.start:
        fitting.averaged(args.start, network, part.name)
        network.train().requires_grad_(True)
    else:
        begin_with(network, part, sources)
    for one in (network, copy):
        one.to(args.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    held = {name: held_out(part, shard, name, args.known) for name, shard in shards_of(args.faces).items()}
    make = partial(batch_of, part, sources, args)
    fitting.fit(run, network, copy, make, Loss(part), partial(validate, part=part, held=held), args)
    run.close()
    return 0


def begin_with(network: FacePart, part: Part, sources: Sequence[Source]) -> None:
    """The mean of what is looked for."""
    rng = np.random.default_rng(0)
    seen = [
        into(label[own], matrix)[:, :2]
        for source in sources
        for label in source.shard.landmarks[source.rows.draw(rng, 200)]
        for own, matrix in zip(part.points, part.squares(label), strict=True)
    ]
    with torch.no_grad():
        network.mean.copy_(torch.from_numpy(np.mean(seen, 0)))


def roughly(landmarks: Points, rng: np.random.Generator) -> Points:
    """float32[478, 3]: about what the first look sees of a face, float32[478, 3] being where it is."""
    rough = landmarks.copy()
    u = float(np.linalg.norm(landmarks[OUTER[0]] - landmarks[OUTER[1]]))
    middle = landmarks[list(OUTER), :2].mean(0)
    angle, scale = np.radians(rng.normal(0, OFF_TURN)), np.exp(rng.normal(0, OFF_SCALE))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    rough[:, :2] = (rough[:, :2] - middle) @ np.array([[c, s], [-s, c]]) + middle + rng.normal(0, OFF_ALL * u, 2)
    rough[:, :2] += rng.normal(0, OFF * u, (len(rough), 2))
    rough[:, 2] *= scale
    return rough


def views(
    part: Part, crop: NDArray[np.uint8], label: Points, rng: np.random.Generator
) -> list[tuple[NDArray[np.uint8], Points]]:
    """The part's crops of a face, a little off, each with all landmarks float32[478, 3] in px of it."""
    return [(cut(crop, matrix, part.size), into(label, matrix)) for matrix in part.squares(roughly(label, rng))]


def batch_of(part: Part, sources: Sequence[Source], args: argparse.Namespace, index: int) -> Arrays:
    """Batch number `index`: crops uint8[B, H, W, 3], points float32[B, P, 2] px of them, trust float32[B] in heavy points.

    It holds all crops of B / crops faces.
    """
    rng = np.random.default_rng((args.seed, index))
    augment, each = Augment(int(rng.integers(2**32)), args.strength), len(part.points)
    crops: list[NDArray[np.uint8]] = []
    points: list[Points] = []
    trust: list[float] = []
    for which in np.sort(rng.choice(len(sources), args.batch // each, p=[source.share for source in sources])):
        source = sources[which]
        row = int(source.rows.draw(rng, 1)[0])
        seen = views(part, source.shard.crops[row], source.shard.landmarks[row], rng)
        for own, (view, everything) in zip(part.points, seen, strict=True):
            crops.append(augment.disturb(view, everything))
            points.append(everything[own, :2])
            trust.append(part.teacher if source.shard.motion is None else 1.0)
    return {"crops": np.stack(crops), "points": np.stack(points), "trust": np.array(trust, np.float32)}


class Loss:
    """Distances of points, and of what belongs together, in shares of the outer-eye distance."""

    def __init__(self, part: Part) -> None:
        self._part, self._pairs = part, torch.from_numpy(part.relations)
        self._heavy = torch.zeros(part.spec.outputs[0].shape[1], dtype=torch.bool)
        self._heavy[part.heavy] = True

    def __call__(self, network: nn.Module, batch: fitting.Batch) -> dict[str, Tensor]:
        """The sum, then its parts, over a batch of `batch_of`."""
        heavy = self._heavy.to(batch["points"].device)
        seen = torch.where(heavy, (batch["trust"] * self._part.sight(batch["points"]))[:, None], 1.0)
        error = (network(tensors(batch["crops"])) - batch["points"]) / self._part.u
        first, second = self._pairs.T
        far = seen * rounded(error)
        relation = (torch.minimum(seen[:, first], seen[:, second]) * rounded(error[:, first] - error[:, second])).mean()
        flat, heavily = far.mean(), far[:, heavy].mean()
        return {"loss": flat + 0.5 * heavily + relation, "flat": flat, "heavy": heavily, "relation": relation}


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out crops uint8[N, H, W, 3], a little off, and points float32[N, P, 2] px of them."""

    crops: NDArray[np.uint8]
    points: Points


def held_out(part: Part, shard: Shard, name: str, known: float = 0.0, most: int = 200) -> Held:
    """Of validation faces, people equally often; see `training.tracker.landmarks.held_out`."""
    rng = np.random.default_rng(len(name))
    rows = held_out_of(shard, known)
    chosen = Balanced(shard.people, rows).draw(rng, most) if len(rows) else rows
    width, height = part.size
    crops, points = [np.zeros((0, height, width, 3), np.uint8)], [np.zeros((0, len(part.points[0]), 2), np.float32)]
    for row in chosen:
        for own, (view, everything) in zip(part.points, views(part, shard.crops[row], shard.landmarks[row], rng), strict=True):
            crops.append(view[None])
            points.append(everything[None, own, :2])
    return Held(np.concatenate(crops), np.concatenate(points))


@torch.no_grad()
def validate(network: nn.Module, part: Part, held: Mapping[str, Held]) -> dict[str, float]:
    """Mean errors in percent of the outer-eye distance: of all points, of those that count more; and r of the gap."""
    figures: dict[str, float] = {}
    device = next(network.parameters()).device
    pairs = part.relations[:3]
    for name, kept in held.items():
        if not len(kept.crops):
            continue
        found = network(torch.from_numpy(as_input(kept.crops)).to(device)).cpu().numpy()
        error = 100 * np.linalg.norm(found - kept.points, axis=2) / part.u
        gaps = [np.linalg.norm(p[:, pairs[:, 0]] - p[:, pairs[:, 1]], axis=2).mean(1) for p in (found, kept.points)]
        figures |= {
            f"{name}_error": float(error.mean()),
            f"{name}_heavy": float(error[:, part.heavy].mean()),
            f"{name}_gap_r": correlation(*gaps),
        }
    return figures
