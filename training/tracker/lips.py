"""`python -m training face-lips`: the network behind `engine/face/lips.py`."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from engine.face.lips import LIP_POINTS, REACH, SPEC, WIDTH, lip_square
from training.tracker import fitting, parts
from training.tracker.points import LIPS_APART

_APART: Final = [*LIPS_APART, (78, 308), (61, 291), (0, 13), (14, 17), (37, 82), (267, 312), (84, 87), (314, 317)]

PART: Final = parts.Part(
    "face-lips",
    SPEC,
    (LIP_POINTS,),
    lambda landmarks: (lip_square(landmarks),),
    np.array([[int(np.flatnonzero(point == LIP_POINTS)[0]) for point in pair] for pair in _APART]),
    u=WIDTH / REACH,
    heavy=np.arange(20),
)
"""Relations: how far the lips are apart, how wide the mouth is and how thick the lips. What weighs more: the inner contour."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--out", type=Path, default=Path("out/face-lips"), help="run folder (default: %(default)s)")
    fitting.add_arguments(parser, steps=4000, batch=48, rate=2e-3)


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    return parts.train(PART, args)
