"""`python -m training face-eyes`: the network behind `engine/face/eyes.py`."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from engine.face.eyes import EYE_POINTS, REACH, SPEC, WIDTH, eye_squares
from training.tracker import fitting, parts

PART: Final = parts.Part(
    "face-eyes",
    SPEC,
    tuple(EYE_POINTS),
    lambda landmarks: eye_squares(landmarks),
    np.array([(3, 13), (4, 12), (5, 11), (16, 0), (16, 8), (16, 4), (16, 12), (0, 8)]),
    u=WIDTH / REACH,
    heavy=np.arange(16, 21),
)
"""Relations: upper and lower lid; the iris against corners and lids. What weighs more: the iris."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--out", type=Path, default=Path("out/face-eyes"), help="run folder (default: %(default)s)")
    fitting.add_arguments(parser, steps=5000, batch=64, rate=2e-3)


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    return parts.train(PART, args)
