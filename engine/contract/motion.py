"""Motion: the common language of every source and every renderer.

A motion is one flat float32 vector: ARKit's 52 coefficients (0..1, in the
order of `ARFaceAnchor.BlendShapeLocation`) and six pose channels. "Left" and
"Right" are the person's own.

Signs, seen by someone who looks at the picture:

    yaw    degrees  > 0 turns the nose to the person's left  (image right)
    pitch  degrees  > 0 lifts the nose
    roll   degrees  > 0 tips the head clockwise, to the person's left shoulder
    tx     u        > 0 moves the head to the person's left  (image right)
    ty     u        > 0 moves the head up
    tz     u        > 0 moves the head towards the camera

where u is the distance between the outer corners of the eyes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

ARKIT: Final = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight",
    "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)  # fmt: skip
POSE: Final = ("yaw", "pitch", "roll", "tx", "ty", "tz")
CHANNELS: Final = ARKIT + POSE
Channel: Final[Mapping[str, int]] = {name: i for i, name in enumerate(CHANNELS)}

GAZE_RANGE_DEG: Final = 30.0
"""The turn of an eye, in degrees, that one full eyeLook* coefficient stands for."""

_EXPRESSION = ("brow", "cheek", "noseSneer", "mouthSmile", "mouthFrown", "mouthDimple")


def _group_of(name: str) -> str:
    if name in POSE:
        return "pose"
    if name.startswith("eyeLook"):
        return "gaze"
    if name.startswith("eye"):
        return "lids"
    return "expression" if name.startswith(_EXPRESSION) else "lips"


GROUPS: Final = ("lips", "expression", "lids", "gaze", "pose")
"""Channel groups that carry one confidence each: articulation, emotion, eyelids, eyeballs, head."""

GROUP_OF: Final[NDArray[np.intp]] = np.array([GROUPS.index(_group_of(name)) for name in CHANNELS])
"""intp[58]: the group of each channel."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Controls of a face at one instant of the media clock; read-only.

    Attributes:
        sample: the instant, in samples at 48 kHz.
        values: float32[58], see `CHANNELS`.
        confidence: float32[5] in 0..1, one per entry of `GROUPS`; 0 means "I have nothing to say about this group".
    """

    sample: int
    values: NDArray[np.float32]
    confidence: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name, length in (("values", len(CHANNELS)), ("confidence", len(GROUPS))):
            array: NDArray[np.float32] = getattr(self, name)
            if array.dtype != np.float32 or array.shape != (length,):
                raise ValueError(f"{name}: expected float32[{length}], got {array.dtype}{list(array.shape)}")
            if array.flags.writeable:
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    @classmethod
    def of(cls, sample: int = 0, controls: Mapping[str, float] | None = None, confidence: float = 1.0) -> "Motion":
        """A motion from named channels; those not named are 0.

        Raises:
            ValueError: if a name is not one of `CHANNELS`.
        """
        values = np.zeros(len(CHANNELS), np.float32)
        for name, value in (controls or {}).items():
            if name not in Channel:
                raise ValueError(f"no channel is called {name!r}; see engine.contract.CHANNELS")
            values[Channel[name]] = value
        return cls(sample, values, np.full(len(GROUPS), confidence, np.float32))

    def __getitem__(self, name: str) -> float:
        return float(self.values[Channel[name]])

    @property
    def arkit(self) -> NDArray[np.float32]:
        """float32[52], a view: the ARKit coefficients."""
        return self.values[: len(ARKIT)]

    @property
    def pose(self) -> NDArray[np.float32]:
        """float32[6], a view: yaw, pitch, roll in degrees; tx, ty, tz in u."""
        return self.values[len(ARKIT) :]

    def gaze_deg(self, side: str) -> tuple[float, float]:
        """Where the eye `side` ("Left" or "Right") looks, relative to the head: degrees to the person's left, degrees up."""
        inward, outward = self[f"eyeLookIn{side}"], self[f"eyeLookOut{side}"]
        towards_left = outward - inward if side == "Left" else inward - outward
        return towards_left * GAZE_RANGE_DEG, (self[f"eyeLookUp{side}"] - self[f"eyeLookDown{side}"]) * GAZE_RANGE_DEG


def gaze_controls(left_deg: float, up_deg: float) -> dict[str, float]:
    """The eyeLook* coefficients that turn both eyes by degrees to the person's left and up."""
    x, y = left_deg / GAZE_RANGE_DEG, up_deg / GAZE_RANGE_DEG
    return {
        "eyeLookOutLeft": max(x, 0.0), "eyeLookInLeft": max(-x, 0.0),
        "eyeLookInRight": max(x, 0.0), "eyeLookOutRight": max(-x, 0.0),
        "eyeLookUpLeft": max(y, 0.0), "eyeLookUpRight": max(y, 0.0),
        "eyeLookDownLeft": max(-y, 0.0), "eyeLookDownRight": max(-y, 0.0),
    }  # fmt: skip


def interpolate(before: Motion, after: Motion, sample: int) -> Motion:
    """The motion at `sample`, linearly between two motions (clamped to them)."""
    span = after.sample - before.sample
    w = np.float32(min(max((sample - before.sample) / span, 0.0), 1.0)) if span > 0 else np.float32(1)
    return Motion(
        sample,
        (before.values + w * (after.values - before.values)).astype(np.float32, copy=False),
        (before.confidence + w * (after.confidence - before.confidence)).astype(np.float32, copy=False),
    )


class MotionSource(Protocol):
    """Whatever moves a face: a voice, a camera, idle life, a script.

    Each source takes its own input by methods of its own; all are asked for
    motion up to an instant of the media clock.

    Laws: the output does not depend on how the input, or the asking, was cut;
    it is causal up to `look_ahead`; after `reset()` the source behaves as new.
    """

    @property
    def look_ahead(self) -> int:
        """Samples of its input beyond an instant that the source may use for the motion at that instant."""
        ...

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """All motions not yet returned with `motion.sample <= until_sample`, in order, one per `MOTION_STEP`.

        A source that lacks the input for an instant says so by confidence, never by a gap.
        """
        ...

    def reset(self, sample: int = 0) -> None:
        """Forget everything; the next motion is the first step at or after `sample`."""
        ...
