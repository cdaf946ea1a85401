"""`python -m training face-detector`: the network that finds faces in any picture."""

import argparse
import time
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.face.detector import STRIDE, UNIT
from training.networks.face_detector import FaceDetector
from training.run import Average, Run, seed_all
from training.tracker.crowd import FULL, SEEN, Crowd, Size
from training.tracker.data import Faceless
from training.tracker.people import draws_of

Batch = tuple[Tensor, Tensor, Tensor]
"""Pictures float32[N, 3, H, W] 0..1; heat and whether it counts float32[N, 2, h, w];
box, eyes and how much they count float32[N, 8, h, w]."""

SMALL: Final = (128, 96)
"""Width and height of the pictures that are trained with for most of the time: a quarter of the cost."""
SMALL_UNTIL: Final = 0.6
"""Share of the time."""
SPREAD: Final = 0.09
"""Standard deviation of a face's heat, in sides of the face."""
RATE: Final = 3e-3
DECAY: Final = 1e-4
BOX, EYES = 0.5, 2.0
"""Weights of the two beside that of the heat."""
LOG_EVERY: Final = 50
SAVE_EVERY: Final = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--faces", type=Path, default=Path("out/faces"), help="what `prepare-faces` made")
    parser.add_argument("--out", type=Path, default=Path("out/face-detector"), help="run folder")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--minutes", type=float, default=20, help="stop after so long, whatever the steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate at its highest (default: %(default)s)")
    parser.add_argument("--start", type=Path, help="run folder whose averaged weights are where this run begins")


def main(args: argparse.Namespace) -> int:
    """Train by the preset; return the exit status."""
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    rng = seed_all(args.seed)
    learner = Learner(args.start)
    asked = {key: str(value) for key, value in vars(args).items() if key not in ("resume", "out", "threads")}
    run = Run(args.out, {**asked, "steps": args.steps, "minutes": args.minutes}, resume=args.resume)
    faceless = Faceless.load(args.faces / "faceless")
    parts = faceless.crops[np.flatnonzero(faceless.split == "train")]
    crowd = Crowd(draws_of(args.faces, "train"), parts, rng)
    first = run.restore(learner.parts(), rng)
    began = time.monotonic()
    for step in range(first, args.steps):
        done = max(step / args.steps, (time.monotonic() - began) / (60 * args.minutes))
        learner.schedule(done, args.rate)
        count, size = (4 * args.batch, SMALL) if done < SMALL_UNTIL else (args.batch, FULL)
        figures = learner.learn(batch_of(crowd, count, size), step)
        late = time.monotonic() - began > 60 * args.minutes
        if step % LOG_EVERY == 0 or late:
            run.log(step, **figures)
        if step % SAVE_EVERY == SAVE_EVERY - 1 or late or step == args.steps - 1:
            run.save(step + 1, learner.parts(), rng)
        if late:
            break
    run.close()
    return 0


def batch_of(crowd: Crowd, count: int, size: Size = FULL) -> Batch:
    """New pictures and what is to be said of them."""
    pictures, heats, places = [], [], []
    for _ in range(count):
        picture, targets = crowd.draw(size=size)
        heat, place = encode(targets, size)
        pictures.append(picture.transpose(2, 0, 1))
        heats.append(heat)
        places.append(place)
    views = torch.from_numpy(np.stack(pictures)).float() / 255
    return views, torch.from_numpy(np.stack(heats)), torch.from_numpy(np.stack(places))


def encode(targets: NDArray[np.float32], size: Size = FULL) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network is to say of faces float32[N, 7] (`training.tracker.crowd.target_of`).

    Returns:
        float32[2, h, w]: heat, and 0 where it does not count: on faces of which too much is cut off.
        float32[8, h, w]: box (3), eyes (4), and how much they count.
    """
    columns, rows = size[0] // STRIDE, size[1] // STRIDE
    heat, counts = np.zeros((rows, columns), np.float32), np.ones((rows, columns), np.float32)
    places = np.zeros((8, rows, columns), np.float32)
    y, x = np.mgrid[:rows, :columns].astype(np.float32) + 0.5
    for face in targets:
        cx, cy, side = face[:3] / STRIDE
        if seen_share(face, size) < SEEN or not (0 <= cx < columns and 0 <= cy < rows):
            counts[(np.abs(x - cx) < 0.6 * side) & (np.abs(y - cy) < 0.6 * side)] = 0
            continue
        sigma = max(SPREAD * float(side), 0.5)
        row, column = int(cy), int(cx)
        bump = np.exp(-((x - column - 0.5) ** 2 + (y - row - 0.5) ** 2) / (2 * sigma**2))
        nearer = (bump > places[7]) & (bump > 0.3)
        corners = (face[3:].reshape(2, 2) - face[:2]).ravel() / face[2]
        own = np.concatenate([[0, 0, np.log(face[2] / UNIT)], corners])
        places[:7, nearer] = own[:, None]
        places[0, nearer], places[1, nearer] = (cx - x)[nearer], (cy - y)[nearer]
        places[7, nearer] = bump[nearer]
        heat = np.maximum(heat, bump)
    return np.stack([heat, counts]), places


def seen_share(face: NDArray[np.float32], size: Size = FULL) -> float:
    """How much of a face's square lies in the picture."""
    half = face[2] / 2
    wide = min(face[0] + half, size[0]) - max(face[0] - half, 0)
    high = min(face[1] + half, size[1]) - max(face[1] - half, 0)
    return float(max(wide, 0) * max(high, 0) / face[2] ** 2)


def heat_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """The focal loss of CenterNet (eq. 1; alpha 2, beta 4), a face."""
    heat, counts = wanted[:, :1], wanted[:, 1:]
    said = torch.sigmoid(logits)
    peak = (heat > 0.999).float()
    hit = functional.logsigmoid(logits) * (1 - said) ** 2 * peak
    miss = functional.logsigmoid(-logits) * said**2 * (1 - heat) ** 4 * (1 - peak)
    return -((hit + miss) * counts).sum() / (peak * counts).sum().clamp(min=1)


class Learner:
    """What is trained, and its average, which is what ships."""

    def __init__(self, start: Path | None = None) -> None:
        self.network = FaceDetector()
        if start is not None:
            self.network.load_state_dict(torch.load(start / "checkpoint.pt", weights_only=True)["parts"]["average"])
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = Average(self.network, FaceDetector(), 0.997)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=DECAY)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        return {"network": self.network, "average": self.average.ema, "optimiser": self.optimiser}

    def schedule(self, done: float, highest: float = RATE) -> None:
        """Set the rate for how much of the run is over: up within 4 %, then down along a cosine."""
        rate = float(highest * min(done / 0.04 + 0.05, 1.0) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(done, 1.0)))))
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def learn(self, batch: Batch, step: int) -> dict[str, float]:
        """One step; figures of it."""
        views, heats, places = batch
        self.network.train()
        heat, box, eyes = self.network(views.contiguous(memory_format=torch.channels_last))
        weight = places[:, 7:]
        total = weight.sum().clamp(min=1)
        parts: dict[str, Any] = {
            "heat": heat_loss(heat, heats),
            "box": ((box - places[:, :3]).abs() * weight).sum() / total,
            "eyes": ((eyes - places[:, 3:7]).abs() * weight).sum() / total,
        }
        loss = parts["heat"] + BOX * parts["box"] + EYES * parts["eyes"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.network, step)
        return {name: float(part.detach()) for name, part in parts.items()}
