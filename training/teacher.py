"""MediaPipe, which teaches our own face tracker; no other module knows of it, and nothing that serves imports this one.

`python -m training.teacher` installs it.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import types
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingDependency
from engine.face.tracker import Face

VERSION: Final = "0.10.21"  # the newest with its models inside
PYTHON_LIMIT: Final = (3, 13)  # the first Python without a wheel of it
MEGABYTES: Final = 49 if sys.platform == "darwin" else 36
REQUIREMENTS: Final = (f"mediapipe=={VERSION}", "protobuf>=6.31,<7")
"""What must be installed, with `--no-deps`: the other dependencies that it names serve parts which are never loaded."""

_DETECTION_SIDE: Final = 1280  # px
_FACES_AT_MOST: Final = 8
_CANDIDATE: Final = 0.3  # detector's score that is worth a second look
_SURE: Final = 0.78  # of 250 photos of people none scores below 0.80; of 200 drawn animals 2 % score more
_CROP: Final = 2.0  # side of the square given to the mesh, in sides of the detector's box
_SECOND_LOOK: Final = 3.0  # side of the square of the second look, in sizes of the face


def install_command(python: str = sys.executable) -> list[str]:
    """The command that installs MediaPipe for `python`."""
    return [python, "-m", "pip", "install", "--no-deps", *REQUIREMENTS]


def missing() -> str | None:
    """Why MediaPipe cannot be used here, in one line with the cure, or None if it can."""
    try:
        have = importlib.metadata.version("mediapipe")
    except importlib.metadata.PackageNotFoundError:
        return unavailable() or f"faces to train on need MediaPipe {VERSION} (once, {MEGABYTES} MB); {_cure()}"
    return None if have == VERSION else f"MediaPipe {have} is installed, {VERSION} is needed; {_cure()}"


def unavailable() -> str | None:
    """Why MediaPipe cannot even be installed here, in one line, or None if it can."""
    if sys.version_info >= PYTHON_LIMIT:
        python = ".".join(map(str, sys.version_info[:2]))
        return f"faces to train on need Python 3.12 or older (MediaPipe {VERSION} has nothing for {python})"
    if sys.platform == "linux" and platform.machine() not in ("x86_64", "AMD64"):
        only = f"MediaPipe {VERSION} has nothing for {platform.machine()}"
        return f"faces to train on need an x86-64 machine or a Mac ({only})"
    return None


def _cure() -> str:
    return f"install it with: {_shell(install_command())}"


def _shell(command: Sequence[str]) -> str:
    return " ".join(f"'{word}'" if set(word) & set("<>= ") else word for word in command)


class MediaPipeTracker:
    """Faces by BlazeFace (near and far) and the attention mesh with irises; the matte by selfie segmentation.

    While it works, whatever is written to the process's file descriptor 2 is
    dropped: MediaPipe's native code logs there and cannot be told not to.

    Raises:
        MissingDependency: if MediaPipe, or the version of it that is needed, is not installed.
    """

    def __init__(self) -> None:
        reason = missing()
        if reason:
            raise MissingDependency(reason)
        with _silence():
            try:
                self._solutions = _load()
            except (ImportError, AttributeError, TypeError) as error:
                cure = _shell([*install_command(), "--force-reinstall"])
                raise MissingDependency(f"MediaPipe cannot be loaded ({_first_line(error)}); mend it with: {cure}") from error
            detector, mesh = self._solutions.detector, self._solutions.mesh
            self._detectors = [detector(min_detection_confidence=_CANDIDATE, model_selection=i) for i in (0, 1)]
            self._mesh = mesh(
                static_image_mode=True, refine_landmarks=True, max_num_faces=4, min_detection_confidence=_CANDIDATE
            )
            self._segmentation = self._solutions.segmentation(model_selection=0)
        self._warm_up()

    def _warm_up(self) -> None:
        """Run every network once: the first run is slow, and logs from threads of its own."""
        blank = np.zeros((256, 256, 3), np.uint8)
        with _silence():
            self._face(blank, _Box(128, 128, 128))
        self.detect(blank)
        self.matte(blank)

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Face]:
        """All human faces in a picture uint8[H, W, 3], the largest first; at most eight."""
        with _silence():
            found = [self._face(rgb, box) for box in self._boxes(rgb)]
            faces = _distinct([face for face in found if face is not None and face.score >= _SURE])
        return sorted(faces, key=lambda face: face.size, reverse=True)

    def matte(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32[H, W] in 0..1: how much of each pixel of uint8[H, W, 3] is a person."""
        with _silence():
            mask = self._segmentation.process(np.ascontiguousarray(rgb)).segmentation_mask
        return np.clip(mask, 0, 1).astype(np.float32)

    def _boxes(self, rgb: NDArray[np.uint8]) -> list["_Box"]:
        height, width = rgb.shape[:2]
        scale = min(_DETECTION_SIDE / max(height, width), 1.0)
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        small = np.ascontiguousarray(small)
        boxes: list[_Box] = []
        for detector in self._detectors:
            for found in detector.process(small).detections or ():
                box = found.location_data.relative_bounding_box
                x, y = (box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height
                boxes.append(_Box(x, y, max(box.width * width, box.height * height), float(found.score[0])))
        return _suppress(boxes)[:_FACES_AT_MOST]

    def _face(self, rgb: NDArray[np.uint8], box: "_Box") -> Face | None:
        pixels = 512
        to_crop = _square(box.x, box.y, box.side * _CROP, pixels)
        crop = _warp(rgb, to_crop, pixels)
        found = self._mesh.process(crop).multi_face_landmarks
        if not found:
            return None
        meshes = [np.array([(p.x, p.y, -p.z) for p in mesh.landmark]) * pixels for mesh in found]
        nearest = min(meshes, key=lambda points: float(np.hypot(*(points[:, :2].mean(0) - pixels / 2))))
        nearest[:, :2] -= to_crop[:, 2]
        landmarks = (nearest / to_crop[0, 0]).astype(np.float32)
        return Face(landmarks, self._second_look(rgb, Face(landmarks, 0.0)))

    def _second_look(self, rgb: NDArray[np.uint8], face: Face) -> float:
        """How sure both detectors are, on average, of an upright crop of standard size and of its mirror image.

        A single score depends on how large and how tilted the face is, and
        animals reach 0.85; the four together tell them from people.
        """
        pixels = 256
        right, left = face.landmarks[33, :2], face.landmarks[263, :2]
        roll = np.arctan2(left[1] - right[1], left[0] - right[0])
        crop = _warp(rgb, _square(*face.centre, face.size * _SECOND_LOOK, pixels, float(roll)), pixels)
        views = (crop, np.ascontiguousarray(crop[:, ::-1]))
        scores = [_best(detector.process(view).detections) for detector in self._detectors for view in views]
        return float(np.mean(scores))


class MeshStream:
    """One face through a video: each frame is searched where the last one had it.

    Like `MediaPipeTracker`, it drops what is written to file descriptor 2 while it works.

    Raises:
        MissingDependency: if MediaPipe, or the version of it that is needed, is not installed.
    """

    def __init__(self) -> None:
        reason = missing()
        if reason:
            raise MissingDependency(reason)
        with _silence():
            self._mesh = _load().mesh(
                static_image_mode=False,
                refine_landmarks=True,
                max_num_faces=1,
                min_detection_confidence=0.5,
                min_tracking_confidence=0.5,
            )
        self.follow(np.zeros((256, 256, 3), np.uint8))  # the first run is slow, and logs from threads of its own
        self.reset()

    def follow(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """float32[478, 3] px of the next frame uint8[H, W, 3] as in `Face.landmarks`, or None where there is no face."""
        height, width = rgb.shape[:2]
        with _silence():
            found = self._mesh.process(np.ascontiguousarray(rgb)).multi_face_landmarks
        if not found:
            return None
        return np.array([(p.x * width, p.y * height, -p.z * width) for p in found[0].landmark], np.float32)

    def reset(self) -> None:
        """Forget where the face was."""
        with _silence():
            self._mesh.reset()


@dataclass(frozen=True, slots=True)
class _Box:
    """A square about a face: centre and side in px, and the detector's score."""

    x: float
    y: float
    side: float
    score: float = 0.0


def _square(x: float, y: float, side: float, pixels: int, roll: float = 0.0) -> NDArray[np.float64]:
    """float64[2, 3]: maps a square about (x, y), rolled by radians, to `pixels` by `pixels`."""
    k = pixels / side
    c, s = k * np.cos(roll), k * np.sin(roll)
    return np.array([[c, s, pixels / 2 - c * x - s * y], [-s, c, pixels / 2 + s * x - c * y]])


def _warp(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], pixels: int) -> NDArray[np.uint8]:
    """The square that `matrix` names, shrunk without aliasing; what lies outside the picture repeats its edge."""
    k = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    if k < 0.5:  # warpAffine samples single pixels: shrink first
        step = 0.5 ** int(np.floor(-np.log2(k)))
        rgb = np.asarray(cv2.resize(rgb, None, fx=step, fy=step, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.hstack([matrix[:, :2] / step, matrix[:, 2:]])
    square = cv2.warpAffine(rgb, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)


def _best(detections: Sequence[Any] | None) -> float:
    return max((float(found.score[0]) for found in detections or ()), default=0.0)


def _suppress(boxes: list[_Box]) -> list[_Box]:
    """The boxes without those that a better one covers (both detectors see most faces)."""
    kept: list[_Box] = []
    for box in sorted(boxes, key=lambda box: box.score, reverse=True):
        if all(max(abs(box.x - other.x), abs(box.y - other.y)) > 0.5 * max(box.side, other.side) for other in kept):
            kept.append(box)
    return kept


def _distinct(faces: list[Face]) -> list[Face]:
    """The faces without second sightings of the same one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if all(np.hypot(*np.subtract(face.centre, other.centre)) > 0.5 * max(face.size, other.size) for other in kept):
            kept.append(face)
    return kept


@dataclass(frozen=True, slots=True)
class _Solutions:
    """MediaPipe's classes; untyped."""

    detector: Any
    mesh: Any
    segmentation: Any


def _load() -> _Solutions:
    """Import the three parts that are used, and none of the rest.

    MediaPipe's two package initialisers import drawing helpers and task
    interfaces, and with them matplotlib, attrs and sounddevice: 40 MB to
    install and a font cache to build. Bare modules in the places of those two
    packages let Python find the parts without running the initialisers.
    """
    os.environ.setdefault("GLOG_minloglevel", "3")
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("no package of that name")
    root = spec.submodule_search_locations[0]
    for name, folder in (("mediapipe", root), ("mediapipe.python.solutions", os.path.join(root, "python", "solutions"))):
        if name not in sys.modules:
            bare = types.ModuleType(name)
            bare.__path__ = [folder]
            bare.__spec__ = spec if name == "mediapipe" else None
            sys.modules[name] = bare
    part = "mediapipe.python.solutions."
    return _Solutions(
        detector=importlib.import_module(part + "face_detection").FaceDetection,
        mesh=importlib.import_module(part + "face_mesh").FaceMesh,
        segmentation=importlib.import_module(part + "selfie_segmentation").SelfieSegmentation,
    )


@contextlib.contextmanager
def _silence() -> Generator[None, None, None]:
    """Drop what native code writes to the standard error stream, and what protobuf says of MediaPipe's age."""
    sys.stderr.flush()
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    if reason := unavailable():
        sys.exit(f"mien: {reason}")
    sys.exit(subprocess.run(install_command(), check=False).returncode)
