"""Faces in stills: found where they are, the largest first, whatever the picture's size."""

import numpy as np
import pytest

from engine.face.crop import roll_of
from engine.face.finder import partners
from tests.unit.disc_faces import finder, picture, template


def test_a_face_is_found_with_all_landmarks_in_place() -> None:
    (face,) = finder().detect(picture((300, 200, 90)))
    assert face.landmarks.shape == (478, 3)
    assert face.landmarks.dtype == np.float32
    assert face.score == pytest.approx(0.95)
    assert face.landmarks == pytest.approx(180 * template() + [300, 200, 0], abs=1.5)


def test_faces_come_largest_first_and_much_smaller_ones_do_not_matter() -> None:
    faces = finder().detect(picture((150, 200, 60), (400, 200, 90), (600, 60, 30)))
    assert [round(face.size, -1) for face in faces[:2]] == [180, 120]
    assert all(face.centre[0] > 100 for face in faces)


def test_a_face_that_is_small_in_a_large_photo_is_found() -> None:
    (face,) = finder().detect(picture((1700, 300, 45), width=2000, height=1500))
    assert face.centre == pytest.approx((1700, 300), abs=5)


def test_nothing_is_found_where_there_is_no_face() -> None:
    assert finder().detect(picture()) == []


def test_what_only_the_detector_takes_for_a_face_is_none() -> None:
    found = finder()
    found.mesh._graph.presence = 0.3  # type: ignore[attr-defined]
    assert found.detect(picture((300, 200, 90))) == []


def test_what_looks_different_in_every_view_is_no_face() -> None:
    found = finder()
    found.mesh._graph.noise = 8.0  # type: ignore[attr-defined]
    assert found.detect(picture((300, 200, 90))) == []


def test_in_a_mirror_left_is_right() -> None:
    pairs = partners()
    assert (pairs[pairs] == np.arange(478)).all()
    mirrored = template()[pairs] * np.array([-1, 1, 1], np.float32)
    assert roll_of(mirrored) == pytest.approx(0, abs=0.05)
    assert np.abs(mirrored[468:] - template()[468:]).max() < 0.06


def test_the_matte_is_as_large_as_the_picture() -> None:
    matte = finder().matte(picture((300, 200, 90)))
    assert matte.shape == (480, 640)
    assert matte[200, 300] > 0.9
    assert matte[20, 20] < 0.1
