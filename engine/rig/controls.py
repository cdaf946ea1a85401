"""From motion to what the mesh is told: weights of shapes, turns of eyes and head."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, Channel, Motion
from engine.rig.avatar import Avatar, Drive
from engine.rig.camera import rotation

GAZE_LIMIT_DEG: Final = (28.0, 22.0)
"""How far an eye turns sideways and up or down before the made-up part of its texture shows too much."""
SHIFT_LIMIT_U: Final = 0.6
SEAL_OPENING: Final = 0.10
"""Opening (in jawOpen's measure) at which the rims of the lips have left the photo's lip line altogether."""
LINEAR_PART: Final = 0.6
"""Share of a limit up to which a turn is followed one to one; beyond it the turn eases towards the limit."""

CUES: Final = ("eyeClosedLeft", "eyeClosedRight", "eyesNarrowedLeft", "eyesNarrowedRight", "browRaised", "browKnit")
"""Shapes that move nothing; overlays are shown by them."""

_SAME: Final = tuple(
    name
    for name in ARKIT
    if not name.startswith("eyeLook") and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight", "mouthClose")
)  # channels that are shapes themselves


def drive(avatar: Avatar, motion: Motion) -> Drive:
    """What `motion` asks of `avatar`.

    Laws: continuous in every channel; a neutral motion gives the photo; lips
    meet exactly whenever nothing parts them, when mouthClose takes back
    jawOpen, and under a firm mouthPress (0.75 and more) or rolled-in lips.
    """
    index = _index(avatar.shapes)
    out = np.zeros(len(avatar.shapes), np.float32)
    for name, value in _shape_weights(motion).items():
        if name in index:  # a portrait enrolled by another version may lack a shape: it acts without
            out[index[name]] = value
    limits = avatar.rotation_limit_deg
    yaw, pitch, roll = (
        ease_to_limit(motion[name], limit) for name, limit in zip(("yaw", "pitch", "roll"), limits, strict=True)
    )
    shift = np.array([ease_to_limit(motion[name], SHIFT_LIMIT_U) for name in ("tx", "ty", "tz")]) * avatar.eye_distance
    shift[1] = -shift[1]
    return Drive(
        weights=out,
        head=rotation(yaw, pitch, roll),
        shift=shift.astype(np.float32),
        left_eye=_eye(motion, "Left"),
        right_eye=_eye(motion, "Right"),
    )


def ease_to_limit(value: float, limit: float) -> float:
    """`value` itself up to `LINEAR_PART` of `limit`, then smoothly slower; never beyond `limit`."""
    if limit <= 0:
        return 0.0
    straight = LINEAR_PART * limit
    over = abs(value) - straight
    if over <= 0:
        return value
    room = limit - straight
    return float(np.copysign(straight + room * np.tanh(over / room), value))


@lru_cache(maxsize=64)
def _index(shapes: tuple[str, ...]) -> Mapping[str, int]:
    return {name: i for i, name in enumerate(shapes)}


def _eye(motion: Motion, side: str) -> NDArray[np.float32]:
    left, up = motion.gaze_deg(side)
    return rotation(ease_to_limit(left, GAZE_LIMIT_DEG[0]), ease_to_limit(up, GAZE_LIMIT_DEG[1]), 0.0)


def _shape_weights(motion: Motion) -> dict[str, float]:
    """Weights by shape; values are those of the channels of the same name but where lips, lids or jaw ask for more."""
    c = motion.values.tolist()
    w = {name: c[Channel[name]] for name in _SAME}
    w["jawSide"] = c[Channel["jawLeft"]] - c[Channel["jawRight"]]
    w["mouthSide"] = c[Channel["mouthLeft"]] - c[Channel["mouthRight"]]
    _lips(w, c[Channel["mouthClose"]])
    w["browRaised"] = max(w["browInnerUp"], 0.5 * (w["browOuterUpLeft"] + w["browOuterUpRight"]))
    w["browKnit"] = 0.5 * (w["browDownLeft"] + w["browDownRight"])
    for side in ("Left", "Right"):
        _lids(w, side, motion.gaze_deg(side)[1])
    return w


def _lips(w: dict[str, float], mouth_close: float) -> None:
    """Decide how far the lips are parted, close them exactly if they are not, and close an open mouth of the photo."""
    jaw = w["jawOpen"]
    press = 0.5 * (w["mouthPressLeft"] + w["mouthPressRight"])
    roll = 0.5 * (w["mouthRollUpper"] + w["mouthRollLower"])
    firm = _ease(0.35, 0.75, max(press, roll))
    for name in ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthFunnel"):
        w[name] *= 1 - firm
    for name in ("mouthShrugUpper", "noseSneerLeft", "noseSneerRight"):
        w[name] *= 1 - 0.8 * firm
    closed = min(mouth_close, jaw)
    w["mouthClose"] = closed + (jaw - closed) * firm
    lifted = 0.5 * (w["mouthUpperUpLeft"] + w["mouthUpperUpRight"] + w["mouthLowerDownLeft"] + w["mouthLowerDownRight"])
    sneer = 0.25 * (w["noseSneerLeft"] + w["noseSneerRight"]) + 0.6 * max(w["mouthShrugUpper"], 0.0)
    opening = jaw - w["mouthClose"] + 0.7 * (lifted + w["mouthFunnel"]) + sneer * (1 - firm)
    w["lipSeal"] = 1 - _ease(0.0, SEAL_OPENING, opening)
    articulated = 0.35 * _ease(0.0, 0.4, jaw) + 0.95 * w["mouthPucker"] + 0.6 * w["mouthFunnel"]
    w["photoClose"] = min(1.0, max(articulated, firm, mouth_close - jaw, w["mouthClose"]))


def _lids(w: dict[str, float], side: str, gaze_up_deg: float) -> None:
    """The upper lid follows the gaze; a blink overrides whatever else the lids do."""
    open_share = 1 - min(max(w[f"eyeBlink{side}"], 0.0), 1.0)
    up = ease_to_limit(gaze_up_deg, GAZE_LIMIT_DEG[1])
    w[f"lidDown{side}"] = (-up / 24 if up < 0 else -up / 50) * open_share
    w[f"eyeClosed{side}"] = _ease(0.7, 1.0, 1 - open_share)
    w[f"eyesNarrowed{side}"] = max(w[f"eyeSquint{side}"], w[f"cheekSquint{side}"], 0.55 * w[f"mouthSmile{side}"])
    w[f"eyeSquint{side}"] *= open_share
    w[f"eyeWide{side}"] *= open_share


def _ease(low: float, high: float, x: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)
