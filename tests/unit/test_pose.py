import numpy as np
import pytest

from engine.face.pose import EYES, RIGID, angles, deposed, frontal, mean_face, pose_track, similarity, steadied
from engine.rig.camera import rotation


def a_face() -> np.ndarray:
    rng = np.random.default_rng(3)
    points = rng.normal(0, 60, (478, 3))
    for right, left in ((33, 263), (133, 362), (127, 356), (234, 454), (21, 251), (54, 284)):
        points[left] = points[right] * (-1, 1, 1)
    points[[33, 263]] = (-45, -20, 10), (45, -20, 10)
    points[[10, 152]] = (0, -80, 20), (0, 90, 20)
    return frontal(points)


def seen(face: np.ndarray, turns: np.ndarray, scale: float = 80.0) -> np.ndarray:
    """Landmarks in px of a face turned by degrees[T, 3]."""
    return np.stack([scale * face @ rotation(*turn).T + (160, 120, 0) for turn in turns])


def test_angles_undo_the_rigs_rotation():
    turns = np.random.default_rng(0).uniform(-60, 60, (50, 3))
    found = angles(np.stack([rotation(*turn) for turn in turns]))
    np.testing.assert_allclose(found, turns, atol=1e-3)


def test_a_turned_face_gives_its_turns_and_itself_back():
    face = a_face()
    turns = np.random.default_rng(1).uniform(-20, 20, (30, 3))
    turns -= turns.mean(0)
    landmarks = seen(face, turns)
    np.testing.assert_allclose(pose_track(landmarks, face)[:, :3], turns, atol=1e-3)
    fit = similarity(landmarks[:, RIGID], face[RIGID])
    np.testing.assert_allclose(deposed(landmarks, *fit)[7], face, atol=1e-6)
    np.testing.assert_allclose(mean_face(landmarks), face, atol=1e-6)


def test_places_are_in_eye_distances_up_and_towards_the_camera():
    face = a_face()
    landmarks = seen(face, np.zeros((3, 3)))
    landmarks[1] += (8, -8, 0)
    landmarks[2] = (landmarks[2] - (160, 120, 0)) * 1.02 + (160, 120, 0)
    pose = pose_track(landmarks, face)
    np.testing.assert_allclose(pose[1, 3:5] - pose[0, 3:5], 0.1, rtol=0.02)
    assert pose[2, 5] - pose[0, 5] == pytest.approx(12 * 0.02, rel=0.05)
    assert np.abs(pose[:, :3]).max() < 1e-3


def test_a_mirrored_fit_is_refused():
    face = a_face()
    turn, _, _ = similarity((face * (-1, 1, 1))[None, RIGID], face[RIGID])
    assert np.linalg.det(turn[0]) == pytest.approx(1)


def test_frontal_is_in_units_of_the_eyes():
    face = a_face()
    assert np.linalg.norm(face[EYES[1]] - face[EYES[0]]) == pytest.approx(1)
    np.testing.assert_allclose(face[list(EYES)].mean(0), 0, atol=1e-12)


def test_nods_that_go_with_the_lips_are_taken_out_and_others_stay():
    time = (np.arange(100) + 0.5) / 25
    gap = 0.05 + 0.05 * np.sin(2 * np.pi * 4 * time)
    pose = np.zeros((100, 6))
    pose[:, 1] = 3 * np.sin(2 * np.pi * 0.5 * time) + 20 * gap
    pose[:, 0] = np.sin(2 * np.pi * 0.8 * time)
    track = steadied(pose, gap, 25.0)
    instants = np.arange(len(track)) / 50
    assert track.shape == (200, 6)
    inside = slice(20, -20)
    np.testing.assert_allclose(track[inside, 1] - 1, 3 * np.sin(2 * np.pi * 0.5 * instants)[inside], atol=0.2)
    np.testing.assert_allclose(track[inside, 0], np.sin(2 * np.pi * 0.8 * instants)[inside], atol=0.15)
