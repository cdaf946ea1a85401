# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Procedural rows of teeth, different for every portrait."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.rig.mesh import Floats, smoothstep

HEIGHT, WIDTH = 64, 224  # px of a row's texture
UPPER_WIDTHS = (0.62, 0.80, 0.95, 0.85, 1.12, 1.12, 0.85, 0.95, 0.80, 0.62)
LOWER_WIDTHS = (0.80, 0.85, 0.90, 0.85, 0.80, 0.80, 0.85, 0.90, 0.85, 0.80)
UPPER_LENGTHS = (0.84, 0.88, 0.97, 0.90, 1.0, 1.0, 0.90, 0.97, 0.88, 0.84)


@dataclass(frozen=True, slots=True)
class Dentition:
    """One person's teeth.

    Attributes:
        widths, lengths: variation of each tooth of the upper and the lower row, about 1.
        tint: RGB 0..255 of the enamel.
        gum: RGB 0..255.
        roundness: how much the biting edge rounds off at a tooth's corners.
    """

    widths: NDArray[np.float64]
    lengths: NDArray[np.float64]
    tint: tuple[float, float, float]
    gum: tuple[float, float, float]
    roundness: float


def dentition_of(landmarks: Floats, eye_white: Floats) -> Dentition:
    """Teeth that go with a face: the same face always gets the same ones, tinted after the white of its eyes."""
    seed = int(np.abs(landmarks[:, :2]).sum() * 8) % (1 << 31)
    rng = np.random.default_rng(seed)
    warmth = float(np.clip((eye_white[0] - eye_white[2]) / 40, -0.2, 1))
    tint = np.array([240, 230, 212]) - np.array([6, 12, 26]) * (0.5 * warmth + 0.5 * rng.uniform())
    return Dentition(
        widths=1 + rng.normal(0, 0.035, (2, 10)),
        lengths=1 + rng.normal(0, 0.018, (2, 10)),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        gum=(178.0, 84.0, 88.0),
        roundness=float(rng.uniform(0.06, 0.13)),
    )


def teeth_texture(teeth: Dentition, *, upper: bool) -> NDArray[np.float32]:
    """float32[HEIGHT, WIDTH, 4] RGBA 0..255: a row of ten teeth in its gum; alpha ends at the biting edge."""
    scale = 2
    y, x = np.mgrid[0 : HEIGHT * scale, 0 : WIDTH * scale] / np.array([HEIGHT * scale, WIDTH * scale])[:, None, None]
    along = y if upper else 1 - y
    row = 0 if upper else 1
    widths = np.array(UPPER_WIDTHS if upper else LOWER_WIDTHS) * teeth.widths[row]
    lengths = np.array(UPPER_LENGTHS) * teeth.lengths[row] if upper else 0.955 * teeth.lengths[row]
    borders = np.concatenate([[0], np.cumsum(widths)]) / widths.sum()
    colour = np.array(teeth.gum) * (0.75 + 0.25 * along)[..., None]
    alpha = np.zeros_like(y)
    for i in range(10):
        half = (borders[i + 1] - borders[i]) / 2
        across = (x - (borders[i] + borders[i + 1]) / 2) / half
        length = min(float(lengths[i]), 1.0) * 0.985
        edge = length - teeth.roundness * np.abs(across) ** 4
        alpha = np.maximum(alpha, (np.abs(across) <= 1) * smoothstep(-0.02, 0.02, edge - along))
        pointed = 0.07 * np.maximum(0, np.abs(across) - 0.5) if i in (2, 7) and upper else 0
        shape = smoothstep(-0.02, 0.06, 1 - np.abs(across)) * smoothstep(-0.015, 0.03, along - 0.22 - 0.10 * across**2)
        shape = shape * smoothstep(-0.01, 0.02, edge - pointed - along)
        lit = 1 - 0.17 * np.abs(across) ** 4 - 0.10 * smoothstep(0.5, 0.25, along) - 0.05 * smoothstep(0.85, 1.0, along)
        lit = lit + 0.035 * np.exp(-(((across + 0.25) / 0.25) ** 2) - ((along - 0.62) / 0.16) ** 2)
        colour = colour * (1 - shape[..., None]) + np.array(teeth.tint) * lit[..., None] * shape[..., None]
    rgba = np.dstack([colour, alpha * 255]).astype(np.float32)
    return np.asarray(cv2.resize(rgba, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
