"""What is wrong with a camera's pictures before anybody looks for a face in them: black, covered, or always the same one."""

from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Condition = Literal["", "dark", "covered", "frozen"]

FROZEN_S: Final = 0.5
"""The same picture for longer is no live picture."""
DARK: Final = 20.0
"""0..255: a picture that is nowhere brighter is black, but for its noise."""
FLAT: Final = 6.0
"""0..255: a picture without steeper steps between neighbouring patches shows nothing: a lid, a finger, a blank wall."""
_ACROSS: Final = 40  # patches
_SHARE: Final = 0.98  # of the picture that must be dark, or flat
_SAME: Final = 2  # 0..255: compression alone changes what does not move by so much


class PictureCheck:
    """Watches the pictures of one camera."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As new."""
        self._samples: NDArray[np.int16] | None = None
        self._since = 0.0

    def look(self, rgb: NDArray[np.uint8], time_s: float) -> Condition:
        """What is wrong with the next picture uint8[H, W, 3], taken at `time_s`; empty when nothing is."""
        step = max(rgb.shape[1] // (4 * _ACROSS), 1)
        size = (rgb.shape[1] // step, rgb.shape[0] // step)
        sparse = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        frozen = self._frozen(sparse, time_s)
        grey = cv2.cvtColor(sparse, cv2.COLOR_RGB2GRAY)
        height = max(round(_ACROSS * rgb.shape[0] / rgb.shape[1]), 2)
        patches = np.asarray(cv2.resize(grey, (_ACROSS, height), interpolation=cv2.INTER_AREA), np.float32)
        if _nearly_most(patches.ravel()) < DARK:
            return "dark"
        steps = np.concatenate([np.abs(np.diff(patches, axis=axis)).ravel() for axis in (0, 1)])
        if _nearly_most(steps) < FLAT:
            return "covered"
        return "frozen" if frozen else ""

    def _frozen(self, sparse: NDArray[np.uint8], time_s: float) -> bool:
        samples = sparse[::2, ::2].astype(np.int16)
        last = self._samples
        if last is None or last.shape != samples.shape or int(np.abs(samples - last).max()) > _SAME:
            self._samples, self._since = samples, time_s
        return time_s - self._since > FROZEN_S


def _nearly_most(values: NDArray[np.float32]) -> float:
    """What all of float32[N] but the highest few stay below: a percentile, at a tenth of its cost."""
    at = int(_SHARE * (len(values) - 1))
    return float(np.partition(values, at)[at])
