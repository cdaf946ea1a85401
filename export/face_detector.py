"""The face detector as ONNX: `face_detect.onnx`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from engine.face.detector import SPEC
from export.files import prove, write
from training.networks.face_detector import DetectorStep, FaceDetector
from training.tracker.fitting import averaged

TOLERANCE: Final = 1e-3
"""Boxes are in cells of 8 px, eyes in sides of the face."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export face-detector`."""
    parser.add_argument("--run", type=Path, default=Path("out/face-detector"), help="run folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("engine/models/face_detect.onnx"), help="(default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    network = FaceDetector()
    averaged(args.run, network, "face-detector", part="average")
    step = DetectorStep(network).eval()
    write(step, SPEC, args.out)
    worst = prove(step, SPEC, args.out, TOLERANCE)
    sys.stdout.write(f"{args.out}  {args.out.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0
