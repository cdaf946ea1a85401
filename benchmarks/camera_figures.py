"""When a turn of the head before the camera shows in the picture that comes back."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BEFORE_MS: Final = 400.0
SETTLED_MS: Final = (900.0, 1500.0)
FIRST: Final = 0.1
"""Share of the whole change at which a picture shows it."""
HALF: Final = 0.5
NOISE: Final = 3.0
"""Grey levels (root mean square) that a turn must change, or it cannot be told from noise."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Milliseconds from each turn that was drawn to the first picture that shows it, and to the one that shows half of it."""

    first_ms: list[float]
    half_ms: list[float]
    unseen: int


def turns(flips_ms: NDArray[np.float64], shown_ms: NDArray[np.float64], pictures: NDArray[np.float32]) -> Turns:
    """What became of the turns.

    Args:
        flips_ms: float64[T], when each was drawn.
        shown_ms: float64[N], when each picture was on the screen, in order.
        pictures: float32[N, P], their grey levels.
    """
    first, half, unseen = list[float](), list[float](), 0
    for flip in flips_ms:
        before = pictures[(shown_ms > flip - BEFORE_MS) & (shown_ms <= flip)]
        after = pictures[(shown_ms > flip + SETTLED_MS[0]) & (shown_ms < flip + SETTLED_MS[1])]
        if not len(before) or not len(after):
            continue
        start: NDArray[np.float32] = before.mean(axis=0)
        way: NDArray[np.float32] = after.mean(axis=0) - start
        if float(np.mean(way * way)) < NOISE**2:
            unseen += 1
            continue
        since = shown_ms > flip
        share = (pictures[since] - start) @ way / (way @ way)
        middle = int(np.argmax(share > HALF))
        still = np.flatnonzero(share[:middle] <= FIRST)  # a head also sways a little before it turns
        begun = int(still[-1]) + 1 if len(still) else 0
        first.append(float(shown_ms[since][begun] - flip))
        half.append(float(shown_ms[since][middle] - flip))
    return Turns(first, half, unseen)
