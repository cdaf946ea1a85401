"""Red discs that pass for faces, and networks that see nothing else."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.people import FOLDER
from engine.face import detector, eyes, landmarks, matte
from engine.face.crop import face_square, into
from engine.face.detector import Detector
from engine.face.eyes import EyeNet
from engine.face.finder import Finder, partners
from engine.face.landmarks import LandmarkNet
from engine.face.matte import Matting

Disc = tuple[float, float, float]
"""Centre x, y and radius, px."""


def picture(*discs: Disc, width: int = 640, height: int = 480, seed: int = 0) -> NDArray[np.uint8]:
    """uint8[H, W, 3]: discs before a checkered wall, with a camera's noise."""
    rows, columns = np.mgrid[:height, :width] // 40
    rgb = np.repeat(np.where((rows + columns) % 2, 150, 60)[..., None], 3, 2).astype(np.uint8)
    for x, y, radius in discs:
        centre = round(16 * (x - 0.5)), round(16 * (y - 0.5))
        cv2.circle(rgb, centre, round(16 * radius), (250, 10, 10), -1, cv2.LINE_AA, 4)
    return np.asarray(cv2.add(rgb, np.roll(_noise(width, height), 977 * seed, axis=1)), np.uint8)


@cache
def _noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 9, (height, width, 3), np.uint8)


@cache
def template() -> NDArray[np.float32]:
    """float32[478, 3]: a real face made symmetric, upright, centred, the longer side of its box 1."""
    with np.load(FOLDER / "source" / "mei.npz") as data:
        points = data["landmarks"]
    face = into(points, face_square(points, 1.0, 1)) - np.array([0.5, 0.5, 0], np.float32)
    return ((face + face[partners()] * np.array([-1, 1, 1])) / 2).astype(np.float32)


def discs_in(planes: NDArray[np.generic], least: float) -> list[Disc]:
    """The discs of float32[3, H, W] whose area is `least` px or more."""
    red, green, blue = np.asarray(planes, np.float32)
    mask = ((red > 0.6) & (green < 0.4) & (blue < 0.4)).astype(np.uint8)
    _, _, stats, centres = cv2.connectedComponentsWithStats(mask)
    return [
        (float(x) + 0.5, float(y) + 0.5, float(np.sqrt(area / np.pi)))
        for (x, y), area in zip(centres[1:], stats[1:, cv2.CC_STAT_AREA], strict=True)
        if area >= least
    ]


class DiscDetector:
    spec = detector.SPEC
    runs = 0

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        self.runs += 1
        out: dict[str, NDArray[Any]] = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in self.spec.outputs}
        for x, y, radius in discs_in(inputs["picture"][0], 150):
            column, row = int(x / detector.STRIDE), int(y / detector.STRIDE)
            at = np.array([x, y]) / detector.STRIDE - [column + 0.5, row + 0.5]
            out["heat"][0, 0, row, column] = 0.9
            out["box"][0, :, row, column] = *at, np.log(2 * radius / detector.UNIT)
            out["eyes"][0, :, row, column] = -0.3, -0.15, 0.3, -0.15
        return out


class DiscMesh:
    """Faces turned by `yaw_deg`, with landmarks off by `noise` px at random."""

    spec = landmarks.SPEC

    def __init__(self) -> None:
        self.runs, self.yaw_deg, self.noise, self.presence = 0, 0.0, 0.0, 0.95
        self._rng = np.random.default_rng(0)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        self.runs += 1
        middle = landmarks.PIXELS / 2
        found = [disc for disc in discs_in(inputs["crop"][0], 800) if np.hypot(disc[0] - middle, disc[1] - middle) < 50]
        if not found:
            return {"landmarks": np.full((1, 478, 3), middle, np.float32), "presence": np.zeros(1, np.float32)}
        x, y, radius = min(found, key=lambda disc: np.hypot(disc[0] - middle, disc[1] - middle))
        c, s = np.cos(np.radians(self.yaw_deg)), np.sin(np.radians(self.yaw_deg))
        face = template() @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)
        points = 2 * radius * face + np.array([x, y, 0], np.float32) + self._rng.normal(0, self.noise, (478, 3))
        return {"landmarks": points[None].astype(np.float32), "presence": np.full(1, self.presence, np.float32)}


class StillEyes:
    """Finds what the landmarks of a face at rest have told already."""

    spec = eyes.SPEC

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        assert inputs["crops"].shape == self.spec.inputs[0].shape
        squares = zip(eyes.EYE_POINTS, eyes.eye_squares(template()), strict=True)
        points = [into(template(), square)[own, :2] for own, square in squares]
        return {"points": np.stack(points).astype(np.float32)}


class DiscMatte:
    spec = matte.SPEC

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        red, green, _ = np.asarray(inputs["picture"][0], np.float32)
        return {"matte": ((red > 0.6) & (green < 0.4)).astype(np.float32)[None, None]}


def networks() -> tuple[Detector, LandmarkNet, EyeNet]:
    return Detector(DiscDetector()), LandmarkNet(DiscMesh()), EyeNet(StillEyes())


def finder() -> Finder:
    return Finder(*networks(), Matting(DiscMatte()))
