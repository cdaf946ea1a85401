"""Many sources, one face: who moves what, and how one hands over to another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, CHANNELS, GROUP_OF, GROUPS, Channel, Motion, MotionSource, interpolate
from engine.timeline import MOTION_STEP

Mode = Literal["over", "add"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A source's place in a group: "over" hides what lies below it, "add" is laid on top of it."""

    source: str
    mode: Mode


LAYERS: Final[Mapping[str, tuple[Layer, ...]]] = {
    "lips": (Layer("script", "add"), Layer("voice", "over"), Layer("camera", "over")),
    "expression": (Layer("script", "add"), Layer("voice", "add"), Layer("camera", "over"), Layer("idle", "add")),
    "lids": (Layer("script", "add"), Layer("camera", "over"), Layer("voice", "add"), Layer("idle", "add")),
    "gaze": (Layer("camera", "over"), Layer("script", "add"), Layer("voice", "add"), Layer("idle", "add")),
    "pose": (Layer("camera", "over"), Layer("script", "add"), Layer("voice", "add"), Layer("idle", "add")),
}
"""Each group's layers, the topmost first.

The voice alone shapes the lips while it is there; a camera stands in for a
missing one. A camera's gaze and head are the person's own life, so they hide
the script's, the voice's and the idle ones; a script's smile shows over all.
"""

LIVE: Final = frozenset({"camera"})
"""Sources shown at their newest rather than at the instant of the sound."""

EASE_STEP: Final[Mapping[str, float]] = {"lips": 0.2, "expression": 0.08, "lids": 0.2, "gaze": 0.2, "pose": 0.05}
"""The most by which a source's share of a group may change in one motion step: lips hand over in 100 ms, a head in 400 ms."""

HOLD_STEPS: Final = 5  # a source that returns nothing is held for 100 ms, then eased out

_POSE_BOUND: Final = {"yaw": 6.0, "pitch": 6.0, "roll": 6.0, "tx": 0.06, "ty": 0.06, "tz": 0.06}
_GROUP_BOUND: Final = {"lips": 0.5, "expression": 0.3, "lids": 0.6, "gaze": 0.6, "pose": 0.0}

JUMP_BOUND: Final[NDArray[np.float32]] = np.array(
    [_POSE_BOUND.get(name, _GROUP_BOUND[GROUPS[GROUP_OF[i]]]) for i, name in enumerate(CHANNELS)], np.float32
)
"""float32[58]: the most by which a channel may change in one motion step, whatever the sources do: 300 degrees/s for the
head, a blink closed in two steps. Faster than any face, so it shows only when a source breaks."""

_ANTAGONISTS: Final = [
    (Channel[a + side], Channel[b + side])
    for side in ("Left", "Right")
    for a, b in (("eyeLookIn", "eyeLookOut"), ("eyeLookUp", "eyeLookDown"))
] + [(Channel["mouthLeft"], Channel["mouthRight"]), (Channel["jawLeft"], Channel["jawRight"])]
_FIRST: Final = np.array([a for a, _ in _ANTAGONISTS])
_SECOND: Final = np.array([b for _, b in _ANTAGONISTS])
_EVERY: Final = np.arange(len(CHANNELS))


class Compositor:
    """Merges motion sources, per channel group, into one motion; itself advanced step by step on the motion grid.

    A source's share of a group is its confidence times its weight, eased. It
    pulls its sources: nothing else may call their `advance`.

    Args:
        sources: by the names that `layers` uses; a source may have a say in some groups only.
        layers: who lies over whom in each group, the topmost first.
        live: sources shown at their newest motion, see `at`.

    Raises:
        ValueError: if a source's name is in no group of `layers`.
    """

    def __init__(
        self,
        sources: Mapping[str, MotionSource],
        *,
        layers: Mapping[str, Sequence[Layer]] = LAYERS,
        live: frozenset[str] = LIVE,
    ) -> None:
        known = {layer.source for group in layers.values() for layer in group}
        for name in sources:
            if name not in known:
                hint = get_close_matches(name, known, 1)
                raise ValueError(f"no layer is called {name!r}" + (f"; did you mean {hint[0]!r}?" if hint else ""))
        self._sources = dict(sources)
        self._row = {name: row for row, name in enumerate(self._sources)}
        self._live = live
        self._ranks = _ranks(layers, self._row)
        self._weight = np.ones((len(sources) + 1, len(GROUPS)), np.float32)
        self._ease = np.array([EASE_STEP[group] for group in GROUPS], np.float32)
        self._restart(0)

    @property
    def look_ahead(self) -> int:
        """Samples beyond an instant that the slowest source needs for it; at a sample off the motion grid up to a step more."""
        return max((source.look_ahead for source in self._sources.values()), default=0)

    def set_weight(self, source: str, group: str, weight: float) -> None:
        """How much of a source shows in a group, 0..1; eased from the next step on and kept over `reset`.

        Raises:
            ValueError: if there is no such source or group, or the weight is not in 0..1.
        """
        if source not in self._row or group not in GROUPS:
            raise ValueError(f"no source {source!r} with group {group!r}; sources: {sorted(self._row)}, groups: {GROUPS}")
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"a weight lies in 0..1, got {weight}")
        self._weight[self._row[source], GROUPS.index(group)] = weight

    def at(self, sample: int, live: int | None = None) -> Motion:
        """The composed motion at `sample`.

        Args:
            sample: the instant; never before the step that precedes the last one asked for.
            live: the newest instant of the media clock, at which live sources are asked; `sample` if not given. It lets
                a camera run ahead of a picture that waits for the voice's look-ahead.

        Raises:
            ValueError: if `sample` lies too far back.
        """
        ahead = max((live if live is not None else sample) - sample, 0)
        while self._after is None or self._after.sample < sample:
            self._before, self._after = self._after, self._compose(self._next, ahead)
            self._next += MOTION_STEP
        before = self._before or self._after
        if sample < before.sample and self._before is not None:
            raise ValueError(f"motion at {sample} was asked for after {self._after.sample}; ask in the order of time")
        return interpolate(before, self._after, sample)

    def reset(self, sample: int = 0) -> None:
        """Forget all motion, in the sources too; the next motion is the first step at or after `sample`."""
        for source in self._sources.values():
            source.reset(sample)
        self._restart(sample)

    def _restart(self, sample: int) -> None:
        count = len(self._sources)
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP
        self._before: Motion | None = None
        self._after: Motion | None = None
        self._values = np.zeros((count + 1, len(CHANNELS)), np.float32)  # the last row is nobody
        self._confidence = np.zeros((count + 1, len(GROUPS)), np.float32)
        self._share = np.zeros((count + 1, len(GROUPS)), np.float32)
        self._silent = np.zeros(count, np.intp)

    def _compose(self, step: int, ahead: int) -> Motion:
        for name, source in self._sources.items():
            self._pull(self._row[name], source, step + (ahead if name in self._live else 0))
        target = self._confidence * self._weight
        if self._after is None:
            self._share = target
        else:
            self._share += np.minimum(np.maximum(target - self._share, -self._ease), self._ease)
        values, present = self._stack()
        if self._after is not None:
            last = self._after.values
            values = np.minimum(np.maximum(values, last - JUMP_BOUND), last + JUMP_BOUND)
        return Motion(step, values, present)

    def _pull(self, row: int, source: MotionSource, until: int) -> None:
        motions = source.advance(until)
        if not motions:
            self._silent[row] += 1
            if self._silent[row] > HOLD_STEPS:
                self._confidence[row] = 0
            return
        newest = motions[-1]
        if not math.isfinite(float(newest.values @ newest.values + newest.confidence @ newest.confidence)):
            self._confidence[row] = 0  # a broken source fades out from where it was
            return
        self._silent[row] = 0
        self._values[row] = newest.values
        np.minimum(np.maximum(newest.confidence, 0), 1, out=self._confidence[row])

    def _stack(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        values = np.zeros(len(CHANNELS), np.float32)
        room = np.ones(len(CHANNELS), np.float32)
        for rows, hides in self._ranks:
            share = self._share[rows, GROUP_OF]
            values += room * share * self._values[rows, _EVERY]
            room -= room * share * hides
        turn = values[_FIRST] - values[_SECOND]
        values[_FIRST], values[_SECOND] = np.maximum(turn, 0), np.maximum(-turn, 0)
        arkit = values[: len(ARKIT)]
        np.minimum(np.maximum(arkit, 0), 1, out=arkit)
        return values, self._share.max(axis=0)


def _ranks(layers: Mapping[str, Sequence[Layer]], row: Mapping[str, int]) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Per rank, topmost first: each channel's row of the source table (the last row is nobody) and whether it hides."""
    nobody = len(row)
    ranks: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
    for depth in range(max(len(group) for group in layers.values())):
        rows, hides = np.full(len(GROUPS), nobody, np.intp), np.zeros(len(GROUPS), np.float32)
        for g, name in enumerate(GROUPS):
            group = layers.get(name, ())
            if depth < len(group) and group[depth].source in row:
                rows[g], hides[g] = row[group[depth].source], group[depth].mode == "over"
        ranks.append((rows[GROUP_OF], hides[GROUP_OF]))
    return ranks
