import importlib.metadata
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.errors import MissingDependency
from training import teacher
from training.teacher import MediaPipeTracker, MeshStream, install_command, missing

SOURCES = Path(__file__).parents[2] / "engine" / "models" / "portraits" / "source"
needs_mediapipe = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def tracker() -> MediaPipeTracker:
    return MediaPipeTracker()


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    picture = cv2.imread(str(SOURCES / "mei.png"))
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def drawn_animal(seed: int, pixels: int = 480) -> np.ndarray:
    """A cat, dog or bear from ellipses and fur, by `seed`: two eyes, muzzle, nose and mouth where animals have them."""
    rng = np.random.default_rng(seed)
    kind = ("cat", "dog", "bear")[seed % 3]
    fur = np.array(rng.choice([[150, 110, 70], [90, 90, 95], [200, 170, 130], [40, 36, 34], [225, 215, 205]]), float)
    picture = np.full((pixels, pixels, 3), rng.uniform(40, 220, 3))
    x, y, w = pixels / 2, pixels * 0.48, pixels * rng.uniform(0.24, 0.32)

    def blob(cx: float, cy: float, a: float, b: float, colour: object, angle: float = 0) -> None:
        cv2.ellipse(picture, (int(cx), int(cy)), (int(a), int(b)), angle, 0, 360, tuple(map(float, colour)), -1, cv2.LINE_AA)  # type: ignore[call-overload]

    blob(x, y + 1.6 * w, 1.1 * w, 1.1 * w, fur * 0.85)
    for s in (-1, 1):
        if kind == "cat":
            ear = [[x + s * w * 0.95, y - w * 0.4], [x + s * w * 0.25, y - w * 0.85], [x + s * w * 0.85, y - w * 1.5]]
            cv2.fillPoly(picture, [np.array(ear, np.int32)], tuple(map(float, fur * 0.75)), cv2.LINE_AA)
        elif kind == "dog":
            blob(x + s * w * 0.95, y, 0.28 * w, 0.7 * w, fur * 0.75, s * -15)
        else:
            blob(x + s * w * 0.75, y - w * 0.8, 0.3 * w, 0.3 * w, fur * 0.75)
    blob(x, y, w, w * 0.95, fur)
    blob(x, y + 0.45 * w, 0.5 * w, 0.4 * w, np.clip(fur * 1.35 + 20, 0, 255))
    iris = rng.choice([[180, 190, 60], [90, 170, 90], [120, 80, 40], [200, 150, 50]])
    for s in (-1, 1):
        eye, size = x + s * w * 0.45, w * 0.17
        blob(eye, y - 0.2 * w, 1.2 * size, size, (20, 15, 15))
        blob(eye, y - 0.2 * w, size, 0.85 * size, iris)
        blob(eye, y - 0.2 * w, size * (0.25 if kind == "cat" else 0.6), 0.75 * size, (8, 8, 8))
    nose = [[x - w * 0.14, y + w * 0.22], [x + w * 0.14, y + w * 0.22], [x, y + w * 0.36]]
    cv2.fillPoly(picture, [np.array(nose, np.int32)], (60.0, 40.0, 40.0), cv2.LINE_AA)
    for s in (-1, 1):
        cv2.ellipse(
            picture, (int(x + s * w * 0.13), int(y + w * 0.5)), (int(w * 0.13), int(w * 0.1)), 0, 0, 180, (40.0, 25.0, 25.0), 3
        )
    texture = cv2.filter2D(rng.normal(0, 1, (pixels, pixels)), -1, np.eye(9) / 9) * 30
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.5) + texture[..., None], 0, 255).astype(np.uint8)


@needs_mediapipe
def test_a_person_is_found_with_all_landmarks(tracker: MediaPipeTracker, person: np.ndarray) -> None:
    (face,) = tracker.detect(person)
    assert face.landmarks.shape == (478, 3)
    assert face.landmarks.dtype == np.float32
    assert face.score > 0.8
    left, right, nose, chin = (face.landmarks[i] for i in (263, 33, 1, 152))
    assert left[0] > right[0]  # the person's left is image right
    assert right[1] < nose[1] < chin[1]
    assert nose[2] > max(left[2], right[2])  # z points towards the camera


@needs_mediapipe
def test_landmarks_scale_with_the_picture(tracker: MediaPipeTracker, person: np.ndarray) -> None:
    (face,) = tracker.detect(person)
    (large,) = tracker.detect(np.asarray(cv2.resize(person, None, fx=4, fy=4), np.uint8))
    assert np.abs(large.landmarks / 4 - face.landmarks).mean() < 1.0


@needs_mediapipe
def test_two_people_are_two_faces(tracker: MediaPipeTracker, person: np.ndarray) -> None:
    assert len(tracker.detect(np.hstack([person, person[:, ::-1]]))) == 2


@needs_mediapipe
def test_a_face_is_followed_through_a_video_and_forgotten_when_asked(person: np.ndarray) -> None:
    stream = MeshStream()
    small = np.asarray(cv2.resize(person, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    moved = np.roll(small, 6, axis=1)
    first, second = stream.follow(small), stream.follow(moved)
    assert first is not None
    assert second is not None
    assert np.median(second[:, 0] - first[:, 0]) == pytest.approx(6, abs=1)
    assert first[1, 2] > first[33, 2]  # z points towards the camera
    assert stream.follow(np.zeros_like(small)) is None
    stream.reset()
    again = stream.follow(small)
    assert again is not None
    assert np.abs(again - first).max() < 1e-3


@needs_mediapipe
def test_no_face_in_noise_or_in_nothing(tracker: MediaPipeTracker) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    for picture in (noise, np.zeros((16, 2000, 3), np.uint8), np.full((300, 300, 3), 200, np.uint8)):
        assert tracker.detect(picture) == []


@needs_mediapipe
def test_animals_are_not_people(tracker: MediaPipeTracker) -> None:
    taken_for_people = sum(bool(tracker.detect(drawn_animal(seed))) for seed in range(30))
    assert taken_for_people <= 1


@needs_mediapipe
def test_the_matte_holds_the_person(tracker: MediaPipeTracker, person: np.ndarray) -> None:
    matte = tracker.matte(person)
    assert matte.shape == person.shape[:2]
    assert matte.dtype == np.float32
    (face,) = tracker.detect(person)
    x, y = (int(v) for v in face.centre)
    assert matte[y, x] > 0.9
    assert matte[5:20, 5:20].max() < 0.1


@needs_mediapipe
def test_nothing_is_logged(person: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    fresh = MediaPipeTracker()
    fresh.detect(person)
    fresh.matte(person)
    assert capfd.readouterr() == ("", "")


@needs_mediapipe
def test_drawing_helpers_are_not_loaded(tracker: MediaPipeTracker) -> None:
    assert "mediapipe.python.solutions.drawing_utils" not in sys.modules


@pytest.fixture
def without_mediapipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.usefixtures("without_mediapipe")
def test_missing_mediapipe_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "unavailable", lambda: None)
    with pytest.raises(MissingDependency, match=r"pip install --no-deps .mediapipe==0\.10\.21") as refusal:
        MediaPipeTracker()
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("without_mediapipe")
def test_a_python_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher.sys, "version_info", (3, 13, 0))
    assert "Python 3.12 or older" in str(missing())


def test_a_machine_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher.sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(teacher.sys, "platform", "linux")
    monkeypatch.setattr(teacher.platform, "machine", lambda: "aarch64")
    assert "nothing for aarch64" in str(teacher.unavailable())
    monkeypatch.setattr(teacher.sys, "platform", "darwin")
    assert teacher.unavailable() is None


def test_the_command_installs_for_the_python_that_runs() -> None:
    assert install_command()[0] == sys.executable
    assert Path(install_command()[0]).exists()
    assert "--no-deps" in install_command()


def test_standard_error_comes_back() -> None:
    before = os.fstat(2)
    with teacher._silence():
        assert os.fstat(2).st_rdev != before.st_rdev or os.fstat(2).st_ino != before.st_ino
    assert os.fstat(2).st_ino == before.st_ino
