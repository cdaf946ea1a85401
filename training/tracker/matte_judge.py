# pyright: basic
# cv2 types its images as unions
"""`python -m training judge-matte`: the matte against the teacher's on held-out people, and a sheet to look at.

The sheet shows, side by side: the picture, the teacher's matte, ours, and the
person cut out by either and put on green.
"""

import argparse
import json
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.matte import Matting
from engine.runtime.ort import OrtGraph
from training.tracker.matte import Mattes

GREEN: Final = np.array([0, 190, 0], np.float32)
TILE: Final = 190  # px


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--faces", type=Path, default=Path("out/faces"), help="what `prepare-faces` made")
    parser.add_argument("--mattes", type=Path, help="crops with the teacher's mattes (default: FACES/mattes)")
    parser.add_argument("--model", type=Path, default=Path("engine/models/face_matte.onnx"))
    parser.add_argument("--sheet", type=Path, help="draw 24 people there (.png)")


def main(args: argparse.Namespace) -> int:
    """Print the figures as JSON."""
    cv2.setNumThreads(1)
    matting, mattes = Matting(OrtGraph.load(args.model)), Mattes.load(args.mattes or args.faces / "mattes")
    figures: dict[str, list[tuple[float, float]]] = {}
    rows: list[NDArray[np.uint8]] = []
    held = np.flatnonzero(mattes.split != "train")
    drawn = set(np.random.default_rng(0).choice(held, min(24, len(held)), replace=False).tolist())
    for row in held:
        crop, wanted = np.array(mattes.crops[row]), mattes.mattes[row].astype(np.float32) / 255
        said = matting.matte(crop)
        figures.setdefault(str(mattes.split[row]), []).append((float(np.abs(said - wanted).mean()), overlap(said, wanted)))
        if row in drawn:
            rows.append(strip(crop, wanted, said))
    print(json.dumps({split: _summary(np.array(own)) for split, own in figures.items()}, indent=1))
    if args.sheet:
        half = (len(rows) + 1) // 2
        rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
        sheet = np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])
        cv2.imwrite(str(args.sheet), sheet[:, :, ::-1])
    return 0


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of what is more person than not."""
    a, b = one > 0.5, other > 0.5
    return float(np.sum(a & b) / max(int(np.sum(a | b)), 1))


def strip(crop: NDArray[np.uint8], *mattes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8[TILE, 5 TILE, 3] for two mattes."""
    grey = [np.repeat((matte * 255).astype(np.uint8)[..., None], 3, axis=2) for matte in mattes]
    green = [(GREEN + matte[..., None] * (crop - GREEN)).astype(np.uint8) for matte in mattes]
    tiles = [cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_AREA) for tile in (crop, *grey, *green)]
    return np.hstack([np.asarray(tile, np.uint8) for tile in tiles])


def _summary(rows: NDArray[np.float64]) -> dict[str, float]:
    return {
        "n": len(rows),
        "L1": round(float(rows[:, 0].mean()), 4),
        "L1 p95": round(float(np.percentile(rows[:, 0], 95)), 4),
        "IoU": round(float(rows[:, 1].mean()), 4),
        "IoU p5": round(float(np.percentile(rows[:, 1], 5)), 4),
        "IoU worst": round(float(rows[:, 1].min()), 4),
    }
