# pyright: basic
# cv2 types its images as unions
"""Drawn pictures without a face that a careless detector takes for one: foliage, writing, tiles, skin, pairs of dots."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_SKIN: Final = ((236, 198, 172), (205, 155, 120), (160, 110, 80), (105, 68, 48), (70, 45, 35))


def draw(rng: np.random.Generator, width: int, height: int) -> Image:
    """uint8[height, width, 3] of any kind."""
    return KINDS[int(rng.integers(len(KINDS)))](rng, width, height)


def gradient(rng: np.random.Generator, width: int, height: int) -> Image:
    """A wall: colours that go over into each other, with some grain."""
    corners = rng.uniform(0, 255, (2, 2, 3)) if rng.random() < 0.5 else rng.uniform(0, 255, 3) + rng.normal(0, 25, (2, 2, 3))
    smooth = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return _noisy(smooth, rng, 4)


def checkers(rng: np.random.Generator, width: int, height: int) -> Image:
    """Tiles, straight or turned."""
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(80)))
    y, x = np.mgrid[:height, :width] / period
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    field = ((np.floor(u) + np.floor(v)) % 2)[..., None]
    one, other = rng.uniform(0, 255, (2, 3))
    return _noisy(one + field * (other - one), rng, 4)


def foliage(rng: np.random.Generator, width: int, height: int) -> Image:
    """Leaves on leaves."""
    picture = np.full((height, width, 3), rng.uniform(5, 90, 3)).astype(np.uint8)
    hue, size = rng.uniform(20, 220, 3), np.exp(rng.uniform(np.log(3), np.log(25)))
    for _ in range(int(rng.integers(40, 160))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (max(int(size * rng.uniform(0.5, 1.6)), 1), max(int(size * rng.uniform(0.15, 0.6)), 1))
        colour = np.clip(hue * rng.uniform(0.3, 1.3), 0, 255).tolist()
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return _noisy(picture, rng, 6)


def writing(rng: np.random.Generator, width: int, height: int) -> Image:
    """Lines of letters on paper or on a screen."""
    paper, ink = rng.uniform(0, 255, (2, 3))
    picture = np.full((height, width, 3), paper).astype(np.uint8)
    scale = float(np.exp(rng.uniform(np.log(0.25), np.log(2.5))))
    step, y = max(int(28 * scale), 5), int(rng.integers(0, 30))
    while y < height + step:
        words = "".join(chr(int(c)) for c in rng.integers(33, 127, 60))
        words = "".join(" " if rng.random() < 0.15 else c for c in words)
        at = (int(rng.integers(-60, 20)), y)
        cv2.putText(picture, words, at, int(rng.integers(0, 8)), scale, ink.tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)
        y += step
    return _noisy(picture, rng, 3)


def skin(rng: np.random.Generator, width: int, height: int) -> Image:
    """Limbs and blobs in the colours of skin, shaded as if round, some of them in rows as fingers are."""
    picture = gradient(rng, width, height)
    tone = np.array(_SKIN[int(rng.integers(len(_SKIN)))], float)
    for _ in range(int(rng.integers(1, 6))):
        _limb(picture, tone * rng.uniform(0.8, 1.1), rng)
    return _noisy(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 2)), rng, 5)


def _limb(picture: Image, tone: NDArray[np.float64], rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    size = np.exp(rng.uniform(np.log(10), np.log(90)))
    at = rng.uniform(0, (width, height))
    angle = rng.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    count = int(rng.choice([1, 1, 3, 4, 5]))
    thick = size * (0.3 if count > 1 else rng.uniform(0.5, 1.2))
    for i in range(count):
        start = at + across * i * thick
        end = start + along * size * rng.uniform(0.7, 2.0)
        for share, shade in ((1.0, 0.6), (0.8, 0.85), (0.5, 1.0), (0.25, 1.08)):
            colour = np.clip(tone * shade, 0, 255).tolist()
            ends = [(int(point[0]), int(point[1])) for point in (start, end)]
            cv2.line(picture, ends[0], ends[1], colour, max(int(thick * share), 1), cv2.LINE_AA)


def dots(rng: np.random.Generator, width: int, height: int) -> Image:
    """Discs and pairs of dots on them: buttons, sockets, lamps, headlights. Not all that has two eyes is a face."""
    picture = gradient(rng, width, height)
    for _ in range(int(rng.integers(1, 7))):
        size = float(np.exp(rng.uniform(np.log(10), np.log(90))))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        body = np.array(_SKIN[int(rng.integers(len(_SKIN)))], float) if rng.random() < 0.4 else rng.uniform(0, 255, 3)
        kind, angle = rng.random(), float(rng.uniform(0, 180))
        if kind < 0.6:
            axes = (int(size * 0.5), int(size * rng.uniform(0.3, 0.65)))
            cv2.ellipse(picture, (int(x), int(y)), axes, angle, 0, 360, body.tolist(), -1, cv2.LINE_AA)
        else:
            corner = (int(x - size / 2), int(y - size / 2))
            cv2.rectangle(picture, corner, (int(x + size / 2), int(y + size / 2)), body.tolist(), -1)
        _spots(picture, x, y, size, rng)
    return _noisy(picture, rng, 4)


def _spots(picture: Image, x: float, y: float, size: float, rng: np.random.Generator) -> None:
    """One to four spots in a row."""
    count, apart = int(rng.integers(1, 5)), size * rng.uniform(0.2, 0.45)
    turn, radius = rng.normal(0, 0.3), max(size * rng.uniform(0.04, 0.14), 1)
    colours = rng.uniform(0, 255, (2, 3)) if rng.random() < 0.5 else np.array([[230.0] * 3, [20.0] * 3])
    for i in range(count):
        t = (i - (count - 1) / 2) * apart
        at = (int(x + t * np.cos(turn)), int(y + t * np.sin(turn) - size * 0.1))
        cv2.circle(picture, at, int(radius), colours[0].tolist(), -1, cv2.LINE_AA)
        cv2.circle(picture, at, max(int(radius * 0.5), 1), colours[1].tolist(), -1, cv2.LINE_AA)


def clutter(rng: np.random.Generator, width: int, height: int) -> Image:
    """Boxes, lines and ellipses: shelves, furniture, cables."""
    picture = gradient(rng, width, height)
    for _ in range(int(rng.integers(6, 50))):
        colour, thick = rng.uniform(0, 255, 3).tolist(), int(rng.choice([-1, -1, 1, 2, 5]))
        x, y = int(rng.integers(-20, width)), int(rng.integers(-20, height))
        w, h = (int(np.exp(rng.uniform(np.log(4), np.log(n)))) for n in (width, height))
        kind = rng.random()
        if kind < 0.6:
            cv2.rectangle(picture, (x, y), (x + w, y + h), colour, thick)
        elif kind < 0.8:
            cv2.ellipse(picture, (x, y), (w, h), float(rng.uniform(0, 180)), 0, 360, colour, thick, cv2.LINE_AA)
        else:
            cv2.line(picture, (x, y), (x + w, y + int(rng.integers(-h, h + 1))), colour, abs(thick), cv2.LINE_AA)
    return _noisy(picture, rng, 4)


_GRAIN: Final[list[NDArray[np.int8]]] = []


def _noisy(picture: NDArray[np.generic], rng: np.random.Generator, strength: float) -> Image:
    """With some grain."""
    if not _GRAIN:
        _GRAIN.append(np.random.default_rng(0).normal(0, 32, (640, 640, 3)).clip(-127, 127).astype(np.int8))
    height, width = picture.shape[:2]
    y, x = int(rng.integers(640 - height)), int(rng.integers(640 - width))
    grain = np.ascontiguousarray(_GRAIN[0][y : y + height, x : x + width])
    if picture.dtype != np.uint8:
        picture = np.clip(np.asarray(picture, np.float32), 0, 255).astype(np.uint8)
    picture = np.asarray(picture, np.uint8)
    return np.asarray(cv2.addWeighted(picture, 1.0, grain, strength * rng.random() / 32, 0.0, dtype=cv2.CV_8U), np.uint8)


KINDS: Final[tuple[Callable[[np.random.Generator, int, int], Image], ...]] = (
    gradient, checkers, foliage, writing, skin, skin, dots, dots, clutter, clutter,
)  # fmt: skip
