"""`head_style.npz`: the style of nobody in particular, written by a run's own encoder for its own head."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.motion.head import calibrated, save_style
from engine.runtime.ort import OrtGraph
from export.files import list_in_manifest
from training.data.head_speakers import TYPICAL, typical_mel
from training.head_motion import default_style, trained

NAME = "head_style.npz"


def write(run: Path, folder: Path) -> None:
    """Write the default style of a run beside its exported head."""
    _, encoder = trained(run)
    put(default_style(encoder), folder)


def put(style: NDArray[np.float32], folder: Path) -> None:
    """Set a style to `TYPICAL` with the head that lies in the folder, and write it there."""
    mel = np.concatenate([typical_mel(np.random.default_rng(seed)) for seed in range(3)])
    save_style(folder / NAME, calibrated(OrtGraph.load(folder / "head.onnx"), style, mel, TYPICAL))
    list_in_manifest(folder / NAME)
    sys.stdout.write(f"{folder / NAME}  {(folder / NAME).stat().st_size / 1e6:.2f} MB\n")
