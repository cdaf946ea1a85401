"""Suite `pdfgc`: what does a frame of PD-FGC cost on a CPU as mien runs it, and as the public code runs the same networks?

As the public code: PyTorch, eager, batches of eight frames, the motion encoder
once for each of pose, expression and eyes, all its heads, the audio encoder,
the generator with its frozen noise. As mien: the exported files in ONNX
Runtime, a frame at a time, the motion encoder once, as one camera drives all
three. Appearance is encoded once per identity by both and not counted. Both
have the same two threads and take turns, so that a slow minute meets both; wall
time. Weights are random. Control: both must draw the same picture.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.metrics import Distribution, Metric
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from engine.runtime.ort import OrtGraph
from export.files import model_of, save
from export.pdfgc import steps_of
from training.networks.pdfgc.config import PDFGC_224, PDFGC_LITE, Widths
from training.pdfgc.networks import Networks

THREADS: Final = 2
BATCH: Final = 8
"""Frames at a time in the public code."""
PASSES: Final = 3
"""Of the motion encoder there: pose, expression, eyes."""
BAR: Final = Bar("", low=1.5)
TOLERANCE: Final = 1e-3
MINIMUM: Final = 3  # turns
PARTS: Final = ("motion", "audio", "generator")
_torch: Any = torch  # its own annotations are partial

Work = Callable[[], object]


@dataclass(slots=True)
class Contestant:
    """A way to make a frame: its parts, how many frames one call makes, and what the calls took per frame."""

    parts: dict[str, Work]
    frames: int
    taken_ms: dict[str, list[float]]

    def turn(self) -> None:
        """Make frames once."""
        for name, work in self.parts.items():
            began = time.perf_counter()
            work()
            self.taken_ms[name].append((time.perf_counter() - began) * 1000 / self.frames)

    def whole_ms(self) -> list[float]:
        """Of all parts, per turn."""
        return [sum(parts) for parts in zip(*self.taken_ms.values(), strict=True)]


def run_suite(seconds: float) -> Outcome:
    """Measure the published sizes and the lite ones, each for `seconds`, and at least three turns."""
    _torch.set_num_threads(THREADS)
    outcome = Outcome({"threads": THREADS, "batch_public": BATCH, "motion_passes_public": PASSES, "torch": torch.__version__})
    for name, widths in (("224", replace(PDFGC_224, published=False)), ("lite", PDFGC_LITE)):
        with tempfile.TemporaryDirectory() as folder:
            _report(outcome, name, *_race(name, widths, Path(folder), seconds, outcome))
    return outcome


def _race(name: str, widths: Widths, folder: Path, seconds: float, outcome: Outcome) -> tuple[Contestant, Contestant]:
    _torch.manual_seed(1)
    networks = Networks(widths).eval().requires_grad_(False)
    graphs = _exported(networks, folder)
    inputs = {
        name: {key: np.asarray(value) for key, value in graph.spec.fake_inputs(1).items()} for name, graph in graphs.items()
    }
    public, ours = _public(networks, inputs), _ours(graphs, inputs)
    difference = float(np.abs(_picture(public) - _picture(ours)).max())
    if not difference <= TOLERANCE:
        outcome.failures.append(f"{name}: the two pictures differ by {difference:.2g}")
    progress, began, turns = ProgressBar(f"pdfgc {name}"), time.perf_counter(), 0
    while turns < MINIMUM or time.perf_counter() - began < seconds:
        public.turn()
        for _ in range(BATCH):
            ours.turn()
        turns += 1
        progress(min(turns / MINIMUM, (time.perf_counter() - began) / max(seconds, 1e-3)))
    return public, ours


def _exported(networks: Networks, folder: Path) -> dict[str, OrtGraph]:
    graphs: dict[str, OrtGraph] = {}
    for name, network in steps_of(networks).items():
        if name in PARTS:
            save(model_of(network), folder / f"{name}.onnx")
            graphs[name] = OrtGraph.load(folder / f"{name}.onnx", THREADS)
    return graphs


def _public(networks: Networks, inputs: dict[str, dict[str, NDArray[Any]]]) -> Contestant:
    def many(name: str, key: str) -> Any:
        value = _torch.from_numpy(inputs[name][key])
        return value.repeat(BATCH, *[1] * (value.ndim - 1))

    image, mel = many("motion", "image"), many("audio", "mel")
    latent, start = many("generator", "latent"), many("generator", "map")
    noise = networks.generator.frozen_noise()
    parts: dict[str, Work] = {
        "motion": lambda: [networks.motion(image) for _ in range(PASSES)],
        "audio": lambda: networks.audio(mel),
        "generator": lambda: networks.generator(latent, start, noise)[:1].numpy(),
    }
    return Contestant(
        {name: _torch.inference_mode()(work) for name, work in parts.items()}, BATCH, {name: [] for name in PARTS}
    )


def _ours(graphs: dict[str, OrtGraph], inputs: dict[str, dict[str, NDArray[Any]]]) -> Contestant:
    parts: dict[str, Work] = {name: lambda name=name: graphs[name].run(inputs[name]) for name in PARTS}
    parts["generator"] = lambda: graphs["generator"].run(inputs["generator"])["image"]
    return Contestant(parts, 1, {name: [] for name in PARTS})


def _picture(contestant: Contestant) -> Any:
    """What its generator draws; every part has been run once by then."""
    return [work() for work in contestant.parts.values()][-1]


def _report(outcome: Outcome, name: str, public: Contestant, ours: Contestant) -> None:
    found = {"public": public.whole_ms(), "ours": ours.whole_ms()}
    ratio = float(np.median(found["public"]) / np.median(found["ours"]))
    outcome.rows.append(Row(f"{name}: as the public code, ms a frame", Distribution.of(found["public"])))
    outcome.rows += [Row(f"  {part}", Distribution.of(public.taken_ms[part])) for part in PARTS]
    outcome.rows.append(Row(f"{name}: as mien, ms a frame", Distribution.of(found["ours"])))
    outcome.rows += [Row(f"  {part}", Distribution.of(ours.taken_ms[part])) for part in PARTS]
    outcome.rows.append(Row(f"{name}: times faster", ratio, (BAR,) if name == "224" else (), "of the medians"))
    per_part: dict[str, Metric] = {part: Distribution.of(ours.taken_ms[part]) for part in PARTS}
    outcome.metrics |= {
        f"pdfgc_{name}_public_ms": Distribution.of(found["public"]),
        f"pdfgc_{name}_ms": Distribution.of(found["ours"]),
        f"pdfgc_{name}_parts_ms": per_part,
        f"pdfgc_{name}_ratio": ratio,
    }
