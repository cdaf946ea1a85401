"""The head motion learner as ONNX: `head.onnx`, a step of 20 ms, and `head_style.onnx`, the encoder of a reference."""

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.motion.head import SPEC, STYLE_SPEC, calibrated, save_style
from engine.runtime.ort import OrtGraph
from export.files import prove, write
from training.data.head_speakers import TYPICAL, typical_mel
from training.head_motion import default_style, trained
from training.networks.head_motion import HeadMotion, StyleEncoder

TOLERANCE: Final = 1e-4
"""Largest difference in degrees, u or units of a state between PyTorch and ONNX Runtime."""


class HeadStep(nn.Module):
    """`HeadMotion.step` as a module's forward."""

    def __init__(self, head: HeadMotion) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, mel: Tensor, noise: Tensor, style: Tensor, hidden: Tensor, drift: Tensor, smooth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `HeadMotion.step`."""
        return self.head.step(mel, noise, style, hidden, drift, smooth)


def export_head(head: HeadMotion, encoder: StyleEncoder, style: NDArray[np.float32], folder: Path) -> float:
    """Write head.onnx, head_style.onnx and head_style.npz (the default style, set to `TYPICAL`); return the largest difference.

    Raises:
        ModelError: if ONNX Runtime gives something else than PyTorch.
    """
    worst = 0.0
    for module, spec in ((HeadStep(head), SPEC), (encoder, STYLE_SPEC)):
        path = folder / f"{spec.name}.onnx"
        write(module, spec, path)
        worst = max(worst, prove(module, spec, path, TOLERANCE))
    mel = np.concatenate([typical_mel(np.random.default_rng(seed)) for seed in range(3)])
    save_style(folder / "head_style.npz", calibrated(OrtGraph.load(folder / "head.onnx"), style, mel, TYPICAL))
    return worst


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export head`."""
    parser.add_argument("--run", type=Path, default=Path("out/head-motion"), help="run folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("engine/models"), help="folder (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged networks of a run; return the exit status."""
    head, encoder = trained(args.run)
    worst = export_head(head, encoder, default_style(encoder), args.out)
    for name in ("head.onnx", "head_style.onnx", "head_style.npz"):
        path = args.out / name
        sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB\n")
    sys.stdout.write(f"equal to {worst:.1g}\n")
    return 0
