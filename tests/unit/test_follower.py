"""One face followed: kept, lost, found again, and what is said when there is none."""

import numpy as np
import pytest

from engine.face.follower import COUNT_S, PATIENCE_S, Follower, plausible
from engine.face.stream import Seen
from tests.unit.disc_faces import Disc, DiscDetector, DiscMesh, networks, picture, template

FPS = 25


class Camera:
    """A follower, the networks it runs, and a clock."""

    def __init__(self) -> None:
        parts = networks()
        self.follower = Follower(*parts)
        self.detector: DiscDetector = parts[0]._graph  # type: ignore[assignment]
        self.mesh: DiscMesh = parts[1]._graph  # type: ignore[assignment]
        self.frame = 0

    def show(self, *discs: Disc, frames: int = 1) -> Seen:
        """What is seen in the last of some pictures of the same discs."""
        for _ in range(frames - 1):
            self.show_picture(picture(*discs, seed=self.frame))
        return self.show_picture(picture(*discs, seed=self.frame))

    def show_picture(self, rgb: np.ndarray) -> Seen:
        self.frame += 1
        return self.follower.follow(rgb, self.frame / FPS)


def test_a_face_is_found_in_the_first_picture_and_followed_cheaply() -> None:
    camera = Camera()
    first = camera.show((300, 200, 90))
    assert first.face is not None
    assert first.face.centre == pytest.approx((300, 200), abs=4)
    assert (first.trouble, first.faces, first.time_s) == ("", 1, 1 / FPS)
    searched, looked = camera.detector.runs, camera.mesh.runs
    for i in range(20):
        seen = camera.show((300 + 4 * i, 200, 90))
        assert seen.face is not None
        assert seen.face.centre[0] == pytest.approx(300 + 4 * i, abs=4)
    assert camera.detector.runs == searched
    assert camera.mesh.runs == looked + 20


def test_a_face_that_jumps_is_found_again_at_once() -> None:
    camera = Camera()
    camera.show((150, 200, 80), frames=3)
    seen = camera.show((480, 250, 80))
    assert seen.face is not None
    assert seen.face.centre[0] == pytest.approx(480, abs=5)


def test_an_empty_picture_is_searched_now_and_then_only() -> None:
    camera = Camera()
    assert camera.show(frames=50).trouble == "no face"
    assert camera.detector.runs <= 50 / FPS / 0.1 + 1
    assert camera.mesh.runs == 0
    assert camera.show((300, 200, 90), frames=4).face is not None


def test_a_small_face_in_a_corner_is_found_by_a_closer_look() -> None:
    camera = Camera()
    rgb = [picture((1200, 650, 40), width=1280, height=720, seed=i) for i in range(2)]
    seen = [camera.show_picture(rgb[i % 2]) for i in range(30)]
    assert any(look.face is not None for look in seen)


def test_two_people_are_counted_and_the_first_is_kept() -> None:
    camera = Camera()
    camera.show((200, 200, 80))
    seen = camera.show((200, 200, 80), (470, 240, 110), frames=round(COUNT_S * FPS) + 2)
    assert seen.faces == 2
    assert seen.face is not None
    assert seen.face.centre[0] == pytest.approx(200, abs=4)
    assert camera.show((200, 200, 80), frames=round(COUNT_S * FPS) + 2).faces == 1


def test_who_is_hidden_for_a_moment_is_not_swapped_for_another() -> None:
    camera = Camera()
    both = (150, 200, 80), (470, 240, 110)
    camera.show(both[0])
    camera.show(*both, frames=round(COUNT_S * FPS) + 2)
    assert camera.show(both[1], frames=8).trouble == "no face"
    back = camera.show(*both, frames=4)
    assert back.face is not None
    assert back.face.centre[0] == pytest.approx(150, abs=4)
    other = camera.show(both[1], frames=round(PATIENCE_S * FPS) + 10)
    assert other.face is not None
    assert other.face.centre[0] == pytest.approx(470, abs=5)


def test_trouble_is_named() -> None:
    camera = Camera()
    camera.show((300, 200, 90), frames=3)
    black = np.zeros((480, 640, 3), np.uint8)
    assert camera.show_picture(black).trouble == "dark"
    assert camera.show_picture(np.full((480, 640, 3), 120, np.uint8)).trouble == "covered"
    assert camera.show().trouble == "no face"
    assert camera.show((300, 200, 25), frames=8).trouble in ("too small", "no face")


def test_a_frozen_picture_is_told_and_its_face_is_let_go() -> None:
    camera, same = Camera(), picture((300, 200, 90))
    told = [camera.show_picture(same) for _ in range(25)]
    assert told[5].face is not None
    assert (told[-1].trouble, told[-1].face, told[-1].faces) == ("frozen", None, 1)
    assert camera.show((300, 200, 90)).face is not None


def test_a_face_in_profile_is_turned_away_and_comes_back() -> None:
    camera = Camera()
    camera.show((300, 200, 90))
    camera.mesh.yaw_deg = 75
    seen = camera.show((300, 200, 90), frames=3)
    assert (seen.trouble, seen.face, seen.faces) == ("turned away", None, 1)
    camera.mesh.yaw_deg = 20
    assert camera.show((300, 200, 90), frames=3).face is not None


def test_landmarks_that_tremble_are_calmed() -> None:
    camera = Camera()
    camera.mesh.noise = 0.3
    centres = [camera.show((300, 200, 90)).face for _ in range(60)]
    points = np.stack([face.landmarks for face in centres if face is not None])[30:, :, :2]
    raw = 0.3 * 180 * 1.5 / 128
    assert np.abs(points - points.mean(0)).mean() < 0.35 * raw


def test_reset_equals_new() -> None:
    camera, fresh = Camera(), Camera()
    camera.show((150, 200, 80), frames=4)
    camera.follower.reset()
    camera.frame = 0
    for _ in range(6):
        old, new = camera.show((420, 220, 90)), fresh.show((420, 220, 90))
        assert old.face is not None
        assert new.face is not None
        assert np.array_equal(old.face.landmarks, new.face.landmarks)


def test_torn_landmarks_are_no_face() -> None:
    assert plausible(template())
    assert not plausible(template() * np.array([1, 0.1, 0.1], np.float32))
    assert not plausible(np.zeros((478, 3), np.float32))
