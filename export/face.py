"""The face tracker's regressors as ONNX: face_landmarks.onnx, face_eyes.onnx, face_lips.onnx."""

import argparse
import sys
from pathlib import Path
from typing import Final

from torch import nn

from engine.contract.graph import GraphSpec
from engine.face import eyes, landmarks, lips
from export.files import prove, store_in_half, write
from training.networks.face_landmarks import FaceLandmarks, FacePart, LandmarkStep
from training.tracker.fitting import averaged

TOLERANCE: Final = 0.1
"""Largest difference in px of a crop between PyTorch and the file, whose weights have 11 bits."""
SPECS: Final = {"face-landmarks": landmarks.SPEC, "face-eyes": eyes.SPEC, "face-lips": lips.SPEC}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export face`."""
    parser.add_argument("network", choices=sorted(SPECS), help="which one")
    parser.add_argument("--run", type=Path, help="run folder (default: out/NETWORK)")
    parser.add_argument("--out", type=Path, default=Path("engine/models"), help="folder (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    spec = SPECS[args.network]
    module = trained(args.network, spec, args.run or Path("out") / args.network)
    path = args.out / f"{spec.name}.onnx"
    write(module, spec, path)
    store_in_half(path)
    worst = prove(module, spec, path, TOLERANCE)
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0


def trained(name: str, spec: GraphSpec, run: Path) -> nn.Module:
    """The averaged network of a run folder as the engine runs it.

    Raises:
        ModelError: if there is no checkpoint.
    """
    if spec is not landmarks.SPEC:
        return averaged(run, FacePart(spec), name)
    network = FaceLandmarks()
    averaged(run, network, name)
    return LandmarkStep(network).eval()
