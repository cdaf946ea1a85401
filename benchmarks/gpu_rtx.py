"""Does TensorRT (or TensorRT-RTX) run on this GPU, whose generation its list may lack?

Question: for the library's own choice of target, for this very GPU, and for
the targets that are named, whether a network that ships is built, loaded and
run, and how far its answers are from ONNX Runtime's on the CPU. "Refused, with
this message" is an answer. Contract: a line for each target, then as the last
line one JSON object; status 1 where none runs.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from engine.errors import MienError
from engine.runtime import cuda, engines
from engine.runtime.model_file import ModelFile, read_model
from engine.runtime.ort import OrtGraph
from engine.runtime.trt import TrtGraph

TARGETS = ("", "CURRENT", "SM80")
"""Members of the library's ComputeCapability; "" leaves the choice to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one target: an empty `refused` when it ran."""

    target: str
    build_s: float | None = None
    difference: float | None = None
    run_ms: float | None = None
    refused: str = ""

    def __str__(self) -> str:
        if self.refused:
            return f"{self.target or 'its own choice'}: refused: {self.refused}"
        return (
            f"{self.target or 'its own choice'}: built in {self.build_s:.2f} s, run in {self.run_ms:.3f} ms (p50 of 200), "
            f"off by {self.difference:.2g}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Try all targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("engine/models/face_landmarks.onnx"), help="(default %(default)s)")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), help="members of ComputeCapability")
    args = parser.parse_args(argv)
    try:
        using, gpu, model = engines.library(), cuda.gpu(), read_model(args.model)
    except MienError as error:
        print(error, file=sys.stderr)
        return 1
    gpu.use()
    environment = {"gpu": gpu.name, "capability": gpu.capability, "driver": gpu.driver.version}
    environment |= {"library": f"{using.name} {using.version}"}
    answers = [tried(model, target, using, gpu) for target in args.targets]
    for answer in answers:
        print(answer)
    print(json.dumps({"suite": "gpu_rtx", "environment": environment, "metrics": [asdict(answer) for answer in answers]}))
    return int(all(answer.refused for answer in answers))


def tried(model: ModelFile, target: str, using: engines.Library, gpu: cuda.Gpu) -> Answer:
    """What came of a target."""
    try:
        began = time.perf_counter()
        built, _ = engines.build(model, using, target=target)
        build_s = time.perf_counter() - began
        engine = using.module.Runtime(using.log).deserialize_cuda_engine(built)
        if engine is None:
            raise using.failure("it was built, but not loaded")
        graph = TrtGraph(model.spec, gpu, engine.create_execution_context())
        inputs = model.spec.fake_inputs(0)
        wanted, found = OrtGraph.load(model.path).run(inputs), graph.run(inputs)
        return Answer(target, build_s, max(_off(wanted[name], found[name]) for name in wanted), _median_ms(graph))
    except (MienError, AttributeError) as error:
        return Answer(target, refused=str(error))


def _off(wanted: np.typing.NDArray[np.generic], found: np.typing.NDArray[np.generic]) -> float:
    return float(np.abs(np.asarray(wanted, np.float64) - np.asarray(found, np.float64)).max())


def _median_ms(graph: TrtGraph, runs: int = 200) -> float:
    inputs, taken = graph.spec.fake_inputs(0), list[float]()
    for _ in range(runs):
        began = time.perf_counter()
        graph.run(inputs)
        taken.append(1000 * (time.perf_counter() - began))
    return float(np.median(taken))


if __name__ == "__main__":
    sys.exit(main())
