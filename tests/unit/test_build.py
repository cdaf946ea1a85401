from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.enrol.build import build_avatar
from engine.enrol.people import source_of
from engine.errors import UnusableFace
from engine.render.mesh import MeshRenderer
from engine.rig.avatar import CAMERA, FRAME, Avatar
from engine.rig.lips import gap_ratio
from engine.rig.topology import LIP_LOWER, LIP_LOWER_OUTER, OVAL
from tests.unit.posing import PEOPLE, lip_gap, person, posed

RIGID = [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 234, 454, 127, 356, 10, 151, 9]  # points that no expression moves


@cache
def built(name: str = "mei") -> Avatar:
    return build_avatar(*source_of(name))


def test_the_shipped_portraits_are_what_their_sources_build() -> None:
    shipped, fresh = person("mei"), built()
    assert shipped.shapes == fresh.shapes
    assert np.abs(shipped.vertices - fresh.vertices).max() < 0.1
    assert np.abs(shipped.deltas - fresh.deltas).max() < 0.1
    assert np.mean(shipped.texture != fresh.texture) < 0.01


def test_the_direction_of_depth_does_not_matter() -> None:
    crop, landmarks, matte = source_of("mei")
    other = build_avatar(crop, landmarks * np.array([1, 1, -1], np.float32), matte)
    np.testing.assert_array_equal(other.vertices, built().vertices)
    np.testing.assert_array_equal(other.deltas, built().deltas)


def test_the_avatar_keeps_its_contract() -> None:
    avatar = built()
    count = len(avatar.vertices)
    assert avatar.deltas.shape == (len(avatar.shapes), count, 3)
    assert avatar.uv.shape == (count, 2)
    assert avatar.triangles.max() < count
    assert avatar.texture.shape[2] == 4
    assert {int(p) for p in np.unique(avatar.part)} == {1, 2, 3, 4, 5}
    assert all(o.control in avatar.shapes for o in avatar.overlays)
    for array in (avatar.vertices, avatar.deltas, avatar.uv, avatar.shade, avatar.head_weight):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()


def test_the_picture_s_border_stands_still() -> None:
    avatar = built()
    x, y = avatar.vertices[:, 0] + FRAME / 2, avatar.vertices[:, 1] + FRAME / 2
    outside = (x < 0) | (x > FRAME) | (y > FRAME)
    assert outside.any()
    assert avatar.head_weight[outside].max() < 0.02


@pytest.mark.parametrize("name", PEOPLE)
def test_the_neutral_face_is_the_photo_s(name: str) -> None:
    crop, landmarks, _ = source_of(name)
    renderer = MeshRenderer(person(name), FRAME)
    renderer.prepare(Motion.of())
    drawn = renderer.finish().rgb.astype(np.float64)
    (x0, y0), (x1, y1) = (f(landmarks[list(OVAL), :2], 0).astype(int) for f in (np.min, np.max))
    error = np.mean((drawn - crop)[y0:y1, x0:x1] ** 2)
    assert 10 * np.log10(255**2 / error) >= 36


def turned(reference: NDArray[np.float32], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation that the tracker's own shape shows in a posed picture of it (perspective n points)."""
    model = reference[RIGID].astype(np.float64) * [1, 1, -1] - [FRAME / 2, FRAME / 2, 0]
    camera = np.array([[CAMERA, 0, FRAME / 2], [0, CAMERA, FRAME / 2], [0, 0, 1.0]])
    start = np.zeros(3), np.array([0, 0, CAMERA])
    how = cv2.SOLVEPNP_ITERATIVE
    _, vector, _ = cv2.solvePnP(model, seen[RIGID], camera, None, *start, useExtrinsicGuess=True, flags=how)
    return np.asarray(cv2.Rodrigues(vector)[0], np.float64)


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("channel", ["yaw", "pitch", "roll"])
def test_a_turn_looks_as_large_as_it_is(name: str, channel: str) -> None:
    avatar = person(name)
    asked = np.array([-15.0, -10, -5, 5, 10, 15])
    neutral = turned(avatar.landmarks, posed(avatar))
    seen: list[float] = []
    for angle in asked:
        r = turned(avatar.landmarks, posed(avatar, **{channel: float(angle)})) @ neutral.T
        euler = {
            "yaw": np.arctan2(-r[0, 2], r[2, 2]),
            "pitch": np.arctan2(r[1, 2], r[1, 1]),
            "roll": np.arctan2(r[1, 0], r[0, 0]),
        }
        seen.append(float(np.degrees(euler[channel])))
    assert 0.85 < np.polyfit(asked, seen, 1)[0] < 1.15


def test_an_open_mouth_is_noticed_and_closes() -> None:
    crop, landmarks, matte = source_of("samuel")
    landmarks = landmarks.copy()
    width = np.linalg.norm(landmarks[61, :2] - landmarks[291, :2])
    lower = np.array([*LIP_LOWER[1:-1], *LIP_LOWER_OUTER[1:-1]])
    ease = 1 - np.abs(landmarks[lower, 0] - landmarks[13, 0]) / (0.55 * width)
    landmarks[lower, 1] += (0.22 * width * np.sqrt(ease.clip(0, 1))).astype(np.float32)
    assert gap_ratio(landmarks.astype(np.float64)) > 0.15
    avatar = build_avatar(crop, landmarks, matte)
    assert any("open mouth" in note for note in avatar.notes)
    assert lip_gap(posed(avatar)) > 0.15 * width
    assert lip_gap(posed(avatar, mouthClose=1.0)) < 0.5
    assert lip_gap(posed(avatar, mouthPressLeft=0.9, mouthPressRight=0.9, jawOpen=0.2)) < 0.5


def test_a_face_turned_away_is_refused() -> None:
    crop, landmarks, matte = source_of("mei")
    away = landmarks.astype(np.float64) - landmarks[168]
    c, s = np.cos(np.deg2rad(55)), np.sin(np.deg2rad(55))
    away = away @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + landmarks[168]
    with pytest.raises(UnusableFace, match="turned"):
        build_avatar(crop, away.astype(np.float32), matte)


def test_wrong_shapes_are_a_caller_s_bug() -> None:
    crop, landmarks, matte = source_of("mei")
    with pytest.raises(ValueError, match="landmarks"):
        build_avatar(crop, landmarks[:468], matte)
