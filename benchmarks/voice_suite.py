"""Suite `voice`: what does it cost to turn 40 ms of sound into motion, on one core?

The whole of it is `VoiceSource` fed with a picture's worth of real speech at a
time and asked for its motion, as a session does: features, mouth and head
networks, brows. The networks alone are the same steps through ONNX Runtime with
nothing around them. Beside them in turns: the driver without networks that they
replaced, and the calibration kernel, for a ratio. CPU time of this thread.
"""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import kernel
from benchmarks.metrics import Distribution, Metric
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from engine.contract.graph import GraphStream
from engine.motion.voice import MODELS, VoiceSource
from engine.runtime.ort import OrtGraph
from engine.timeline import SAMPLE_RATE_HZ
from training.baseline.analysis import HOP, Analyser
from training.baseline.signal_processing import Mouth

PIECE: Final = SAMPLE_RATE_HZ // 25
"""Samples of 40 ms."""
STEPS: Final = 2  # of 20 ms
WARM: Final = 25
BAR: Final = Bar("p50", 1.5)


def run_suite(voice: NDArray[np.float32], seconds: float, look_ahead_ms: int) -> Outcome:
    """Measure on `seconds` of the voice float32[N] at 48 kHz."""
    sound = np.resize(voice, round(seconds * SAMPLE_RATE_HZ) // PIECE * PIECE)
    source, analyser, mouth, work = VoiceSource(look_ahead_ms), Analyser(), Mouth(), kernel()
    networks = [_alone("voice"), _alone("head")]
    taken: dict[str, list[float]] = {name: [] for name in ("whole", "networks", "before", "kernel")}
    progress = ProgressBar("voice")
    for number, start in enumerate(range(0, len(sound), PIECE)):
        piece = sound[start : start + PIECE]
        taken["whole"].append(_timed(lambda p=piece, s=start: _whole(source, p, s)))
        taken["networks"].append(_timed(lambda: [network() for network in networks]))
        taken["before"].append(_timed(lambda p=piece: _before(analyser, mouth, p)))
        if number % 10 == 0:
            taken["kernel"].append(_timed(work))
        progress((start + PIECE) / len(sound))
    return _outcome({name: values[WARM if name != "kernel" else 3 :] for name, values in taken.items()}, look_ahead_ms)


def _whole(source: VoiceSource, piece: NDArray[np.float32], start: int) -> None:
    source.push(piece)
    source.advance(start + PIECE - source.look_ahead)


def _before(analyser: Analyser, mouth: Mouth, piece: NDArray[np.float32]) -> None:
    for begin in range(0, PIECE, HOP):
        for frame in analyser.push(piece[begin : begin + HOP]):
            mouth.step(frame)


def _alone(name: str) -> Callable[[], None]:
    """40 ms of a network that ships."""
    graph = OrtGraph.load(MODELS / f"{name}.onnx")
    stream = GraphStream(graph)
    states = {state.name for state in graph.spec.states}
    inputs = {key: value for key, value in graph.spec.fake_inputs(0).items() if key not in states}

    def run() -> None:
        for _ in range(STEPS):
            stream.step(inputs)

    return run


def _timed(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def _outcome(taken: dict[str, list[float]], look_ahead_ms: int) -> Outcome:
    found: dict[str, Metric] = {name: Distribution.of(values) for name, values in taken.items()}
    p50 = {name: float(np.median(values)) for name, values in taken.items()}
    outcome = Outcome({"look_ahead_ms": look_ahead_ms, "piece_ms": 1000 * PIECE / SAMPLE_RATE_HZ})
    outcome.rows = [
        Row("voice_ms, 40 ms of sound", found["whole"], (BAR,), f"{p50['whole'] / p50['kernel']:.2f} of the kernel"),
        Row("  networks alone", found["networks"], (BAR,)),
        Row("the driver before", found["before"], (), f"the whole is {p50['whole'] / p50['before']:.2f} of it"),
        Row("calibration kernel ms", found["kernel"]),
    ]
    outcome.metrics = {
        "voice_ms": found["whole"],
        "voice_networks_ms": found["networks"],
        "voice_before_ms": found["before"],
        "calibration_ms": found["kernel"],
        "voice_to_calibration": p50["whole"] / p50["kernel"],
    }
    return outcome
