"""The face tracker's networks as ONNX: face_landmarks.onnx, face_eyes.onnx."""

import argparse
import sys
from pathlib import Path
from typing import Final, Literal

from torch import nn

from engine.contract.graph import GraphSpec
from engine.face import eyes, landmarks
from export.files import prove, write
from training.networks.face_landmarks import FaceEyes, FaceLandmarks, LandmarkStep
from training.tracker.fitting import averaged

TOLERANCE: Final = 1e-3
"""Largest difference in px of a crop between PyTorch and ONNX Runtime."""
NAMES: Final = ("face-landmarks", "face-eyes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export face`."""
    parser.add_argument("network", choices=NAMES, help="which one")
    parser.add_argument("--run", type=Path, help="run folder (default: out/NETWORK)")
    parser.add_argument("--out", type=Path, default=Path("engine/models"), help="folder (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    module, spec = _trained(args.network, args.run or Path("out") / args.network)
    path = args.out / f"{spec.name}.onnx"
    write(module, spec, path)
    worst = prove(module, spec, path, TOLERANCE)
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0


def _trained(name: Literal["face-landmarks", "face-eyes"], run: Path) -> tuple[nn.Module, GraphSpec]:
    if name == "face-eyes":
        return averaged(run, FaceEyes(), name), eyes.SPEC
    network = FaceLandmarks()
    averaged(run, network, name)
    return LandmarkStep(network).eval(), landmarks.SPEC
