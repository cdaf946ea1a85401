"""What a device can do at most, measured: the rate of a matrix product and of a copy, that other figures are shares of."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SIDE = 1024
"""Of the CPU's product, float32: large enough for its full rate, small enough for a tenth of a second."""
MEGABYTES = 256
"""Of the CPU's copy: more than its caches hold."""
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Of one device.

    Attributes:
        flops_per_s: of a matrix product: FP16 on a GPU, FP32 on a CPU.
        bytes_per_s: read and written by a copy.
    """

    flops_per_s: float
    bytes_per_s: float


def of(device: str, threads: int = 1) -> Ceilings | None:
    """Those of `cpu` (with so many threads) or `cuda:N`; None for a GPU that torch, which measures it, cannot use."""
    if device != "cpu":
        from benchmarks import gpu

        return gpu.ceilings(int(device.partition(":")[2]))
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    code = "import json; from benchmarks import ceilings; print(json.dumps(ceilings.here()))"
    words = [sys.executable, "-c", code]  # its own process: how many threads a product has is settled when NumPy is loaded
    done = subprocess.run(words, env={**os.environ, **limits}, capture_output=True, text=True, check=True, timeout=60)
    return Ceilings(*json.loads(done.stdout))


def here() -> tuple[float, float]:
    """FLOP and bytes per second of this process's NumPy, each the best of a few rounds: others only slow it down."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, SIDE, SIDE), np.float32)
    source = np.zeros(MEGABYTES << 20, np.uint8)
    target = np.ones_like(source)
    product, copy = _best(lambda: a @ b), _best(lambda: np.copyto(target, source))
    return 2 * SIDE**3 / product, 2 * source.nbytes / copy


def _best(work: Callable[[], object]) -> float:
    taken: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
