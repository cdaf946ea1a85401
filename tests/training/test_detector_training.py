from collections.abc import Mapping

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from engine.contract.graph import GraphSpec  # noqa: E402 (needs torch)
from engine.face.crop import face_square, into, roll_of  # noqa: E402
from engine.face.detector import HEIGHT, SPEC, WIDTH, Detector  # noqa: E402
from training.tracker import crowd, detector, matte  # noqa: E402
from training.tracker.crowd import Crowd, Person, mirrored, moved, placed, target_of  # noqa: E402
from training.tracker.detector_judge import match, upper_bound  # noqa: E402


def landmarks(x: float, y: float, side: float, roll: float) -> NDArray[np.float32]:
    """A flat face: all landmarks in an ellipse half as wide as high, the outer eye corners a third above its middle."""
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 478), np.sqrt(rng.random(478))
    flat = np.column_stack([0.36 * radius * np.cos(angle), 0.5 * radius * np.sin(angle)])
    flat[:2] = (0, -0.5), (0, 0.5)
    flat[[33, 263]] = (-0.3, -0.15), (0.3, -0.15)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return np.column_stack([flat @ turn.T * side + (x, y), np.zeros(478)]).astype(np.float32)


def person(rng: np.random.Generator) -> Person:
    """A face of one colour."""
    points = landmarks(80, 80, 80, 0.0)
    rgb = np.full((160, 160, 3), 90, np.uint8)
    cv2.ellipse(rgb, (80, 80), (30, 40), 0, 0, 360, (210, 160, 130), -1)
    return Person(rgb, points, (rgb[..., 0] > 150).astype(np.uint8) * 255 if rng.random() < 0.5 else None)


class Said:
    """A network that says what it was taught to say."""

    spec: GraphSpec = SPEC

    def __init__(self, targets: NDArray[np.float32]) -> None:
        heat, places = detector.encode(targets)
        self._said = {"heat": heat[None, :1], "box": places[None, :3], "eyes": places[None, 3:7]}

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        return dict(self._said)


@pytest.mark.parametrize("roll", [-1.2, 0.0, 0.4])
def test_a_target_is_the_square_that_crops_are_cut_by(roll: float) -> None:
    points = landmarks(120, 90, 60, roll)
    x, y, side, *_ = target_of(points)
    assert (x, y) == pytest.approx((120, 90), abs=0.5)
    assert side == pytest.approx(60, rel=0.01)
    in_square = into(points, face_square(points, 1.0, 100))
    assert np.ptp(in_square[:468, :2], axis=0).max() == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize(("side", "roll"), [(22.0, 0.0), (60.0, 0.7), (150.0, -1.0), (240.0, 0.2)])
def test_what_is_taught_is_what_the_engine_reads(side: float, roll: float) -> None:
    points = landmarks(131.3, 97.9, side, roll)
    target = target_of(points)
    (face,) = Detector(Said(target[None])).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8), smallest=WIDTH)
    assert (face.x, face.y, face.side) == pytest.approx(target[:3], abs=0.01)
    assert face.roll == pytest.approx(roll_of(points), abs=1e-3)
    assert face.score == pytest.approx(1.0)


def test_two_faces_are_taught_apart() -> None:
    targets = np.array([target_of(landmarks(60, 70, 50, 0.1)), target_of(landmarks(190, 110, 90, -0.5))])
    found = Detector(Said(targets)).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8), smallest=WIDTH)
    assert [face.side for face in found] == pytest.approx([90, 50], rel=0.01)


def test_a_face_that_is_mostly_cut_off_does_not_count() -> None:
    (heat, counts), places = detector.encode(target_of(landmarks(2, 2, 120, 0.0))[None])
    assert heat.max() == 0
    assert counts[0, 0] == 0
    assert counts[-1, -1] == 1
    assert not places[7].any()


def test_placing_and_mirroring_keep_a_target_whole() -> None:
    rng = np.random.default_rng(3)
    points = landmarks(80, 80, 80, 0.3)
    for _ in range(50):
        matrix = placed(target_of(points), rng)
        target = moved(target_of(points), matrix)
        assert target == pytest.approx(target_of(into(points, matrix)), abs=0.05)
        assert crowd.SMALLEST - 0.1 <= target[2] <= crowd.LARGEST * HEIGHT + 0.1
        assert 0 <= target[0] <= WIDTH
        assert 0 <= target[1] <= HEIGHT
        assert mirrored(mirrored(target)) == pytest.approx(target, abs=1e-3)
        across = mirrored(target)[5] - mirrored(target)[3]
        assert across == pytest.approx(target[5] - target[3], abs=1e-3)


def test_equal_seeds_draw_equal_pictures_and_faces_lie_apart() -> None:
    faceless = np.random.default_rng(0).integers(0, 255, (4, 160, 160, 3), np.uint8)
    one, other = (Crowd([person], faceless, np.random.default_rng(5)) for _ in range(2))
    for _ in range(12):
        (picture, targets), (again, _) = one.draw(), other.draw()
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, again)
        for i, a in enumerate(targets):
            assert all(np.abs(a[:2] - b[:2]).max() > 0.5 * max(a[2], b[2]) for b in targets[:i])
    assert not len(one.draw(0)[1])


def test_the_heat_is_learned() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    learner = detector.Learner()
    batch = detector.batch_of(Crowd([person], [], np.random.default_rng(2)), 4, (96, 64))
    losses: list[float] = []
    for step in range(8):
        learner.schedule(0.1)
        losses.append(learner.learn(batch, step)["heat"])
    assert losses[-1] < 0.9 * losses[0]


def test_mattes_move_with_their_pictures() -> None:
    crops = np.full((2, matte.CROP, matte.CROP, 3), 20, np.uint8)
    planes = np.zeros((2, matte.CROP, matte.CROP), np.uint8)
    crops[:, 120:300, 80:220] = 230
    planes[:, 120:300, 80:220] = 255
    examples = matte.Examples(
        matte.Mattes(crops, planes, np.array(["train", "train"])), crops[:1, :160, :160] * 0, np.random.default_rng(1)
    )
    agree: list[float] = []
    for _ in range(8):
        view, plane, outline = examples.draw(64)
        assert view.shape == (64, 64, 3)
        assert plane.shape == outline.shape == (64, 64)
        agree.append(float(np.corrcoef(view.mean(-1).ravel(), plane.ravel())[0, 1]))
    assert np.median(agree) > 0.5


def test_what_counts_more_is_the_outline_of_the_head_not_of_the_shoulders() -> None:
    plane = np.zeros((matte.CROP, matte.CROP), np.uint8)
    plane[100:, 120:260] = 255
    outline = matte.outline_of(plane)
    assert outline[200, 120] > 240
    assert outline[100, 190] > 240
    assert outline[200, 190] == outline[200, 60] == 0
    assert not outline[300:].any()


def test_the_bound_of_none_in_n_is_three_in_n() -> None:
    assert upper_bound(0, 6000) == pytest.approx(3 / 6000, rel=0.01)
    assert upper_bound(3, 6000) > upper_bound(0, 6000)


def test_a_face_matches_only_near_and_of_like_size() -> None:
    target = target_of(landmarks(100, 100, 60, 0.0))
    found = Detector(Said(target[None])).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8), smallest=WIDTH)
    assert match(found, target) is not None
    assert match(found, target + np.array([40, 0, 0, 0, 0, 0, 0], np.float32)) is None
    assert match(found, target * np.array([1, 1, 2, 1, 1, 1, 1], np.float32)) is None
