"""Squares out of pictures: where points land, and that they come back."""

import numpy as np
import pytest

from engine.face.crop import cut, face_square, into, out_of, roll_of, square


def test_points_go_in_and_come_out() -> None:
    matrix = square(120, 80, 50, 128, roll=0.3)
    points = np.random.default_rng(0).uniform(0, 200, (20, 3))
    assert into(np.array([[120.0, 80.0, 5.0]]), matrix)[0] == pytest.approx([64, 64, 5 * 128 / 50], abs=1e-4)
    assert out_of(into(points, matrix), matrix) == pytest.approx(points, abs=1e-2)


@pytest.mark.parametrize("side", [60, 130, 300, 530, 1000, 1700])
def test_a_dot_lands_where_its_point_does(side: float) -> None:
    picture = np.zeros((901, 903, 3), np.uint8)
    picture[535:565, 440:470] = 255
    matrix = square(450, 545, side, 128, roll=0.2)
    light = cut(picture, matrix, 128)[..., 0] / 255.0
    found = np.array([(light.sum(axis) * (np.arange(128) + 0.5)).sum() for axis in (0, 1)]) / light.sum()
    assert found == pytest.approx(into(np.array([[455.0, 550.0, 0.0]]), matrix)[0, :2], abs=0.1)


def test_outside_a_picture_its_edge_goes_on() -> None:
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[:, 200:] = 200
    for side in (100, 900):
        assert (cut(picture, square(500, 150, side, 64), 64)[:, -20:] == 200).all()
        assert (cut(picture, square(-300, -900, side, 64), 64)[:20, :10] == 0).all()


def test_a_tilted_face_comes_out_upright() -> None:
    rng = np.random.default_rng(1)
    face = np.column_stack([rng.uniform(-50, 50, 478), rng.uniform(-70, 70, 478), np.zeros(478)])
    face[33], face[263] = (-30, 0, 0), (30, 0, 0)
    c, s = np.cos(0.5), np.sin(0.5)
    tilted = face @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [200, 150, 0]
    assert roll_of(tilted) == pytest.approx(0.5, abs=1e-6)
    inside = into(tilted, face_square(tilted, 1.6, 160))
    assert roll_of(inside) == pytest.approx(0, abs=1e-5)
    low, high = inside[:468, :2].min(0), inside[:468, :2].max(0)
    assert (high - low).max() == pytest.approx(100, abs=0.1)
    assert (low + high) / 2 == pytest.approx([80, 80], abs=0.1)
