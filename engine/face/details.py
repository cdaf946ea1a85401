"""What looks closer at parts of a face whose landmarks are roughly known."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Refiner(Protocol):
    """Puts some landmarks right."""

    def refine(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[478, 3]: better landmarks than float32[478, 3] px of a picture uint8[H, W, 3]."""
        ...


class Details:
    """Several closer looks, one after another."""

    def __init__(self, *looks: Refiner) -> None:
        self._looks = looks

    def refine(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Refiner`; without a look, the landmarks as they are."""
        for look in self._looks:
            landmarks = look.refine(rgb, landmarks)
        return landmarks
