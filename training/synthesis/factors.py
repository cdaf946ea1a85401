"""The five factors of a face, and pools of values that many people share.

A factor is a group of channels of `engine.contract.motion`; the groups are
disjoint and together are all channels, so a motion is the sum of one value of
each factor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUP_OF, GROUPS, POSE, Channel, gaze_controls
from training.synthesis.errors import SynthesisError
from training.tracker.moves import random_controls

FACTORS: Final = ("lip", "pose", "gaze", "blink", "expression")
"""Expression is brows, cheeks, nose, smile and frown; lip is articulation, jaw and all else of the mouth."""
LIP, POSE_, GAZE, BLINK, EXPRESSION = range(len(FACTORS))

GROUP: Final = ("lips", "pose", "gaze", "lids", "expression")
"""The channel group of each factor."""

MASK: Final[NDArray[np.bool_]] = np.array([GROUPS.index(name) == GROUP_OF for name in GROUP])
"""bool[5, 58]: the channels of each factor."""

NEUTRAL: Final = (0.12, 0.08, 0.12, 0.45, 0.25)
"""How often each factor is at rest in a random face."""

_SPREAD: Final = 0.5  # share of a pool that is chosen to lie far apart; the rest is as common as in the candidates
_CANDIDATES: Final = 6000
_ODD_MOUTHS: Final = 0.2  # share of lip values that no speech makes: mouths to one side, rolled lips, gaping
_POSE_SD: Final = (10.0, 6.0, 6.0, 0.06, 0.05, 0.10)
_POSE_MOST: Final = (22.0, 13.0, 15.0, 0.15, 0.12, 0.25)
_WIDE: Final = 0.3  # share of poses that are drawn evenly from all of the range
_GAZE_MOST_DEG: Final = (22.0, 13.0)
_SQUINTING: Final = 0.15  # share of gazes whose eyes are not parallel
_SQUINT_DEG: Final = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """Values of the factors, read-only.

    Attributes:
        values: float32[5, P, 58]: each factor's values in its own channels, 0 in all others; the first one is rest.
    """

    values: NDArray[np.float32]

    @property
    def size(self) -> int:
        """P, how many values each factor has."""
        return self.values.shape[1]

    def motion(self, factors: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32[N, 58]: the controls of faces whose factors have the values int[N, 5]."""
        return self.values[np.arange(len(FACTORS)), factors].sum(1, dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write to an .npz; it appears whole."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez(file, values=self.values, factors=np.array(FACTORS), channels=np.array(CHANNELS))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Pools":
        """From `pools.npz`.

        Raises:
            SynthesisError: if it cannot be read, or tells of other factors or channels.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in ("values", "factors", "channels")}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise SynthesisError(
                f"{path} holds no pools ({error}); make it with: python -m training prepare-factorial"
            ) from error
        if tuple(arrays["factors"].tolist()) != FACTORS or tuple(arrays["channels"].tolist()) != CHANNELS:
            raise SynthesisError(f"{path} was made for other factors or channels: make it again")
        return cls(arrays["values"])


def make_pools(spoken: NDArray[np.float32], size: int, seed: int) -> Pools:
    """Pools of `size` values each.

    Args:
        spoken: float32[M, 58], controls of lips in speech.
        size: values of each factor, rest included.
        seed: equal seeds give equal pools.
    """
    rngs = np.random.default_rng(seed).spawn(len(FACTORS))
    odd = round(_ODD_MOUTHS * (size - 1))
    some = np.stack([random_controls(rngs[LIP]) for _ in range(_CANDIDATES)])
    values = np.zeros((len(FACTORS), size, len(CHANNELS)), np.float32)
    candidates = {
        POSE_: _poses(rngs[POSE_]),
        GAZE: _gazes(rngs[GAZE]),
        BLINK: some * MASK[BLINK],
        EXPRESSION: some * MASK[EXPRESSION],
    }
    for factor, rows in candidates.items():
        values[factor, 1:] = _chosen(rows, size - 1, rngs[factor])
    values[LIP, 1 : size - odd] = _chosen(spoken * MASK[LIP], size - 1 - odd, rngs[LIP])
    values[LIP, size - odd :] = _chosen(some * MASK[LIP], odd, rngs[LIP])
    return Pools(values)


def _chosen(rows: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[count, 58] of the rows that are not rest: some far apart (k-means++ seeding), the others at random."""
    rows = np.unique(rows[np.abs(rows).max(1) > 0.02], axis=0)
    if len(rows) < count:
        raise SynthesisError(f"{len(rows)} different values, {count} are wanted: ask for smaller pools, or give more speech")
    rows = rows[rng.permutation(len(rows))[: 4 * _CANDIDATES]]
    scaled = rows / np.maximum(rows.std(0), 1e-6)
    far = round(_SPREAD * count)
    picked = [int(rng.integers(len(rows)))]
    away = np.full(len(rows), np.inf)
    while len(picked) < far:
        away = np.minimum(away, ((scaled - scaled[picked[-1]]) ** 2).sum(1))
        picked.append(int(rng.choice(len(rows), p=away / away.sum())))
    others = np.setdiff1d(np.arange(len(rows)), picked)
    return rows[[*picked, *rng.choice(others, count - len(picked), replace=False)]]


def _poses(rng: np.random.Generator) -> NDArray[np.float32]:
    most = np.array(_POSE_MOST)
    usual = np.clip(rng.normal(0, _POSE_SD, (_CANDIDATES, len(POSE))), -most, most)
    wide = rng.uniform(-most, most, usual.shape)
    out = np.zeros((_CANDIDATES, len(CHANNELS)), np.float32)
    out[:, Channel["yaw"] :] = np.where(rng.random((_CANDIDATES, 1)) < _WIDE, wide, usual)
    return out


def _gazes(rng: np.random.Generator) -> NDArray[np.float32]:
    out = np.zeros((_CANDIDATES, len(CHANNELS)), np.float32)
    for row in out:
        angle, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        left, up = far * _GAZE_MOST_DEG[0] * np.cos(angle), far * _GAZE_MOST_DEG[1] * np.sin(angle)
        apart = rng.normal(0, _SQUINT_DEG) if rng.random() < _SQUINTING else 0.0
        for side, turned in (("Left", left), ("Right", left + apart)):
            for name, value in gaze_controls(float(np.clip(turned, -_GAZE_MOST_DEG[0], _GAZE_MOST_DEG[0])), float(up)).items():
                if name.endswith(side):
                    row[Channel[name]] = value
    return out
