"""Stands in for a worker that is away: the session's sound goes on, its last picture stays."""

import numpy as np
from numpy.typing import NDArray

from streaming.worker.inlet import Inlet
from streaming.worker.pcm import to_int16


class Understudy:
    """Sound of one session for as long as its worker is away."""

    def __init__(self) -> None:
        self._inlet = Inlet()

    def push(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Take sound of the far clock."""
        self._inlet.push(samples, arrived)

    def play(self, count: int, due: float) -> tuple[NDArray[np.int16], int]:
        """The sound that is due at `due`, int16[count], and how much of it had not arrived."""
        sound, missing = self._inlet.pull(count, due)
        return to_int16(sound), missing
