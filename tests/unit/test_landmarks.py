"""Landmarks and eyes: what networks say of a crop lands in the picture; fakes that know the answer."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec
from engine.face import eyes, landmarks, lips
from engine.face.crop import cut, face_square, into
from engine.face.details import Details
from engine.face.eyes import EYE_POINTS, EyeNet, eye_squares
from engine.face.landmarks import PIXELS, REACH, LandmarkNet, as_input
from engine.face.lips import LIP_POINTS, LipNet, lip_square
from engine.rig.topology import mirror_of

Arrays = Mapping[str, NDArray[np.generic]]


class Says:
    """A graph that always says the same and remembers what it was asked."""

    def __init__(self, spec: GraphSpec, **said: NDArray[np.float32]) -> None:
        self.spec, self.said = spec, said
        self.asked: Arrays = {}

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        self.asked = inputs
        for want in self.spec.inputs:
            assert inputs[want.name].shape == want.shape
            assert inputs[want.name].dtype == want.dtype
            assert 0 <= inputs[want.name].min() <= inputs[want.name].max() <= 1
        for want in self.spec.outputs:
            assert self.said[want.name].shape == want.shape
        return dict(self.said)


def face(roll: float = 0.0) -> NDArray[np.float32]:
    """float32[478, 3]: points about (300, 240), eyes level, tilted by `roll`."""
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.uniform(-60, 60, 478), rng.uniform(-80, 80, 478), rng.uniform(-20, 20, 478)])
    for right, left, x in ((33, 263, 50.0), (133, 362, 20.0), (468, 473, 35.0)):
        points[right], points[left] = (-x, -20, 0), (x, -20, 0)
    c, s = np.cos(roll), np.sin(roll)
    return (points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [300, 240, 5]).astype(np.float32)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


@pytest.mark.parametrize("roll", [0.0, 0.4, -2.0])
def test_what_is_found_in_the_crop_lies_in_the_picture(roll: float) -> None:
    wanted, rgb = face(roll), picture()
    matrix = face_square(wanted, REACH, PIXELS)
    graph = Says(landmarks.SPEC, landmarks=into(wanted, matrix)[None], presence=np.array([0.75], np.float32))
    found = LandmarkNet(graph).find(rgb, matrix)
    assert found.landmarks == pytest.approx(wanted, abs=2e-3)
    assert found.landmarks.dtype == np.float32
    assert found.presence == 0.75
    assert np.array_equal(graph.asked["crop"], as_input(cut(rgb, matrix, PIXELS)[None]))


def test_pictures_become_planes_of_0_to_1() -> None:
    planes = as_input(np.array([[[[0, 51, 255]]]], np.uint8))
    assert planes[0, :, 0, 0] == pytest.approx([0, 0.2, 1])
    assert planes.flags.c_contiguous


def test_every_eye_point_is_the_mirror_of_its_partner() -> None:
    right, left = EYE_POINTS
    assert np.array_equal(mirror_of()[right[:16]], left[:16])
    assert sorted(right[16:]) == [468, 469, 470, 471, 472]
    assert sorted(left[16:]) == [473, 474, 475, 476, 477]
    assert len({*right, *left}) == 42


@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_eyes_lie_alike_in_their_crops(roll: float) -> None:
    tilted = face(roll)
    right, left = eye_squares(tilted)
    for matrix, outer, inner in ((right, 33, 133), (left, 263, 362)):
        corners = into(tilted[[outer, inner]], matrix)[:, :2]
        assert corners[0, 0] < corners[1, 0]
        assert corners.mean(0) == pytest.approx([eyes.WIDTH / 2, eyes.HEIGHT / 2], abs=1e-3)
        assert corners[0, 1] == pytest.approx(corners[1, 1], abs=1e-3)
        assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(30 / (eyes.REACH * 100) * eyes.WIDTH, rel=1e-3)


@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_refined_points_are_those_of_the_eyes_alone(roll: float) -> None:
    truth = face(roll)
    rough = truth.copy()
    rough[EYE_POINTS[:, 1:8], :2] += 3  # corners stay: they say where to look
    rough[EYE_POINTS[:, 16:], :2] -= 2
    points = np.stack([into(truth[own], m)[:, :2] for own, m in zip(EYE_POINTS, eye_squares(rough), strict=True)])
    graph = Says(eyes.SPEC, points=points)
    before = rough.copy()
    refined = EyeNet(graph).refine(picture(), rough)
    assert refined == pytest.approx(truth, abs=2e-3)
    assert np.array_equal(rough, before)


def test_the_left_eye_is_looked_at_mirrored() -> None:
    rgb, level = picture(), face()
    level[:, 0] = 320 + (level[:, 0] - 300)
    mirrored = level.copy()
    mirrored[:, 0] = 640 - level[:, 0]
    mirrored[[33, 133, 263, 362]] = mirrored[[263, 362, 33, 133]]
    crops: list[NDArray[np.generic]] = []
    for pixels, points in ((rgb, level), (np.ascontiguousarray(rgb[:, ::-1]), mirrored)):
        graph = Says(eyes.SPEC, points=np.zeros((2, 21, 2), np.float32))
        EyeNet(graph).refine(pixels, points)
        crops.append(graph.asked["crops"])
    assert crops[0] == pytest.approx(crops[1][::-1], abs=2 / 255)


def test_lips_are_mirrored_lips() -> None:
    assert len(set(LIP_POINTS.tolist())) == 80
    assert set(mirror_of()[LIP_POINTS].tolist()) == set(LIP_POINTS.tolist())


@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_refined_lips_are_those_of_the_mouth_alone(roll: float) -> None:
    truth = face(roll)
    rough = truth.copy()
    rough[LIP_POINTS[:20], :2] += 3  # the outer contour stays: it says where to look
    graph = Says(lips.SPEC, points=into(truth[LIP_POINTS], lip_square(rough))[None, :, :2])
    refined = LipNet(graph).refine(picture(), rough)
    assert refined == pytest.approx(truth, abs=2e-3)
    assert np.array_equal(np.delete(refined, LIP_POINTS, 0), np.delete(rough, LIP_POINTS, 0))


class Adds:
    """A refiner that adds to one landmark."""

    def __init__(self, point: int) -> None:
        self._point = point

    def refine(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        refined = landmarks.copy()
        refined[self._point] += landmarks[7, 0] + 1
        return refined


def test_looks_follow_each_other() -> None:
    nothing = np.zeros((478, 3), np.float32)
    refined = Details(Adds(7), Adds(9)).refine(picture(), nothing)
    assert refined[[7, 9], 0].tolist() == [1, 2]
    assert not nothing.any()
    assert np.array_equal(Details().refine(picture(), nothing), nothing)
