"""When each of the known phones of a recording is spoken: the best path through what a recogniser hears (Viterbi)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.speech.errors import SpeechError
from training.speech.phones import BREATH, SIL, VOICELESS, Phone
from training.speech.recogniser import CENTRE_S, FRAME_S

SHORTEST: Final = 2
"""Frames of 10 ms that a phone lasts at least."""
_OUTSIDE: Final = 50.0
"""Nats that a frame costs outside of its word's known times: more than hearing can say against it."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word's phones, and where known about when it is spoken."""

    classes: tuple[int, ...]
    start_s: float = -np.inf
    end_s: float = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """States in their order.

    Attributes:
        classes: int64[S], what each emits.
        unit: int64[S], the phone or pause that it belongs to; a phone is `SHORTEST` states, so that it lasts that long.
        lasting: bool[S], whether it may go on: the last of each unit.
        optional: bool[S], whether it may be left out.
        window: float64[S, 2], seconds from when until when it may be.
    """

    classes: NDArray[np.int64]
    unit: NDArray[np.int64]
    lasting: NDArray[np.bool_]
    optional: NDArray[np.bool_]
    window: NDArray[np.float64]


def align(log_odds: NDArray[np.float32], words: Sequence[Word], slack_s: float = 0.1) -> list[Phone]:
    """The phones of `words` in time; silence is left out.

    Between words there may be silence, after a voiceless stop breath (which
    then is a phone of its own, as in synthetic speech).

    Args:
        log_odds: float32[T, 44], `Recogniser.log_odds`.
        words: in their order.
        slack_s: a word may begin and end this much outside of its known times.

    Raises:
        SpeechError: if there are no phones, or more than the sound has room for.
    """
    if not any(word.classes for word in words):
        raise SpeechError("empty phone tier")
    chain = _chain(words, slack_s)
    if np.count_nonzero(~chain.optional) >= len(log_odds):
        raise SpeechError("more phones than the sound has room for")
    return _phones(_best_path(log_odds, chain), chain)


def _chain(words: Sequence[Word], slack_s: float) -> _Chain:
    rows: list[tuple[int, int, bool, bool, float, float]] = []

    def add(index: int, start_s: float, end_s: float, *, optional: bool) -> None:
        unit = rows[-1][1] + 1 if rows else 0
        copies = 1 if optional else SHORTEST
        rows.extend((index, unit, copy == copies - 1, optional, start_s, end_s) for copy in range(copies))

    add(SIL, -np.inf, np.inf, optional=True)
    for word in words:
        span = (word.start_s - slack_s, word.end_s + slack_s)
        for index, following in zip(word.classes, (*word.classes[1:], SIL), strict=True):
            add(index, *span, optional=False)
            if index in VOICELESS and following != BREATH:
                add(BREATH, *span, optional=True)
        add(SIL, -np.inf, np.inf, optional=True)
    classes, unit, lasting, optional, start, end = (np.array(column) for column in zip(*rows, strict=True))
    return _Chain(classes, unit, lasting, optional, np.stack((start, end), axis=1))


def _best_path(log_odds: NDArray[np.float32], chain: _Chain) -> NDArray[np.int64]:
    """int64[T], the state of each frame; from a state to itself, the next, or over optional ones."""
    frames, states = len(log_odds), len(chain.classes)
    times = CENTRE_S + FRAME_S * np.arange(frames)
    outside = (times[:, None] < chain.window[:, 0]) | (times[:, None] > chain.window[:, 1])
    score = log_odds[:, chain.classes] - np.where(outside, _OUTSIDE, 0)
    jump = _jumps(chain)
    best = np.full(states, -np.inf)
    best[0] = score[0, 0]
    if states > 1 and chain.optional[0]:
        best[1] = score[0, 1]
    back = np.zeros((frames, states), np.int8)
    came = np.full((len(jump), states), -np.inf)
    for t in range(1, frames):
        for k in range(len(jump)):
            came[k, k:] = best[: states - k] + jump[k, k:]
        back[t] = came.argmax(axis=0)
        best = came.max(axis=0) + score[t]
    path = np.empty(frames, np.int64)
    path[-1] = states - 1 if best[-1] >= best[-2] else states - 2
    for t in range(frames - 1, 0, -1):
        path[t - 1] = path[t] - back[t, path[t]]
    return path


def _jumps(chain: _Chain) -> NDArray[np.float64]:
    """float64[4, S]: 0 where state s may follow state s - k, else minus infinity."""
    states = len(chain.classes)
    jump = np.full((4, states), -np.inf)
    jump[0, chain.lasting] = 0
    jump[1] = 0
    for k in (2, 3):
        for s in range(k, states):
            if chain.optional[s - k + 1 : s].all():
                jump[k, s] = 0
    return jump


def _phones(path: NDArray[np.int64], chain: _Chain) -> list[Phone]:
    """Runs of units as phones; a boundary lies half-way between two frames' middles."""
    units = chain.unit[path]
    cuts = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist(), len(path)]
    out: list[Phone] = []
    for first, last in itertools.pairwise(cuts):
        index = int(chain.classes[path[first]])
        if index != SIL:
            start, end = (max(CENTRE_S + (cut - 0.5) * FRAME_S, 0.0) for cut in (first, last))
            out.append(Phone(round(start, 4), round(end, 4), index))
    return out
