"""Stands in for a worker that is away: the session's sound goes on, its last picture stays."""

import numpy as np
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ
from streaming.worker.inlet import Inlet
from streaming.worker.pcm import to_int16


class Understudy:
    """Sound of one session for as long as its worker is away. `lead` is the look-ahead (samples) that its frames keep."""

    def __init__(self, samples_per_frame: int, lead: int) -> None:
        self._samples = samples_per_frame
        self._inlet = Inlet()
        self._ahead = np.zeros(lead, np.float32)
        self._begun = False

    def push(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Take sound of the far clock."""
        self._inlet.push(samples, arrived)

    def play(self, due: float) -> tuple[NDArray[np.int16], int]:
        """The sound of the frame that is due at `due`, int16[samples per frame], and how much of it had not arrived."""
        if not self._begun:
            self._begun = True
            frames = -(-len(self._ahead) // self._samples)
            for back in range(frames, 0, -1):  # what the worker held for the look-ahead is heard, too
                self.play(due - back * self._samples / SAMPLE_RATE_HZ)
        sound, missing = self._inlet.pull(self._samples, due)
        joined = np.concatenate((self._ahead, sound))
        self._ahead = joined[self._samples :]
        return to_int16(joined[: self._samples]), missing
