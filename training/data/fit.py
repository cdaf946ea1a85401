"""Controls that make a rig repeat a measured face: bounded least squares over a whole clip, steady in time.

The rig is that of the speaker's own neutral face, so that the controls are
what `engine.rig.controls.drive` needs to move it as the speaker moved: for
all frames t at once,

    min  sum_t |W (S c_t - d_t)|^2 + sum_k (c_tk / s_k)^2 + a |c_tk / s_k| + sum_t |(c_t - c_t-1) / v|^2,   0 <= c <= limit

with the displacements d of weighted points (and the lips' gap and the mouth's
width as rows of their own), the displacements S of each control at 1, and
prior widths s that let the jaw carry most of the opening. Controls that undo
each other are kept apart: rounding is allowed as far as the mouth is narrower
than at rest, spreading as far as it is wider. Talking is taken to be
symmetric: both sides of a pair get one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel, Motion
from engine.rig.avatar import Avatar
from engine.rig.controls import drive
from engine.rig.shapes import build_rig
from engine.rig.topology import BROW, LIP_LOWER, LIP_LOWER_OUTER, LIP_UPPER, LIP_UPPER_OUTER, SIDES, face_triangles
from training.data.measures import CORNERS, LOWER_MIDDLE, UPPER_MIDDLE, gap_of, width_of

Floats = NDArray[np.float64]

UNIT_PX: Final = 125.0
"""px per u while a rig is built: its constants are px of the mesh renderer's frame."""


@dataclass(frozen=True, slots=True)
class Control:
    """One unknown of the fit.

    Attributes:
        prior: width s of the prior; smaller is used less.
        limit: largest value.
        channels: the channels that get its value.
        widens: u by which it makes the mouth wider at 1, or 0 where it is allowed at any width.
    """

    prior: float
    limit: float
    channels: tuple[str, ...]
    widens: float = 0.0


def _pair(name: str) -> tuple[str, ...]:
    return f"{name}Left", f"{name}Right"


MOUTH: Final[Mapping[str, Control]] = {
    "parting": Control(1.0, 1.0, ("jawOpen",)),
    "shut": Control(0.15, 0.5, ("jawOpen", "mouthClose")),
    "funnel": Control(0.35, 1.0, ("mouthFunnel",), -0.07),
    "pucker": Control(0.40, 1.0, ("mouthPucker",), -0.18),
    "stretch": Control(0.40, 1.0, _pair("mouthStretch"), 0.11),
    "smile": Control(0.20, 1.0, _pair("mouthSmile"), 0.13),
    "press": Control(0.25, 0.35, _pair("mouthPress")),
    "lower_down": Control(0.30, 1.0, _pair("mouthLowerDown")),
    "upper_up": Control(0.18, 1.0, _pair("mouthUpperUp")),
    "roll_lower": Control(0.25, 0.35, ("mouthRollLower",)),
    "roll_upper": Control(0.20, 0.35, ("mouthRollUpper",)),
    "shrug_lower": Control(0.15, 0.8, ("mouthShrugLower",)),
    "shrug_upper": Control(0.06, 0.5, ("mouthShrugUpper",)),
    "frown": Control(0.08, 0.8, _pair("mouthFrown")),
}
BROWS: Final[Mapping[str, Control]] = {
    "inner_up": Control(0.5, 1.0, ("browInnerUp",)),
    "outer_left": Control(0.4, 1.0, ("browOuterUpLeft",)),
    "outer_right": Control(0.4, 1.0, ("browOuterUpRight",)),
    "down_left": Control(0.4, 1.0, ("browDownLeft",)),
    "down_right": Control(0.4, 1.0, ("browDownRight",)),
}

_CHIN: Final = (152, 148, 377, 176, 400, 199, 200, 18)
_CHEEKS: Final = (205, 425, 207, 427, 187, 411, 212, 432, 206, 426)
_WEIGHTS: Final[tuple[tuple[tuple[int, ...], float], ...]] = (
    (_CHIN, 0.5),
    (_CHEEKS, 0.3),
    ((*LIP_UPPER_OUTER, *LIP_LOWER_OUTER), 0.8),
    ((*LIP_UPPER, *LIP_LOWER), 1.0),
)
_DEPTH: Final = 0.15
"""Weight of depth against what is seen: a tracker guesses depth."""
_GAP_WEIGHT, _WIDTH_WEIGHT = 6.0, 3.0
_NOISE_U: Final = 0.025
"""What a point is off by, of which its neighbours' error is not independent."""
_SPEED: Final = 1.8
"""How much a control changes in a second, for the temporal prior."""
_FEW: Final = 0.5
"""Weight a of the sum of controls: few of them at a time."""
_WIDTH_SLACK: Final = 0.07
"""Rounding and spreading that are allowed at the mouth's width at rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A speaker's neutral face float64[478, 3] (head's frame, u) and its rig: displacements float64[468, 3] in u by shape."""

    neutral: Floats
    shapes: Mapping[str, Floats]

    @classmethod
    def of(cls, neutral: Floats) -> "Person":
        """The rig of a neutral face."""
        rig = build_rig(neutral[:468] * UNIT_PX, face_triangles(), mouth_open=False)
        return cls(neutral, {name: shape / UNIT_PX for name, shape in rig.shapes.items()})

    def posed(self, controls: NDArray[np.float32]) -> Floats:
        """float64[F, 468, 3]: the face that `engine.rig.controls.drive` makes of controls float32[F, 58], head at rest."""
        names = tuple(self.shapes)
        deltas = np.stack([self.shapes[name] for name in names])
        stand_in = _avatar(names)
        confidence = np.ones(5, np.float32)
        weights = np.array([drive(stand_in, Motion(0, row, confidence)).weights for row in controls], np.float64)
        return self.neutral[:468] + np.tensordot(weights, deltas, 1)


def _avatar(names: tuple[str, ...]) -> Avatar:
    """An avatar with shapes' names and nothing to draw: what `drive` needs."""
    nothing, none = np.zeros((0, 3), np.float32), np.zeros(0, np.uint8)
    return Avatar(
        vertices=nothing, shapes=names, deltas=np.zeros((len(names), 0, 3), np.float32), uv=nothing, shade=nothing,
        triangles=np.zeros((0, 3), np.int32), part=none, head_weight=np.zeros(0, np.float32), pivot=np.zeros(3, np.float32),
        eyes={}, texture=none, overlays=(), background=none, landmarks=nothing, eye_distance=UNIT_PX,
        rotation_limit_deg=(90.0, 90.0, 90.0),
    )  # fmt: skip


def fit_controls(person: Person, points: Floats, fps: float) -> NDArray[np.float32]:
    """float32[F, 58]: mouth and brows that repeat the de-posed face float64[F, 478, 3]; other channels are 0."""
    moved = points[:, :468] - person.neutral[:468]
    out = np.zeros((len(points), len(CHANNELS)), np.float32)
    mouth = _mouth_rows(moved)
    columns = np.stack([_mouth_rows(d[None])[0] for d in _columns(person, MOUTH)], 1)
    _write(out, MOUTH, _solve(columns, mouth, MOUTH, fps, width_of(points) - width_of(person.neutral)))
    brows = np.stack([_brow_rows(d[None])[0] for d in _columns(person, BROWS)], 1)
    _write(out, BROWS, _solve(brows, _brow_rows(moved), BROWS, fps, np.zeros(len(points))))
    return out


def _columns(person: Person, controls: Mapping[str, Control]) -> list[Floats]:
    """float64[468, 3] each: what a control at 1 does."""
    return [np.sum([person.shapes[name] for name in control.channels], axis=0) for control in controls.values()]


def _mouth_rows(moved: Floats) -> Floats:
    """float64[F, rows]: weighted displacements of the mouth's points, symmetrised by the rows' own choice."""
    rows = []
    for index, weight in _WEIGHTS:
        part = moved[:, list(index)] * np.array([weight, weight, weight * _DEPTH])
        rows.append(part.reshape(len(moved), -1))
    gap = moved[:, LOWER_MIDDLE, 1] - moved[:, UPPER_MIDDLE, 1]
    width = moved[:, CORNERS[1], 0] - moved[:, CORNERS[0], 0]
    rows.append(np.stack([_GAP_WEIGHT * gap, _WIDTH_WEIGHT * width], 1))
    return np.concatenate(rows, 1)


def _brow_rows(moved: Floats) -> Floats:
    index = [p for side in SIDES for p in BROW[side]]
    return (moved[:, index] * (1, 1, _DEPTH)).reshape(len(moved), -1)


def _limits(controls: Mapping[str, Control], wider: Floats) -> Floats:
    """float64[F, K]: what each control may be while the mouth is `wider` [F] u than at rest."""
    limits = np.empty((len(wider), len(controls)))
    for k, control in enumerate(controls.values()):
        share = _WIDTH_SLACK + wider / control.widens if control.widens else np.ones(len(wider))
        limits[:, k] = np.clip(share, 0, control.limit)
    return limits


def _solve(columns: Floats, rows: Floats, controls: Mapping[str, Control], fps: float, wider: Floats) -> Floats:
    """float64[F, K]: the bounded least squares, by accelerated projected gradients (Beck and Teboulle 2009)."""
    prior = np.array([c.prior for c in controls.values()])
    high = _limits(controls, wider) / prior
    scaled = columns * prior / _NOISE_U
    normal = scaled.T @ scaled + np.eye(len(prior))
    wanted = rows / _NOISE_U @ scaled - _FEW
    steady = (prior * fps / _SPEED) ** 2
    step = 1 / (np.linalg.eigvalsh(normal)[-1] + 4 * steady.max())
    x = np.clip(np.linalg.solve(normal, wanted.T).T, 0, high)
    y, momentum = x.copy(), 1.0
    for _ in range(600):
        bend = np.zeros_like(y)
        change = np.diff(y, axis=0)
        bend[:-1] -= change
        bend[1:] += change
        following = np.clip(y - step * (y @ normal - wanted + bend * steady), 0, high)
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        y = following + (momentum - 1) / faster * (following - x)
        x, momentum = following, faster
    return np.asarray(x * prior, np.float64)


def _write(out: NDArray[np.float32], controls: Mapping[str, Control], values: Floats) -> None:
    for column, control in zip(values.T, controls.values(), strict=True):
        for name in control.channels:
            out[:, Channel[name]] += column.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Reprojection:
    """How well the rig repeats a clip: Pearson's r and RMS (u) of the lips' gap and the mouth's width."""

    gap_r: float
    gap_rms: float
    width_r: float
    width_rms: float


def judge(person: Person, points: Floats, controls: NDArray[np.float32]) -> Reprojection:
    """Compare the rig under its controls with the measured de-posed face."""
    again = person.posed(controls)
    figures: list[float] = []
    for measure in (gap_of, width_of):
        true, made = measure(points), measure(again)
        figures += [correlation(true, made), float(np.sqrt(np.mean((true - made) ** 2)))]
    return Reprojection(*figures)


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's r; 0 where one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size) if size > 1e-12 else 0.0
