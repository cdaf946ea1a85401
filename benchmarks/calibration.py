"""A fixed piece of work of the renderer's kind, so that milliseconds from different machines, or minutes, can be compared.

It never changes: figures of years are divided by it. One call reads and writes
512 x 512 pixels of four channels with a bilinear sample each, on one core.
"""

import time
from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Distribution

SIZE = 512


@numba.njit(cache=True, nogil=True)
def _warp(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    height, width = source.shape[0], source.shape[1]
    for y in range(height):
        for x in range(width):
            u = (x * 241 + y * 17 + 64) // 256
            v = (y * 239 + x * 13 + 64) // 256
            a, b = (x * 241 + y * 17 + 64) & 255, (y * 239 + x * 13 + 64) & 255
            u, v = min(u, width - 2), min(v, height - 2)
            for c in range(4):
                top = source[v, u, c] * (256 - a) + source[v, u + 1, c] * a
                low = source[v + 1, u, c] * (256 - a) + source[v + 1, u + 1, c] * a
                target[y, x, c] = (top * (256 - b) + low * b) >> 16


def kernel() -> Callable[[], None]:
    """The work, compiled and warm."""
    source = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 4), np.uint8)
    target = np.zeros_like(source)

    def work() -> None:
        _warp(source, target)

    for _ in range(3):
        work()
    return work


def calibrate(runs: int = 50) -> Distribution:
    """CPU milliseconds of one call on this machine, now."""
    work = kernel()
    times = np.zeros(runs)
    for i in range(runs):
        began = time.thread_time()
        work()
        times[i] = (time.thread_time() - began) * 1000
    found = Distribution.of(times)
    assert found
    return found
