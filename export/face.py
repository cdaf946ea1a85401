"""The face tracker's regressors as ONNX: face_landmarks.onnx, face_eyes.onnx, face_lips.onnx."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from engine.contract.graph import GraphSpec
from engine.face import eyes, landmarks, lips
from export.files import prove, write
from training.networks.face_landmarks import FaceLandmarks, FacePart, LandmarkStep
from training.tracker.fitting import averaged

TOLERANCE: Final = 0.1
"""Largest difference in px of a crop between PyTorch and the file, whose weights have 11 bits."""
_SMALL: Final = 1024  # weights of a tensor that is kept as it is
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
    halve(path)
    worst = prove(module, spec, path, TOLERANCE)
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0


def halve(path: Path) -> None:
    """Keep a file's large tensors as float16, turned to float32 when it is loaded: half the size, the same arithmetic."""
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(path))
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _SMALL:
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


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
