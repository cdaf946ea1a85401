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
    "lips": (Layer("script", "add"), Layer("camera", "over"), Layer("voice", "over"), Layer("camera", "over")),
    "expression": (Layer("script", "add"), Layer("camera", "over"), Layer("voice", "add"), Layer("idle", "add")),
    "lids": (Layer("script", "add"), Layer("camera", "over"), Layer("voice", "add"), Layer("idle", "add")),
    "gaze": (Layer("camera", "over"), Layer("script", "add"), Layer("voice", "add"), Layer("idle", "add")),
    "pose": (Layer("camera", "over"), Layer("script", "add"), Layer("voice", "add"), Layer("idle", "add")),
}
"""Each group's layers, the topmost first; which of them show is chosen, see `Compositor.choose`.

While the voice is chosen for the lips it alone shapes them, and a camera
stands in for a missing one. A camera's gaze and head are the person's own
life, so they hide the script's, the voice's and the idle ones; its brows hide
those that the voice would raise; a script's smile shows over all.
"""

FACTORS: Final[Mapping[str, tuple[str, ...]]] = {
    "pose": ("pose",),
    "gaze": ("gaze", "lids"),
    "expression": ("expression",),
    "lips": ("lips",),
}
"""What may be driven from different places, and its channel groups."""

CHOICES: Final = ("voice", "camera", "still")
"""From where: the voice and the idle life that goes with it, a camera (or a clip in its place), or nowhere."""

CHOSEN: Final[Mapping[str, str]] = {"pose": "camera", "gaze": "camera", "expression": "camera", "lips": "voice"}
"""What a new compositor chooses: a camera has the voice beneath it, for when it is not there or not sure."""

LIVE: Final = frozenset({"camera"})
"""Sources shown at their newest rather than at the instant of the sound."""

BY_HAND: Final = frozenset({"script"})
"""Sources that a factor held still does not silence: somebody asked for what they show."""

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
_BY_GROUP: Final = np.argsort(GROUP_OF, kind="stable")
_FIRST_OF_GROUP: Final = np.searchsorted(GROUP_OF[_BY_GROUP], np.arange(len(GROUPS)))
_EVERY: Final = np.arange(len(CHANNELS))
_EASE: Final = np.array([EASE_STEP[group] for group in GROUPS], np.float32)[GROUP_OF]


class Compositor:
    """Merges motion sources, per channel, into one motion; itself advanced step by step on the motion grid.

    A layer's share of a channel is its source's confidence times its weight, or
    nothing if another source was chosen for it; eased, so that one hands over
    to another. It pulls its sources: nothing else may call their `advance`.

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
        self._layers = layers
        self._rows, self._hides = _stacked(layers, self._row)
        self._weight = np.ones((len(sources) + 1, len(CHANNELS)), np.float32)
        self._chosen = dict(CHOSEN)
        self._shown = _shown(layers, self._chosen)
        self._restart(0)

    @property
    def look_ahead(self) -> int:
        """Samples beyond an instant that the slowest source needs for it; at a sample off the motion grid up to a step more."""
        return max((source.look_ahead for source in self._sources.values()), default=0)

    @property
    def chosen(self) -> Mapping[str, str]:
        """From where each factor comes: what `choose` was told, or `CHOSEN`."""
        return dict(self._chosen)

    def choose(self, factor: str, source: str) -> None:
        """Drive a factor from a source; handed over by easing from the next step on and kept over `reset`.

        Args:
            factor: one of `FACTORS`.
            source: "camera" is what a camera sees, with the voice and idle life beneath it for when it is not sure;
                "voice" is the voice and idle life alone; "still" holds the portrait at its own rest: neither breath nor
                blink, only what a script asks for.

        Raises:
            ValueError: if there is no such factor or source.
        """
        if factor not in FACTORS:
            raise ValueError(f"no factor is called {factor!r}; there are {', '.join(FACTORS)}")
        if source not in CHOICES:
            raise ValueError(f"{factor} cannot come from {source!r}; it can from {', '.join(CHOICES)}")
        self._chosen[factor] = source
        self._shown = _shown(self._layers, self._chosen)

    def share(self, source: str, group: str) -> float:
        """How much of a source shows in a channel group, 0..1: its confidence, eased, where it is chosen."""
        channels = GROUPS.index(group) == GROUP_OF
        mine = self._share[:, channels] * (self._rows[:, channels] == self._row[source])
        return float(mine.max(axis=0).mean())

    def set_weight(self, source: str, part: str, weight: float) -> None:
        """How much of a source shows in a group or in one channel, 0..1; eased from the next step on and kept over `reset`.

        Raises:
            ValueError: if there is no such source, group or channel, or the weight is not in 0..1.
        """
        if source not in self._row or (part not in GROUPS and part not in Channel):
            raise ValueError(
                f"no source {source!r} with group or channel {part!r}; sources: {sorted(self._row)}, groups: {GROUPS}"
            )
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"a weight lies in 0..1, got {weight}")
        channels = GROUPS.index(part) == GROUP_OF if part in GROUPS else Channel[part]
        self._weight[self._row[source], channels] = weight

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
        self._share = np.zeros(self._rows.shape, np.float32)
        self._silent = np.zeros(count, np.intp)

    def _compose(self, step: int, ahead: int) -> Motion:
        for name, source in self._sources.items():
            self._pull(self._row[name], source, step + (ahead if name in self._live else 0))
        target = (self._confidence[:, GROUP_OF] * self._weight)[self._rows, _EVERY] * self._shown
        if self._after is None:
            self._share = target
        else:
            self._share += np.minimum(np.maximum(target - self._share, -_EASE), _EASE)
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
        for share, layer, hides in zip(self._share, self._values[self._rows, _EVERY], self._hides, strict=True):
            values += room * share * layer
            room -= room * share * hides
        turn = values[_FIRST] - values[_SECOND]
        values[_FIRST], values[_SECOND] = np.maximum(turn, 0), np.maximum(-turn, 0)
        arkit = values[: len(ARKIT)]
        np.minimum(np.maximum(arkit, 0), 1, out=arkit)
        return values, np.maximum.reduceat(self._share.max(axis=0)[_BY_GROUP], _FIRST_OF_GROUP)


def _stacked(layers: Mapping[str, Sequence[Layer]], row: Mapping[str, int]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """intp[D, 58], float32[D, 58]: per depth, the topmost first, each channel's source and whether it hides what is below.

    A source is its row of the source table, whose last row is nobody.
    """
    depth = max(len(group) for group in layers.values())
    rows, hides = np.full((depth, len(GROUPS)), len(row), np.intp), np.zeros((depth, len(GROUPS)), np.float32)
    for g, name in enumerate(GROUPS):
        for k, layer in enumerate(layers.get(name, ())):
            if layer.source in row:
                rows[k, g], hides[k, g] = row[layer.source], layer.mode == "over"
    return rows[:, GROUP_OF], hides[:, GROUP_OF]


def _shown(layers: Mapping[str, Sequence[Layer]], chosen: Mapping[str, str]) -> NDArray[np.float32]:
    """float32[D, 58], 1 or 0: which layers show, by what was chosen. What hides and lies above the chosen one does not."""
    shown = np.ones((max(len(group) for group in layers.values()), len(GROUPS)), np.float32)
    for factor, source in chosen.items():
        for group in FACTORS[factor]:
            names = [layer.source for layer in layers.get(group, ())]
            above = names.index(source) if source in names else 0
            for k, layer in enumerate(layers.get(group, ())):
                silent = source == "still" and layer.source not in BY_HAND
                shown[k, GROUPS.index(group)] = not silent and not (k < above and layer.mode == "over")
    return shown[:, GROUP_OF]
