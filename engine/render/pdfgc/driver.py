"""A face that drives: what the motion encoder says of its pictures, live or of a whole clip of them.

A live camera's pictures never leave the camera process, so there they are
encoded, beside the follower, whose landmarks it takes; what was said comes here
(`LiveTrack`). In a film the clip is at hand (`Driver`, `Track`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph
from engine.face.align import Aligner, aligned, as_input
from engine.face.crop import Floats as Doubles
from engine.render.pdfgc.latent import BLINK, DRIVEN, EXPRESSION, EYES, GAZE, Floats
from engine.timeline import SAMPLE_RATE_HZ

PART_OF: Final[Mapping[str, str]] = {"pose": "pose", "gaze": "eyes", "expression": "expression"}
"""Which part of the latent a driving face moves for each factor of `engine.motion.compositor.FACTORS`; lips have sound."""
_PLACES: Final = {
    "expression": list(range(EXPRESSION)),
    "gaze": [EXPRESSION + place for place in GAZE],
    "lids": [EXPRESSION + place for place in BLINK],
    "pose": list(range(EXPRESSION + EYES, DRIVEN)),
}
"""Where each channel group lies in what a motion encoder says."""

CATCHES: Final = 0.4
"""A live picture's latents are caught up with in the time from one to the next: with a time constant of this share of it."""
STALE: Final = 2 * SAMPLE_RATE_HZ
"""Samples after which the last live picture says nothing any more; with several cameras a large encoder takes a while."""
_PERIOD_MOST: Final = SAMPLE_RATE_HZ // 2


def encode(encoder: Graph, rgb: NDArray[np.uint8], matrix: Doubles) -> Floats:
    """float32[42]: what the motion encoder says of a picture uint8[H, W, 3], mapped to its square by float64[2, 3]."""
    square = aligned(rgb, matrix, seen_px(encoder))
    said = encoder.run({"image": as_input(square[None])})
    return np.concatenate([np.asarray(said[part][0], np.float32) for part in ("expression", "eyes", "pose")])


def seen_px(encoder: Graph) -> int:
    """Side of the pictures that an encoder sees."""
    return encoder.spec.inputs[0].shape[2]


def parts_of(latents: Floats) -> Mapping[str, Floats]:
    """By part of the latent, of float32[42]."""
    expression, eyes, pose = np.split(latents, (EXPRESSION, EXPRESSION + EYES))
    return {"expression": expression, "eyes": eyes, "pose": pose}


def spread(shares: Mapping[str, float]) -> Floats:
    """float32[42]: shares by channel group as the numbers of a motion encoder have them."""
    out = np.zeros(DRIVEN, np.float32)
    for group, share in shares.items():
        out[_PLACES[group]] = share
    return out


class Driver:
    """Latents of one face, picture by picture.

    Args:
        encoder: `pdfgc_motion.onnx`; may be shared.
        points: float64[3, 2], the face's `three_points` on average, px of the picture.
    """

    def __init__(self, encoder: Graph, points: Doubles) -> None:
        self._encoder = encoder
        self._aligner = Aligner(points, seen_px(encoder))

    def see(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> Mapping[str, Floats]:
        """By part of the latent: what the next picture uint8[H, W, 3] shows, given the face's landmarks float[478, 3]."""
        return parts_of(encode(self._encoder, rgb, self._aligner.next(landmarks)))


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One part of the latent over the time of a clip.

    Attributes:
        samples: float64[T], instants of the media clock, rising.
        values: float32[T, n].
        end: sample at which the clip ends.
    """

    samples: NDArray[np.float64]
    values: Floats
    end: int

    def at(self, sample: int) -> Floats | None:
        """float32[n] at an instant, between two pictures in proportion; None after the clip."""
        if sample >= self.end:
            return None
        after = int(np.clip(np.searchsorted(self.samples, sample), 1, max(len(self.samples) - 1, 1)))
        if len(self.samples) == 1:
            return self.values[0]
        first, last = self.samples[after - 1], self.samples[after]
        share = np.clip((sample - first) / (last - first), 0, 1)
        return ((1 - share) * self.values[after - 1] + share * self.values[after]).astype(np.float32)


class LiveTrack:
    """What the motion encoder says of a live camera, over time: its newest, caught up with before the next one is there."""

    def __init__(self) -> None:
        self._newest: Floats | None = None
        self._taken = 0  # sample of the picture
        self._period = 0.0  # samples from one to the next
        self._shown: Floats | None = None
        self._asked = 0

    def push(self, latents: Floats, sample: int) -> None:
        """Take what was said, float32[42], of the picture of an instant; what is older or not finite is left out."""
        if not np.isfinite(latents).all():
            return
        if self._newest is not None:
            passed = min(sample - self._taken, _PERIOD_MOST)
            if passed <= 0:
                return
            self._period += (0.2 if self._period else 1.0) * (passed - self._period)
        self._newest, self._taken = latents, sample

    def at(self, sample: int) -> Floats | None:
        """float32[42] of the picture to be drawn at an instant, asked for in order; None where nothing is known."""
        if self._newest is None or sample - self._taken > STALE:
            return None
        before = self._newest if self._shown is None else self._shown
        kept = np.exp(-(sample - self._asked) / (CATCHES * self._period)) if self._period else 0.0
        self._shown, self._asked = (self._newest + kept * (before - self._newest)).astype(np.float32), sample
        return self._shown
