"""`--device` of `serve` and `render`, and what `doctor` says of it: where the networks of a renderer run, and why there."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streaming.cli.finding import Finding

if TYPE_CHECKING:
    from engine.runtime.placement import Backend

FREE_WANTED_GB = 2.0
"""Of a GPU's memory: PD-FGC's engines in all batch sizes."""


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option to a command."""
    parser.add_argument(
        "--device",
        type=device_named,
        default="auto",
        metavar="auto|cpu|cuda:N",
        help="where pdfgc's networks run; auto: on a GPU if there is one that can, see mien doctor (default auto)",
    )


def finding() -> Finding:
    """Where `auto` runs networks, why not better, and the command that mends it."""
    from engine.runtime import cuda, placement

    found = placement.backends()
    best = next(backend for backend in found if not backend.why_not)
    better = found[: found.index(best)]
    lines = [f"auto runs networks by {best}", *_reasons(better)]
    cure = better[0].why_not.rpartition(": ")[2] if better else ""
    if best.device == placement.CPU:
        no_gpu = cuda.LIBRARY in lines[-1]  # which is no fault
        return Finding("device", "ok" if no_gpu else "optional", "\n".join(lines), "" if no_gpu else cure)
    gpu = cuda.gpu()
    free_gb, total_gb = (size / 1e9 for size in gpu.memory())
    knows = ".".join(map(str, gpu.driver.version))
    lines[0] += f": {gpu.name}, {free_gb:.1f} of {total_gb:.1f} GB free, driver for CUDA {knows}"
    if free_gb < FREE_WANTED_GB:
        cure = "end what fills the GPU's memory: nvidia-smi lists it"
    return Finding("device", "optional" if cure else "ok", "\n".join(lines), cure)


def _reasons(passed_over: "Sequence[Backend]") -> list[str]:
    """Why each was passed over; once, if all for one reason."""
    reasons: dict[str, list[str]] = {}
    for backend in passed_over:
        reasons.setdefault(backend.why_not, []).append(backend.name)
    return [f"not by {' or '.join(names)}: {reason}" for reason, names in reasons.items()]


def device_named(text: str) -> str:
    """A device of the command line, for argparse."""
    from engine.runtime.placement import device_of  # heavy

    try:
        return device_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
