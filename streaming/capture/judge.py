"""Says when a sound is not fit to drive a face."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

SILENT_DBFS: Final = -55.0
CLIPPED_AT: Final = 0.999
CLIPPED_RATIO: Final = 0.001
"""Clipped samples, as a share of all, from which one hears it."""


class Judge:
    """Listens to a sound of any length."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._peak = 0.0
        self._clipped = 0
        self._heard = 0

    def hear(self, samples: NDArray[np.float32]) -> None:
        """The next part, float32[N] in -1..1."""
        if len(samples):
            loudness = np.abs(samples)
            self._peak = max(self._peak, float(loudness.max()))
            self._clipped += int(np.count_nonzero(loudness >= CLIPPED_AT))
            self._heard += len(samples)

    @property
    def heard(self) -> int:
        """Samples so far."""
        return self._heard

    @property
    def peak_dbfs(self) -> float:
        """The loudest sample so far."""
        return 20 * math.log10(max(self._peak, 1e-6))

    def warnings(self) -> list[str]:
        """One line for each thing that is wrong."""
        if not self._heard:
            return []
        if self.peak_dbfs < SILENT_DBFS:
            return [f"{self._name} is silent (its peak is {self.peak_dbfs:.0f} dBFS): the mouth will stay closed"]
        clipped = self._clipped / self._heard
        if clipped > CLIPPED_RATIO:
            return [
                f"{self._name} is clipped ({100 * clipped:.1f} % of its samples are at full scale): record it at a lower level"
            ]
        return []
