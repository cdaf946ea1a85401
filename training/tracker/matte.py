# pyright: basic
# cv2 types its images as unions
"""`python -m training face-matte`: the network that tells a person from what is behind."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.enrol.framing import upright_square
from engine.face.crop import cut
from engine.face.matte import SIDE
from engine.face.tracker import Face
from engine.rig.avatar import FRAME
from training.data.splits import Split
from training.networks.matte import MatteNetwork
from training.run import Average, Run, seed_all
from training.tracker import augment
from training.tracker.crowd import backdrop
from training.tracker.data import Faceless, Pictures
from training.tracker.people import whole_pictures

Image = NDArray[np.uint8]

CROP: Final = 384  # px, side of the crops that are kept
FACE: Final = 240.0  # px: faces of whole pictures are read at up to this
FRAMES: Final = 3  # of each clip
OUTLINE: Final = (0.75, 21, 4.0)
"""The head's outline counts more: it lies above this share of a crop, is so many px wide, and so much heavier than the rest.

What the matte leaves of an ear stays behind when the head turns.
"""
COMPOSED: Final = 0.45  # share of examples with another background
SHARP: Final = (0.25, 0.75)  # the teacher's matte between which an alpha is taken from 0 to 1 to compose with
SCALES, ROLL_DEG, SHIFT = (0.78, 1.4), 8.0, 0.1
RATE: Final = 3e-3
COARSE, COARSE_SIDE = 0.65, 128
"""Share of the time that is spent on smaller pictures, and their side in px."""
LOG_EVERY: Final = 25
SAVE_EVERY: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Mattes:
    """Crops as enrolment cuts them, with the teacher's mattes: uint8[N, CROP, CROP, 3], uint8[N, CROP, CROP], str[N]."""

    crops: Image
    mattes: Image
    split: NDArray[np.str_]

    @classmethod
    def load(cls, folder: Path) -> "Mattes":
        """From a folder that `label` made."""
        crops, mattes = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("crops", "mattes"))
        return cls(crops, mattes, np.load(folder / "split.npy"))


def label(faces: Path, folder: Path) -> None:
    """Cut the portraits of `pictures.npz` as enrolment does, and let the teacher say who is a person."""
    from training.teacher import MediaPipeTracker

    teacher, pictures = MediaPipeTracker(), Pictures.load(faces / "pictures.npz")
    crops, mattes, splits = [], [], []
    for split in ("train", "validation", "test"):
        for whole in whole_pictures(pictures, split, FRAMES, FACE):
            height, width = whole.rgb.shape[:2]
            matrix = upright_square(Face(whole.landmarks, 1.0), width, height) * (CROP / FRAME)
            crop = cut(whole.rgb, matrix, CROP)
            crops.append(crop)
            mattes.append(np.round(teacher.matte(crop) * 255).astype(np.uint8))
            splits.append(split)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("crops", crops), ("mattes", mattes), ("split", splits)):
        np.save(folder / f"{name}.npy", np.array(rows))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--faces", type=Path, default=Path("out/faces"), help="what `prepare-faces` made")
    parser.add_argument("--mattes", type=Path, help="crops with the teacher's mattes, made if missing (default: FACES/mattes)")
    parser.add_argument("--out", type=Path, default=Path("out/face-matte"), help="run folder")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=15, help="stop after so long, whatever the steps")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--start", type=Path, help="run folder of a face detector, whose encoder is the beginning, or of a matte"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate at its highest (default: %(default)s)")
    parser.add_argument(
        "--coarse", type=float, default=COARSE, help="share of the time on small pictures (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train by the preset; return the exit status."""
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    rng = seed_all(args.seed)
    folder = args.mattes or args.faces / "mattes"
    if not (folder / "split.npy").exists():
        sys.stdout.write("asking the teacher for mattes\n")
        label(args.faces, folder)
    asked = {key: str(value) for key, value in vars(args).items() if key not in ("resume", "out", "threads")}
    run = Run(args.out, {**asked, "steps": args.steps, "minutes": args.minutes}, resume=args.resume)
    faceless = Faceless.load(args.faces / "faceless")
    examples = Examples(Mattes.load(folder), faceless.crops[np.flatnonzero(faceless.split == "train")], rng)
    learner = Learner(args.start)
    first, began = run.restore(learner.parts(), rng), time.monotonic()
    for step in range(first, args.steps):
        done = max(step / args.steps, (time.monotonic() - began) / (60 * args.minutes))
        learner.schedule(done, args.rate)
        pixels, count = (COARSE_SIDE, 2 * args.batch) if done < args.coarse else (SIDE, args.batch)
        figures = learner.learn(*examples.batch(count, pixels), step)
        if step % LOG_EVERY == 0 or done >= 1:
            run.log(step, pixels=pixels, **figures)
        if step % SAVE_EVERY == SAVE_EVERY - 1 or done >= 1 or step == args.steps - 1:
            run.save(step + 1, learner.parts(), rng)
        if done >= 1:
            break
    run.close()
    return 0


class Examples:
    """Draws crops of the training split, moved about, half of them before something else."""

    def __init__(self, mattes: Mattes, faceless: Image, rng: np.random.Generator, split: Split = "train") -> None:
        self._mattes, self._faceless, self._rng = mattes, faceless, rng
        self._rows = np.flatnonzero(mattes.split == split)

    def batch(self, count: int, pixels: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures float32[N, 3, pixels, pixels] 0..1, mattes float32[N, 1, pixels, pixels], and how much each pixel counts."""
        views, *planes = zip(*(self.draw(pixels) for _ in range(count)), strict=True)
        pictures = torch.from_numpy(np.stack(views).transpose(0, 3, 1, 2).copy()).float() / 255
        mattes, outlines = (torch.from_numpy(np.stack(plane)[:, None]).float() / 255 for plane in planes)
        return pictures, mattes, 1 + OUTLINE[2] * outlines

    def draw(self, pixels: int) -> tuple[Image, Image, Image]:
        """uint8[pixels, pixels, 3], its matte uint8[pixels, pixels], and the head's outline likewise."""
        rng = self._rng
        row = int(rng.choice(self._rows))
        matrix = self._place(pixels)
        held = self._mattes.mattes[row]
        crop, matte, outline = (
            np.asarray(cut(plane, matrix, pixels), np.uint8) for plane in (self._mattes.crops[row], held, outline_of(held))
        )
        if rng.random() < COMPOSED:
            crop = self._composed(crop, matte)
        crop = augment.tone(crop, rng) if rng.random() < 0.7 else crop
        crop = augment.lit(crop, rng) if rng.random() < 0.15 else crop
        for change, share in _CAMERA:
            crop = change(crop, rng) if rng.random() < share else crop
        return crop, matte, outline

    def _place(self, pixels: int) -> NDArray[np.float64]:
        rng = self._rng
        scale = float(np.exp(rng.uniform(np.log(SCALES[0]), np.log(SCALES[1])))) * pixels / CROP
        turn = np.radians(rng.normal(0, ROLL_DEG))
        c, s = scale * np.cos(turn), scale * np.sin(turn)
        flip = -1 if rng.random() < 0.5 else 1
        shift = rng.uniform(-SHIFT, SHIFT, 2) * pixels + pixels / 2
        linear = np.array([[c * flip, -s], [s * flip, c]])
        return np.hstack([linear, (shift - linear @ (CROP / 2, CROP / 2))[:, None]])

    def _composed(self, crop: Image, matte: Image) -> Image:
        """The person before something else, a little brighter or darker than it."""
        pixels = crop.shape[0]
        behind = backdrop(self._rng, self._faceless, (pixels, pixels)).astype(np.float32)
        low, high = SHARP
        share = np.clip((matte.astype(np.float32) / 255 - low) / (high - low), 0, 1)[..., None]
        if self._rng.random() < 0.3:
            crop = augment.tone(crop, self._rng)
        return (behind + share * (crop - behind)).astype(np.uint8)


_CAMERA: Final = (
    (augment.coarse, 0.1),
    (augment.unfocused, 0.05),
    (augment.dim, 0.05),
    (augment.grainy, 0.2),
    (augment.compressed, 0.15),
)


def outline_of(matte: Image) -> Image:
    """uint8[S, S]: 255 along the outline of the head in a crop's matte uint8[S, S], 0 elsewhere, edges soft."""
    share, width, _ = OUTLINE
    person = (matte > 127).astype(np.uint8) * 255
    spread = cv2.blur(person, (width, width)).astype(np.float32) / 255
    spread[round(share * matte.shape[0]) :] = 0
    return np.round(255 * 4 * spread * (1 - spread)).astype(np.uint8)


class Learner:
    """What is trained, and its average, which is what ships."""

    def __init__(self, start: Path | None = None) -> None:
        self.network = MatteNetwork()
        if start is not None:
            weights = torch.load(start / "checkpoint.pt", weights_only=True)["parts"]["average"]
            own = self.network.state_dict()
            fit = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
            stages = {name: value for name, value in fit.items() if name.startswith("stages.")}
            self.network.load_state_dict(fit if len(fit) == len(own) else own | stages)
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = Average(self.network, MatteNetwork(), 0.995)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=1e-4)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        return {"network": self.network, "average": self.average.ema, "optimiser": self.optimiser}

    def schedule(self, done: float, highest: float = RATE) -> None:
        """Set the rate for how much of the run is over: up within 4 %, then down along a cosine."""
        rate = float(highest * min(done / 0.04 + 0.05, 1.0) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(done, 1.0)))))
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def learn(self, pictures: Tensor, wanted: Tensor, weight: Tensor, step: int) -> dict[str, float]:
        """One step; figures of it: entropy, the matte's error and that of its slope; `weight` is how much each pixel counts."""
        self.network.train()
        logits = self.network(pictures.contiguous(memory_format=torch.channels_last))
        said = torch.sigmoid(logits)
        parts = {
            "entropy": functional.binary_cross_entropy_with_logits(logits, wanted, weight),
            "matte": (weight * (said - wanted).abs()).mean(),
            "slope": sum(((said - wanted).diff(dim=axis)).abs().mean() for axis in (2, 3)),
        }
        loss = 0.5 * parts["entropy"] + parts["matte"] + parts["slope"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.network, step)
        return {name: float(part.detach()) for name, part in parts.items()}
