"""`--renderer`, `--models`, `--device`, `--look-ahead-ms`, `--canonical` of `serve` and `render`: what draws, where, how."""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import DeviceError, MienError, ModelError
from streaming.cli import device
from streaming.contract import LOOK_AHEAD_MS, LOOK_AHEADS_MS

log = logging.getLogger(__name__)

LOOK_AHEAD_OF: Final[Mapping[str, int]] = {"mesh": LOOK_AHEAD_MS, "pdfgc": 160}
"""How far ahead each renderer's lips hear unless something else is asked for, in ms."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose; `canonical` are factors of the latent, see `engine.render.pdfgc.latent.FACTORS`."""

    renderer: str
    models: Path | None
    device: str
    look_ahead_ms: int
    canonical: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    parser.add_argument(
        "--renderer", choices=tuple(LOOK_AHEAD_OF), default="mesh", help="what draws; pdfgc needs --models (default mesh)"
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="networks of pdfgc, see mien export")
    device.add_argument(parser)
    parser.add_argument(
        "--look-ahead-ms",
        type=int,
        choices=LOOK_AHEADS_MS,
        help="how far the lips may look ahead: less is sooner, more is better spoken; default "
        + ", ".join(f"{name} {ahead}" for name, ahead in LOOK_AHEAD_OF.items()),
    )
    parser.add_argument(
        "--canonical", metavar="FACTOR,...", help="pdfgc: hold lips, expression, gaze, blink or pose in canonical position"
    )


def chosen(args: argparse.Namespace) -> Choice:
    """What these options say.

    Raises:
        ModelError: if the renderer's networks are missing.
        DeviceError: if they cannot run where they are to.
        MienError: if the renderer knows no such factors.
    """
    name, models = str(args.renderer), args.models
    ahead = LOOK_AHEAD_OF[name] if args.look_ahead_ms is None else int(args.look_ahead_ms)
    if name == "pdfgc":
        _check_pdfgc(models, args.device, ahead)
    elif args.device.startswith("cuda"):
        raise DeviceError(f"--device {args.device} is for --renderer pdfgc; {name} draws on the CPU")
    elif models is not None:
        raise ModelError(f"--models is for --renderer pdfgc; {name} needs no folder of networks")
    return Choice(name, models, args.device, ahead, _canonical(name, args.canonical))


def _canonical(renderer: str, words: str | None) -> tuple[str, ...]:
    if not words:
        return ()
    if renderer != "pdfgc":
        raise MienError(f"--canonical is for --renderer pdfgc; {renderer} holds factors still (on the page, --pose-from still)")
    from engine.render.pdfgc.latent import FACTORS  # heavy

    held = tuple(words.split(","))
    if unknown := set(held) - set(FACTORS):
        raise MienError(f"--canonical knows no {min(unknown)!r}; there are {', '.join(FACTORS)}")
    return held


def _check_pdfgc(models: Path | None, where: str, look_ahead_ms: int) -> None:
    from engine.render.pdfgc.lips import NEEDS_MS  # heavy
    from engine.render.pdfgc.networks import CURE, found
    from engine.runtime import placement

    if models is None:
        raise ModelError(f"--renderer pdfgc needs its networks, --models DIR: {CURE}")
    log.info("networks run by %s", placement.chosen(where))
    if "bridge" not in found(models):
        log.warning(
            "%s holds no pdfgc_bridge.onnx: sound moves the lips, a camera or a clip of --driving the rest, and controls "
            "nothing; train one with python -m training pdfgc-bridge --models %s",
            models,
            models,
        )
    if look_ahead_ms < NEEDS_MS:
        log.warning("with --look-ahead-ms %d the lips come %.0f ms late", look_ahead_ms, NEEDS_MS - look_ahead_ms)
