"""What a face's expression is: the rig's shapes that add up to how its points have moved.

For one picture, with displacements d of weighted points in the head's frame,
fields S of each control at 1 and prior widths s,

    min |W (S c - d)|^2 + sum_k (c_k / s_k)^2 + FEW sum_k |c_k / s_k|,   low <= c <= high

Seven controls without bounds to speak of stand for what is left of the head's
own movement, so that a head that nods is not taken for brows that rise. The
fit is that of `training.data.fit` (there for a whole clip) with both sides of
the face apart; solved by ADMM (Boyd et al. 2011, section 5.2), warm-started.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel
from engine.face.fields import fields
from engine.rig.topology import (
    BROW,
    LID_LOWER,
    LID_UPPER,
    LIP_LOWER,
    LIP_LOWER_OUTER,
    LIP_UPPER,
    LIP_UPPER_OUTER,
    OVAL,
    POINTS,
    SIDES,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Control:
    """One unknown of the fit.

    Attributes:
        prior: width s of the prior; smaller is used less.
        low: least value.
        high: largest value.
        shapes: what it moves, by the rig's names.
        channels: the channels that get its value.
    """

    prior: float
    low: float
    high: float
    shapes: tuple[str, ...]
    channels: tuple[str, ...]


def _one(name: str, prior: float, high: float = 1.0) -> dict[str, Control]:
    return {name: Control(prior, 0.0, high, (name,), (name,))}


def _pair(name: str, prior: float, high: float = 1.0) -> dict[str, Control]:
    return _one(f"{name}Left", prior, high) | _one(f"{name}Right", prior, high)


_LOOSE: Final = 0.35
"""More of a press or a roll shuts the lips (`engine.rig.controls`), however far they are seen apart."""

CONTROLS: Final[Mapping[str, Control]] = {
    "parting": Control(1.0, 0.0, 1.0, ("jawOpen",), ("jawOpen",)),
    "shut": Control(0.15, 0.0, 0.6, ("jawOpen", "mouthClose"), ("jawOpen", "mouthClose")),
    "jawSide": Control(0.15, -0.8, 0.8, ("jawSide",), ("jawLeft", "jawRight")),
    "mouthSide": Control(0.2, -1.0, 1.0, ("mouthSide",), ("mouthLeft", "mouthRight")),
    **_one("mouthFunnel", 0.35),
    **_one("mouthPucker", 0.4),
    **_pair("mouthStretch", 0.35),
    **_pair("mouthSmile", 0.4),
    **_pair("mouthFrown", 0.3),
    **_pair("mouthDimple", 0.12),
    **_pair("mouthPress", 0.2, _LOOSE),
    **_pair("mouthLowerDown", 0.3),
    **_pair("mouthUpperUp", 0.2),
    **_one("mouthRollLower", 0.2, _LOOSE),
    **_one("mouthRollUpper", 0.2, _LOOSE),
    **_one("mouthShrugLower", 0.2),
    **_one("mouthShrugUpper", 0.08, 0.5),
    **_one("browInnerUp", 0.5),
    **_pair("browOuterUp", 0.4),
    **_pair("browDown", 0.4),
    **_one("cheekPuff", 0.3),
    **_pair("cheekSquint", 0.2),
    **_pair("noseSneer", 0.2),
}
"""The unknowns; eyes and lids are measured by themselves, and a jaw pushed forward or a tongue is not seen."""

_RIGID: Final = 7
_RIGID_PRIOR: Final = np.array([0.05, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03])
"""Widths for a turn (radians), a shift (u) and a growth (share) that the fit of the bones has missed."""
_REACH: Final = 4.0  # in prior widths
_NOISE_U: Final = 0.012
"""What a point is off by, of which its neighbours' error is not independent."""
_DEPTH: Final = 0.2
"""Weight of depth against what is seen: a tracker guesses depth."""
_FEW: Final = 0.3
_GAP_WEIGHT, _WIDTH_WEIGHT = 5.0, 3.0
_GAPS: Final = ((13, 14), (82, 87), (312, 317))
_CORNERS: Final = (61, 291)
_OTHERS, _OUTLINE = 0.35, 0.12
_ROUNDS: Final = 24
_PULL: Final = 3.0
"""ADMM's rho, in units of the scaled unknowns."""

_LIDS: Final = [p for side in SIDES for p in (*LID_UPPER[side], *LID_LOWER[side])]
_LIPS: Final = [*LIP_UPPER, *LIP_LOWER, *LIP_UPPER_OUTER, *LIP_LOWER_OUTER]
_BROWS: Final = [*BROW["Left"], *BROW["Right"]]


def _point_weights() -> Floats:
    weight = np.full(POINTS, _OTHERS)
    weight[list(OVAL)] = _OUTLINE
    weight[_LIPS + _BROWS] = 1.0
    weight[_LIDS] = 0.0
    return weight


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a fit found.

    Attributes:
        values: float64[58]; channels that are not fitted are 0.
        turn: float64[3], radians about the head's axes that the bones' fit has missed.
        shift: float64[3], likewise, in u; growth: likewise, a share.
        residual: root mean square in u of what no control explains, of points as they are weighted.
    """

    values: Floats
    turn: Floats
    shift: Floats
    growth: float
    residual: float


class ExpressionFit:
    """The fit for one person; keeps its last solution to start from.

    Args:
        face: float64[478, 3], the person's neutral face in the head's frame, in u.
    """

    def __init__(self, face: Floats) -> None:
        prior = np.array([control.prior for control in CONTROLS.values()])
        self._width = np.concatenate([prior, _RIGID_PRIOR])
        low = [control.low for control in CONTROLS.values()]
        high = [control.high for control in CONTROLS.values()]
        self._low = np.concatenate([low / prior, np.full(_RIGID, -_REACH)])
        self._high = np.concatenate([high / prior, np.full(_RIGID, _REACH)])
        self._few = np.where(self._low == 0, _FEW / 2, 0.0)
        moved = np.concatenate([_shapes_of(face), _rigid(face)])  # [K, 468, 3]
        self._rows = _rows(moved) * self._width[:, None]  # [K, R]
        gram = self._rows @ self._rows.T + np.eye(len(self._width))
        self._pull = _PULL * float(np.median(np.diag(gram)) ** 0.5)
        self._inverse = np.linalg.inv(gram + self._pull * np.eye(len(gram)))
        self._weight = _point_weights()
        self.reset()

    def reset(self) -> None:
        """Forget the last solution."""
        self._solution = np.zeros(len(self._width))
        self._dual = np.zeros(len(self._width))

    def fit(self, moved: Floats) -> Fitted:
        """The controls that explain displacements float64[468, 3] in u, in the head's frame."""
        target = _rows(moved[None])[0]
        wanted = self._rows @ target - self._few
        z, u, pull, inverse = self._solution, self._dual, self._pull, self._inverse
        for _ in range(_ROUNDS):
            x = inverse @ (wanted + pull * (z - u))
            u = x + u
            z = np.minimum(np.maximum(u, self._low), self._high)
            u = u - z
        self._solution, self._dual = z, u
        c = z * self._width
        rest = target - z @ self._rows
        weight = self._weight
        residual = float(np.sqrt((rest[: 3 * POINTS] ** 2).sum() / (weight**2).sum())) * _NOISE_U
        return Fitted(_values(c), c[-7:-4], c[-4:-1], float(c[-1]), residual)


def _rows(moved: Floats) -> Floats:
    """float64[K, R]: displacements float64[K, 468, 3] as weighted rows, with the lips' gaps and the mouth's width."""
    axes = np.array([1.0, 1.0, _DEPTH]) / _NOISE_U
    points = (moved * _point_weights()[:, None] * axes).reshape(len(moved), -1)
    upper, lower = np.array(_GAPS).T
    gaps = (moved[:, lower, 1] - moved[:, upper, 1]) * (_GAP_WEIGHT / _NOISE_U / len(_GAPS) ** 0.5)
    width = (moved[:, _CORNERS[1], 0] - moved[:, _CORNERS[0], 0]) * (_WIDTH_WEIGHT / _NOISE_U)
    return np.concatenate([points, gaps, width[:, None]], 1)


def _shapes_of(face: Floats) -> Floats:
    """float64[K, 468, 3]: what each control does to this face, in u; the jaw turns about this face's own hinge."""
    known = fields()
    mean_open, own_open = _jaw_open(known.face), _jaw_open(face)
    larger = (own_open[14] - own_open[13])[1] / (mean_open[14] - mean_open[13])[1]
    own = {**known.shapes, "jawOpen": own_open, "mouthClose": known.shapes["mouthClose"] * larger}
    return np.stack([np.sum([own[name] for name in control.shapes], axis=0) for control in CONTROLS.values()])


def _jaw_open(face: Floats) -> Floats:
    """float64[468, 3]: the fully open jaw; see `engine.rig.jaw`."""
    known = fields()
    hinge = known.face[[93, 323]].mean(0) * 0.5 + known.face[[234, 454]].mean(0) * 0.5
    chin = known.face[152] - hinge
    to = chin + known.shapes["jawOpen"][152] / known.follow[152]
    turn = np.arctan2(to[1], to[2]) - np.arctan2(chin[1], chin[2])
    own = face[:POINTS] - (face[[93, 323]].mean(0) * 0.5 + face[[234, 454]].mean(0) * 0.5)
    c, s = np.cos(turn), np.sin(turn)
    y, z = c * own[:, 1] + s * own[:, 2], -s * own[:, 1] + c * own[:, 2]
    return known.follow[:, None] * np.stack([np.zeros(POINTS), y - own[:, 1], z - own[:, 2]], 1)


def _rigid(face: Floats) -> Floats:
    """float64[7, 468, 3]: a turn by one radian about each axis, a shift by 1 u along it, growth by 1."""
    points = face[:POINTS]
    turns = [np.cross(axis, points) for axis in np.eye(3)]
    shifts = [np.tile(axis, (POINTS, 1)) for axis in np.eye(3)]
    return np.stack([*turns, *shifts, points])


def _values(c: Floats) -> Floats:
    """float64[58]: the channels of the controls."""
    out = np.zeros(len(CHANNELS))
    for (name, control), value in zip(CONTROLS.items(), c.tolist(), strict=False):
        if name.endswith("Side"):
            left, right = control.channels
            out[Channel[left]], out[Channel[right]] = max(value, 0.0), max(-value, 0.0)
        else:
            for channel in control.channels:
                out[Channel[channel]] += value
    return out
