"""The published PD-FGC checkpoints, which are pickles, become safetensors and ONNX.

The pickles are read with `weights_only`: they hold tensors, or they are
refused. Their keys must be the published ones; what the public loader skips is
skipped here too.
"""

import argparse
import pickle
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from engine.errors import ModelError
from engine.render.pdfgc.latent import Gains
from export.pdfgc import FOLDER, write_all
from training.networks.pdfgc.appearance import AppearanceEncoder
from training.networks.pdfgc.audio import AudioEncoder
from training.networks.pdfgc.config import PDFGC_224, Widths
from training.networks.pdfgc.generator import Generator
from training.networks.pdfgc.motion import MotionEncoder
from training.pdfgc.networks import Networks

_torch: Any = torch  # its own annotations of loading are partial
LICENCE: Final = "that of the published PD-FGC checkpoints"
_WRAPPERS: Final = ("state_dict", "model", "net", "network", "params", "weights")
_SHOWN: Final = 3  # keys in an error's line


_CLASSIFIERS: Final = r"(?!.*model).*fc"
"""Keys with "fc" in them, but not "model": what classifies identities."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One of the published files: whose weights it holds, and which keys may be there, or not, and are left out."""

    network: type[AppearanceEncoder | MotionEncoder | AudioEncoder | Generator]
    skipped: re.Pattern[str]


CHECKPOINTS: Final[Mapping[str, Checkpoint]] = {
    "appearance": Checkpoint(AppearanceEncoder, re.compile(_CLASSIFIERS)),
    "motion": Checkpoint(MotionEncoder, re.compile(r"mouth_fc|headpose_fc|classifier|to_feature|to_embed")),
    "audio": Checkpoint(AudioEncoder, re.compile(rf"{_CLASSIFIERS}|model\.(layer4|attention|fc)_exp|exp_embed")),
    "generator": Checkpoint(Generator, re.compile(r"(?!)")),
}
"""By the name that begins their files' names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m export import-pdfgc`."""
    names = ", ".join(f"{name}_model.pth" for name in CHECKPOINTS)
    parser.add_argument("folder", type=Path, metavar="DIR", help=f"holds {names}, or has a folder checkpoints that does")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Convert the four files."""
    convert(args.folder, args.out, PDFGC_224)
    return 0


def convert(folder: Path, out: Path, published: Widths) -> None:
    """Write what the renderer reads into `out`.

    Args:
        folder: of the published files.
        out: made if it is not there.
        published: the widths of the files.

    Raises:
        ModelError: if a file is missing, damaged, or holds something else.
    """
    widths = replace(published, published=False, appearance=replace(published.appearance, identities=0))
    weights: dict[str, Tensor] = {}
    for name, checkpoint in CHECKPOINTS.items():
        path = file_of(folder, name)
        found = checked(path, unwrapped(path, read(path)), shapes(checkpoint, published), checkpoint.skipped)
        kept = shapes(checkpoint, widths)
        weights |= {f"{name}.{key}": value for key, value in found.items() if key in kept}
        sys.stdout.write(f"{path}  {len(found)} tensors, {len(kept)} used\n")
        sys.stdout.flush()
    write_all(Networks.filled(widths, weights, str(folder)), out, Gains(), LICENCE)


def file_of(folder: Path, name: str) -> Path:
    """Where a published file is.

    Raises:
        ModelError: if it is not there.
    """
    for place in (folder, folder / "checkpoints"):
        path = place / f"{name}_model.pth"
        if path.is_file():
            return path
    raise ModelError(
        f"there is no {name}_model.pth in {folder} or in its folder checkpoints: give the folder of all four files"
    )


def read(path: Path) -> Any:
    """What a pickle of tensors holds.

    Raises:
        ModelError: if it is cut short, is no pickle, or holds more than tensors.
    """
    try:
        return _torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} holds more than tensors, or is no checkpoint: {_first_line(error)}") from error
    except Exception as error:  # of a damaged file torch raises whatever its parts meet first
        raise ModelError(f"{path} is damaged or cut short ({_first_line(error)}): download it again") from error


def unwrapped(path: Path, held: Any) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their keys, without what they are wrapped in.

    Raises:
        ModelError: if there are none, or something else is among them.
    """
    if not held or not isinstance(held, dict):
        kind = cast("type[object]", type(held)).__name__
        raise ModelError(f"{path} holds no weights, but a {kind}: expected tensors by their keys")
    outer = cast("dict[Any, Any]", held)
    inner: dict[Any, Any] = next((outer[key] for key in _WRAPPERS if isinstance(outer.get(key), dict)), outer)
    led = all(str(key).startswith("module.") for key in inner)  # as DataParallel names them
    weights: dict[str, Any] = {str(key).removeprefix("module.") if led else str(key): value for key, value in inner.items()}
    others = [key for key, value in weights.items() if not isinstance(value, Tensor)]
    if others:
        kind = type(weights[others[0]]).__name__
        raise ModelError(f"{path} holds things that are no tensors: {_shown(others)} ({kind})")
    return weights


def checked(
    path: Path, weights: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], skipped: re.Pattern[str]
) -> dict[str, Tensor]:
    """`weights` without what is skipped, their keys and shapes being those that are wanted.

    Raises:
        ModelError: if they are not.
    """
    found = {key: value for key, value in weights.items() if not skipped.match(key)}
    needed = {key: shape for key, shape in wanted.items() if not skipped.match(key)}
    for keys, what in ((needed.keys() - found.keys(), "lacks"), (found.keys() - needed.keys(), "has unknown")):
        if keys:
            raise ModelError(f"{path} is not the published file: it {what} {_shown(sorted(keys))}")
    for key, shape in needed.items():
        if found[key].shape != shape:
            is_it, should = ("x".join(map(str, each)) for each in (found[key].shape, shape))
            raise ModelError(f"{path} has other widths than the published file: {key} is {is_it}, not {should}")
    return found


def shapes(checkpoint: Checkpoint, widths: Widths) -> dict[str, torch.Size]:
    """Keys and shapes of a network."""
    network: nn.Module = checkpoint.network(widths)
    return {key: value.shape for key, value in network.state_dict().items()}


def _shown(keys: list[str]) -> str:
    more = len(keys) - _SHOWN
    return ", ".join(keys[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
