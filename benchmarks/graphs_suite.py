"""Suite `graphs`: what does each network cost by each backend, and what share is that of what the device can do?

Every network that ships or was exported, in every batch size that lies beside
it, by every backend that runs here (`--device`). Ends: the call of `run` with
inputs in the host's memory, the outputs there; loading, building and five runs
before are not counted. The ceilings are measured first: a matrix product and a
copy (`benchmarks.ceilings`). The floor is the time of the network's matrix
arithmetic, or of its weights, inputs and outputs through memory, at these
ceilings, whichever is longer; work between may stay in caches. Backends take
turns. Control: each must say what ONNX Runtime on the CPU says.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import ceilings
from benchmarks.ceilings import Ceilings
from benchmarks.metrics import Distribution, Metric
from benchmarks.report import Outcome, ProgressBar, Row
from benchmarks.work import Work, work_of
from engine.contract.graph import Graph
from engine.errors import DeviceError, ModelError
from engine.runtime import cuda, engines, placement
from engine.runtime.ort import OrtGraph, runtime
from engine.runtime.placement import Backend

FOLDERS: Final = (Path("engine/models"), Path("out/networks"), Path("out/pdfgc-networks"))
"""Where networks are looked for; those that are missing are left out."""
FRAME: Final = ("pdfgc_audio", "pdfgc_motion", "pdfgc_generator")
"""A frame of PD-FGC; appearance is encoded once per identity."""
WARM: Final = 5
LEAST: Final = 20
"""Runs of each at least, else there is no p99 to speak of."""
TOLERANCE: Final = 0.05
"""Largest rms difference from the CPU's answer, in deviations of it: it tells a wrong answer from FP16's."""

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(slots=True)
class Contest:
    """A network in one batch size, by the backends that run it.

    Attributes:
        name: of the network.
        batch: samples in one run.
        works: by backend, of the file that it runs: in half precision on a GPU, where there is one.
        graphs: by backend.
        taken_s: likewise, what each run took.
    """

    name: str
    batch: int
    works: Mapping[str, Work]
    graphs: Mapping[str, Graph]
    taken_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def run(self, seconds: float) -> None:
        """Let the backends take turns."""
        inputs = {name: graph.spec.fake_inputs(0) for name, graph in self.graphs.items()}
        for name, graph in self.graphs.items():
            self.taken_s[name] = []
            for _ in range(WARM):
                graph.run(inputs[name])
        began = time.perf_counter()
        while time.perf_counter() - began < seconds or min(map(len, self.taken_s.values())) < LEAST:
            for name, graph in self.graphs.items():
                start = time.perf_counter()
                graph.run(inputs[name])
                self.taken_s[name].append(time.perf_counter() - start)


def run_suite(
    device: str, seconds: float, threads: int = 1, folders: Sequence[Path] = FOLDERS, plots: Path | None = None
) -> Outcome:
    """Measure on a device, for `seconds` altogether and at least `LEAST` runs of each.

    Raises:
        DeviceError: if the device cannot be used.
        ModelError: if there are no networks.
    """
    able = placement.usable(device)
    tops = {name: ceilings.of(name, threads) for name in dict.fromkeys(backend.device for backend in able)}
    outcome = Outcome(
        {"device": device, "threads": threads, "backends": {str(backend): _software(backend) for backend in able}}
    )
    _report_ceilings(outcome, tops)
    paths = networks(folders)
    sizes = [(path, batch) for path in paths for batch in placement.batches(path)]
    progress, contests = ProgressBar("graphs"), list[Contest]()
    for n, (path, batch) in enumerate(sizes):
        contest = _contest(path, batch, able, threads, outcome)
        if contest.graphs:
            contest.run(seconds / len(sizes))
            contests.append(contest)
            _report(outcome, contest, {str(backend): tops[backend.device] for backend in able})
        progress((n + 1) / len(sizes))
    _report_frames(outcome, contests)
    if plots is not None and contests:
        from benchmarks.plots import graphs

        outcome.lines += graphs(
            {f"{c.name} b{c.batch} {by}": taken for c in contests for by, taken in c.taken_s.items()}, plots
        )
    return outcome


def networks(folders: Sequence[Path]) -> list[Path]:
    """The networks' files for one sample in float32, each network once.

    Raises:
        ModelError: if there are none.
    """
    found = {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.onnx")) if "." not in path.stem}
    if not found:
        raise ModelError(f"there are no networks in {', '.join(map(str, folders))}: ./mien export all makes some")
    return [found[name] for name in sorted(found)]


def _software(backend: Backend) -> str:
    """On what its figures were measured, with versions."""
    onnx = f"onnxruntime {runtime().__version__}"
    if backend.device == placement.CPU:
        return onnx
    gpu = cuda.gpu(int(backend.device.partition(":")[2]))
    used = f"{engines.library().name} {engines.library().version}" if backend.name == "TensorRT" else onnx
    return f"{gpu.name}, driver for CUDA {'.'.join(map(str, gpu.driver.version))}, {used}"


def _contest(path: Path, batch: int, able: Sequence[Backend], threads: int, outcome: Outcome) -> Contest:
    """What can run, with a line for what cannot; and the control."""
    judge = OrtGraph.load(placement.variant(path, batch), threads)
    works, graphs = dict[str, Work](), dict[str, Graph]()
    inputs = judge.spec.fake_inputs(1)
    wanted = judge.run(inputs)
    for backend in able:
        file = placement.variant(path, batch, half=backend.half)
        if not backend.half and ".half" in file.name:
            continue  # a CPU is no faster for it, and would be judged by itself
        try:
            graph = backend.load(file, threads)
            differs = _difference(wanted, graph.run(inputs))
        except DeviceError as error:
            outcome.lines.append(f"{path.stem}, batch {batch}: not by {backend}: {error}")
            continue
        graphs[str(backend)], works[str(backend)] = graph, work_of(file)
        if not differs <= TOLERANCE:
            outcome.failures.append(f"{path.stem}, batch {batch}: {backend} differs from the CPU by {differs:.2g}")
    return Contest(path.stem, batch, works, graphs)


def _difference(wanted: Arrays, found: Arrays) -> float:
    """The worst output's rms difference, in deviations of what is wanted."""
    worst = 0.0
    for name, value in wanted.items():
        want, got = np.asarray(value, np.float64), np.asarray(found[name], np.float64)
        scale = max(float(want.std()), 1e-3 * float(np.abs(want).max()), 1e-6)
        worst = max(worst, float(np.sqrt(np.square(got - want).mean())) / scale)
    return worst


def _report_ceilings(outcome: Outcome, tops: Mapping[str, Ceilings | None]) -> None:
    for device, top in tops.items():
        kind = "FP32" if device == placement.CPU else "FP16"
        rate, copy = (top.flops_per_s / 1e9, top.bytes_per_s / 1e9) if top else (None, None)
        outcome.rows.append(Row(f"{device}: {kind} matrix product, GFLOP/s", rate))
        outcome.rows.append(Row(f"{device}: copy, GB/s read and written", copy))
        outcome.metrics |= {f"{device}_matrix_gflops": rate, f"{device}_copy_gb_per_s": copy}


def _report(outcome: Outcome, contest: Contest, tops: Mapping[str, Ceilings | None]) -> None:
    for by, taken_s in contest.taken_s.items():
        taken, top = Distribution.of([1000 * value for value in taken_s]), tops[by]
        middle_s = float(np.median(taken_s))
        found: dict[str, Metric] = {"ms": taken, "per_s": contest.batch / middle_s}
        note = f"{contest.batch / middle_s:.0f}/s"
        if top is not None:
            work = contest.works[by]
            floor_s = work.floor_s(top.flops_per_s, top.bytes_per_s)
            arithmetic, traffic = work.flops / middle_s / top.flops_per_s, work.bytes / middle_s / top.bytes_per_s
            found |= {"floor_ms": 1000 * floor_s, "matrix_share": arithmetic, "copy_share": traffic}
            note += f", floor {1000 * floor_s:.3g} ms; {arithmetic:.0%} of the matrix rate, {traffic:.0%} of the bandwidth"
        outcome.rows.append(Row(f"{contest.name}, batch {contest.batch}, {by}, ms", taken, (), note))
        outcome.metrics[f"{contest.name}_b{contest.batch}_{by.replace(' ', '_')}"] = found


def _report_frames(outcome: Outcome, contests: Sequence[Contest]) -> None:
    """What a whole frame of PD-FGC costs: its networks one after the other, the medians added."""
    middle_ms: dict[tuple[str, int], dict[str, float]] = {}
    for contest in contests:
        for by, taken_s in contest.taken_s.items():
            middle_ms.setdefault((by, contest.batch), {})[contest.name] = 1000 * float(np.median(taken_s))
    for (by, batch), parts in middle_ms.items():
        if not parts.keys() >= set(FRAME):
            continue
        whole = sum(parts[name] for name in FRAME)
        outcome.rows.append(Row(f"PD-FGC frame, batch {batch}, {by}, ms", whole, (), f"{1000 * batch / whole:.0f} frames/s"))
        outcome.metrics[f"pdfgc_frame_b{batch}_{by.replace(' ', '_')}_ms"] = whole
