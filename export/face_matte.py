"""The person matte as ONNX: `face_matte.onnx`."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.face.matte import SPEC
from export.face_detector import averaged
from export.files import prove, write
from training.networks.matte import MatteNetwork, MatteStep

TOLERANCE: Final = 1e-2
"""Of a matte in 0..1; weights that are rounded to 11 bits cost about a thousandth."""


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
    store_in_half(args.out)
    worst = prove(step, SPEC, args.out, TOLERANCE, steps=5)
    sys.stdout.write(f"{args.out}  {args.out.stat().st_size / 1e6:.2f} MB, equal to {worst:.1g}\n")
    return 0


def store_in_half(path: Path) -> None:
    """Keep the weights of a network file in float16, to be read as float32 when it is loaded: half the size."""
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(path))
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), name + ".half"))
        casts.append(onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
