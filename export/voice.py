"""The mouth network as ONNX: `voice.onnx`, a step of 20 ms."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn import functional

from engine.errors import ModelError
from engine.motion.mouth import SPEC
from engine.motion.visemes import ARTICULATORS, VISEMES
from export.files import prove, write
from training.corpus import CLOSE
from training.networks.mouth import MouthNetwork, MouthStep
from training.speech.phones import PHONES, VISEME

TOLERANCE: Final = 1e-5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export voice`."""
    parser.add_argument("--run", type=Path, default=Path("out/voice"), help="run folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("engine/models/voice.onnx"), help="(default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    step = MouthStep(trained(args.run), CLOSE, functional.one_hot(torch.tensor(VISEME), len(VISEMES)).float())
    write(step, SPEC, args.out)
    worst = prove(step, SPEC, args.out, TOLERANCE)
    sys.stdout.write(f"{args.out}  {args.out.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0


def trained(run: Path) -> MouthNetwork:
    """The averaged network of a run folder.

    Raises:
        ModelError: if there is no checkpoint.
    """
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise ModelError(f"no checkpoint in {run}: train one with python -m training voice --out {run}")
    weights: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)["parts"]["ema"]
    network = MouthNetwork(len(ARTICULATORS), len(PHONES), weights["norm.weight"].shape[0])
    network.load_state_dict(weights)
    return network.eval()
