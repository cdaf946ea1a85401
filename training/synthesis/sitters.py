"""Enrolled portraits as models for the factorial set: turned, looking and closing their lips alike.

A value of a factor must mean the same on everybody. Portraits differ: heads
are turned a little, eyes look elsewhere, lips are parted. What a portrait
does at rest is measured and taken out of what it is asked for; who smiles
broadly, or is turned too far for that, is left out.
"""

import pickle
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel, gaze_controls
from engine.face.align import similarity as framed_by
from engine.face.align import three_points
from engine.face.crop import cut, into
from engine.face.gaze import Eyeballs
from engine.face.pose import RIGID, angles, lip_gap, mean_face, similarity
from engine.render.mesh import Canvas
from engine.render.scene import scene_of
from engine.rig.avatar import FRAME, Avatar
from engine.rig.camera import rotation
from engine.rig.controls import GAZE_LIMIT_DEG, LINEAR_PART, drive
from training.data.media import Unusable
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import GAZE, POSE_, Pools
from training.tracker.exact import freed, motion_of

Floats = NDArray[np.float64]

YAW_MOST_DEG: Final = 11.0
PITCH_MOST_DEG: Final = 11.0
GAP_MOST_U: Final = 0.12
"""Lips parted further than this at rest do not close well."""
LIFT_MOST_U: Final = 0.08
"""Corners of the mouth this far above its middle are a broad smile."""
EYES_LEAST_U: Final = 0.055
"""Eyes that are open less than this show no gaze."""

_PITCH_DEG: Final = -7.5  # of a face that looks at the camera, for `engine.face.pose.frontal` (see `engine.face.rest`)
_PITCH_SURE: Final = 0.7  # share of what a face's pitch differs by that is not its shape
_GAZE_UP_DEG: Final = 7.3  # median of what `Eyeballs` measures in 801 portraits, nearly all of which look at the camera
_GAZE_SURE: Final = 0.5  # share of what is measured; the rest: portraits look at the camera
_TURN_MOST_DEG: Final = (25.0, 18.0)  # yaw and pitch from the photo, beyond which the looks suffer
_TURNED_MOST: Final = 0.97  # of what an eye can turn
_CORNERS, _MIDDLE = [61, 291], [0, 17]  # of the mouth
_LIDS: Final = ((159, 145), (386, 374))
_OVERSAMPLED: Final = 2


@dataclass(frozen=True, slots=True)
class Portrait:
    """An enrolled portrait: its `avatar` file, and who it is."""

    avatar: Path
    person: str
    split: str


def portraits_in(faces: Path) -> Iterator[Portrait]:
    """The people that `prepare-faces --renders` enrolled, in its order.

    Raises:
        SynthesisError: if there are none.
    """
    shard, kept = faces / "renders", faces / ".avatars"
    if not (shard / "split.npy").is_file() or not kept.is_dir():
        raise SynthesisError(f"{faces} has no enrolled portraits; make them with: python -m training prepare-faces --renders N")
    source, people, split = (np.load(shard / f"{name}.npy", allow_pickle=False) for name in ("source", "people", "split"))
    for row in np.flatnonzero(np.char.endswith(source, "#0")):
        avatar = kept / f"{Path(str(source[row]).split('#')[0]).stem}.pickle.z"
        if split[row] and avatar.is_file():
            yield Portrait(avatar, str(people[row]), str(split[row]))


@dataclass(frozen=True, slots=True, eq=False)
class Sitter:
    """An avatar and what it does at rest.

    Attributes:
        avatar: free to turn as far as asked.
        turn: float64[3, 3], the head's rotation in the photo.
        gaze_deg: float64[2], where its eyes look, relative to the head: degrees to the person's left and up.
    """

    avatar: Avatar
    turn: Floats
    gaze_deg: Floats

    @classmethod
    def load(cls, path: Path) -> "Sitter":
        """From what an earlier run of `prepare-faces` of ours kept.

        Raises:
            Unusable: if the portrait is not suited; its kind says why.
        """
        return cls.of(pickle.loads(zlib.decompress(path.read_bytes())))

    @classmethod
    def of(cls, avatar: Avatar) -> "Sitter":
        """See `load`."""
        marks = avatar.landmarks[None].astype(np.float64)
        face = mean_face(marks)
        turns, scales, shifts = similarity(marks[:, RIGID], face[RIGID])
        yaw, pitch, _ = angles(turns[0])
        _check(face, float(yaw), float(pitch) - _PITCH_DEG, float(lip_gap(marks)[0]))
        pitch = _PITCH_SURE * (pitch - _PITCH_DEG)
        seen = Eyeballs.of(face).directions(marks[0], turns[0], float(scales[0]), shifts[0]).mean(0) - [0, _GAZE_UP_DEG]
        gaze = _GAZE_SURE * seen - (1 - _GAZE_SURE) * np.array([yaw, pitch])
        return cls(freed(avatar), rotation(float(yaw), float(pitch), 0).astype(np.float64), gaze)

    def asked(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[58]: what the avatar must be told for its face to do float32[58], measured from looking straight ahead."""
        out = values.copy()
        yaw, pitch, roll = angles(rotation(*values[Channel["yaw"] :][:3].tolist()) @ self.turn.T)
        out[Channel["yaw"] : Channel["tx"]] = yaw, pitch, roll
        motion = motion_of(values)
        for side in ("Left", "Right"):
            turned = [_uneased(v, most) for v, most in zip(motion.gaze_deg(side) - self.gaze_deg, GAZE_LIMIT_DEG, strict=True)]
            for name, value in gaze_controls(*turned).items():
                if name.endswith(side):
                    out[Channel[name]] = value
        return out

    def allows(self, pools: Pools) -> NDArray[np.bool_]:
        """bool[5, P]: the values that this portrait can show well."""
        out = np.ones(pools.values.shape[:2], np.bool_)
        for i, values in enumerate(pools.values[POSE_]):
            turned = np.abs(self.asked(values)[Channel["yaw"] :][:2])
            out[POSE_, i] = bool((turned <= _TURN_MOST_DEG).all())
        for i, values in enumerate(pools.values[GAZE]):
            motion = motion_of(values)
            turned = np.abs([motion.gaze_deg(side) - self.gaze_deg for side in ("Left", "Right")]).max(0)
            out[GAZE, i] = bool((turned <= _TURNED_MOST * np.array(GAZE_LIMIT_DEG)).all())
        return out


def _check(face: Floats, yaw: float, pitch: float, gap: float) -> None:
    if abs(yaw) > YAW_MOST_DEG:
        raise Unusable("turned to the side", f"{yaw:.0f} degrees")
    if abs(pitch) > PITCH_MOST_DEG:
        raise Unusable("turned up or down", f"{pitch:.0f} degrees")
    if gap > GAP_MOST_U:
        raise Unusable("mouth open")
    if face[_MIDDLE, 1].mean() - face[_CORNERS, 1].mean() > LIFT_MOST_U:
        raise Unusable("broad smile")
    if min(float(np.linalg.norm(face[a] - face[b])) for a, b in _LIDS) < EYES_LEAST_U:
        raise Unusable("narrow eyes")


def _uneased(value: float, limit: float) -> float:
    """What `engine.rig.controls.ease_to_limit` makes `value` of, as far as it can be reached."""
    straight = LINEAR_PART * limit
    room, over = limit - straight, min(abs(value), _TURNED_MOST * limit) - straight
    return value if over <= 0 else float(np.copysign(straight + room * np.arctanh(over / room), value))


class Stage:
    """Draws one sitter, framed by `engine.face.align` as it looks straight ahead at rest; the camera stands still.

    Args:
        sitter: who.
        size: side of the pictures in px.
    """

    def __init__(self, sitter: Sitter, size: int) -> None:
        self._sitter, self._size = sitter, size
        self._canvas = Canvas(scene_of(sitter.avatar, FRAME))
        self._closes = sitter.avatar.shapes.index("photoClose") if "photoClose" in sitter.avatar.shapes else None
        self._draw(np.zeros(len(CHANNELS), np.float32))
        self._matrix = framed_by(three_points(self._canvas.landmarks()), size * _OVERSAMPLED)

    def draw(self, values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The picture uint8[size, size, 3] of a face that does float32[58], and float32[478, 2] px, its landmarks there."""
        picture = cut(self._draw(values), self._matrix, self._size * _OVERSAMPLED)
        halves = picture.reshape(self._size, _OVERSAMPLED, self._size, _OVERSAMPLED, 3)
        small = halves.mean((1, 3), dtype=np.float32)
        points = into(self._canvas.landmarks(), self._matrix)[:, :2] / np.float32(_OVERSAMPLED)
        return np.round(small).astype(np.uint8), points

    def _draw(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        told = drive(self._sitter.avatar, motion_of(self._sitter.asked(values)))
        if self._closes is not None:  # everybody's lips meet at rest
            told.weights[self._closes] = 1
        return self._canvas.draw(told)
