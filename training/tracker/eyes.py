"""`python -m training face-eyes`: the network behind `engine/face/eyes.py`."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.face.crop import cut, into
from engine.face.eyes import EYE_POINTS, HEIGHT, REACH, WIDTH, eye_squares
from engine.face.landmarks import as_input
from training.networks.face_landmarks import FaceEyes
from training.run import Run, seed_all
from training.tracker import fitting
from training.tracker.augment import Augment
from training.tracker.data import Balanced, Shard
from training.tracker.landmarks import Source, held_out_of, shards_of, sources_of, tensors
from training.tracker.points import OUTER, correlation, rounded

U: Final = WIDTH / REACH
"""The outer-eye distance in px of a crop."""
OFF: Final = 0.012
"""Deviation of what the first look says of the corners, over the outer-eye distance."""
OFF_TURN: Final = 3.0
"""Degrees by which a crop is turned, deviation."""
OFF_SCALE: Final = 0.04
EYEBALL: Final = 0.13
"""Radius of an eyeball over the outer-eye distance: what turns a place of the iris into degrees."""
RELATIONS: Final = np.array([(3, 13), (4, 12), (5, 11), (16, 0), (16, 8), (16, 4), (16, 12), (0, 8)])
"""intp[R, 2] in the order of `EYE_POINTS`: upper and lower lid; the iris against corners and lids."""
_LIDS: Final = RELATIONS[:3]
_IRIS: Final = slice(16, 21)

Arrays = Mapping[str, NDArray[Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--out", type=Path, default=Path("out/face-eyes"), help="run folder (default: %(default)s)")
    fitting.add_arguments(parser, steps=5000, batch=64, rate=2e-3)


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    run = Run(args.out, fitting.options_of(args), resume=args.resume)
    seed_all(args.seed)
    sources = sources_of(args.faces, args.shards, args.known)
    network = FaceEyes()
    if args.start:
        fitting.averaged(args.start, network, "face-eyes")
        network.train()
    else:
        begin_with(network, sources)
    network = network.to(args.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    copy = FaceEyes().to(args.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    held = {name: held_out(shard, name, args.known) for name, shard in shards_of(args.faces).items()}
    fitting.fit(run, network, copy, partial(batch_of, sources, args), loss, partial(validate, held=held), args)
    run.close()
    return 0


def begin_with(network: FaceEyes, sources: Sequence[Source]) -> None:
    """The mean of what is looked for."""
    rng = np.random.default_rng(0)
    seen = [
        into(label[own], matrix)[:, :2]
        for source in sources
        for label in source.shard.landmarks[source.rows.draw(rng, 200)]
        for own, matrix in zip(EYE_POINTS, eye_squares(label), strict=True)
    ]
    with torch.no_grad():
        network.mean.copy_(torch.from_numpy(np.mean(seen, 0)))


def roughly(landmarks: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[478, 3]: corners of the eyes about as the first look sees them, float32[478, 3] being where they are."""
    rough = landmarks.copy()
    u = float(np.linalg.norm(landmarks[OUTER[0]] - landmarks[OUTER[1]]))
    middle = landmarks[list(OUTER), :2].mean(0)
    angle, scale = np.radians(rng.normal(0, OFF_TURN)), np.exp(rng.normal(0, OFF_SCALE))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    rough[:, :2] = (rough[:, :2] - middle) @ np.array([[c, s], [-s, c]]) + middle
    rough[[33, 133, 263, 362], :2] += rng.normal(0, OFF * u, (4, 2))
    rough[:, 2] *= scale
    return rough


def batch_of(sources: Sequence[Source], args: argparse.Namespace, index: int) -> Arrays:
    """Batch number `index`: crops uint8[B, 48, 64, 3], points float32[B, 21, 2] px of them; both eyes of B / 2 faces."""
    rng = np.random.default_rng((args.seed, index))
    augment = Augment(int(rng.integers(2**32)), args.strength)
    crops = np.zeros((args.batch, HEIGHT, WIDTH, 3), np.uint8)
    points = np.zeros((args.batch, EYE_POINTS.shape[1], 2), np.float32)
    chosen = np.sort(rng.choice(len(sources), args.batch // 2, p=[source.share for source in sources]))
    for i, which in enumerate(chosen):
        source = sources[which]
        row = int(source.rows.draw(rng, 1)[0])
        label = source.shard.landmarks[row]
        for eye, matrix in enumerate(eye_squares(roughly(label, rng))):
            everything = into(label, matrix)
            view = cut(source.shard.crops[row], matrix, (WIDTH, HEIGHT))
            crops[2 * i + eye] = augment.disturb(view, everything)
            points[2 * i + eye] = everything[EYE_POINTS[eye], :2]
    return {"crops": crops, "points": points}


def loss(network: nn.Module, batch: fitting.Batch) -> dict[str, Tensor]:
    """Distances of points, and of what belongs together, in shares of the outer-eye distance."""
    error = (network(tensors(batch["crops"])) - batch["points"]) / U
    pairs = torch.from_numpy(RELATIONS).to(error.device)
    flat = rounded(error)
    flat, iris = flat.mean(), flat[:, _IRIS].mean()
    relation = rounded(error[:, pairs[:, 0]] - error[:, pairs[:, 1]]).mean()
    return {"loss": flat + 0.5 * iris + relation, "flat": flat, "iris": iris, "relation": relation}


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out eyes: crops uint8[N, 48, 64, 3] a little off, points float32[N, 21, 2] px of them."""

    crops: NDArray[np.uint8]
    points: NDArray[np.float32]


def held_out(shard: Shard, name: str, known: float = 0.0, most: int = 200) -> Held:
    """Both eyes of validation faces, people equally often; see `training.tracker.landmarks.held_out`."""
    rng = np.random.default_rng(len(name))
    rows = held_out_of(shard, known)
    chosen = Balanced(shard.people, rows).draw(rng, most) if len(rows) else rows
    crops = np.zeros((2 * len(chosen), HEIGHT, WIDTH, 3), np.uint8)
    points = np.zeros((2 * len(chosen), EYE_POINTS.shape[1], 2), np.float32)
    for i, row in enumerate(chosen):
        label = shard.landmarks[row]
        for eye, matrix in enumerate(eye_squares(roughly(label, rng))):
            crops[2 * i + eye] = cut(shard.crops[row], matrix, (WIDTH, HEIGHT))
            points[2 * i + eye] = into(label[EYE_POINTS[eye]], matrix)[:, :2]
    return Held(crops, points)


@torch.no_grad()
def validate(network: nn.Module, held: Mapping[str, Held]) -> dict[str, float]:
    """Mean errors in percent of the outer-eye distance, the lids' correlation, and degrees of gaze."""
    figures: dict[str, float] = {}
    device = next(network.parameters()).device
    for name, eyes in held.items():
        if not len(eyes.crops):
            continue
        found = network(torch.from_numpy(as_input(eyes.crops)).to(device)).cpu().numpy()
        error = np.linalg.norm(found - eyes.points, axis=2) / U
        looks = [points[:, 16] - (points[:, 0] + points[:, 8]) / 2 for points in (found, eyes.points)]
        gaps = [np.linalg.norm(p[:, _LIDS[:, 0]] - p[:, _LIDS[:, 1]], axis=2).mean(1) for p in (found, eyes.points)]
        away = np.abs(looks[0] - looks[1]) / (EYEBALL * U)
        figures |= {
            f"{name}_lids": 100 * float(error[:, :16].mean()),
            f"{name}_iris": 100 * float(error[:, _IRIS].mean()),
            f"{name}_lid_r": correlation(*gaps),
            f"{name}_gaze": float(np.degrees(away).mean()),
        }
    return figures
