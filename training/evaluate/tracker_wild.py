# pyright: basic
# cv2 types its images as unions
"""What a tracker may be shown besides good photos: no faces at all, spoilt pictures of faces, and faces that nobody has."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.crop import into
from engine.face.finder import Finder
from training.evaluate.tracker_against import ELSEWHERE, distances, nearest

Image = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Spoiler = Callable[[Image, Landmarks, np.random.Generator], tuple[Image, Landmarks]]


def upper_bound(count: int, n: int) -> float:
    """95 % upper bound of a rate of which `count` of `n` were seen (Clopper and Pearson 1934, one-sided)."""
    if n == 0 or count >= n:
        return 1.0
    low, high = count / n, 1.0
    for _ in range(60):  # the rate under which so few or fewer come with 5 %
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(count, n, middle) > 0.05 else (low, middle)
    return high


def _at_most(count: int, n: int, rate: float) -> float:
    term = total = (1 - rate) ** n
    for k in range(count):
        term *= (n - k) / (k + 1) * rate / (1 - rate)
        total += term
    return total


def textures(count: int, seed: int = 0) -> Iterator[Image]:
    """uint8[240, 320, 3] each: noise of many scales, stripes, checks, blobs, rings and pairs of dots above a line."""
    kinds = (_clouds, _clouds, _stripes, _checks, _blobs, _rings, _dots)
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        rgb = kinds[i % len(kinds)](rng)
        if rng.random() < 0.5:
            rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.5, 4))
        yield np.clip(rgb + rng.normal(0, rng.uniform(0, 12), rgb.shape), 0, 255).astype(np.uint8)


_SHAPE: Final = (240, 320)


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    skin = rng.random() < 0.5
    red = rng.uniform(90, 240)
    return (red, red * rng.uniform(0.65, 0.8), red * rng.uniform(0.5, 0.7)) if skin else tuple(rng.uniform(0, 255, 3))


def _mixed(weight: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
    one, other = np.array(_colour(rng)), np.array(_colour(rng))
    return (one + np.clip(weight, 0, 1)[..., None] * (other - one)).astype(np.float32)


def _clouds(rng: np.random.Generator) -> NDArray[np.float32]:
    total = np.zeros(_SHAPE, np.float32)
    for step in (4, 8, 16, 32, 64):
        small = rng.standard_normal((_SHAPE[0] // step + 2, _SHAPE[1] // step + 2)).astype(np.float32)
        total += step**0.8 * cv2.resize(small, _SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    return _mixed((total - total.min()) / np.ptp(total), rng)


def _grid(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]].astype(np.float64)
    c, s = np.cos(rng.uniform(0, np.pi)), np.sin(rng.uniform(0, np.pi))
    return c * x + s * y, c * y - s * x


def _stripes(rng: np.random.Generator) -> NDArray[np.float32]:
    x, _ = _grid(rng)
    return _mixed(0.5 + rng.uniform(0.5, 3) * np.sin(2 * np.pi * x / rng.uniform(8, 120)), rng)


def _checks(rng: np.random.Generator) -> NDArray[np.float32]:
    (x, y), size = _grid(rng), rng.uniform(8, 80)
    return _mixed(((x // size + y // size) % 2).astype(np.float64), rng)


def _blobs(rng: np.random.Generator) -> NDArray[np.float32]:
    rgb = _clouds(rng)
    for _ in range(rng.integers(3, 25)):
        centre = tuple(int(v) for v in rng.uniform((0, 0), _SHAPE[::-1]))
        axes = tuple(int(v) for v in rng.uniform(4, 80, 2))
        cv2.ellipse(rgb, centre, axes, rng.uniform(0, 180), 0, 360, _colour(rng), -1, cv2.LINE_AA)
    return rgb


def _rings(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]].astype(np.float64)
    far = np.hypot(x - rng.uniform(0, _SHAPE[1]), y - rng.uniform(0, _SHAPE[0]))
    return _mixed(0.5 + rng.uniform(0.5, 3) * np.sin(2 * np.pi * far / rng.uniform(8, 120)), rng)


def _dots(rng: np.random.Generator) -> NDArray[np.float32]:
    """Two of something above one of something: a socket, the front of a car, a house."""
    rgb = _clouds(rng)
    for _ in range(rng.integers(1, 4)):
        x, y, size = rng.uniform(60, 260), rng.uniform(60, 180), rng.uniform(15, 60)
        colour = tuple(0.3 * v for v in _colour(rng))
        for dx in (-0.5, 0.5):
            cv2.circle(rgb, (int(x + dx * size), int(y)), max(int(0.12 * size), 1), colour, -1, cv2.LINE_AA)
        cv2.line(rgb, (int(x - 0.3 * size), int(y + 0.7 * size)), (int(x + 0.3 * size), int(y + 0.7 * size)), colour, 3)
    return rgb


def _turned(degrees: float) -> Spoiler:
    def spoil(rgb: Image, landmarks: Landmarks, rng: np.random.Generator) -> tuple[Image, Landmarks]:
        height, width = rgb.shape[:2]
        turn = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0), np.float64)
        turned = cv2.warpAffine(rgb, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.uint8), into(landmarks, turn)

    return spoil


def _sized(px: float) -> Spoiler:
    """The face `px` high in a picture of 640x480."""

    def spoil(rgb: Image, landmarks: Landmarks, rng: np.random.Generator) -> tuple[Image, Landmarks]:
        k = px / float(np.ptp(landmarks[:468, :2], axis=0).max())
        small = cv2.resize(rgb, None, fx=k, fy=k, interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_LINEAR)
        x, y = into(landmarks, np.array([[k, 0, 0], [0, k, 0]]))[:468, :2].mean(0)
        shift = np.array([[1, 0, 320 - x], [0, 1, 240 - y]])
        scale = np.array([[k, 0, 320 - x], [0, k, 240 - y]])
        placed = cv2.warpAffine(small, shift, (640, 480), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(placed, np.uint8), into(landmarks, scale)

    return spoil


def _pixels(change: Callable[[Image, float, np.random.Generator], NDArray[np.generic]]) -> Spoiler:
    """A change that moves nothing; it is told the face's size in px."""

    def spoil(rgb: Image, landmarks: Landmarks, rng: np.random.Generator) -> tuple[Image, Landmarks]:
        size = float(np.ptp(landmarks[:468, :2], axis=0).max())
        return np.clip(change(rgb, size, rng), 0, 255).astype(np.uint8), landmarks

    return spoil


def _covered(low: float, high: float, left: float = 0.0, right: float = 1.0) -> Spoiler:
    """A hand-coloured patch over part of the box about the face, in shares of its height and width."""

    def spoil(rgb: Image, landmarks: Landmarks, rng: np.random.Generator) -> tuple[Image, Landmarks]:
        (x0, y0), (x1, y1) = landmarks[:468, :2].min(0), landmarks[:468, :2].max(0)
        covered = rgb.copy()
        corner = int(x0 + left * (x1 - x0)), int(y0 + low * (y1 - y0))
        other = int(x0 + right * (x1 - x0)), int(y0 + high * (y1 - y0))
        cv2.rectangle(covered, corner, other, tuple(int(v) for v in _colour(rng)), -1)
        return covered, landmarks

    return spoil


def _jpeg(rgb: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def _drawn(rgb: Image) -> Image:
    """A cartoon: flat colours with black outlines."""
    flat = rgb
    for _ in range(3):
        flat = np.asarray(cv2.bilateralFilter(flat, 9, 60, 9), np.uint8)
    flat = np.minimum(flat // 40 * 40, 230) + np.uint8(20)
    lines = cv2.adaptiveThreshold(
        cv2.medianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), 5), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 5
    )
    return np.where(lines[..., None] > 0, flat, 0).astype(np.uint8)


def _pencil(rgb: Image) -> Image:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    soft = cv2.GaussianBlur(grey, (0, 0), 8)
    return np.repeat(np.asarray(cv2.divide(grey, np.maximum(soft, 1), scale=256), np.uint8)[..., None], 3, 2)


SPOILERS: Final[dict[str, Spoiler]] = {
    "as it is": _pixels(lambda rgb, size, rng: rgb),
    **{f"rolled {degrees:+d}": _turned(degrees) for degrees in (-15, 30, -45, 60, 90, 180)},
    **{f"{px:g} px in 640x480": _sized(px) for px in (60, 80, 110, 160, 320)},
    "blur 2 %": _pixels(lambda rgb, size, rng: cv2.GaussianBlur(rgb, (0, 0), 0.02 * size)),
    "blur 4 %": _pixels(lambda rgb, size, rng: cv2.GaussianBlur(rgb, (0, 0), 0.04 * size)),
    "noise 20": _pixels(lambda rgb, size, rng: rgb + rng.normal(0, 20, rgb.shape)),
    "noise 40": _pixels(lambda rgb, size, rng: rgb + rng.normal(0, 40, rgb.shape)),
    "JPEG 10": _pixels(lambda rgb, size, rng: _jpeg(rgb, 10)),
    "dark 1/4": _pixels(lambda rgb, size, rng: rgb * 0.25 + rng.normal(0, 3, rgb.shape)),
    "dark 1/8": _pixels(lambda rgb, size, rng: rgb * 0.125 + rng.normal(0, 3, rgb.shape)),
    "bright 2x": _pixels(lambda rgb, size, rng: rgb * 2.0),
    "grey": _pixels(lambda rgb, size, rng: np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)),
    "half light": _pixels(lambda rgb, size, rng: rgb * np.linspace(0.15, 1.2, rgb.shape[1])[None, :, None]),
    "mouth covered": _covered(0.62, 1.02),
    "eye covered": _covered(0.2, 0.5, 0.5, 1.0),
    "forehead covered": _covered(-0.05, 0.22),
    "painted": _pixels(lambda rgb, size, rng: cv2.stylization(rgb, sigma_s=40, sigma_r=0.45)),
    "cartoon": _pixels(lambda rgb, size, rng: _drawn(rgb)),
    "pencil": _pixels(lambda rgb, size, rng: _pencil(rgb)),
}
"""Ways to spoil a picture, by name."""


@dataclass(slots=True)
class Robust:
    """What became of spoilt pictures.

    Attributes:
        n: pictures.
        found: faces found where they are.
        wrong: faces found elsewhere besides.
        error: mean landmark distances from the teacher's in the unspoilt picture, in outer-eye distances.
    """

    n: int = 0
    found: int = 0
    wrong: int = 0
    error: list[float] = field(default_factory=list)


def robustness(stills: Sequence[tuple[str, Image, Landmarks]], finder: Finder, side: int = 640) -> dict[str, Robust]:
    """The finder on spoilt pictures, by what was done to them; photos are shrunk to `side` px first."""
    results = {name: Robust() for name in SPOILERS}
    for i, (_, photo, truth) in enumerate(stills):
        k = min(side / max(photo.shape[:2]), 1.0)
        rgb = np.asarray(cv2.resize(photo, None, fx=k, fy=k, interpolation=cv2.INTER_AREA), np.uint8) if k < 1 else photo
        points = (truth * k).astype(np.float32)
        for name, spoil in SPOILERS.items():
            spoilt, wanted = spoil(rgb, points, np.random.default_rng(i))
            faces, result = finder.detect(np.ascontiguousarray(spoilt)), results[name]
            result.n += 1
            face = nearest(wanted, faces)
            error = float("inf") if face is None else float(distances(face.landmarks, wanted).mean())
            if error < ELSEWHERE:
                result.found += 1
                result.error.append(error)
            result.wrong += len(faces) - (error < ELSEWHERE)
    return results
