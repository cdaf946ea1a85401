"""`python -m training face-eyes`: the network behind `engine/face/eyes.py`."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engine.face.eyes import EYE_POINTS, REACH, SPEC, WIDTH, eye_squares
from training.tracker import fitting, parts

_LIDS: Final = ((3, 13), (4, 12), (5, 11))
_CORNERS: Final = (0, 8)
_OPEN: Final = 0.22
"""Distance of the lids over that of the corners from which an iris shows well."""


def open_share(points: Tensor) -> Tensor:
    """float32[N]: how much of an iris the lids, among the eyes' points float32[N, P, 2], leave to be seen; 0.05 to 1."""
    apart = torch.stack([torch.linalg.vector_norm(points[:, a] - points[:, b], dim=1) for a, b in _LIDS]).mean(0)
    across = torch.linalg.vector_norm(points[:, _CORNERS[0]] - points[:, _CORNERS[1]], dim=1)
    return (apart / across / _OPEN).clamp(0.05, 1.0)


PART: Final = parts.Part(
    "face-eyes",
    SPEC,
    tuple(EYE_POINTS),
    lambda landmarks: eye_squares(landmarks),
    np.array([(3, 13), (4, 12), (5, 11), (16, 0), (16, 8), (16, 4), (16, 12), (0, 8)]),
    u=WIDTH / REACH,
    heavy=np.arange(16, 21),
    sight=open_share,
    teacher=0.15,
)
"""Relations: upper and lower lid; the iris against corners and lids. What weighs more: the iris, as far as it shows. The
teacher has drawn irises go 0.6 of their way to the side, 0.2 up and down."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--out", type=Path, default=Path("out/face-eyes"), help="run folder (default: %(default)s)")
    fitting.add_arguments(parser, steps=5000, batch=64, rate=2e-3)


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    return parts.train(PART, args)
