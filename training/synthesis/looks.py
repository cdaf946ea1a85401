"""What measures look at: the landmarks of a framed picture, and cuts of it that stay put while a face speaks or frowns.

Cuts are placed by the rigid landmarks alone, so that lips, lids and brows
move within them; distance and roll of the head are taken out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.face.crop import Floats, cut, face_square
from engine.face.details import Refiner
from engine.face.finder import MESH, closer_looks
from engine.face.landmarks import PIXELS, REACH, LandmarkNet
from engine.face.pose import RIGID, angles, mean_face, similarity
from engine.runtime.ort import OrtGraph

UPPER: Final = (64, 112)
"""Height and width in px of the cut with brows, eyes and nose; the mouth is not in it."""
MOUTH: Final = (56, 72)
"""Of the cut with the mouth, and none of the eyes."""
_PX_PER_U: Final = 64.0
_UPPER_AT: Final = (0.5, 0.5)  # where the point between the eyes lies in the cut, in its width and height
_MOUTH_AT: Final = (0.5, 0.42)  # where the lips at rest lie
_LIPS: Final = [13, 14]


class Marks:
    """Finds the landmarks of pictures that are framed as `engine.face.align` says.

    Args:
        net: finds them.
        closer: refines them.
    """

    def __init__(self, net: LandmarkNet, closer: Refiner) -> None:
        self._net, self._closer = net, closer

    @classmethod
    def load(cls) -> "Marks":
        """With the networks that ship.

        Raises:
            ModelError, MissingDependency: if they cannot be loaded.
        """
        return cls(LandmarkNet(OrtGraph.load(MESH)), closer_looks())

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32[478, 3] px of a picture uint8[S, S, 3]."""
        whole = np.array([[1.0, 0, 0], [0, 1.0, 0]]) * PIXELS / rgb.shape[0]
        first = self._net.find(rgb, whole).landmarks
        second = self._net.find(rgb, face_square(first, REACH, PIXELS)).landmarks
        return self._closer.refine(rgb, second)


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Cuts of N pictures.

    Attributes:
        upper: uint8[N, *UPPER, 3], or 6: beside another one, see `beside`.
        mouth: uint8[N, *MOUTH, 3], or 6.
        pose_deg: float32[N, 3], yaw, pitch and roll from looking straight ahead.
    """

    upper: NDArray[np.uint8]
    mouth: NDArray[np.uint8]
    pose_deg: NDArray[np.float32]

    def at(self, places: NDArray[np.intp]) -> "Looks":
        """Those of some of the pictures."""
        return Looks(self.upper[places], self.mouth[places], self.pose_deg[places])

    def beside(self, rest: "Looks") -> "Looks":
        """The same with the cuts of N faces at rest, or one for all, in channels of their own."""
        upper, mouth = (
            np.concatenate([own, np.broadcast_to(other, own.shape)], 3)
            for own, other in ((self.upper, rest.upper), (self.mouth, rest.mouth))
        )
        return Looks(upper, mouth, self.pose_deg)


def look(pictures: NDArray[np.uint8], rest: NDArray[np.float32], marks: Marks) -> Looks:
    """Cuts of one person's pictures uint8[N, S, S, 3], whose landmarks at rest are float32[478, 3]."""
    return looks_of(pictures, np.stack([marks.find(rgb) for rgb in pictures]), rest)


def looks_of(pictures: NDArray[np.uint8], landmarks: NDArray[np.float32], rest: NDArray[np.float32]) -> Looks:
    """Cuts of one person's pictures uint8[N, S, S, 3] with landmarks float32[N, 478, 3] px; `rest` are those of their rest."""
    face = mean_face(rest[None].astype(np.float64))
    turns, scales, shifts = similarity(landmarks[:, RIGID], face[RIGID])
    lips = face[_LIPS].mean(0)
    upper, mouth = [], []
    for rgb, turn, scale, shift in zip(pictures, turns, scales, shifts, strict=True):
        roll = float(np.deg2rad(angles(turn)[2]))
        upper.append(_cut(rgb, shift, float(scale), roll, UPPER, _UPPER_AT))
        mouth.append(_cut(rgb, scale * turn @ lips + shift, float(scale), roll, MOUTH, _MOUTH_AT))
    return Looks(np.stack(upper), np.stack(mouth), angles(turns).astype(np.float32))


def _cut(
    rgb: NDArray[np.uint8], point: Floats, px_per_u: float, roll: float, shape: tuple[int, int], at: tuple[float, float]
) -> NDArray[np.uint8]:
    """The cut of a height and width in which a point of the picture lies at a place."""
    height, width = shape
    k = _PX_PER_U / px_per_u
    c, s = k * np.cos(roll), k * np.sin(roll)
    turn = np.array([[c, s], [-s, c]])
    goal = np.array([at[0] * width, at[1] * height])
    return cut(rgb, np.column_stack([turn, goal - turn @ point[:2]]), (width, height))
