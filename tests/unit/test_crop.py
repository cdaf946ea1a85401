"""Squares out of pictures: where points land, and that they come back."""

import numpy as np
import pytest

from engine.face.crop import cut, face_square, into, out_of, roll_of, square


def test_points_go_in_and_come_out() -> None:
    matrix = square(120, 80, 50, 128, roll=0.3)
    points = np.random.default_rng(0).uniform(0, 200, (20, 3))
    assert into(np.array([[120.0, 80.0, 5.0]]), matrix)[0] == pytest.approx([64, 64, 5 * 128 / 50], abs=1e-4)
    assert out_of(into(points, matrix), matrix) == pytest.approx(points, abs=1e-2)


@pytest.mark.parametrize("side", [60, 300, 1000, 1700])
def test_a_dot_lands_where_its_point_does(side: float) -> None:
    picture = np.zeros((900, 900, 3), np.uint8)
    picture[540:580, 440:480] = 255
    matrix = square(450, 550, side, 128)
    found = np.argwhere(cut(picture, matrix, 128)[..., 0] > 127)
    centre = into(np.array([[459.5, 559.5, 0.0]]), matrix)[0, :2]
    assert found[:, ::-1].mean(0) == pytest.approx(centre, abs=1.0)


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
