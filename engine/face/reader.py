"""From the landmarks of a followed face to the controls of a face."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUPS
from engine.face.stream import Seen

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a person's face does in one picture.

    Attributes:
        values: float32[58], see `engine.contract.motion.CHANNELS`; relative to the person's neutral face, pose and gaze.
        confidence: float32[5] in 0..1, one per entry of `GROUPS`; all 0 where there is no face.
    """

    values: NDArray[np.float32]
    confidence: NDArray[np.float32]


class FaceReader:
    """Reads one person's face, picture by picture; learns their neutral face, pose and gaze while it does.

    The first face seen counts as neutral at once; it is replaced by the
    median of calm pictures (lips closed, eyes open, head still) after half a
    second, one second and two; then it drifts slowly towards the person at
    rest, so that a bad start heals. Readings are relative to it. No clock:
    time is `Seen.time_s`.

    Args:
        lips_from_voice: see the attribute.
        eye_contact: see the attribute.
        field_of_view_deg: horizontal, of the camera; a webcam's if nothing else is known.

    Attributes:
        lips_from_voice: a voice moves the lips: what of smile, frown and cheeks comes and goes with syllables is left out.
        eye_contact: while the person looks at their screen the gaze is turned to the lens.
    """

    def __init__(self, *, lips_from_voice: bool = False, eye_contact: bool = False, field_of_view_deg: float = 62.0) -> None:
        self.lips_from_voice, self.eye_contact = lips_from_voice, eye_contact
        self._view = field_of_view_deg
        self.reset()

    @property
    def calibrated(self) -> float:
        """0..1: how much of the neutral face has been learned; 1 also after `take_neutral` and `calibrate`."""
        return self._calibrated

    def read(self, seen: Seen, width: int, height: int) -> Reading:
        """What the face does in the next picture, `width` by `height` px; without a face the last values and no confidence."""
        return Reading(self._values.copy(), np.zeros(len(GROUPS), np.float32))

    def take_neutral(self) -> bool:
        """Make the mean face, pose and gaze of the last half second the neutral ones; False if no face was seen in it."""
        return False

    def calibrate(
        self,
        landmarks: NDArray[np.floating],
        width: int,
        height: int,
        *,
        neutral: NDArray[np.floating] | None = None,
    ) -> None:
        """Learn the person from pictures known beforehand, such as those of a clip, instead of while reading.

        Args:
            landmarks: float[T, 478, 3] px, of all pictures that show the face.
            width: of the pictures.
            height: likewise.
            neutral: float[478, 3] px: the face that counts as neutral, for example the picture that was enrolled; the
                median of the calm ones if there is none.
        """

    def reset(self) -> None:
        """Forget the person; equals new."""
        self._values = np.zeros(len(CHANNELS), np.float32)
        self._calibrated = 0.0
