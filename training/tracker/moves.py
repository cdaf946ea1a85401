"""Random controls of a face: sparse mixtures as faces make them, some extreme, some at rest."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel, gaze_controls

_ALLOWED_YAW_DEG: Final = 26.0  # of a portrait that looks straight ahead
_GAZE_DEG: Final = (30.0, 26.0)  # asked for at most; limits leave about 26 and 21 of it
Controls = dict[str, float]


def random_controls(rng: np.random.Generator, yaw_limit_deg: float = _ALLOWED_YAW_DEG) -> NDArray[np.float32]:
    """float32[58]; a portrait that may turn less than others is turned less."""
    controls: Controls = {}
    for part in (_eyes, _mouth, _brows):
        controls |= part(rng)
    if rng.random() < 0.12:
        controls = {}  # head alone
    if rng.random() < 0.85:
        controls |= _pose(rng, yaw_limit_deg / _ALLOWED_YAW_DEG)
    controls |= _gaze(rng)
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in controls.items():
        values[Channel[name]] = value
    return values


def _pose(rng: np.random.Generator, share: float) -> Controls:
    yaw = rng.uniform(-37, 37) if rng.random() < 0.25 else np.clip(rng.normal(0, 12), -30, 30)
    pitch = rng.uniform(-24, 24) if rng.random() < 0.2 else np.clip(rng.normal(0, 7), -20, 20)
    roll = rng.uniform(-32, 32) if rng.random() < 0.2 else np.clip(rng.normal(0, 7), -20, 20)
    tx, ty, tz = (float(v) for v in np.clip(rng.normal(0, (0.08, 0.06, 0.14)), -0.3, 0.3))
    return {"yaw": float(yaw) * share, "pitch": float(pitch), "roll": float(roll), "tx": tx, "ty": ty, "tz": tz}


def _gaze(rng: np.random.Generator) -> Controls:
    if rng.random() < 0.2:
        return {}
    if rng.random() < 0.6:
        left, up = (float(rng.uniform(-most, most)) for most in _GAZE_DEG)
    else:
        left, up = (float(np.clip(rng.normal(0, most / 4), -most, most)) for most in _GAZE_DEG)
    controls = gaze_controls(left, up)
    if rng.random() < 0.2:  # the eyes meet nearer or farther, or squint
        other = gaze_controls(float(np.clip(left + rng.normal(0, 6), -30, 30)), up)
        controls |= {name: value for name, value in other.items() if name.endswith("Right")}
    return controls


def _eyes(rng: np.random.Generator) -> Controls:
    kind = rng.random()
    if kind < 0.5:
        left = right = 0.0
    elif kind < 0.7:
        left = right = float(rng.random())
    elif kind < 0.82:
        left = right = 1.0
    elif kind < 0.92:
        left, right = float(rng.random()), 0.0
        left = 1.0 if rng.random() < 0.4 else left
        left, right = (left, right) if rng.random() < 0.5 else (right, left)
    else:
        left, right = float(rng.random()), float(rng.random())
    controls = {"eyeBlinkLeft": left, "eyeBlinkRight": right}
    if rng.random() < 0.15:
        squint = float(rng.random())
        controls |= {"eyeSquintLeft": squint, "eyeSquintRight": squint * float(rng.uniform(0.7, 1))}
    elif rng.random() < 0.15:
        controls |= {"eyeWideLeft": (wide := float(rng.random())), "eyeWideRight": wide}
    return controls


def _both(name: str, rng: np.random.Generator, low: float, high: float) -> Controls:
    """A control of both sides, mostly alike."""
    value = float(rng.uniform(low, high))
    other = value * float(rng.uniform(0.8, 1)) if rng.random() < 0.8 else float(rng.uniform(0, high))
    sides = ("Left", "Right") if rng.random() < 0.5 else ("Right", "Left")
    return {f"{name}{sides[0]}": value, f"{name}{sides[1]}": other}


def _mouth(rng: np.random.Generator) -> Controls:
    kinds: tuple[tuple[float, Callable[[np.random.Generator], Controls]], ...] = (
        (0.15, lambda _: {}), (0.40, _speaking), (0.20, _smiling), (0.08, _sulking), (0.09, _gaping), (0.08, _odd),
    )  # fmt: skip
    which = int(rng.choice(len(kinds), p=[share for share, _ in kinds]))
    return kinds[which][1](rng)


def _speaking(rng: np.random.Generator) -> Controls:
    jaw = 0.85 * float(rng.beta(1.2, 2.2))
    controls: Controls = {"jawOpen": jaw}
    choice = rng.random()
    if choice < 0.2:
        controls["mouthPucker"] = float(rng.uniform(0.2, 1))
        controls["mouthFunnel"] = float(rng.uniform(0, 0.6))
    elif choice < 0.35:
        controls["mouthFunnel"] = float(rng.uniform(0.2, 1))
    elif choice < 0.55:
        controls |= _both("mouthStretch", rng, 0.1, 0.8) | _both("mouthLowerDown", rng, 0.1, 0.8)
    elif choice < 0.7:
        controls["mouthClose"] = jaw * float(rng.uniform(0.3, 1))
        controls |= _both("mouthPress", rng, 0, 1)
    elif choice < 0.8:
        controls["mouthRollLower"] = float(rng.uniform(0.1, 0.9))
        controls["mouthRollUpper"] = float(rng.uniform(0, 0.6))
    if rng.random() < 0.3:
        controls |= _both("mouthUpperUp", rng, 0, 0.7)
    return controls


def _smiling(rng: np.random.Generator) -> Controls:
    controls = _both("mouthSmile", rng, 0.2, 1.0)
    if rng.random() < 0.5:
        controls["jawOpen"] = float(rng.uniform(0, 0.5))
    if rng.random() < 0.5:
        controls |= _both("cheekSquint", rng, 0, 0.8)
    if rng.random() < 0.3:
        controls |= _both("mouthDimple", rng, 0, 0.6)
    return controls


def _sulking(rng: np.random.Generator) -> Controls:
    controls = _both("mouthFrown", rng, 0.2, 1.0)
    controls["mouthShrugLower"] = float(rng.uniform(0, 0.8))
    controls["mouthShrugUpper"] = float(rng.uniform(0, 0.5))
    return controls


def _gaping(rng: np.random.Generator) -> Controls:
    return {"jawOpen": float(rng.uniform(0.6, 1)), "mouthFunnel": float(rng.uniform(0, 0.4) * (rng.random() < 0.4))}


def _odd(rng: np.random.Generator) -> Controls:
    side = "Left" if rng.random() < 0.5 else "Right"
    controls = {f"mouth{side}": float(rng.uniform(0.2, 1)), "jawOpen": float(rng.uniform(0, 0.3))}
    if rng.random() < 0.4:
        controls[f"jaw{side}"] = float(rng.uniform(0.2, 1))
    if rng.random() < 0.4:
        controls["cheekPuff"] = float(rng.uniform(0.3, 1))
    if rng.random() < 0.4:
        controls |= _both("noseSneer", rng, 0.2, 0.9)
    return controls


def _brows(rng: np.random.Generator) -> Controls:
    kind = rng.random()
    if kind < 0.55:
        return {}
    if kind < 0.75:
        return _both("browDown", rng, 0.2, 1.0)
    if kind < 0.92:
        return {"browInnerUp": float(rng.uniform(0.2, 1))} | _both("browOuterUp", rng, 0.1, 1.0)
    return {"browInnerUp": float(rng.uniform(0.2, 1))} | _both("browDown", rng, 0, 0.6)
