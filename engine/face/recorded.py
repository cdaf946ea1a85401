"""The face of a clip, read with all of the clip known: nothing has to be waited for."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, Channel
from engine.face.reader import FaceReader, Reading
from engine.face.stream import Seen
from engine.face.talk import SPOKEN, WINDOW_S

Floats = NDArray[np.float64]

PICTURES_MOST: Final = 2000
"""Evenly spaced, that a face at rest is learned from."""
RUN_IN_S: Final = 0.6
"""The beginning of a clip is read backwards first, so that a reader's filters are settled and its trust is won at 0."""
_TALK_S: Final = 0.8  # about an instant, in which a mouth that moves counts as talking
_MOVES: Final = 0.25  # jawOpen and its like per second, from which it surely does
_SMOOTH_S: Final = 0.2
_JAW: Final = [Channel[name] for name in ARKIT if name in ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker")]


def readings_of(
    seen: Sequence[Seen],
    width: int,
    height: int,
    *,
    speaks: bool,
    neutral: NDArray[np.floating] | None = None,
) -> list[Reading]:
    """What a face does in each picture of a clip.

    Args:
        seen: one per picture, in the order of time; at least one with a face.
        width: of the pictures, px.
        height: likewise.
        speaks: the clip's own lips are shown; otherwise what its smile, frown and cheeks owe to its talking is left out,
            without the lag of `engine.face.talk.SpeechFilter`.
        neutral: float[478, 3] px, the face that counts as at rest; the median of the calm pictures if None.
    """
    faces = [one.face.landmarks for one in seen if one.face]
    reader = FaceReader()
    reader.calibrate(np.stack(faces[:: -(-len(faces) // PICTURES_MOST)]), width, height, neutral=neutral)
    begin_s = seen[0].time_s
    for one in reversed([one for one in seen if 0 < one.time_s - begin_s <= RUN_IN_S]):
        reader.read(Seen(2 * begin_s - one.time_s, one.face, one.trouble, one.faces), width, height)
    readings = [reader.read(one, width, height) for one in seen]
    return readings if speaks else _unspoken(readings, np.array([one.time_s for one in seen]))


def _unspoken(readings: Sequence[Reading], times: Floats) -> list[Reading]:
    """The readings without what comes and goes with syllables: as far as the mouth moves, medians about each instant."""
    sure = np.flatnonzero([reading.confidence.any() for reading in readings])
    values = np.array([reading.values for reading in readings], np.float64)
    known, spoken = times[sure], values[sure][:, SPOKEN]
    steady = _smoothed(np.stack([np.median(spoken[_near(known, at, WINDOW_S)], 0) for at in known]), known)
    speed = np.abs(np.diff(values[sure][:, _JAW], axis=0, prepend=values[sure][:1, _JAW])).sum(1)
    passed = np.maximum(np.diff(known, prepend=known[0] - 0.04), 1e-3)
    for place, now in enumerate(sure.tolist()):
        around = _near(known, known[place], _TALK_S)
        talks = min(float(speed[around].sum() / passed[around].sum()) / _MOVES, 1.0)
        values[now, SPOKEN] = talks * steady[place] + (1 - talks) * spoken[place]
    return [Reading(value.astype(np.float32), one.confidence) for value, one in zip(values, readings, strict=True)]


def _near(times: Floats, at: float, width_s: float) -> slice:
    first, last = np.searchsorted(times, [at - width_s / 2, at + width_s / 2])
    return slice(int(first), max(int(last), int(first) + 1))


def _smoothed(values: Floats, times: Floats) -> Floats:
    """float64[T, C]: the mean over `_SMOOTH_S` about each instant."""
    return np.stack([values[_near(times, at, _SMOOTH_S)].mean(0) for at in times])
