"""`./mien export engines`: TensorRT's engines of all networks, before anybody waits for them.

`tensorrt_rtx` builds them without a GPU, which proves that every network can be
built; they are thrown away then. With a GPU they go to the user's cache, where
`serve` finds them: engines are programs, and are read from nowhere else.
"""

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import MienError, ModelError
from engine.runtime import engines, placement
from engine.runtime.model_file import read_model
from engine.runtime.trt import TrtGraph

SHIPPED: Final = Path("engine/models")
LIMIT_S: Final = 60.0
"""What one engine may take: a first session waits for it."""
_BAR: Final = 20  # characters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[SHIPPED], metavar="DIR|FILE", help="networks, or folders of them"
    )
    parser.add_argument(
        "--device", type=placement.device_of, default=placement.AUTO, help="auto, cpu (build, keep none), cuda:N"
    )


def main(args: argparse.Namespace) -> int:
    """Build all; 1 if one cannot be built, or takes too long."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # how far an engine for a GPU is
    keep = _gpu(args.device)
    where = "the user's cache" if keep is not None else "no place, as there is no GPU to run them on"
    _say(f"engines by {engines.library().name} {engines.library().version}, kept in {where}")
    failed = 0
    for path in _files(args.models):
        began = time.perf_counter()
        try:
            size = _build(path, keep)
        except MienError as error:
            failed += 1
            _say(f"{path.name:40} FAILED: {error}")
            continue
        took = time.perf_counter() - began
        failed += took > LIMIT_S
        _say(f"{path.name:40}{took:7.2f} s{size:>10}{'   too long' if took > LIMIT_S else ''}")
    return int(failed > 0)


def _gpu(device: str) -> int | None:
    """The GPU that the engines are for; None where they are only tried.

    Raises:
        DeviceError: if a GPU was asked for that cannot be used.
    """
    found = next((b for b in placement.backends(device) if b.name == "TensorRT" and not b.why_not), None)
    if found is None and device not in (placement.AUTO, placement.CPU):
        placement.chosen(device)
    return int(found.device.partition(":")[2]) if found else None


def _build(path: Path, gpu: int | None) -> str:
    if gpu is not None:
        TrtGraph.load(path, gpu)
        return "in use"
    built, _ = engines.build(read_model(path), engines.library(), _show if sys.stderr.isatty() else engines.silent)
    return f"{len(built) / 1e6:.1f} MB"


def _files(given: list[Path]) -> Iterator[Path]:
    """The networks' files, smallest first.

    Raises:
        ModelError: if there are none.
    """
    files = {path for place in given for path in (place.glob("*.onnx") if place.is_dir() else [place])}
    if not files:
        raise ModelError(f"there are no networks in {', '.join(map(str, given))}: ./mien export all makes some")
    missing = sorted(path for path in files if not path.exists())
    if missing:
        raise ModelError(f"there is no {missing[0]}: ./mien export all makes networks")
    yield from sorted(files, key=lambda path: (path.stat().st_size, path.name))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _show(name: str, share: float) -> None:
    sys.stderr.write(f"\r{name:40}[{'#' * round(_BAR * share):{_BAR}}]" if share < 1 else "\r\x1b[K")
