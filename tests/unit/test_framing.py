from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from engine.enrol.framing import Framed, choose_face, eye_openness, frame_face, judge_face, one_person, upright_square, yaw_deg
from engine.errors import NoFace, SeveralFaces, UnusableFace
from engine.face.tracker import LANDMARKS, Face
from engine.rig.avatar import FRAME

EYES = {33: (-0.30, -0.15), 133: (-0.10, -0.15), 362: (0.10, -0.15), 263: (0.30, -0.15)}
LIDS = {160: -0.25, 159: -0.2, 158: -0.15, 385: 0.15, 386: 0.2, 387: 0.25}
UNDER = {160: 144, 159: 145, 158: 153, 385: 380, 386: 374, 387: 373}


def face(size: float = 200, x: float = 300, y: float = 300, *, roll_deg: float = 0, yaw: float = 0, lids: float = 0.06) -> Face:
    """An ellipse of landmarks with eyes, lids and cheeks where a face has them."""
    angle = np.linspace(0, 2 * np.pi, LANDMARKS, endpoint=False)
    points = np.column_stack([0.4 * np.sin(angle), -0.5 * np.cos(angle), np.zeros(LANDMARKS)])
    points[list(EYES), :2] = list(EYES.values())
    for upper, lid_x in LIDS.items():
        points[[upper, UNDER[upper]], :2] = (lid_x, -0.15 - lids / 2), (lid_x, -0.15 + lids / 2)
    points[[1, 61, 291, 78, 308], :2] = (0, 0.05), (-0.12, 0.25), (0.12, 0.25), (-0.1, 0.25), (0.1, 0.25)
    points[[13, 14], :2] = (0, 0.25)
    points[[234, 454], :2] = (-0.4, 0), (0.4, 0)
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    points = points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T
    points[:, 2] *= -1
    c, s = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    points[:, :2] = points[:, :2] @ np.array([[c, s], [-s, c]])
    return Face((points * size + [x, y, 0]).astype(np.float32), 0.9)


class Fixed:
    """A tracker that knows the faces of one picture, and finds none in a crop of it."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self.faces = faces

    def detect(self, rgb: np.ndarray) -> Sequence[Face]:
        return self.faces if rgb.shape[0] != FRAME else []

    def matte(self, rgb: np.ndarray) -> np.ndarray:
        return np.ones(rgb.shape[:2], np.float32)


def test_the_largest_face_is_chosen_and_small_ones_are_ignored() -> None:
    large = face(200)
    assert choose_face([face(60), large, face(110)]) is large


def test_no_face_says_what_photo_is_needed() -> None:
    with pytest.raises(NoFace, match="no face was found; use a photo"):
        choose_face([])


def test_two_faces_of_similar_size_are_refused() -> None:
    with pytest.raises(SeveralFaces, match="2 faces"):
        choose_face([face(200), face(150), face(40)])


def test_a_good_face_has_no_notes() -> None:
    assert judge_face(face(), 600, 600) == ()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (face(70), "only 70 px"),
        (face(x=20), "cut off"),
        (face(y=590), "cut off"),
        (face(yaw=45), "turned 4.*turn towards the camera"),
        (face(yaw=-45), "turned 4"),
        (face(lids=0.005), "eyes are shut"),
    ],
)
def test_faces_that_cannot_be_animated_are_refused(bad: Face, why: str) -> None:
    with pytest.raises(UnusableFace, match=why):
        judge_face(bad, 600, 600)


def test_what_limits_the_animation_is_noted() -> None:
    assert judge_face(face(lids=0.025), 600, 600) == ("eyes nearly shut: gaze will hardly show",)


@pytest.mark.parametrize("yaw", [-30, 0, 20])
def test_yaw_is_that_of_the_cheeks(yaw: float) -> None:
    assert yaw_deg(face(yaw=yaw).landmarks) == pytest.approx(yaw, abs=0.5)


def test_eye_openness_is_height_over_width() -> None:
    assert eye_openness(face(lids=0.06).landmarks) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("roll", [-40, -10, 0, 10, 90])
def test_the_square_is_upright_and_holds_the_face(roll: float) -> None:
    matrix = upright_square(face(200, 500, 500, roll_deg=roll), 1000, 1000)
    points = face(200, 500, 500, roll_deg=roll).landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    assert points[263, 1] == pytest.approx(points[33, 1], abs=0.1)
    assert points[263, 0] > points[33, 0]
    size = np.ptp(points[:468], axis=0).max()
    assert FRAME / size == pytest.approx(2.3, abs=0.05)


@pytest.mark.parametrize(("x", "y"), [(110, 500), (890, 500), (500, 110), (500, 890)])
def test_the_square_stays_inside_the_picture(x: float, y: float) -> None:
    inverse = cv2.invertAffineTransform(upright_square(face(200, x, y), 1000, 1000))
    corners = np.array([[0, 0], [FRAME, 0], [0, FRAME], [FRAME, FRAME]]) @ inverse[:, :2].T + inverse[:, 2]
    assert corners.min() >= -0.01
    assert corners.max() <= 1000.01


def test_a_tight_photo_keeps_room_about_the_face() -> None:
    matrix = upright_square(face(200, 105, 105), 210, 210)
    assert FRAME / matrix[0, 0] / 200 == pytest.approx(1.45, abs=0.01)


def test_framing_moves_picture_and_landmarks_alike() -> None:
    found = face(300, 450, 520, roll_deg=20)
    picture = np.full((1000, 900, 3), 90, np.uint8)
    marks = [(33, (255, 0, 0)), (263, (0, 255, 0)), (1, (0, 0, 255))]
    for index, colour in marks:
        cv2.circle(picture, tuple(int(v) for v in found.landmarks[index, :2]), 8, colour, -1)
    framed = frame_face(picture, Fixed([found]))
    assert isinstance(framed, Framed)
    assert framed.crop.shape == (FRAME, FRAME, 3)
    assert framed.matte.shape == (FRAME, FRAME)
    for index, colour in marks:
        y, x = np.nonzero((np.abs(framed.crop.astype(int) - colour).sum(2)) < 60)
        assert np.abs(framed.landmarks[index, :2] - (x.mean(), y.mean())).max() < 1.5


def test_what_is_made_up_outside_a_photo_has_no_streaks() -> None:
    rng = np.random.default_rng(0)
    picture = np.repeat(rng.integers(0, 255, (1, 180, 3), dtype=np.uint8), 180, axis=0)  # vertical stripes
    framed = frame_face(picture, Fixed([face(170, 90, 92)]))
    stripes = np.abs(np.diff(framed.crop.astype(int), axis=1)).mean(axis=(1, 2))
    assert stripes[FRAME // 2] > 10
    assert stripes[-2] < 3


def test_other_people_leave_the_matte() -> None:
    matte = np.zeros((FRAME, FRAME), np.float32)
    matte[100:, 150:350] = 1
    matte[200:, 430:] = 1
    alone = one_person(matte, face(200, 250, 250).landmarks)
    assert alone[300, 250] == 1
    assert alone[300, 470] < 0.05
