"""The bridge from controls to PD-FGC's motion latents as ONNX: `pdfgc_bridge.onnx`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from torch import nn

from engine.render.pdfgc.networks import specs
from export.files import prove, write
from training.networks.pdfgc.bridge import Agreed, Bridge
from training.pdfgc.codes import code_matrix
from training.tracker.fitting import averaged

TOLERANCE: Final = 1e-3
"""Largest difference between PyTorch and the file, of outputs whose deviation is about 1."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export pdfgc-bridge`."""
    parser.add_argument("--run", type=Path, default=Path("out/pdfgc-bridge"), help="run folder (default: %(default)s)")
    parser.add_argument("--agreed", action="store_true", help="no run: the agreement that pre-trained networks keep to")
    parser.add_argument("--out", type=Path, default=Path("out/pdfgc-networks"), help="folder (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run, or the agreement."""
    module = Agreed(code_matrix()) if args.agreed else averaged(args.run, Bridge(), "pdfgc-bridge")
    path = args.out / "pdfgc_bridge.onnx"
    worst = write_bridge(module, path)
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0


def write_bridge(module: nn.Module, path: Path) -> float:
    """Write a bridge and prove it equal; return the largest difference.

    Raises:
        ModelError: if ONNX Runtime gives something else than PyTorch.
    """
    spec = specs()["bridge"]
    write(module, spec, path)
    return prove(module, spec, path, TOLERANCE)
