"""What the rest of the engine knows of face trackers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

LANDMARKS: Final = 478
_CHEEKS: Final = (234, 454)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        landmarks: float32[478, 3] in px of the picture, MediaPipe's numbering (468 on the skin, 10 on the irises);
            x right, y down, z towards the camera and in the same unit.
        score: 0..1, how sure the tracker is that this is a face.
    """

    landmarks: NDArray[np.float32]
    score: float

    @property
    def size(self) -> float:
        """The longer side, in px, of the box about the landmarks."""
        points = self.landmarks[:, :2]
        return float((points.max(0) - points.min(0)).max())

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box about the landmarks: x and y in px."""
        points = self.landmarks[:, :2]
        x, y = (points.max(0) + points.min(0)) / 2
        return float(x), float(y)

    @property
    def yaw_deg(self) -> float:
        """How far the face is turned, in degrees, > 0 towards image right; from the depth of the cheeks."""
        across = self.landmarks[_CHEEKS[1]] - self.landmarks[_CHEEKS[0]]
        return float(np.degrees(np.arctan2(-across[2], np.hypot(across[0], across[1]))))


class FaceTracker(Protocol):
    """Finds faces in single pictures; keeps no state between calls."""

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Face]:
        """All faces in a picture uint8[H, W, 3], the largest first."""
        ...

    def matte(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32[H, W] in 0..1: how much of each pixel of uint8[H, W, 3] is a person."""
        ...
