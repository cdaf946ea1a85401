"""What the rest of the engine knows of following a face through pictures that come one after another."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.face.tracker import Face

Trouble = Literal["", "no face", "dark", "covered", "frozen", "turned away", "too small"]
"""Why there is no face in a picture; empty when there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was found in one picture of a stream.

    Attributes:
        time_s: when the picture was taken, on the stream's own clock.
        face: the face that is followed, smoothed; None when it is not there.
        trouble: why not.
        faces: how many people are in view, as far as is known.
    """

    time_s: float
    face: Face | None
    trouble: Trouble = ""
    faces: int = 0


class FaceFollower(Protocol):
    """Follows one face from picture to picture: the largest at first, then that one."""

    def follow(self, rgb: NDArray[np.uint8], time_s: float) -> Seen:
        """What is in the next picture uint8[H, W, 3], taken at `time_s`; time only grows."""
        ...

    def reset(self) -> None:
        """Forget the face; equals new."""
        ...
