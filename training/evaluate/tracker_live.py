# pyright: basic
# cv2 types its images as unions
"""The tracker before a camera: what it costs, how still a still face stays, and how late a moving one is."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.enrol.people import FOLDER
from engine.face.detector import Detector
from engine.face.follower import Follower
from engine.face.pose import RIGID, angles, similarity
from engine.render.mesh import MeshRenderer
from engine.rig.archive import load
from training.evaluate.tracker_against import lip_gap

Image = NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 640, 480, 30.0
FACE_PX: Final = 256.0
"""Width of the face whose jitter is measured."""
SETTLE: Final = 30
"""Pictures before which nothing is measured."""
NOISE: Final = (1.5, 0.35)
"""A webcam's: deviation in the dark, and what the root of the brightness adds (0..255)."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """How far a still face's landmarks and pose are from their own mean: 95th percentiles."""

    px: float
    deg: float
    pictures: int


def camera(rgb: Image, landmarks: NDArray[np.floating], width: float = FACE_PX) -> Image:
    """A webcam's picture, 640x480, of a photo, its face `width` px wide in the middle."""
    low, high = landmarks[:468, :2].min(0), landmarks[:468, :2].max(0)
    k = width / float(high[0] - low[0])
    x, y = (low + high) / 2
    matrix = np.array([[k, 0, WIDTH / 2 - k * x], [0, k, HEIGHT / 2 - k * y]])
    way = cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC
    small = cv2.resize(rgb, None, fx=k, fy=k, interpolation=way) if k < 1 else rgb
    matrix = matrix if k >= 1 else np.array([[1, 0, matrix[0, 2]], [0, 1, matrix[1, 2]]])
    return np.asarray(cv2.warpAffine(small, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def noisy(rgb: Image, rng: np.random.Generator) -> Image:
    """What a sensor makes of a picture."""
    plain = rgb.astype(np.float32)
    grain = rng.standard_normal(rgb.shape, np.float32)
    return np.clip(plain + grain * (NOISE[0] + NOISE[1] * np.sqrt(plain)), 0, 255).astype(np.uint8)


def jitter(follower: Follower, still: Image, pictures: int = 90, seed: int = 0) -> Jitter | None:
    """Of a still picture filmed with noise; None if its face is lost."""
    follower.reset()
    rng = np.random.default_rng(seed)
    seen = []
    for i in range(SETTLE + pictures):
        look = follower.follow(noisy(still, rng), i / FPS)
        if i >= SETTLE:
            if look.face is None:
                return None
            seen.append(look.face.landmarks)
    points = np.stack(seen)
    rotation, _, _ = similarity(points[:, RIGID], points.mean(0)[RIGID])
    turns = angles(rotation)
    px = np.linalg.norm((points - points.mean(0))[..., :2], axis=-1)
    return Jitter(float(np.percentile(px, 95)), float(np.percentile(np.abs(turns - turns.mean(0)), 95)), pictures)


def costs(follower: Follower, still: Image, pictures: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[N] ms each: wall time and CPU time of following a face in 640x480 that moves a little."""
    follower.reset()
    rng = np.random.default_rng(0)
    frames = [np.roll(noisy(still, rng), 3 * i, axis=1) for i in (0, 1, 2, 1)]
    walls, cpus = [], []
    for i in range(SETTLE + pictures):
        wall, cpu = time.perf_counter(), time.thread_time()
        follower.follow(frames[i % 4], i / FPS)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.thread_time() - cpu)
    return 1e3 * np.array(walls[SETTLE:]), 1e3 * np.array(cpus[SETTLE:])


def detection_costs(detector: Detector, still: Image, pictures: int = 60) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[N] ms each: wall time and CPU time of one search of a 640x480 picture."""
    walls, cpus = [], []
    for _ in range(pictures):
        wall, cpu = time.perf_counter(), time.thread_time()
        detector.detect(still, float("inf"))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.thread_time() - cpu)
    return 1e3 * np.array(walls[5:]), 1e3 * np.array(cpus[5:])


def performance(name: str, seconds: float) -> Iterator[tuple[Image, NDArray[np.float32], float]]:
    """Pictures 640x480, exact landmarks and drawn yaw of a built-in person who turns, nods, speaks and blinks."""
    renderer = MeshRenderer(load(FOLDER / f"{name}.mien"), HEIGHT)
    for i in range(int(seconds * FPS)):
        t = i / FPS
        blink = max(0.0, 1 - abs(t % 2.0 - 0.5) / 0.12)
        controls = {
            "yaw": 10 * np.sin(4.1 * t) + 4 * np.sin(9.7 * t),
            "pitch": 5 * np.sin(3.3 * t + 1), "roll": 4 * np.sin(2.1 * t + 2), "tx": 0.15 * np.sin(2.6 * t),
            "jawOpen": 0.3 + 0.3 * np.sin(13 * t), "mouthPucker": max(0.0, 0.7 * np.sin(5 * t)),
            "eyeBlinkLeft": blink, "eyeBlinkRight": blink,
        }  # fmt: skip
        renderer.prepare(Motion.of(0, {key: float(value) for key, value in controls.items()}))
        rgb = renderer.finish().rgb
        side = (WIDTH - HEIGHT) // 2
        wide = cv2.copyMakeBorder(rgb, 0, 0, side, WIDTH - HEIGHT - side, cv2.BORDER_REPLICATE)
        yield np.asarray(wide, np.uint8), renderer.landmarks() + np.array([side, 0, 0], np.float32), float(controls["yaw"])


@dataclass(frozen=True, slots=True)
class Late:
    """By how many pictures what is found comes late, smoothed and as the network sees it, and how alike they are."""

    head: float
    lips: float
    lids: float
    head_r: float
    lips_r: float
    lids_r: float


def lateness(follower: Follower, people: Sequence[str], seconds: float = 4.0) -> list[Late]:
    """Of each person's `performance`, in pictures at 30 fps."""
    return [_late(follower, name, seconds) for name in people]


def _late(follower: Follower, name: str, seconds: float) -> Late:
    follower.reset()
    rng = np.random.default_rng(0)
    truth, found = [], []
    for i, (rgb, landmarks, _) in enumerate(performance(name, seconds)):
        look = follower.follow(noisy(rgb, rng), i / FPS)
        if look.face is not None:
            truth.append(landmarks)
            found.append(look.face.landmarks)
    drawn, seen = np.stack(truth), np.stack(found)
    figures: list[Callable[[NDArray[np.float32]], NDArray[np.float64]]] = [_yaw, lip_gap, _right_lids]
    both = [lag(figure(drawn), figure(seen)) for figure in figures]
    return Late(*(late for late, _ in both), *(r for _, r in both))


def _yaw(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    return angles(similarity(landmarks[:, RIGID], landmarks[0, RIGID])[0])[:, 0]


def _right_lids(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.linalg.norm(landmarks[:, 159] - landmarks[:, 145], axis=1).astype(np.float64)


def lag(truth: NDArray[np.float64], found: NDArray[np.float64], reach: int = 4) -> tuple[float, float]:
    """By how many steps `found` is late, to a fraction (parabola through the correlations of changes), and their best."""
    a, b = np.diff(truth), np.diff(found)
    shifts = np.arange(-reach, reach + 1)
    core = a[reach:-reach]
    r = np.array([np.corrcoef(core, b[reach + k : len(b) - reach + k])[0, 1] for k in shifts])
    i = int(np.clip(r.argmax(), 1, len(r) - 2))
    bend = r[i - 1] - 2 * r[i] + r[i + 1]
    return float(shifts[i] + (0.5 * (r[i - 1] - r[i + 1]) / bend if bend else 0.0)), float(r.max())
