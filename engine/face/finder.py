"""Faces in single pictures by our own networks; what enrolment sees with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import engine
from engine.face.crop import Floats, face_square, square
from engine.face.details import Details, Refiner
from engine.face.detector import Detection, Detector
from engine.face.eyes import EyeNet
from engine.face.landmarks import PIXELS, REACH, Found, LandmarkNet
from engine.face.lips import LipNet
from engine.face.matte import Matting
from engine.face.tracker import LANDMARKS, Face
from engine.rig.topology import IRIS, POINTS, mirror_of
from engine.runtime.ort import OrtGraph

MODELS: Final = Path(engine.__file__).parent / "models"
DETECTOR, MESH, EYES, LIPS, MATTE = (MODELS / f"face_{name}.onnx" for name in ("detect", "landmarks", "eyes", "lips", "matte"))

PRESENT: Final = 0.5
"""Presence from which on a square holds a face."""
SMALLEST: Final = 80.0
"""px: smaller faces are not looked for."""
RIVAL: Final = 0.5
"""Faces below this share of the largest one's size are not looked for: nothing is decided by them."""
MOST: Final = 8
"""Faces that are looked at in one picture."""
VIEWS: Final = (0.94, 1.0, 1.06)
"""Sides of the squares that a still is looked at in, in usual ones; each also mirrored. Their mean errs less than one."""
AGREE: Final = 0.035
"""In outer-eye distances: by how much the views of a face differ at most, on average. Of 30 photos' faces none did by more
than 0.016, of five rings that passed for faces none by less than 0.039."""
_EYE_LOOKS: Final = 2  # the second one is where the first one saw the corners of the eyes
_WHOLE: Final = float("inf")  # smallest face for which the detector looks at the whole picture only
_MIRROR: Final = np.array([[-1.0, 0.0, PIXELS], [0.0, 1.0, 0.0]])
_APART: Final = 0.5  # sizes of the larger face: nearer centres than this are one face


@dataclass(frozen=True, slots=True, eq=False)
class Finder:
    """Faces in stills. See `FaceTracker`; get one by `load`.

    Attributes:
        detector: says where to look.
        mesh: says what is there.
        details: refines lids, irises and lips.
        matting: tells people from what is behind them.
    """

    detector: Detector
    mesh: LandmarkNet
    details: Refiner
    matting: Matting

    @classmethod
    def load(cls) -> "Finder":
        """With the networks that ship.

        Raises:
            ModelError, MissingDependency: if they cannot be loaded.
        """
        detector, mesh, matte = (OrtGraph.load(path) for path in (DETECTOR, MESH, MATTE))
        return cls(Detector(detector), LandmarkNet(mesh), closer_looks(), Matting(matte))

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Face]:
        """The faces of a picture uint8[H, W, 3], the largest first, without those that are much smaller than the largest."""
        coarse = self.detector.detect(rgb, _WHOLE)
        faces = self._faces(rgb, coarse)
        fine = self.detector.detect(rgb, max(SMALLEST, RIVAL * faces[0].size) if faces else SMALLEST)
        return faces if fine == coarse else self._faces(rgb, fine) or faces

    def matte(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32[H, W] in 0..1: how much of each pixel of uint8[H, W, 3] is a person."""
        return self.matting.matte(rgb)

    def _faces(self, rgb: NDArray[np.uint8], detections: Sequence[Detection]) -> list[Face]:
        found = (self._face(rgb, detection) for detection in detections[:MOST])
        return sorted(_distinct([face for face in found if face is not None]), key=lambda face: face.size, reverse=True)

    def _face(self, rgb: NDArray[np.uint8], detection: Detection) -> Face | None:
        first = first_look(self.mesh, rgb, detection)
        if first.presence < PRESENT:
            return None
        looks = [
            look for reach in VIEWS for look in both_ways(self.mesh, rgb, face_square(first.landmarks, REACH * reach, PIXELS))
        ]
        presence = float(np.mean([look.presence for look in looks]))
        views = np.stack([look.landmarks for look in looks])
        landmarks = views.mean(0, dtype=np.float64).astype(np.float32)
        if presence < PRESENT or _differ(views, landmarks) > AGREE:
            return None
        for _ in range(_EYE_LOOKS):
            landmarks = self.details.refine(rgb, landmarks)
        return Face(landmarks, presence)


def closer_looks() -> Details:
    """The closer looks that ship: at the eyes and at the mouth.

    Raises:
        ModelError, MissingDependency: if their networks cannot be loaded.
    """
    return Details(EyeNet(OrtGraph.load(EYES)), LipNet(OrtGraph.load(LIPS)))


def first_look(mesh: LandmarkNet, rgb: NDArray[np.uint8], detection: Detection) -> Found:
    """The face that a detector points at, seen in the square that its own landmarks ask for."""
    rough = mesh.find(rgb, square(detection.x, detection.y, REACH * detection.side, PIXELS, detection.roll))
    return rough if rough.presence < PRESENT / 2 else mesh.find(rgb, face_square(rough.landmarks, REACH, PIXELS))


def both_ways(mesh: LandmarkNet, rgb: NDArray[np.uint8], matrix: Floats) -> tuple[Found, Found]:
    """A face in a square of a picture, and in its mirror image."""
    seen = mesh.find(rgb, _MIRROR @ np.vstack([matrix, [0, 0, 1]]))
    return mesh.find(rgb, matrix), Found(seen.landmarks[partners()], seen.presence)


@cache
def partners() -> NDArray[np.intp]:
    """intp[478]: for each landmark the one that takes its place in a mirror."""
    irises = np.arange(POINTS, LANDMARKS)
    for right, left in ((0, 0), (1, 3), (2, 2), (3, 1), (4, 4)):
        irises[[IRIS["Right"] + right - POINTS, IRIS["Left"] + left - POINTS]] = IRIS["Left"] + left, IRIS["Right"] + right
    return np.concatenate([mirror_of(), irises])


def _differ(views: NDArray[np.float32], mean: NDArray[np.float32]) -> float:
    """Mean distance in the picture of views float[V, 478, 3] from their mean, in outer-eye distances."""
    across = max(float(np.linalg.norm(mean[33, :2] - mean[263, :2])), 1e-6)
    return float(np.linalg.norm((views - mean)[..., :2], axis=-1).mean()) / across


def _distinct(faces: list[Face]) -> list[Face]:
    """The faces without second sightings of the same one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if all(np.hypot(*np.subtract(face.centre, other.centre)) > _APART * max(face.size, other.size) for other in kept):
            kept.append(face)
    return kept
