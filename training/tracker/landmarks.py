"""`python -m training face-landmarks`: the network behind `engine/face/landmarks.py`."""

import argparse
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.face.crop import Floats, cut, face_square, into
from engine.face.finder import partners
from engine.face.landmarks import PIXELS, REACH, as_input
from training.networks.face_landmarks import FaceLandmarks, FaceModel
from training.run import Run, seed_all
from training.tracker import fitting
from training.tracker.augment import Augment, face_free
from training.tracker.data import Balanced, Faceless, Shard
from training.tracker.points import PointLoss, measures

SHARES: Final[Mapping[str, float]] = dict(zip(fitting.KINDS, (0.30, 0.20, 0.50), strict=True))
"""Of the faces of a batch."""
FACELESS: Final = 0.08
"""Share of a batch that holds no face."""
FOLLOWED: Final = 0.7
"""Share of the faces in a square about as a second look or the last picture's face gives it; the others lie further off."""
PRESENCE: Final = 0.02
"""Weight of the question whether there is a face."""
SURE: Final = 0.5
"""Faces of which the teacher is less sure are left out."""
_STATISTICS: Final = 4000  # faces that the linear model begins from

Arrays = Mapping[str, NDArray[Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--out", type=Path, default=Path("out/face-landmarks"), help="run folder (default: %(default)s)")
    fitting.add_arguments(parser, steps=6000, batch=48, rate=2e-3)


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    run = Run(args.out, fitting.options_of(args), resume=args.resume)
    seed_all(args.seed)
    sources = sources_of(args.faces, args.shards, args.known)
    network = FaceLandmarks()
    if args.start:
        fitting.averaged(args.start, network, "face-landmarks")
        network.train()
    else:
        begin_with(network.model, sources)
    network = network.to(args.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    copy = FaceLandmarks().to(args.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    faceless = faceless_of(args.faces)
    make = partial(batch_of, sources, faceless, args)
    held = {name: held_out(shard, name, args.known) for name, shard in shards_of(args.faces).items()}
    fitting.fit(run, network, copy, make, Loss(), partial(validate, held=held), args)
    run.close()
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Faces of one shard to draw from, and their share of a batch."""

    shard: Shard
    rows: Balanced
    share: float


def shards_of(folder: Path) -> dict[str, Shard]:
    """What there is of stills, frames and renders in a folder."""
    return {name: Shard.load(folder / name) for name in SHARES if (folder / name / "split.npy").is_file()}


def faceless_of(folder: Path) -> list[Faceless]:
    """Pictures without a face, if they are there."""
    return [Faceless.load(folder / "faceless")] if (folder / "faceless" / "split.npy").is_file() else []


def sources_of(
    folder: Path, kinds: Sequence[str] = fitting.KINDS, known: float = 0.0, shares: Mapping[str, float] = SHARES
) -> list[Source]:
    """What is trained on; the shares of what is not there go to the rest. `known`: see `held_out_of`."""
    sources: list[Source] = []
    for name, shard in shards_of(folder).items():
        rows = np.setdiff1d(np.union1d(shard.rows("train"), shard.rows("validation")), held_out_of(shard, known))
        rows = rows[shard.score[rows] >= SURE]
        if len(rows) and name in kinds:
            sources.append(Source(shard, Balanced(shard.people, rows), shares[name]))
            print(f"{name}: {len(rows)} faces of {sources[-1].rows.people} people", flush=True)
    total = sum(source.share for source in sources)
    return [Source(source.shard, source.rows, source.share / total) for source in sources]


def begin_with(model: FaceModel, sources: Sequence[Source]) -> None:
    """Principal components of upright faces and of their mirror images."""
    rng = np.random.default_rng(0)
    faces: list[NDArray[np.float32]] = []
    for source in sources:
        for row in source.rows.draw(rng, round(_STATISTICS * source.share / 2)):
            upright = level(source.shard.landmarks[row])
            faces += [upright, upright[partners()] * np.array([-1, 1, 1], np.float32)]
    stack = np.stack(faces).reshape(len(faces), -1).astype(np.float64)
    mean = stack.mean(0)
    variance, axes = np.linalg.eigh((stack - mean).T @ (stack - mean) / len(stack))
    count = len(model.basis)
    scaled = np.sqrt(np.maximum(variance[: -count - 1 : -1], 0))[:, None] * axes[:, : -count - 1 : -1].T
    with torch.no_grad():
        model.mean.copy_(torch.from_numpy(mean.reshape(model.mean.shape)))
        model.basis.copy_(torch.from_numpy(scaled.reshape(model.basis.shape)))


def level(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[478, 3]: a face as the network's crop would show it, with the crop's middle as 0 and depth from its mean."""
    upright = into(landmarks, face_square(landmarks, REACH, PIXELS))
    upright[:, :2] -= PIXELS / 2
    upright[:, 2] -= upright[:, 2].mean()
    return upright


def batch_of(sources: Sequence[Source], faceless: Sequence[Faceless], args: argparse.Namespace, index: int) -> Arrays:
    """Batch number `index`: crops uint8[B, 128, 128, 3], landmarks float32[B, 478, 3], face float32[B]."""
    rng = np.random.default_rng((args.seed, index))
    augment = Augment(int(rng.integers(2**32)), args.strength)
    crops = np.zeros((args.batch, PIXELS, PIXELS, 3), np.uint8)
    points = np.zeros((args.batch, 478, 3), np.float32)
    empty = round(FACELESS * args.batch)
    face = (np.arange(args.batch) >= empty).astype(np.float32)
    for i in range(empty):
        crops[i] = face_free(rng, PIXELS, faceless)
    chosen = np.sort(rng.choice(len(sources), args.batch - empty, p=[source.share for source in sources]))
    for i, which in enumerate(chosen, empty):
        source = sources[which]
        row = int(source.rows.draw(rng, 1)[0])
        label = source.shard.landmarks[row]
        matrix = followed(label, rng) if rng.random() < FOLLOWED else augment.place(label, PIXELS, REACH)
        crops[i], points[i] = augment.seen_by(source.shard.crops[row], label, matrix, PIXELS)
    points[:, :, 2] -= points[:, :, 2].mean(1, keepdims=True)
    return {"crops": crops, "landmarks": points, "face": face}


def followed(landmarks: NDArray[np.float32], rng: np.random.Generator) -> Floats:
    """float64[2, 3]: maps a crop to a square that is off by what a face moves between two looks at it."""
    matrix = face_square(landmarks, REACH * float(np.exp(rng.normal(0, 0.04))), PIXELS)
    turn = rng.normal(0, np.radians(3))
    about = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = PIXELS / 2
    shifted = about @ (matrix[:, 2] - middle) + middle + rng.normal(0, 0.025 * PIXELS, 2)
    return np.column_stack([about @ matrix[:, :2], shifted])


def tensors(crops: Tensor) -> Tensor:
    """float32[B, 3, H, W] in 0..1 of uint8[B, H, W, 3]: laid out as it came."""
    return crops.permute(0, 3, 1, 2).float().mul_(1 / 255)


class Loss:
    """`PointLoss` where there is a face, and whether there is one."""

    def __init__(self) -> None:
        self._points = PointLoss()

    def __call__(self, network: nn.Module, batch: fitting.Batch) -> dict[str, Tensor]:
        """The sum, then its parts, over a batch of `batch_of`."""
        found, logit = network(tensors(batch["crops"]))
        there = batch["face"] > 0
        total, flat, depth, relation = self._points(found[there], batch["landmarks"][there])
        presence = functional.binary_cross_entropy_with_logits(logit, batch["face"])
        return {"loss": total + PRESENCE * presence, "flat": flat, "depth": depth, "relation": relation, "presence": presence}


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out faces: crops uint8[N, 128, 128, 3] a little off, landmarks float32[N, 478, 3] px of them."""

    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def held_out_of(shard: Shard, known: float) -> NDArray[np.intp]:
    """intp[N]: rows of the validation people but for the share `known` of them, who are the same in all shards."""
    rows = shard.rows("validation")
    place = np.array([zlib.crc32(who.encode()) / 2**32 for who in shard.people[rows]])
    return rows[place >= known]


def held_out(shard: Shard, name: str, known: float = 0.0, most: int = 300) -> Held:
    """Validation faces, people equally often, each in a square that is off as a tracker's is.

    Args:
        shard: to draw from.
        name: of the shard; the draw is its own.
        known: see `held_out_of`.
        most: how many.
    """
    rows = held_out_of(shard, known)
    rng, augment = np.random.default_rng(len(name)), Augment(len(name))
    chosen = Balanced(shard.people, rows).draw(rng, most) if len(rows) else rows
    crops = np.zeros((len(chosen), PIXELS, PIXELS, 3), np.uint8)
    points = np.zeros((len(chosen), 478, 3), np.float32)
    for i, row in enumerate(chosen):
        label = shard.landmarks[row]
        matrix = augment.place(label, PIXELS, REACH)
        crops[i], points[i] = cut(shard.crops[row], matrix, PIXELS), into(label, matrix)
    points[:, :, 2] -= points[:, :, 2].mean(1, keepdims=True)
    return Held(crops, points)


@torch.no_grad()
def predicted(network: nn.Module, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Landmarks float32[N, 478, 3] px of crops uint8[N, 128, 128, 3], and presence float32[N]."""
    device = next(network.parameters()).device
    points, sure = [np.zeros((0, 478, 3), np.float32)], [np.zeros(0, np.float32)]
    for i in range(0, len(crops), 50):
        found, logit = network(torch.from_numpy(as_input(crops[i : i + 50])).to(device))
        points.append(found.cpu().numpy())
        sure.append(torch.sigmoid(logit).cpu().numpy())
    return np.concatenate(points), np.concatenate(sure)


def validate(network: nn.Module, held: Mapping[str, Held]) -> dict[str, float]:
    """`measures` of each held-out set."""
    figures: dict[str, float] = {}
    for name, faces in held.items():
        if len(faces.crops) > 2:
            found, sure = predicted(network, faces.crops)
            figures |= {f"{name}_{key}": value for key, value in measures(found, faces.landmarks).items()}
            figures[f"{name}_missed"] = float((sure < 0.5).mean())
    return figures
