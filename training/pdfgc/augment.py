"""How driving pictures are changed so that a motion encoder cannot tell who is in them.

Stage 1 follows Burkov et al. 2020 (the paper's [6]), with the colours of the
published configuration; stage 3 turns, scales and recolours the frames of a
window (section 3.3). Pictures are uint8[S, S, 3] RGB.
"""

# pyright: basic
# cv2 types its images as unions

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.tracker.augment import coarse, compressed, grainy, tone, unfocused

Image = NDArray[np.uint8]
Change = Callable[[Image, np.random.Generator], Image]

SCALE: Final = (0.8, 1.2)
"""Of each axis by itself."""
SHIFT: Final = 0.05
"""Share of the side."""
DISTORTION: Final = 0.1
"""Share of the side by which corners move."""
SOME: Final = 5
"""Of the further changes, at most."""
WINDOW_ROLL_DEG: Final = 10.0
WINDOW_SCALE: Final = (0.9, 1.1)


def discoloured(image: Image, rng: np.random.Generator) -> Image:
    """Another light and camera; everything stays where it is."""
    image = tone(image, rng) if rng.random() < 0.8 else image
    image = hued(image, rng) if rng.random() < 0.3 else image
    for change in (unfocused, grainy, compressed):
        image = change(image, rng) if rng.random() < 0.1 else image
    return image


def disguised(image: Image, rng: np.random.Generator) -> Image:
    """Stage 1: each axis scaled by itself, shifted, in perspective, and up to `SOME` changes of how it looks."""
    side = image.shape[0]
    matrix = np.eye(3)
    scale = np.exp(rng.uniform(np.log(SCALE[0]), np.log(SCALE[1]), 2))
    matrix[[0, 1], [0, 1]] = scale
    matrix[:2, 2] = (1 - scale) * side / 2 + rng.uniform(-SHIFT, SHIFT, 2) * side
    if rng.random() < 0.9:
        matrix = _perspective(side, rng) @ matrix
    moved = cv2.warpPerspective(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _some(np.asarray(moved, np.uint8), rng, LOOKS)


def turned(image: Image, rng: np.random.Generator) -> Image:
    """Stage 3, a frame of a window: turned, scaled and recoloured."""
    side = image.shape[0]
    scale = float(np.exp(rng.uniform(*np.log(WINDOW_SCALE))))
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.uniform(-WINDOW_ROLL_DEG, WINDOW_ROLL_DEG)), scale)
    moved = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return hued(tone(np.asarray(moved, np.uint8), rng), rng)


def hued(image: Image, rng: np.random.Generator) -> Image:
    """The hue turned by up to 0.4 of a half circle, saturation by up to 0.4, as in the published configuration."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + int(rng.uniform(-0.4, 0.4) * 90)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.6, 1.4), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _perspective(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    inward = rng.uniform(-DISTORTION / 2, DISTORTION / 2, (4, 2)) * side
    matrix = cv2.getPerspectiveTransform(corners, (corners + inward).astype(np.float32))
    return np.asarray(matrix, np.float64)


def _some(image: Image, rng: np.random.Generator, changes: Sequence[Change]) -> Image:
    for index in rng.permutation(len(changes))[: int(rng.integers(SOME + 1))]:
        image = changes[index](image, rng)
    return image


def _filtered(kernel: NDArray[np.float32]) -> Change:
    """A change that mixes the picture with its filtered self, by a random share."""

    def change(image: Image, rng: np.random.Generator) -> Image:
        sharp = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        share = float(rng.uniform(0.1, 0.7))
        return np.asarray(cv2.addWeighted(sharp, share, image, 1 - share, 0), np.uint8)

    return change


def _warped(image: Image, rng: np.random.Generator) -> Image:
    """Elastically, by about a percent of the side."""
    side = image.shape[0]
    field = rng.normal(0, 0.012 * side, (6, 6, 2)).astype(np.float32)
    full = cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    moved = cv2.remap(image, x + full[..., 0], y + full[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


SHARPEN: Final = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]], np.float32)
EMBOSS: Final = np.array([[-1, -1, 0], [-1, 1, 1], [0, 1, 1]], np.float32)
LOOKS: Final[Sequence[Change]] = (
    tone, hued, unfocused, grainy, compressed, coarse, _filtered(SHARPEN), _filtered(EMBOSS), _warped,
)  # fmt: skip
"""Brightness and contrast with saturation, hue, blur, noise, JPEG, few pixels, sharpening, embossing, elastic warps."""
