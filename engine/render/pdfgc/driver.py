"""A face that drives: what the motion encoder says of its pictures, and of a whole clip of them.

A live camera's pictures never leave the camera process, so that is where a
`Driver` belongs: beside the follower, whose landmarks it needs, its numbers
sent along with the reading. In a film the clip is at hand (`Track`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph
from engine.face.align import Aligner, aligned, as_input
from engine.face.crop import Floats as Doubles
from engine.render.pdfgc.latent import Floats

PART_OF: Final[Mapping[str, str]] = {"pose": "pose", "gaze": "eyes", "expression": "expression"}
"""Which part of the latent a driving face moves for each factor of `engine.motion.compositor.FACTORS`; lips have sound."""


class Driver:
    """Latents of one face, picture by picture.

    Args:
        encoder: `pdfgc_motion.onnx`; may be shared.
        points: float64[3, 2], the face's `three_points` on average, px of the picture.
    """

    def __init__(self, encoder: Graph, points: Doubles) -> None:
        self._encoder = encoder
        self._size = encoder.spec.inputs[0].shape[2]
        self._aligner = Aligner(points, self._size)

    def see(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> Mapping[str, Floats]:
        """By part of the latent: what the next picture uint8[H, W, 3] shows, given the face's landmarks float[478, 3]."""
        square = aligned(rgb, self._aligner.next(landmarks), self._size)
        said = self._encoder.run({"image": as_input(square[None])})
        return {part: np.asarray(said[part][0], np.float32) for part in PART_OF.values()}


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
