# pyright: basic
# cv2 types its images as unions
"""The same face as many cameras in many rooms would see it, a little off the square that the tracker expects.

One warp does all that moves pixels; then come light and colour, what covers
the face, and what the camera does to the picture, each on a random share.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.crop import Floats, cut, face_square, into
from engine.face.finder import partners
from training.tracker import occluders
from training.tracker.data import Faceless

Image = NDArray[np.uint8]

SHIFT: Final = 0.10  # of the network's square, each way, at most
SCALE: Final = 0.15
ROLL_DEG: Final = (6.0, 35.0)  # usual deviation, and at most
FAR_ROLL: Final = 0.15  # share of rolls drawn from the whole range


def mirrored(crop: Image, landmarks: NDArray[np.float32]) -> tuple[Image, NDArray[np.float32]]:
    """The mirror image of uint8[H, W, 3] and of float32[478, 3] px in it."""
    turned = landmarks[partners()]
    turned[:, 0] = crop.shape[1] - turned[:, 0]  # 0 is the edge of the first pixel
    return np.ascontiguousarray(crop[:, ::-1]), turned


class Augment:
    """Random views of crops; the same seed gives the same sequence of views. Not for several threads at once.

    `strength` scales how often anything but mirror and place happens; 0 leaves colours and pixels as they are.
    """

    def __init__(self, seed: int, strength: float = 1.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._strength = strength

    def __call__(
        self, crop: Image, landmarks: NDArray[np.float32], pixels: int = 128, reach: float = 1.4
    ) -> tuple[Image, NDArray[np.float32]]:
        """What the landmark network may be given of a face.

        Args:
            crop: uint8[320, 320, 3] of a shard.
            landmarks: float32[478, 3] px of it.
            pixels: side of the result.
            reach: side of the network's square in sizes of the face, before it is moved about.

        Returns:
            uint8[pixels, pixels, 3], and float32[478, 3] px of it; points may lie outside.
        """
        matrix = self.place(landmarks, pixels, reach)
        return self.seen_by(crop, landmarks, matrix, pixels)

    def seen_by(
        self, crop: Image, landmarks: NDArray[np.float32], matrix: Floats, pixels: int
    ) -> tuple[Image, NDArray[np.float32]]:
        """The square that `matrix` cuts, mirrored half of the time and disturbed, with its landmarks."""
        view, points = cut(crop, matrix, pixels), into(landmarks, matrix)
        if self._rng.random() < 0.5:
            view, points = mirrored(view, points)
        return self.disturb(view, points), points

    def place(self, landmarks: NDArray[np.float32], pixels: int, reach: float) -> Floats:
        """float64[2, 3]: maps the crop to a square near the one that the tracker would cut."""
        rng = self._rng
        straight = face_square(landmarks, reach, pixels)
        wide = rng.random() < FAR_ROLL
        roll = rng.uniform(-ROLL_DEG[1], ROLL_DEG[1]) if wide else np.clip(rng.normal(0, ROLL_DEG[0]), -20, 20)
        scale = np.exp(rng.uniform(np.log(1 - SCALE), np.log(1 + SCALE)))
        c, s = scale * np.cos(np.radians(roll)), scale * np.sin(np.radians(roll))
        middle = (pixels - 1) / 2
        dx, dy = rng.uniform(-SHIFT, SHIFT, 2) * pixels
        about = np.array([[c, -s, middle - c * middle + s * middle + dx], [s, c, middle - s * middle - c * middle + dy]])
        return np.hstack([about[:, :2] @ straight[:, :2], about[:, :2] @ straight[:, 2:] + about[:, 2:]])

    def disturb(self, view: Image, points: NDArray[np.float32]) -> Image:
        """Another light, something in front, another camera: uint8[H, W, 3], with the landmarks float32[478, 3] in it."""
        rng, k = self._rng, self._strength
        if rng.random() < 0.9 * k:
            view = tone(view, rng)
        if rng.random() < 0.25 * k:
            view = lit(view, rng)
        if rng.random() < 0.25 * k:
            view = occluders.cover(view, points, rng)
        for change, share in _CAMERA:
            if rng.random() < share * k:
                view = change(view, rng)
        return view


def tone(view: Image, rng: np.random.Generator) -> Image:
    """Other exposure, contrast, saturation and white balance."""
    saturation = rng.uniform(0.3, 1.4) if rng.random() < 0.85 else 0.0
    grey = np.full((3, 3), 1 / 3) * (1 - saturation)
    gains = np.exp(rng.normal(0, 0.08, 3))
    mix = (grey + saturation * np.eye(3)) * gains[:, None]
    view = np.asarray(cv2.transform(view, mix), np.uint8)
    x = np.arange(256) / 255
    gamma, contrast = np.exp(rng.normal(0, 0.3)), np.exp(rng.normal(0, 0.2))
    curve = ((x**gamma - 0.5) * contrast + 0.5 + rng.normal(0, 0.06)) * 255
    return np.asarray(cv2.LUT(view, np.clip(curve, 0, 255).astype(np.uint8)), np.uint8)


def lit(view: Image, rng: np.random.Generator) -> Image:
    """Light from a side: a shadow's edge, soft or hard, or a coloured lamp."""
    size = 16
    y, x = np.mgrid[:size, :size] / (size - 1) - 0.5
    angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.6)
    edge = 1 / (1 + np.exp(-(np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.25, 0.25)) / (0.3 * soft)))
    dark = rng.uniform(0.15, 0.8) * (np.exp(rng.normal(0, 0.15, 3)) if rng.random() < 0.5 else np.ones(3))
    bright = rng.uniform(0.9, 1.5) * (np.exp(rng.normal(0, 0.25, 3)) if rng.random() < 0.4 else np.ones(3))
    field = dark + edge[..., None] * (bright - dark)
    full = cv2.resize(field.astype(np.float32), view.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(view, full, dtype=cv2.CV_8U), np.uint8)


def coarse(view: Image, rng: np.random.Generator) -> Image:
    """As a camera with fewer pixels sees it: a face down to about 40 px."""
    height, width = view.shape[:2]
    part = float(np.exp(rng.uniform(np.log(0.33), np.log(0.85))))
    small = cv2.resize(view, (max(int(width * part), 8), max(int(height * part), 8)), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, (width, height), interpolation=how), np.uint8)


def shaken(view: Image, rng: np.random.Generator) -> Image:
    """Blurred along a line."""
    length = int(rng.integers(3, max(view.shape[0] // 10, 5)))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    t = np.linspace(-middle, middle, 4 * length)
    at = np.rint(middle + np.outer(t, [np.cos(angle), np.sin(angle)])).astype(int).clip(0, length - 1)
    np.add.at(kernel, (at[:, 1], at[:, 0]), 1)
    return np.asarray(cv2.filter2D(view, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)


def unfocused(view: Image, rng: np.random.Generator) -> Image:
    """Blurred all round."""
    return np.asarray(cv2.GaussianBlur(view, (0, 0), rng.uniform(0.4, view.shape[0] / 80)), np.uint8)


def dim(view: Image, rng: np.random.Generator) -> Image:
    """Taken in low light: dark, and amplified again in part, with the noise that this brings."""
    level = rng.uniform(0.08, 0.4)
    dark = np.clip(np.arange(256) * level, 0, 255).astype(np.uint8)
    noisy = grainy(np.asarray(cv2.LUT(view, dark), np.uint8), rng)
    gain = np.clip(np.arange(256) * rng.uniform(1.0, 0.8 / level), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(noisy, gain), np.uint8)


_GRAIN: list[NDArray[np.int8]] = []


def grainy(view: Image, rng: np.random.Generator) -> Image:
    """With a sensor's noise: coloured or grey, fine or in clumps."""
    if not _GRAIN:
        own = np.random.default_rng(0)
        fine = own.normal(0, 32, (512, 512, 3)).clip(-127, 127)
        clumps = cv2.GaussianBlur(fine, (0, 0), 1.0) * 3.0
        grey = np.repeat(fine[..., :1], 3, axis=2)
        _GRAIN.extend(np.asarray(field.clip(-127, 127), np.int8) for field in (fine, clumps, grey))
    height, width = view.shape[:2]
    field = _GRAIN[int(rng.integers(len(_GRAIN)))]
    y, x = (int(rng.integers(max(512 - n, 1))) for n in (height, width))
    grain = field[y : y + height, x : x + width]
    if grain.shape != view.shape:
        grain = cv2.resize(field, (width, height))
    strength = float(np.exp(rng.uniform(np.log(0.05), np.log(0.6))))
    return np.asarray(cv2.addWeighted(view, 1.0, np.asarray(grain, np.int8), strength, 0.0, dtype=cv2.CV_8U), np.uint8)


def compressed(view: Image, rng: np.random.Generator) -> Image:
    """Through JPEG at a low quality."""
    _, data = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 75))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


_CAMERA: Final = (
    (coarse, 0.25), (shaken, 0.12), (unfocused, 0.15), (dim, 0.08), (grainy, 0.3), (compressed, 0.25),
)  # fmt: skip


def face_free(rng: np.random.Generator, pixels: int, pools: Sequence[Faceless] = (), split: str = "train") -> Image:
    """uint8[pixels, pixels, 3] in which there is no face: a part of a photo, or a texture (always, without `pools`)."""
    pool = pools[int(rng.integers(len(pools)))] if pools and rng.random() < 0.7 else None
    if pool is None:
        view = occluders.texture(rng, pixels)
    else:
        rows = np.flatnonzero(pool.split == split)
        view = np.array(pool.crops[rows[int(rng.integers(len(rows)))]])
        if rng.random() < 0.5:
            view = np.ascontiguousarray(view[:, ::-1])
        view = np.asarray(cv2.resize(np.rot90(view, int(rng.choice([0, 0, 0, 1, 2, 3]))), (pixels, pixels)), np.uint8)
    view = tone(view, rng) if rng.random() < 0.7 else view
    for change, share in _CAMERA:
        if rng.random() < share:
            view = change(view, rng)
    return view
