"""What the generator is told about a face: one vector, put together from several networks.

    [ appearance 2048 | lips 500 | expression 30 | eyes 6 | pose 6 ]

All but appearance is the motion code. Gains and smoothing are those of the
public code; the paper has neither. A part of only zeros stands for the
canonical position of its factor. `Latents` of a stream are the same as those
of a whole clip but for the pose, see `LatentStream`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LIPS, EXPRESSION, EYES, POSE = 500, 30, 6, 6
MOTION: Final = LIPS + EXPRESSION + EYES + POSE
"""Length of the motion code: 542."""
DRIVEN: Final = EXPRESSION + EYES + POSE
"""How many numbers of it a motion encoder says of a picture, the last ones: 42."""

_PARTS: Final = {
    "lips": slice(0, LIPS),
    "expression": slice(LIPS, LIPS + EXPRESSION),
    "eyes": slice(LIPS + EXPRESSION, LIPS + EXPRESSION + EYES),
    "pose": slice(LIPS + EXPRESSION + EYES, MOTION),
}
GAZE: Final = (2, 3)
BLINK: Final = (0, 1, 4, 5)
"""Which of the eyes' six numbers are gaze, and which the lids."""
FACTORS: Final = ("lips", "expression", "gaze", "blink", "pose")
"""What can be told apart: parts of the code, the eyes' in gaze and lids."""

TAPS: Final[Floats] = (np.exp(-0.5 * np.square([-1.0, 0, 1])) / np.exp(-0.5 * np.square([-1.0, 0, 1])).sum()).astype(np.float32)
"""Weights of the lips a picture before, now and a picture after: a Gaussian of sigma 1."""
DROPPED: Final = 2
"""Pictures at the beginning of a driving video that are left out, as the first two have no sound."""


@dataclass(frozen=True, slots=True)
class Gains:
    """How much stronger than its encoder says each factor is shown."""

    lips: float = 1.5
    expression: float = 1.2
    eyes: float = 1.2
    pose: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """What the encoders say of one picture, or of T of them: float32[..., n] each."""

    lips: Floats
    expression: Floats
    eyes: Floats
    pose: Floats

    def joined(self, gains: Gains) -> Floats:
        """float32[..., 542]: the motion code."""
        parts = (gains.lips * self.lips, gains.expression * self.expression, gains.eyes * self.eyes, gains.pose * self.pose)
        return np.concatenate(parts, axis=-1, dtype=np.float32)


def looped(driver: Floats, count: int) -> Floats:
    """float32[count, n]: what an encoder says of a driving video float32[T, n], its beginning dropped, again and again.

    Raises:
        ValueError: if nothing is left of it.
    """
    if len(driver) <= DROPPED:
        raise ValueError(f"a driving video needs more than {DROPPED} pictures, got {len(driver)}")
    return driver[DROPPED:][np.arange(count) % (len(driver) - DROPPED)]


def motion_codes(latents: Latents, gains: Gains = Gains(), off: Collection[str] = ()) -> Floats:
    """float32[T, 542]: motion codes of a whole clip; `off` are those of `FACTORS` that stay canonical.

    Lips are smoothed by `TAPS` with nothing beyond the ends, the pose by the mean of three pictures (two at the ends).
    """
    lips, pose = np.pad(latents.lips, ((1, 1), (0, 0))), np.pad(latents.pose, ((1, 1), (0, 0)))
    smooth = TAPS[0] * lips[:-2] + TAPS[1] * lips[1:-1] + TAPS[2] * lips[2:]
    around = np.convolve(np.ones(len(latents.pose), np.float32), np.ones(3, np.float32), "same")
    mean = (pose[:-2] + pose[1:-1] + pose[2:]) / around[:, None]
    return Latents(smooth, latents.expression, latents.eyes, mean).joined(gains) * kept(off)


def kept(off: Collection[str]) -> Floats:
    """float32[542], 1 or 0: what of a motion code is left without the factors in `off`.

    Raises:
        ValueError: if one is unknown.
    """
    if unknown := set(off) - set(FACTORS):
        raise ValueError(f"no factor is called {min(unknown)!r}; there are {', '.join(FACTORS)}")
    mask = np.ones(MOTION, np.float32)
    for factor in off:
        if factor in _PARTS:
            mask[_PARTS[factor]] = 0
        else:
            mask[_PARTS["eyes"].start + np.array(GAZE if factor == "gaze" else BLINK)] = 0
    return mask


class LatentStream:
    """Motion codes of a stream, one picture at a time.

    The lips need to be known one picture ahead; the rest does not wait: a pose
    is smoothed as if its picture were the last one, by the mean of two.
    """

    def __init__(self, gains: Gains = Gains(), off: Collection[str] = ()) -> None:
        self._gains = gains
        self._kept = kept(off)
        self._pose: Floats | None = None

    def reset(self) -> None:
        """Forget all pictures."""
        self._pose = None

    def next(self, lips: Floats, expression: Floats, eyes: Floats, pose: Floats) -> Floats:
        """float32[542]: the code of the next picture; `lips` float32[3, 500] are those before, now and after."""
        before, self._pose = self._pose, pose
        if before is not None:
            pose = np.float32(0.5) * (before + pose)
        return Latents(TAPS @ lips, expression, eyes, pose).joined(self._gains) * self._kept


def to_8bit(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """uint8[N, H, W, 3] RGB of generated images float[N, 3, H, W] in -1..1; truncated, as the public code does."""
    scaled = (np.clip(images.astype(np.float32), -1, 1) + 1) / 2 * 255
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(0, 2, 3, 1))
