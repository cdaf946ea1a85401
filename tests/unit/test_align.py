"""PD-FGC's framing: where the three points land, that pictures of a clip are only moved, and that sizes agree."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.face.align import (
    ALIGNED,
    ANEW_S,
    CROPPED,
    LEARNS_S,
    ZOOM,
    Aligner,
    LiveAligner,
    align_clip,
    aligned,
    as_input,
    similarity,
    sub_crop,
    three_points,
)
from engine.face.fields import fields


def _face(x: float = 0.0, y: float = 0.0, scale: float = 130.0, roll: float = 0.0) -> NDArray[np.float64]:
    """float64[478, 3]: the mean face in px of a picture."""
    turn = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    flat = fields().face[:, :2] @ turn.T + (300 + x, 250 + y)
    return np.column_stack([flat, scale * fields().face[:, 2]])


def _mapped(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_three_points_are_eyes_and_lips() -> None:
    right, left, lips = three_points(_face())
    assert right[0] < lips[0] < left[0]
    assert lips[1] > max(right[1], left[1])
    assert three_points(np.stack([_face(), _face(5.0)])).shape == (2, 3, 2)


def test_points_with_the_goals_form_land_on_them_however_turned() -> None:
    angle = 0.4 + 0j
    turned = ((ALIGNED @ [1, 1j]) * 300 * np.exp(1j * angle) + 40 + 70j).view(np.float64).reshape(3, 2)
    matrix = similarity(turned, 224, ALIGNED)
    assert _mapped(matrix, turned) == pytest.approx(np.array([(87, 59), (137, 59), (112, 120)]), abs=1e-9)


def test_a_face_lands_upright_on_its_place_at_any_size() -> None:
    points = three_points(_face(20, -30, 180, 0.3))
    for size in (112, 224, 256):
        placed = _mapped(similarity(points, size), points)
        assert placed == pytest.approx(CROPPED * size, abs=0.04 * size)
        assert placed[0, 1] == pytest.approx(placed[1, 1], abs=0.02 * size)


def test_the_networks_part_is_columns_16_to_208_and_rows_0_to_192() -> None:
    points = three_points(_face())
    whole, part = similarity(points, 224, ALIGNED), similarity(points, 224, CROPPED)
    corners = np.array([(16.0, 0.0), (208.0, 192.0)])
    seen = (corners - whole[:, 2]) @ np.linalg.inv(whole[:, :2]).T
    assert _mapped(part, seen) == pytest.approx(np.array([(0, 0), (224, 224)]), abs=1e-6)


def test_pictures_of_a_clip_are_only_moved_and_their_shift_is_smoothed() -> None:
    clip = np.stack([_face(), _face(10), _face(10), _face(10)])
    matrices = align_clip(clip, 224)
    assert (matrices[:, :, :2] == matrices[:1, :, :2]).all()
    lips = [_mapped(matrix, three_points(face))[2] for matrix, face in zip(matrices, clip, strict=True)]
    away = np.abs(np.array(lips) - CROPPED[2] * 224)[:, 0]
    step = 10 * np.hypot(*matrices[0, 0, :2])
    assert away == pytest.approx([0, 0.2 * step, 0.04 * step, 0.008 * step], rel=1e-3, abs=1e-9)


def test_after_a_reset_an_aligner_is_new() -> None:
    aligner = Aligner(three_points(_face()))
    first = aligner.next(_face(3, 4))
    aligner.next(_face(30, 4))
    aligner.reset()
    assert (aligner.next(_face(3, 4)) == first).all()


def test_one_cut_is_what_two_resizes_give() -> None:
    y, x = np.mgrid[0:600, 0:600]
    picture = np.stack([127 + 100 * np.sin(x / 40), 127 + 100 * np.cos(y / 30), (x + y) / 5], axis=-1).astype(np.uint8)
    points = three_points(_face(scale=160))
    twice = sub_crop(aligned(picture, similarity(points, 224, ALIGNED)))
    once = aligned(picture, similarity(points, 224, CROPPED))
    assert np.abs(twice.astype(int) - once).mean() < 1


def test_outside_is_black() -> None:
    picture = np.full((600, 600, 3), 200, np.uint8)
    out = aligned(picture, similarity(three_points(_face(-290, -240))), 224)
    assert (out[0, 0] == 0).all()
    assert (out[-1, -1] == 200).all()


def test_networks_take_minus_one_to_one_channels_first() -> None:
    rgb = np.zeros((2, 4, 5, 3), np.uint8)
    rgb[1, 2, 3] = (255, 0, 255)
    x = as_input(rgb)
    assert x.shape == (2, 3, 4, 5)
    assert x[1, :, 2, 3].tolist() == [1, -1, 1]


def _scale(matrix: NDArray[np.float64]) -> float:
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def test_a_live_face_that_only_moves_is_framed_as_in_a_clip() -> None:
    clip = [_face(*place) for place in ((0, 0), (10, 3), (14, -2), (9, 0))]
    live, known = LiveAligner(112), Aligner(three_points(clip[0]), 112)
    for index, face in enumerate(clip):
        assert live.next(face, index / 30) == pytest.approx(known.next(face), abs=1e-6)


def test_of_a_live_face_the_average_is_learned_and_then_follows_slowly() -> None:
    live = LiveAligner(224)
    turns = [_scale(live.next(_face(roll=0.3 * (index % 2)), index / 30)) for index in range(60)]
    whole = align_clip(np.stack([_face(roll=0.3 * (index % 2)) for index in range(60)]), 224)
    assert turns[-1] == pytest.approx(_scale(whole[-1]), rel=2e-3)
    for index in range(60, round(30 * LEARNS_S)):
        live.next(_face(), index / 30)
    nearer = 1.2 * 130.0
    began = LEARNS_S
    first = _scale(live.next(_face(scale=nearer), began))
    soon = [_scale(live.next(_face(scale=nearer), began + index / 30)) for index in range(1, 30)][-1]
    later = [_scale(live.next(_face(scale=nearer), began + index / 30)) for index in range(30, 900)][-1]
    known = _scale(similarity(three_points(_face()), 224))
    assert first == pytest.approx(known, rel=5e-3)  # nearer for now
    assert soon == pytest.approx(known * 0.98, rel=0.01)
    assert later == pytest.approx(known / 1.2, rel=0.01)  # framed as before


def test_a_live_face_is_never_much_larger_or_smaller_than_its_frame() -> None:
    for times in (0.4, 2.5):
        live = LiveAligner()
        live.next(_face(), 0.0)
        matrix = live.next(_face(scale=130 * times), 1 / 30)
        points = _mapped(matrix, three_points(_face(scale=130 * times)))
        seen = np.linalg.norm(points - points.mean(0)) / np.linalg.norm(CROPPED * 224 - (CROPPED * 224).mean(0))
        assert seen == pytest.approx(ZOOM if times > 1 else 1 / ZOOM, rel=0.02)


def test_a_live_face_that_comes_back_after_a_while_begins_anew() -> None:
    live = LiveAligner()
    for index in range(90):
        live.next(_face(), index / 30)
    back, new = 3 + ANEW_S + 0.1, _face(40, 10, 150.0, 0.2)
    assert live.next(new, back) == pytest.approx(LiveAligner().next(new, 0.0))
