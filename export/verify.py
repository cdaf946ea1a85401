"""`./mien export verify`: is a network the same wherever it runs, and FP16 near enough? A table, one line a bar.

PyTorch = ONNX Runtime: float32, on one core each, the same inputs and states.
streaming = offline: step by step in ONNX Runtime against the whole sound at once in PyTorch.
batch = one by one: a file for several samples against the file for one.
FP16: what rounding after every operator costs, FP32 islands apart (`export.half`).
FP16 file: the file for GPUs, run by ONNX Runtime; its CPU kernels round less.
TensorRT, ONNX Runtime CUDA: the FP16 file on a GPU, where there is one.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch

from engine.contract.graph import TensorSpec
from engine.runtime import placement
from engine.runtime.model_file import file_name
from export import offline, pdfgc
from export.bars import Arrays, Bar, Bars, measured
from export.exporting import count_of, islands_of
from export.files import Network, Run, answers, by_onnx, exactness, model_of, save
from export.half import halved
from export.table import ROWS, Row, rows_of
from training.networks.pdfgc.config import PRESETS, Widths

BATCH: Final = 4
STEPS: Final = 20
"""Of the streams in a batch."""
OFFLINE: Final[Mapping[str, Callable[[Network, Sequence[Arrays]], list[Arrays]]]] = {
    "voice": offline.voice,
    "head": offline.head,
}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table."""

    network: str
    what: str
    output: str
    measured: float
    bar: Bar

    @property
    def kept(self) -> bool:
        """Whether the bar is kept; what is no number keeps none."""
        return self.bar.excess(self.measured) <= 1

    def cells(self) -> tuple[str, ...]:
        """As words."""
        return (
            self.network, self.what, self.output, f"{self.measured:.2g}" if self.bar.unit != "dB" else f"{self.measured:.1f}",
            str(self.bar), "kept" if self.kept else "MISSED",
        )  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("network", nargs="?", default="all", choices=["all", *_names()], metavar="NAME", help="default: all")
    parser.add_argument("--run", type=Path, help="run folder, or folder of PD-FGC's networks (default: what ships)")
    parser.add_argument("--widths", choices=sorted(PRESETS), default="pdfgc-lite", help="of PD-FGC, with weights by rule")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="as a table of Markdown")


def main(args: argparse.Namespace) -> int:
    """Print the table; return 1 if a bar is missed."""
    torch.set_num_threads(args.threads)
    checks: list[Check] = []
    lines = _Lines(markdown=args.markdown)
    for row in rows_of(args.network):
        with TemporaryDirectory() as folder:
            for check in checks_of(row, opened(row, args.run, PRESETS[args.widths]), Path(folder)):
                checks.append(check)
                lines.say(check.cells())
    missed = sum(not check.kept for check in checks)
    sys.stdout.write(f"\n{len(checks)} bars, {missed} missed\n")
    return 1 if missed else 0


def opened(row: Row, run: Path | None, widths: Widths) -> Network:
    """The network to verify: of a run, or what ships, or, of PD-FGC, with weights by rule."""
    if run is None and row.source is not None:
        return pdfgc.steps_of(pdfgc.ruled_networks(widths))[row.name.removeprefix("pdfgc-")]
    return row.open(run)


def checks_of(row: Row, network: Network, folder: Path, count: int | None = None) -> Iterator[Check]:
    """All checks of a network, on so many probes; files are written into the folder."""
    judged = _Judged(row, network, row.probes(network.spec, count or count_of(network)))
    for what, bars, errors in (*judged.whole(), *judged.in_half(folder)):
        yield from (Check(row.name, what, name, errors[name], bar) for name, bar in bars.items())


Result = tuple[str, Bars, Mapping[str, float]]
"""What was compared, the bars, and the errors of each."""


class _Judged:
    """A network, its float32 model, and what that says of the probes."""

    def __init__(self, row: Row, network: Network, probes: Sequence[Arrays]) -> None:
        self._row, self._network, self._probes = row, network, probes
        self._model = model_of(network)
        self._run = by_onnx(self._model)

    def whole(self) -> Iterator[Result]:
        """In float32."""
        row, network, spec = self._row, self._network, self._network.spec
        outputs = dict.fromkeys([tensor.name for tensor in spec.outputs], network.exact)
        every = outputs | dict.fromkeys([tensor.name for tensor in spec.states], network.exact)
        yield "PyTorch = ONNX Runtime", every, exactness(network, self._model, self._probes)
        if row.name in OFFLINE:
            still = [{**probe, **{name: self._probes[0][name] for name in probe if name == "style"}} for probe in self._probes]
            live = answers(self._run, spec, still)
            yield "streaming = offline", outputs, measured(outputs, live, OFFLINE[row.name](network, still))
        yield f"batch of {BATCH} = one by one", outputs, batch_errors(row, network, self._run, outputs)

    def in_half(self, folder: Path) -> Iterator[Result]:
        """In FP16 against float32, on every device that there is."""
        bars, spec = self._network.bars, self._network.spec
        wanted = answers(self._run, spec, self._probes)
        islands, errors = islands_of(self._network, self._probes)
        yield f"FP16 ({len(islands)} in FP32)", bars, errors
        half = halved(self._model, islands)
        yield "FP16 file", bars, measured(bars, answers(by_onnx(half), spec, self._probes), wanted)
        path = folder / file_name(spec.name, half=True)
        save(half, path)
        for backend in placement.backends():
            if backend.device != placement.CPU and not backend.why_not:
                found = answers(backend.load(path, 1).run, spec, self._probes)
                yield backend.name, bars, measured(bars, found, wanted)


def batch_errors(row: Row, network: Network, alone: Run, bars: Bars) -> dict[str, float]:
    """How far a batch is from its samples one by one, each with a state of its own."""
    one, many = network.spec, network.spec.batched(BATCH)
    probes = row.probes(many, STEPS if one.states else 1)
    whole = answers(by_onnx(model_of(network, BATCH)), many, probes)
    takes, gives = {tensor.name: tensor for tensor in one.inputs}, {tensor.name: tensor for tensor in one.outputs}
    found, wanted = list[Arrays](), list[Arrays]()
    for sample in range(BATCH):
        own = [_sample(probe, takes, sample) for probe in probes]
        wanted += [{name: said[name] for name in gives} for said in answers(alone, one, own)]
        found += [_sample(said, gives, sample) for said in whole]
    return measured(bars, found, wanted)


def _sample(arrays: Arrays, tensors: Mapping[str, TensorSpec], number: int) -> Arrays:
    """One sample of a batch."""
    return {
        name: np.ascontiguousarray(np.split(arrays[name], BATCH, axis=tensor.axis)[number]) for name, tensor in tensors.items()
    }


def _names() -> list[str]:
    return [*(row.name for row in ROWS), *sorted({row.group for row in ROWS if row.group})]


class _Lines:
    """A table, line by line."""

    WIDTHS: Final = (18, 24, 12, 10, 18, 6)

    def __init__(self, *, markdown: bool) -> None:
        self._markdown = markdown
        self.say(("network", "what", "output", "measured", "bar", ""))
        if markdown:
            self.say(("---",) * len(self.WIDTHS))

    def say(self, cells: tuple[str, ...]) -> None:
        padded = (cell.ljust(width) for cell, width in zip(cells, self.WIDTHS, strict=True))
        sys.stdout.write((f"| {' | '.join(cells)} |" if self._markdown else "  ".join(padded).rstrip()) + "\n")
        sys.stdout.flush()
