"""PD-FGC's networks as the engine runs them, and the folder that the renderer `pdfgc` reads.

Only what a picture needs is exported: no classifier of identities, no lip head
beside the sound's, no mapping network. Normalisations are folded into the
convolutions before them, the modulations of all layers are one matrix with
their scales in it, noise is the maps that travel with the weights.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.contract.graph import GraphSpec, TensorSpec
from engine.errors import ModelError
from engine.render.pdfgc.latent import Gains
from engine.render.pdfgc.networks import GAINS, Sizes, gains_of, specs
from engine.runtime.model_file import file_name, manifest_of
from export.bars import Bar, Bars
from export.exporting import export, remove_others
from export.files import Network, digest, list_in_manifest
from training.networks.pdfgc import bundle
from training.networks.pdfgc.bridge import Agreed, Bridge
from training.networks.pdfgc.config import PRESETS, Widths
from training.networks.pdfgc.ruled import ruled
from training.pdfgc.codes import code_matrix
from training.pdfgc.networks import Networks
from training.pdfgc.train import averaged_weights
from training.tracker.fitting import averaged

_torch: Any = torch  # its own annotations of arrays are partial
BUNDLE: Final = "pdfgc.safetensors"
FOLDER: Final = Path("out/pdfgc-networks")
"""Where the networks are put, and taken from where no run is given."""
FILES: Final = ("appearance", "audio", "motion", "generator")
"""What the renderer reads; the generator with coded pictures is for GPUs, and asked for by its name."""
AS_TRAINED: Final = Gains(1, 1, 1, 1)
"""The published gains are those of the published networks; ours are trained at 1."""
BARS: Final[Mapping[str, Bars]] = {
    "appearance": {"feature": Bar(0.01), "map": Bar(0.01)},
    "audio": {"lips": Bar(0.01)},
    "motion": {"expression": Bar(0.01), "eyes": Bar(0.01), "pose": Bar(0.01)},
    "generator": {"image": Bar(40, "dB")},
    "generator-i420": {"i420": Bar(2, "levels")},
    "bridge": {"lips": Bar(0.01), "expression": Bar(0.01), "eyes": Bar(0.01), "pose": Bar(0.01)},
}


def write_all(
    networks: Networks, folder: Path, gains: Gains, licence: str = "Apache-2.0", *, stored_in_half: bool = False
) -> None:
    """Write all that the renderer reads of networks, an ONNX file for each, proved equal, and say so.

    Raises:
        ModelError: if a file cannot be written, or differs from its network.
    """
    settle(networks, folder, gains)
    for name, network in steps_of(networks, licence).items():
        if name in FILES:
            export(network, folder, stored_in_half=stored_in_half)


def settle(networks: Networks, folder: Path, gains: Gains) -> None:
    """Write what belongs to networks besides their files: their weights as one file, from which they can be exported again,
    and the gains of their latents. What a folder held for other networks is removed, and said so: a bridge, whose latents
    were theirs, and the generator with coded pictures, which a GPU would draw with.

    Raises:
        ModelError: if a file cannot be written.
    """
    ours, held = steps_of(networks), manifest_of(folder) or {}
    remove_others(folder, "pdfgc-generator-i420", digest(ours["generator-i420"].module))
    for name in ("motion", "generator"):
        before = held.get(file_name(ours[name].spec.name), {}).get("source")
        if before not in (None, digest(ours[name].module)):
            remove_others(folder, "pdfgc-bridge")
    bundle.save(folder / BUNDLE, networks.widths, networks.state_dict())
    list_in_manifest(folder / BUNDLE)
    (folder / GAINS).write_text(json.dumps({"gains": astuple(gains)}) + "\n")


def of_source(source: Path) -> Networks:
    """The networks of a run folder, averaged, or of a folder with their bundle.

    Raises:
        ModelError: if it holds neither.
    """
    return _of_source(source.resolve(), str(source))


@cache
def _of_source(source: Path, name: str) -> Networks:
    if _has_bundle(source):
        widths, weights = bundle.load(source / BUNDLE)
        return Networks.filled(widths, weights, name)
    return Networks.filled(widths_of(source), averaged_weights(source), name)


def _has_bundle(source: Path) -> bool:
    """Whether a folder is one of networks, not of a run."""
    return (source / BUNDLE).exists() and not (source / "options.json").exists()


@cache
def ruled_networks(widths: Widths) -> Networks:
    """The networks with weights by rule: of any widths, the same everywhere."""
    networks = Networks(replace(widths, published=False, appearance=replace(widths.appearance, identities=0)))
    weights: dict[str, Tensor] = {}
    for name, network in networks.named_children():
        drawn = ruled(f"net_{name}", {key: tuple(value.shape) for key, value in network.state_dict().items()})
        weights |= {f"{name}.{key}": _torch.from_numpy(value) for key, value in drawn.items()}
    return Networks.filled(networks.widths, weights, "the rule")


def beside(source: Path, folder: Path) -> None:
    """See `settle`: of a run, or of a folder with its own gains."""
    if source.resolve() != folder.resolve():
        settle(of_source(source), folder, gains_of(source) if _has_bundle(source) else AS_TRAINED)


def part(name: str, source: Path) -> Network:
    """One of the networks of a run folder, or of a folder with their bundle."""
    return steps_of(of_source(source))[name]


def bridge(run: Path | None) -> Network:
    """The bridge of a run; without one, the agreement that pre-trained networks keep to."""
    module = Agreed(code_matrix()) if run is None else averaged(run, Bridge(), "pdfgc-bridge")
    return bridge_network(module)


def bridge_network(module: nn.Module) -> Network:
    """A bridge as it is run."""
    return Network(module.eval(), specs()["bridge"], BARS["bridge"])


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


def steps_of(networks: Networks, licence: str = "Apache-2.0") -> dict[str, Network]:
    """What becomes a file, by name."""
    widths = networks.widths
    sizes = Sizes(widths.size, widths.encoder_size, widths.latent.appearance, widths.generator.channels[0], widths.start)
    steps: dict[str, nn.Module] = {
        "appearance": AppearanceStep(networks),
        "audio": AudioStep(networks),
        "motion": MotionStep(networks),
        "generator": GeneratorStep(networks),
    }
    networks_of = {name: Network(step.eval(), specs(sizes)[name], BARS[name], licence) for name, step in steps.items()}
    generator, coded = networks_of["generator"], TensorSpec("i420", (1, widths.size * 3 // 2, widths.size), "uint8")
    spec = GraphSpec(f"{generator.spec.name}_i420", generator.spec.inputs, (coded,))
    module = CodedStep(generator.module).eval()
    return {**networks_of, "generator-i420": Network(module, spec, BARS["generator-i420"], licence, Bar(1, "levels"))}


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
    """Latent and map to a picture, with frozen noise, and with the styles of all layers by one matrix."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.generator = networks.generator
        self.generator.freeze()
        modulations = self.generator.modulations()
        self.lengths = [len(modulation.bias) for modulation in modulations]
        self.weight: Tensor
        self.bias: Tensor
        with torch.no_grad():
            self.register_buffer("weight", torch.cat([each.weight * each.scale for each in modulations]), persistent=False)
            self.register_buffer("bias", torch.cat([each.bias for each in modulations]), persistent=False)

    def forward(self, latent: Tensor, start: Tensor) -> Tensor:
        """[1, 2590] and [1, 512, 7, 7] to [1, 3, S, S] in -1..1."""
        styles = torch.split(functional.linear(latent, self.weight, self.bias), self.lengths, 1)
        return self.generator.synthesise(styles, start, self.generator.frozen_noise())


class CodedStep(nn.Module):
    """A generator whose pictures leave it as encoders take them, so that no float leaves a GPU."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latent: Tensor, start: Tensor) -> Tensor:
        """[B, 2590] and [B, 512, 7, 7] to I420 uint8[B, S * 3 / 2, S], BT.601 limited range as `engine.render.colour`."""
        levels = torch.floor((self.generator(latent, start).clamp(-1, 1) + 1) / 2 * 255)  # `to_8bit`
        corners = levels[:, :, ::2, ::2]  # OpenCV takes the colour of four pixels from the first
        planes = [_plane(levels, _Y, 16), _plane(corners, _U, 128), _plane(corners, _V, 128)]
        side = levels.shape[3]
        return torch.cat(planes, 1).view(-1, side * 3 // 2, side).to(torch.uint8)


_Y, _U, _V = (269484, 528482, 102760), (-155188, -305135, 460324), (460324, -385875, -74448)
"""Shares of red, green and blue in 2**20."""


def _plane(levels: Tensor, shares: tuple[int, int, int], zero: int) -> Tensor:
    """[B, H * W] of [B, 3, H, W], rounded."""
    parts = [levels[:, colour] * (share / (1 << 20)) for colour, share in enumerate(shares)]
    return torch.floor(parts[0] + parts[1] + parts[2] + (zero + 0.5)).flatten(1)
