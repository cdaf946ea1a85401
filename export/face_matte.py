"""The person matte as ONNX: `face_matte.onnx`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from engine.face.matte import SPEC
from export.files import prove, store_in_half, write
from training.networks.matte import MatteNetwork, MatteStep
from training.tracker.fitting import averaged

TOLERANCE: Final = 1e-2
"""Of a matte in 0..1; weights that are rounded to 11 bits cost about a thousandth."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export face-matte`."""
    parser.add_argument("--run", type=Path, default=Path("out/face-matte"), help="run folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("engine/models/face_matte.onnx"), help="(default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    network = MatteNetwork()
    averaged(args.run, network, "face-matte", part="average")
    step = MatteStep(network).eval()
    write(step, SPEC, args.out)
    store_in_half(args.out)
    worst = prove(step, SPEC, args.out, TOLERANCE, steps=5)
    sys.stdout.write(f"{args.out}  {args.out.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0
