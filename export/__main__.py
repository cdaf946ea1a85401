"""`python -m export NAME`: a trained network becomes a file that the engine runs."""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from engine.errors import MienError

NETWORKS: Final[Mapping[str, tuple[str, str]]] = {
    "voice": ("export.voice", "the mouth network: engine/models/voice.onnx"),
    "head": ("export.head", "the head motion learner and its encoder: engine/models/head*.onnx"),
    "face-detector": ("export.face_detector", "the face detector: engine/models/face_detect.onnx"),
    "face-matte": ("export.face_matte", "the person matte: engine/models/face_matte.onnx"),
    "pdfgc": ("export.pdfgc", "PD-FGC's networks of a run: the folder that the renderer pdfgc reads"),
    "import-pdfgc": ("export.import_pdfgc", "the published PD-FGC checkpoints: the same folder"),
    "pdfgc-bridge": ("export.pdfgc_bridge", "controls to PD-FGC's latents: pdfgc_bridge.onnx beside its networks"),
    "face": ("export.face", "the face tracker's networks: engine/models/face_*.onnx"),
}
"""Module with `add_arguments(parser)` and `main(args) -> int`, and what it makes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Export one network; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in NETWORKS:
        lines = [f"  {name:15}{summary}" for name, (_, summary) in NETWORKS.items()]
        text = "\n".join(["usage: python -m export NAME [OPTION ...]", "", *lines, ""])
        asked = bool(words) and words[0] not in ("-h", "--help")
        (sys.stderr if asked else sys.stdout).write((f"export: there is no network '{words[0]}'\n" if asked else "") + text)
        return 2 if asked else 0
    module = importlib.import_module(NETWORKS[words[0]][0])
    parser = argparse.ArgumentParser(prog=f"python -m export {words[0]}", description=NETWORKS[words[0]][1])
    module.add_arguments(parser)
    try:
        return module.main(parser.parse_args(words[1:]))
    except MienError as error:
        sys.stderr.write(f"export: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
