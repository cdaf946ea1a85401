"""Preparation, augmentation and reading of the face tracker's training data."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.contract.motion import CHANNELS, Channel
from engine.face.crop import cut, face_square, into
from engine.face.finder import partners
from engine.render.mesh import Canvas, MeshRenderer
from engine.render.scene import scene_of
from engine.rig.archive import load
from engine.rig.avatar import Avatar
from training.tracker.augment import Augment, face_free, mirrored
from training.tracker.data import Balanced, Shard, ShardError
from training.tracker.exact import Drawn, freed, gaze_deg, motion_of, reached
from training.tracker.moves import random_controls
from training.tracker.prepare import FILMED, part_of
from training.tracker.shards import put

PORTRAITS = Path(__file__).parents[2] / "engine" / "models" / "portraits"
SIZE = 256


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return load(PORTRAITS / "mei.mien")


@pytest.fixture(scope="module")
def drawn(avatar: Avatar) -> Drawn:
    return Drawn(freed(avatar), Canvas(scene_of(freed(avatar), SIZE)))


def face() -> tuple[np.ndarray, np.ndarray]:
    """A crop as a shard holds it, and its landmarks."""
    bgr = cv2.imread(str(PORTRAITS / "source" / "mei.png"))
    assert bgr is not None
    rgb = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
    with np.load(PORTRAITS / "source" / "mei.npz") as data:
        landmarks = data["landmarks"].astype(np.float32)
    matrix = face_square(landmarks, 2.0, 320)
    return cut(rgb, matrix, 320), into(landmarks, matrix)


def controls(**named: float) -> np.ndarray:
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in named.items():
        values[Channel[name]] = value
    return values


def test_the_order_of_the_mirrored_landmarks_is_an_involution_and_fits_faces() -> None:
    order = partners()
    assert (order[order] == np.arange(478)).all()
    faces: list[np.ndarray] = []
    for path in sorted((PORTRAITS / "source").glob("*.npz")):
        with np.load(path) as data:
            points = data["landmarks"][:, :2].astype(float)
        faces.append((points - points.mean(0)) / np.ptp(points[:, 1]))
    mean = np.mean(faces, axis=0)
    nearest = mean[order] * [-1, 1]
    assert np.linalg.norm(nearest - mean, axis=1).max() < 0.05
    apart = np.linalg.norm((mean * [-1, 1])[None, 468:] - mean[468:, None], axis=2).argmin(1) + 468
    assert (apart == order[468:]).all()


def test_mirroring_twice_gives_the_face_back() -> None:
    crop, landmarks = face()
    again, points = mirrored(*mirrored(crop, landmarks))
    assert (again == crop).all()
    np.testing.assert_allclose(points, landmarks, atol=1e-4)


def test_the_same_seed_gives_the_same_views_and_landmarks_follow_the_pixels() -> None:
    crop, landmarks = face()
    first, second = Augment(3), Augment(3)
    for _ in range(4):
        a, b = first(crop, landmarks), second(crop, landmarks)
        assert (a[0] == b[0]).all()
        assert (a[1] == b[1]).all()
    marked = np.zeros_like(crop)
    x, y = np.rint(landmarks[1, :2]).astype(int)
    cv2.circle(marked, (int(x), int(y)), 4, (255, 255, 255), -1)
    plain = Augment(5, strength=0.0)
    for _ in range(8):
        view, points = plain(marked, landmarks)
        assert view.shape == (128, 128, 3)
        assert view.dtype == np.uint8
        rows, columns = np.nonzero(view[..., 0] > 100)
        np.testing.assert_allclose([columns.mean(), rows.mean()], points[1, :2], atol=1.0)


def test_disturbed_views_and_pictures_without_a_face_keep_their_form() -> None:
    crop, landmarks = face()
    augment, rng = Augment(0), np.random.default_rng(0)
    for _ in range(60):
        view, points = augment(crop, landmarks, 96, 1.6)
        assert view.shape == (96, 96, 3)
        assert view.dtype == np.uint8
        assert np.isfinite(points).all()
        assert face_free(rng, 64).shape == (64, 64, 3)


def test_labels_of_a_portrait_at_rest_are_the_photo_s_own(avatar: Avatar, drawn: Drawn) -> None:
    _, points, _ = drawn.draw(controls())
    scale = SIZE / 512
    np.testing.assert_allclose(points[:, :2], (avatar.landmarks[:, :2] + 0.5) * scale - 0.5, atol=1.2)  # lips are sealed
    np.testing.assert_allclose(points[:468, 2], avatar.landmarks[:468, 2] * scale, atol=0.3)


def test_labels_move_as_the_controls_say(avatar: Avatar, drawn: Drawn) -> None:
    _, rest, _ = drawn.draw(controls())
    _, turned, _ = drawn.draw(controls(yaw=20))
    assert turned[1, 0] > rest[1, 0] + 5
    _, looking, _ = drawn.draw(controls(eyeLookOutLeft=0.5, eyeLookInRight=0.5))
    assert (looking[[468, 473], 0] > rest[[468, 473], 0] + 1).all()
    np.testing.assert_allclose(looking[:468, 0], rest[:468, 0], atol=1.5)
    _, shut, _ = drawn.draw(controls(eyeBlinkLeft=1))
    assert abs(shut[386, 1] - shut[374, 1]) < 1 < abs(shut[159, 1] - shut[145, 1])
    _, gaping, _ = drawn.draw(controls(jawOpen=1))
    assert gaping[14, 1] - gaping[13, 1] > 5 + rest[14, 1] - rest[13, 1]


def test_labels_are_the_renderer_s(avatar: Avatar, drawn: Drawn) -> None:
    values = random_controls(np.random.default_rng(4))
    values[Channel["yaw"]] = 10
    renderer = MeshRenderer(freed(avatar), SIZE)
    renderer.prepare(motion_of(values))
    picture = renderer.finish().rgb
    got, points, _ = drawn.draw(values)
    assert (picture == got).all()
    np.testing.assert_allclose(points[:, :2], renderer.landmarks()[:, :2], atol=1e-3)


def test_the_stored_controls_are_what_limits_leave(avatar: Avatar) -> None:
    asked = controls(yaw=40, pitch=-10, eyeLookOutLeft=1, eyeLookInRight=1, eyeLookUpLeft=0.3, jawOpen=0.4, tx=0.1)
    limited, free = reached(avatar, asked), reached(freed(avatar), asked)
    assert limited[Channel["yaw"]] < 27
    assert free[Channel["yaw"]] == 40
    assert free[Channel["jawOpen"]] == np.float32(0.4)
    assert free[Channel["tx"]] == np.float32(0.1)
    gaze = gaze_deg(free[None])[0]
    np.testing.assert_allclose(gaze, [[26, 9], [26, 0]], atol=0.5)


def test_random_controls_stay_in_range_and_vary() -> None:
    rng = np.random.default_rng(1)
    many = np.stack([random_controls(rng) for _ in range(400)])
    coefficients = many[:, :52]
    assert coefficients.min() >= 0
    assert coefficients.max() <= 1
    assert np.abs(many[:, Channel["yaw"]]).max() <= 45
    assert np.ptp(many[:, Channel["yaw"]]) > 50
    assert 0.3 < (many[:, Channel["eyeBlinkLeft"]] == 0).mean() < 0.8


def test_people_who_are_filmed_for_the_test_are_not_trained_on() -> None:
    assert part_of("us_house", FILMED[0], FILMED[0]) == "test"
    assert part_of("us_officials", "a", "a") == "test"
    assert {part_of("grid_s1", "grid_s1", f"clip{i}") for i in range(40)} == {"train", "validation"}


def test_a_shard_is_read_as_it_was_written(tmp_path: Path) -> None:
    crops = np.arange(4 * 320 * 320 * 3, dtype=np.uint64).astype(np.uint8).reshape(4, 320, 320, 3)
    with pytest.raises(ShardError, match=r"crops.*prepare-faces"):
        Shard.load(tmp_path)
    put(
        tmp_path,
        crops=crops,
        landmarks=np.zeros((4, 478, 3), np.float32),
        people=np.array(["a", "a", "b", "c"]),
        split=np.array(["train", "train", "train", ""]),
        source=np.array(["x/a#0", "x/a#1", "y/b#0", "y/c#0"]),
        score=np.ones(4, np.float32),
    )
    shard = Shard.load(tmp_path)
    assert len(shard) == 4
    assert shard.matte is None
    assert (shard.crops[2] == crops[2]).all()
    assert shard.rows("train").tolist() == [0, 1, 2]
    assert shard.rows("train", "y/").tolist() == [2]
    assert shard.rows("test").tolist() == []
    put(tmp_path, score=np.ones(3, np.float32))
    with pytest.raises(ShardError, match="different lengths"):
        Shard.load(tmp_path)


def test_people_are_drawn_equally_often() -> None:
    people = np.array(["a"] * 90 + ["b"] * 10 + ["c"])
    balanced = Balanced(people, np.flatnonzero(people != "c"))
    drawn = balanced.draw(np.random.default_rng(0), 4000)
    assert balanced.people == 2
    assert 0.45 < (people[drawn] == "b").mean() < 0.55
    assert len(np.unique(drawn)) == 100
