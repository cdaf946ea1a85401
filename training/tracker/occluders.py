# pyright: basic
# cv2 types its images as unions
"""Things that cover a face (hands, glasses, microphones, noise), and pictures of nothing."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_FINE: Final = 4  # fractional bits of cv2's coordinates

_EYES: Final = ((33, 133), (362, 263))
_SKIN_POINTS: Final = (50, 280, 10, 152, 205, 425)


def cover(view: Image, points: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Something in front of the face float32[478, 3] in uint8[H, W, 3]."""
    kinds: tuple[Callable[[Image, NDArray[np.float32], np.random.Generator], Image], ...]
    kinds = (hand, hand, glasses, glasses, microphone, patch)
    return kinds[int(rng.integers(len(kinds)))](view, points, rng)


def hand(view: Image, points: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Fingers, or a palm with fingers, in about the face's own colour, reaching in from outside."""
    size = float(np.ptp(points[:468, :2], axis=0).max())
    at = points[int(rng.integers(468)), :2]
    away = at - points[:468, :2].mean(0) + rng.normal(0, 0.15 * size, 2)
    angle = float(np.arctan2(away[1], away[0]) + rng.normal(0, 0.4))
    colour = _skin_colour(view, points) * np.exp(rng.normal(0, 0.12)) + rng.normal(0, 6, 3)
    mask = np.zeros(view.shape[:2], np.uint8)
    out = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-out[1], out[0]])
    thick = size * rng.uniform(0.08, 0.13)
    count = int(rng.integers(1, 5))
    shaded = view.copy()
    for i in range(count):
        tip = at + across * (i - count / 2) * thick * 1.05 - out * rng.uniform(0, 0.25) * size
        end = tip + (out + across * rng.normal(0, 0.08)) * size * 1.2
        tint = np.clip(colour * rng.uniform(0.82, 1.06), 0, 255)
        _line(shaded, tip, end, tint * 0.72, thick)
        _line(shaded, tip, end, tint, thick * 0.8)
        _line(mask, tip, end, (255,), thick)
    if rng.random() < 0.5:
        palm = at + out * size * rng.uniform(0.35, 0.7)
        axes = (int(size * rng.uniform(0.2, 0.3)), int(size * rng.uniform(0.2, 0.32)))
        for target, tint in ((shaded, np.clip(colour * 0.95, 0, 255).tolist()), (mask, 255)):
            cv2.ellipse(target, tuple(int(v) for v in palm), axes, float(np.degrees(angle)), 0, 360, tint, -1, cv2.LINE_AA)
    return _blend(view, shaded, mask, rng)


def glasses(view: Image, points: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Frames about both eyes, clear, tinted or with reflections."""
    drawn = view.copy()
    tint = np.full(3, rng.uniform(0, 70)) + rng.uniform(0, 60, 3) * (rng.random() < 0.3)
    between = float(np.linalg.norm(points[263, :2] - points[33, :2]))
    thick = between * rng.uniform(0.012, 0.06)
    roll = float(np.degrees(np.arctan2(*(points[263, :2] - points[33, :2])[::-1])))
    width, height = rng.uniform(0.21, 0.29), rng.uniform(0.14, 0.24)
    dark = rng.uniform(0.3, 0.9) if rng.random() < 0.2 else 0.0
    shine = rng.random() < 0.5
    inner: list[NDArray[np.float32]] = []
    for outer_corner, inner_corner in _EYES:
        a, b = points[outer_corner, :2], points[inner_corner, :2]
        squeeze = np.clip(float(np.linalg.norm(a - b)) / (0.33 * between), 0.4, 1.2)
        centre = (a + b) / 2 + np.array([0, rng.uniform(0, 0.04) * between])
        axes = (between * width * squeeze, between * height)
        box = (tuple(map(float, centre)), (2 * axes[0], 2 * axes[1]), roll)
        lens = np.zeros(view.shape[:2], np.uint8)
        cv2.ellipse(lens, box, 255, -1)
        if dark:
            drawn[lens > 0] = (drawn[lens > 0] * (1 - dark)).astype(np.uint8)
        if shine:
            drawn = _shine(drawn, lens, centre, axes[0], rng)
        cv2.ellipse(drawn, box, tint.tolist(), max(round(thick), 1), cv2.LINE_AA)
        inner.append(centre + (b - a) / max(float(np.linalg.norm(b - a)), 1.0) * axes[0])
    _line(drawn, inner[0], inner[1], tint, thick)
    return drawn


def _shine(view: Image, lens: Image, centre: NDArray[np.floating], radius: float, rng: np.random.Generator) -> Image:
    """A light or a window that a lens reflects."""
    glow = np.zeros_like(view)
    at = centre + rng.normal(0, 0.4 * radius, 2)
    size = (radius * rng.uniform(0.2, 1.2), radius * rng.uniform(0.1, 0.5))
    corners = np.asarray(cv2.boxPoints((tuple(map(float, at)), size, float(rng.uniform(0, 180)))), np.int32)
    cv2.fillPoly(glow, [corners], (rng.uniform(60, 230, 3)).tolist())
    glow[lens == 0] = 0
    return np.asarray(cv2.add(view, cv2.blur(glow, (3, 3))), np.uint8)


def microphone(view: Image, points: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """A bar with a head from below or from a side, up to the mouth."""
    size = float(np.ptp(points[:468, :2], axis=0).max())
    tip = points[int(rng.choice([13, 17, 61, 291, 152, 50, 280])), :2] + rng.normal(0, 0.08 * size, 2)
    angle = rng.uniform(0.1, np.pi - 0.1)
    end = tip + np.array([np.cos(angle), np.sin(angle)]) * size * 1.5
    drawn, tint = view.copy(), np.full(3, rng.uniform(5, 120))
    thick = size * rng.uniform(0.03, 0.1)
    _line(drawn, tip, end, tint, thick)
    _line(drawn, tip, end, np.minimum(tint + 40, 255), thick * 0.3)
    radius = max(int(thick * rng.uniform(0.6, 1.4)), 1)
    cv2.circle(drawn, tuple(int(v) for v in tip), radius, (tint * rng.uniform(0.5, 1.5)).clip(0, 255).tolist(), -1, cv2.LINE_AA)
    return drawn


def patch(view: Image, points: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """A piece of a texture over part of the face, or a mask over mouth and nose."""
    other = texture(rng, view.shape[0]) if rng.random() < 0.7 else np.full_like(view, rng.integers(0, 255))
    if other.shape != view.shape:
        other = np.asarray(cv2.resize(other, view.shape[1::-1]), np.uint8)
    mask = np.zeros(view.shape[:2], np.uint8)
    size = float(np.ptp(points[:468, :2], axis=0).max())
    if rng.random() < 0.3:
        over = points[[234, 50, 197, 280, 454, 365, 152, 136], :2]
        cv2.fillPoly(mask, [np.rint(over).astype(np.int32)], 255, cv2.LINE_AA)
    else:
        sides = size * rng.uniform(0.15, 0.5, 2)
        box = (tuple(map(float, points[int(rng.integers(468)), :2])), tuple(map(float, sides)), float(rng.uniform(0, 90)))
        cv2.fillPoly(mask, [np.asarray(cv2.boxPoints(box), np.int32)], 255, cv2.LINE_AA)
    return _blend(view, other, mask, rng)


def texture(rng: np.random.Generator, pixels: int) -> Image:
    """uint8[pixels, pixels, 3]: clouds, stripes, tiles, blots, grain or a plain colour; shows nobody."""
    kind = int(rng.integers(6))
    base, other = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    if kind == 0:
        return np.asarray(np.clip(base + rng.normal(0, 8, (pixels, pixels, 3)), 0, 255), np.uint8)
    if kind == 1:
        field = _clouds(rng, pixels)
    elif kind == 2:
        y, x = np.mgrid[:pixels, :pixels]
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, pixels / 2)
        field = 0.5 + 0.5 * np.sin((np.cos(angle) * x + np.sin(angle) * y) * 2 * np.pi / period)
        field = field if rng.random() < 0.5 else (field > 0.5).astype(np.float64)
    elif kind == 3:
        coarse = rng.random((int(rng.integers(2, 12)), int(rng.integers(2, 12))))
        field = cv2.resize(coarse, (pixels, pixels), interpolation=cv2.INTER_NEAREST)
    elif kind == 4:
        return _blots(rng, pixels, base)
    else:
        field = rng.random((pixels, pixels))
    mixed = base + np.asarray(field)[..., None] * (other - base) + (_clouds(rng, pixels) - 0.5)[..., None] * 40
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator, pixels: int) -> NDArray[np.float64]:
    """float64[pixels, pixels] in 0..1: noise of falling strength at finer and finer scales."""
    field = np.zeros((pixels, pixels))
    for octave in range(1, 6):
        small = rng.random((2**octave + 1, 2**octave + 1))
        field += np.asarray(cv2.resize(small, (pixels, pixels), interpolation=cv2.INTER_CUBIC)) / 1.7**octave
    low, high = field.min(), field.max()
    return (field - low) / max(high - low, 1e-6)


def _blots(rng: np.random.Generator, pixels: int, base: NDArray[np.float64]) -> Image:
    view = np.full((pixels, pixels, 3), base.astype(np.uint8), np.uint8)
    for _ in range(int(rng.integers(3, 25))):
        centre = tuple(int(v) for v in rng.integers(0, pixels, 2))
        axes = tuple(int(v) for v in rng.integers(2, max(pixels // 2, 3), 2))
        cv2.ellipse(view, centre, axes, rng.uniform(0, 180), 0, 360, rng.uniform(0, 255, 3).tolist(), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(view, (0, 0), rng.uniform(0.5, 3)), np.uint8)


def _skin_colour(view: Image, points: NDArray[np.float32]) -> NDArray[np.float64]:
    x, y = (points[list(_SKIN_POINTS), i].astype(int).clip(0, view.shape[1 - i] - 1) for i in (0, 1))
    return np.median(view[y, x], axis=0)


def _line(target: Image, start: NDArray[np.floating], end: NDArray[np.floating], colour, thick: float) -> None:
    ends = [tuple(round(float(v) * (1 << _FINE)) for v in point) for point in (start, end)]
    cv2.line(target, ends[0], ends[1], [float(c) for c in colour], max(round(thick), 1), cv2.LINE_AA, _FINE)


def _blend(view: Image, other: Image, mask: Image, rng: np.random.Generator) -> Image:
    soft = cv2.blur(mask, (3, 3)) if rng.random() < 0.7 else mask
    share = np.asarray(soft, np.float32)[..., None] / 255
    return (view + share * (other.astype(np.float32) - view)).astype(np.uint8)
