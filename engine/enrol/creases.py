# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Creases that skin folds into: beside a smile, on a raised forehead, between knit brows, under pursed lips.

Each is a soft dark line with a lighter ridge beside it, in the tints of the
skin it lies on, drawn along landmarks into an overlay. Skin that is smooth in
the photo gets faint ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial import KDTree

from engine.rig.avatar import FRAME, Overlay
from engine.rig.mesh import Floats, smoothstep
from engine.rig.topology import SIDES, Side, mirror_of

SHADOW, RIDGE = 0.42, 1.28  # tint of a crease and of the ridge beside it, times the skin


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """A curve float64[N, 2] px; `width` px; how dark (0..1); `side` +1 or -1: on which side of its direction the ridge lies."""

    curve: Floats
    width: float
    dark: float
    ridge: float
    side: float = 1.0


def creases_of(crop: NDArray[np.uint8], landmarks: Floats, uv: Floats, face_vertices: int, u: float) -> tuple[Overlay, ...]:
    """The overlays of all creases; `uv` float64[V, 2] of the mesh, whose first `face_vertices` are the face; u px."""
    strength = 0.50 + 0.75 * _roughness(crop, landmarks)
    groups: list[tuple[str, float, list[_Fold]]] = []
    for side in SIDES:
        groups.append((f"mouthSmile{side}", 1.0, _beside_smile(landmarks, side, u, strength)))
        groups.append((f"eyesNarrowed{side}", 1.0, _crows_feet(landmarks, side, u, strength)))
    groups.append(("browRaised", 1.0, _forehead(landmarks, u, strength)))
    groups.append(("browKnit", 1.0, _between_brows(landmarks, u, strength)))
    groups.append(("mouthPucker", 1.0, _around_pursed(landmarks, u)))
    skin = tuple(_overlay(crop, uv, face_vertices, control, full, folds) for control, full, folds in groups)
    return (*skin, _overlay(crop, uv, len(uv), "jawOpen", 1.0, _under_chin(landmarks, u)))


def _roughness(crop: NDArray[np.uint8], landmarks: Floats) -> float:
    """0 for smooth skin .. 1 for wrinkled, by the fine relief of cheeks and forehead."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.abs(cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 3.0)) / (
        cv2.GaussianBlur(grey, (0, 0), 3.0) + 16
    )
    places = landmarks[[50, 280, 205, 425, 151, 108, 337, 117, 346], :2].clip(8, FRAME - 9).astype(int)
    energy = np.median([fine[y - 7 : y + 8, x - 7 : x + 8].mean() for x, y in places])
    return float(np.clip((energy - 0.006) / 0.02, 0, 1))


def _curve(landmarks: Floats, points: Sequence[int], count: int = 60) -> Floats:
    """A smooth curve through landmarks, float64[count, 2]."""
    return _through(landmarks[list(points), :2], count)


def _through(p: Floats, count: int = 60) -> Floats:
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    return np.asarray(PchipInterpolator(s, p)(np.linspace(0, s[-1], count)))


def _mirrored(points: Sequence[int], side: Side) -> list[int]:
    """Landmarks given for the person's right half, on the half `side`."""
    mirror = mirror_of()
    return [int(mirror[p]) if side == "Left" else p for p in points]


def _beside_smile(landmarks: Floats, side: Side, u: float, strength: float) -> list[_Fold]:
    fold = _curve(landmarks, _mirrored((129, 203, 206, 216, 212), side))
    dimple = _curve(landmarks, _mirrored((186, 57, 43), side))
    turn = 1.0 if side == "Right" else -1.0
    outwards = np.array([-0.022 if side == "Right" else 0.022, 0.0]) * u
    return [
        _Fold(fold[4:], 0.030 * u, 0.34 * strength, 0.17 * strength, turn),
        _Fold(dimple + outwards, 0.020 * u, 0.22 * strength, 0.10 * strength, turn),
    ]


def _crows_feet(landmarks: Floats, side: Side, u: float, strength: float) -> list[_Fold]:
    corner = landmarks[_mirrored((33,), side)[0], :2]
    out = -1.0 if side == "Right" else 1.0
    folds: list[_Fold] = []
    for angle, reach in ((-0.32, 0.13), (0.08, 0.15), (0.45, 0.13)):
        t = np.linspace(0.05, reach, 24)[:, None] * u
        bend = 0.25 * np.sign(angle) * (t / u) ** 2 * u
        line = corner + t * np.array([out * np.cos(angle), np.sin(angle)]) + bend * np.array([0, 1.0])
        folds.append(_Fold(line, 0.011 * u, 0.20 * strength, 0.09 * strength))
    under = _curve(landmarks, _mirrored((111, 117, 118, 119), side))
    folds.append(_Fold(under + np.array([0, -0.01 * u]), 0.018 * u, 0.13 * strength, 0.06 * strength))
    return folds


def _forehead(landmarks: Floats, u: float, strength: float) -> list[_Fold]:
    low = landmarks[[104, 69, 108, 151, 337, 299, 333], :2]
    high = landmarks[[103, 67, 109, 10, 338, 297, 332], :2]
    folds: list[_Fold] = []
    for t, dark in ((-0.05, 0.9), (0.24, 1.0), (0.52, 0.75)):
        line = _through(low * (1 - t) + high * t)
        wave = 0.012 * u * np.sin(np.linspace(0, 2 * np.pi, len(line)) + 5 * t)
        folds.append(_Fold(line + np.stack([0 * wave, wave], 1), 0.016 * u, 0.22 * dark * strength, 0.13 * dark * strength))
    return folds


def _between_brows(landmarks: Floats, u: float, strength: float) -> list[_Fold]:
    folds: list[_Fold] = []
    middle, across = landmarks[9, :2], landmarks[[285, 55], :2]
    for end in across:
        top = middle * 0.52 + end * 0.48 + np.array([0, -0.045 * u])
        line = _through(
            np.stack([top, top + np.array([0, 0.075 * u]), middle * 0.45 + end * 0.55 + np.array([0, 0.085 * u])]), 40
        )
        folds.append(_Fold(line, 0.016 * u, 0.30 * strength, 0.14 * strength, 1.0 if end[0] < middle[0] else -1.0))
    bridge = _curve(landmarks, (193, 168, 417), 30)
    folds.append(_Fold(bridge, 0.014 * u, 0.16 * strength, 0.08 * strength))
    return folds


def _around_pursed(landmarks: Floats, u: float) -> list[_Fold]:
    """The shadow that pushed-out lips cast below and beside them."""
    below = _through(landmarks[[91, 181, 84, 17, 314, 405, 321], :2] + np.array([0, 0.045 * u]))
    folds = [_Fold(below, 0.055 * u, 0.26, 0.0)]
    for corner, out in ((61, -1), (291, 1)):
        c = landmarks[corner, :2] + np.array([0.030 * out * u, 0.0])
        line = c + np.linspace(-0.07, 0.07, 20)[:, None] * u * np.array([0.0, 1.0])
        folds.append(_Fold(line, 0.035 * u, 0.22, 0.0))
    return folds


def _under_chin(landmarks: Floats, u: float) -> list[_Fold]:
    """The shadow of a dropped chin on the neck."""
    chin = _through(landmarks[[136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365], :2])
    return [_Fold(chin + np.array([0, 0.055 * u]), 0.060 * u, 0.34, 0.0)]


def _overlay(crop: NDArray[np.uint8], uv: Floats, vertices: int, control: str, full_at: float, folds: list[_Fold]) -> Overlay:
    every = np.concatenate([f.curve for f in folds])
    margin = max(f.width for f in folds) * 4 + 2
    x0, y0 = (int(v) for v in np.floor(every.min(0) - margin).clip(0, FRAME - 8))
    x1, y1 = (int(v) for v in np.ceil(every.max(0) + margin).clip(8, FRAME))
    skin = cv2.GaussianBlur(crop, (0, 0), 3)[y0:y1, x0:x1].astype(np.float32)
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float64)
    dark, light = np.zeros(x.shape), np.zeros(x.shape)
    for fold in folds:
        shadow, ridge = _profile(fold, x, y)
        dark, light = np.maximum(dark, shadow), np.maximum(light, ridge)
    light = np.maximum(light - dark, 0)
    alpha = dark + light
    tint = (SHADOW * dark + RIDGE * light) / np.maximum(alpha, 1e-6)
    colour = (skin * tint[..., None]).clip(0, 255)
    rgba = np.dstack([colour, (alpha * 255).clip(0, 255)]).astype(np.uint8)
    mask = np.zeros(len(uv), np.float32)
    inside = (uv[:vertices] > [x0, y0]).all(1) & (uv[:vertices] < [x1 - 1, y1 - 1]).all(1)
    mask[:vertices] = inside
    return Overlay(rgba, (uv - [x0, y0]).clip(0.5, [x1 - x0 - 1.6, y1 - y0 - 1.6]).astype(np.float32), mask, control, full_at)


def _profile(fold: _Fold, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Opacity of shadow and of ridge at each px, fading towards the fold's ends."""
    place = np.stack([x.ravel(), y.ravel()], 1)
    _, nearest = KDTree(fold.curve).query(place)
    tangent = np.gradient(fold.curve, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    offset = place - fold.curve[nearest]
    signed = fold.side * (tangent[nearest, 0] * offset[:, 1] - tangent[nearest, 1] * offset[:, 0])
    away = np.linalg.norm(offset, axis=1)
    t = nearest / (len(fold.curve) - 1)
    ends = smoothstep(0, 0.22, t) * smoothstep(1, 0.70, t)
    w = fold.width
    dark = fold.dark * ends * np.exp(-((away / w) ** 2))
    light = fold.ridge * ends * np.exp(-(((signed - 2.0 * w) / (1.2 * w)) ** 2)) * (away < 4 * w)
    return dark.reshape(x.shape), light.reshape(x.shape)
