"""PD-FGC's networks as ONNX: one folder that the renderer `pdfgc` reads.

Only what a picture needs is in the files: no classifier of identities, no lip
head beside the sound's, no mapping network. Normalisations are folded into the
convolutions before them, noise is the maps that travel with the weights.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from engine.contract.graph import GraphSpec
from engine.errors import ModelError
from engine.render.pdfgc.networks import Sizes, specs
from export.files import prove, store_in_half, write
from training.networks.pdfgc import bundle
from training.networks.pdfgc.config import PRESETS, Widths
from training.pdfgc.networks import Networks
from training.pdfgc.train import averaged_weights

TOLERANCE: Final = 1e-3
"""Largest difference between PyTorch and a file, of outputs whose deviation is about 1."""
HALF_TOLERANCE: Final = 0.1
"""The same for weights of 11 bits."""
STEPS: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export pdfgc`."""
    parser.add_argument("--run", type=Path, required=True, help="run folder of python -m training pdfgc")
    parser.add_argument("--out", type=Path, default=Path("out/pdfgc-networks"), help="folder (default: %(default)s)")
    parser.add_argument("--half", action="store_true", help="store weights in half: half the size, the same arithmetic")


def main(args: argparse.Namespace) -> int:
    """Export the averaged weights of a run."""
    widths = widths_of(args.run)
    networks = Networks.filled(widths, averaged_weights(args.run), str(args.run))
    write_all(networks, args.out, half=args.half)
    # the published gains are those of the published networks; ours are trained at 1
    (args.out / "pdfgc.json").write_text(json.dumps({"gains": [1.0, 1.0, 1.0, 1.0]}) + "\n")
    return 0


def widths_of(run: Path) -> Widths:
    """The widths that a run folder was trained with.

    Raises:
        ModelError: if the folder does not say.
    """
    try:
        options: dict[str, Any] = json.loads((run / "options.json").read_text())["options"]
        widths = PRESETS[options["widths"]]
        return widths.at(options["size"]) if options["size"] else widths
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"{run} is no run of python -m training pdfgc ({type(error).__name__}: {error})") from error


def write_all(networks: Networks, folder: Path, *, half: bool = False) -> None:
    """Write the bundle and an ONNX file for each network, prove each equal, and say so.

    Raises:
        ModelError: if a file cannot be written, or differs from its network.
    """
    path = folder / "pdfgc.safetensors"
    bundle.save(path, networks.widths, networks.state_dict())
    _say(path)
    for name, (step, spec) in steps_of(networks).items():
        path = folder / f"pdfgc_{name}.onnx"
        try:
            write(step, spec, path)
            if half:
                store_in_half(path)
        except OSError as error:
            raise ModelError(f"cannot write {path} ({error.strerror}): is the disk full?") from error
        worst = prove(step, spec, path, HALF_TOLERANCE if half else TOLERANCE, STEPS)
        _say(path, f", equal to {worst:.1g}")


def steps_of(networks: Networks) -> dict[str, tuple[nn.Module, GraphSpec]]:
    """What becomes a file, by name, with its signature."""
    widths = networks.widths
    sizes = Sizes(widths.size, widths.encoder_size, widths.latent.appearance, widths.generator.channels[0], widths.start)
    steps: dict[str, nn.Module] = {
        "appearance": AppearanceStep(networks),
        "audio": AudioStep(networks),
        "motion": MotionStep(networks),
        "generator": GeneratorStep(networks),
    }
    return {name: (step.eval(), specs(sizes)[name]) for name, step in steps.items()}


class AppearanceStep(nn.Module):
    """A portrait to its feature and map; no identities."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.encoder = networks.appearance

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[1, 3, S, S] to [1, 2048] and [1, 512, 7, 7]."""
        found = self.encoder(image)
        return found.feature, found.map


class AudioStep(nn.Module):
    """A mel window to lips."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.encoder = networks.audio

    def forward(self, mel: Tensor) -> Tensor:
        """[1, 1, 80, 20] to [1, 500]."""
        return self.encoder(mel).lip


class MotionStep(nn.Module):
    """A driving picture to expression, eyes and pose; no lips, which the sound gives."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.encoder = networks.motion

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[1, 3, S, S] to [1, 30], [1, 6] and [1, 6]."""
        unified = self.encoder.unify(image)
        return self.encoder.expression(unified), self.encoder.eye(unified), self.encoder.pose(unified)


class GeneratorStep(nn.Module):
    """Latent and map to a picture, with frozen noise."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.generator = networks.generator
        self.generator.freeze()

    def forward(self, latent: Tensor, start: Tensor) -> Tensor:
        """[1, 2590] and [1, 512, 7, 7] to [1, 3, S, S] in -1..1."""
        return self.generator(latent, start, self.generator.frozen_noise())


def _say(path: Path, words: str = "") -> None:
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB{words}\n")
    sys.stdout.flush()
