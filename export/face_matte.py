"""The person matte as ONNX: `face_matte.onnx`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from engine.face.matte import SPEC
from export.face_detector import averaged
from export.files import prove, write
from training.networks.matte import MatteNetwork, MatteStep

TOLERANCE: Final = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export face-matte`."""
    parser.add_argument("--run", type=Path, default=Path("out/face-matte"), help="run folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("engine/models/face_matte.onnx"), help="(default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    network = MatteNetwork()
    network.load_state_dict(averaged(args.run, "face-matte"))
    step = MatteStep(network.eval())
    write(step, SPEC, args.out)
    worst = prove(step, SPEC, args.out, TOLERANCE, steps=5)
    sys.stdout.write(f"{args.out}  {args.out.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0
