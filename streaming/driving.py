"""Clips that drive a face: where it was in each picture, and what it did, as motion."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import GROUP_OF, GROUPS, Motion, MotionSource
from engine.face.recorded import readings_of
from engine.face.stream import FaceFollower, Seen
from engine.motion.camera import CameraSource
from engine.timeline import SAMPLE_RATE_HZ
from streaming.capture.clip import USUAL_S, Clip, ClipError

LEAST_S: Final = 1.0
UNSEEN_S: Final = 0.3
"""Less than this without a face in all is not worth a word."""

Tell = Callable[[float, float], None]
"""Told how many seconds of a clip are done, and of how many as far as is known (0.0 if not)."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What was seen in the pictures of a clip.

    Attributes:
        name: of the clip.
        seen: one per picture, in order, at the instants of `Picture`.
        width: of the pictures, px.
        height: likewise.
        length_s: from the first picture's appearance to the last one's end.
        notes: one line each on what was odd.
    """

    name: str
    seen: Sequence[Seen]
    width: int
    height: int
    length_s: float
    notes: tuple[str, ...]


def watch(clip: Clip, follower: FaceFollower, tell: Tell | None = None) -> Watched:
    """Follow the face through a whole clip.

    Raises:
        ClipError: if it shows no face, or is shorter than `LEAST_S`.
    """
    follower.reset()
    seen: list[Seen] = []
    height = width = 0
    for picture in clip.pictures():
        height, width = picture.rgb.shape[:2]
        seen.append(follower.follow(picture.rgb, picture.time_s))
        if tell:
            tell(picture.time_s, clip.stated_s)
    length_s = _length_s(seen)
    if length_s < LEAST_S - 1e-3:
        raise ClipError(f"{clip.name} shows {length_s:.2f} s of pictures; a driving clip lasts {LEAST_S:g} s or more")
    if not any(one.face for one in seen):
        why = next((one.trouble for one in seen if one.trouble), "no face")
        raise ClipError(f"no face was found in {clip.name} ({why}); give a film of one face, from the front and well lit")
    return Watched(clip.name, seen, width, height, length_s, tuple(_notes(clip, seen, length_s)))


class ClipMotion:
    """What the face in a clip does, as a `MotionSource` that knows all of it beforehand; without a face it has no confidence.

    Args:
        watched: the clip.
        speaks: its lips are the ones that are shown; otherwise what its smile owes to its own talking is left out.
        neutral: float[478, 3] px, the face of the clip that counts as at rest; the median of its calm pictures if None.
    """

    def __init__(self, watched: Watched, *, speaks: bool, neutral: NDArray[np.floating] | None = None) -> None:
        readings = readings_of(watched.seen, watched.width, watched.height, speaks=speaks, neutral=neutral)
        samples = [round(one.time_s * SAMPLE_RATE_HZ) for one in watched.seen]
        end = round(watched.length_s * SAMPLE_RATE_HZ)
        self._readings = [(0, readings[0]), *zip(samples, readings, strict=True), (end, readings[-1])]
        self._camera = CameraSource(timed=True)
        self.reset()

    @property
    def look_ahead(self) -> int:
        """See `MotionSource`: none, as nothing is waited for."""
        return 0

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`."""
        return self._camera.advance(until_sample)

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`."""
        self._camera.reset(sample)
        for at, reading in self._readings:
            self._camera.push(reading, at)


class Several:
    """Several sources of motion as one, each for some channel groups; about the others it has nothing to say.

    Args:
        sources: by channel group; one may stand for several groups.
    """

    def __init__(self, sources: Mapping[str, MotionSource]) -> None:
        self._sources = list(dict.fromkeys(sources.values()))
        row = [self._sources.index(sources[group]) if group in sources else -1 for group in GROUPS]
        self._row = np.array(row, np.intp)
        self._heard = (self._row >= 0).astype(np.float32)

    @property
    def look_ahead(self) -> int:
        """See `MotionSource`."""
        return max((source.look_ahead for source in self._sources), default=0)

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`."""
        together = zip(*(source.advance(until_sample) for source in self._sources), strict=True)
        return [self._joined(motions) for motions in together]

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`."""
        for source in self._sources:
            source.reset(sample)

    def _joined(self, motions: Sequence[Motion]) -> Motion:
        values, confidence = np.stack([m.values for m in motions]), np.stack([m.confidence for m in motions])
        chosen = values[self._row[GROUP_OF], np.arange(len(GROUP_OF))]
        return Motion(motions[0].sample, chosen, confidence[self._row, np.arange(len(GROUPS))] * self._heard)


def _length_s(seen: Sequence[Seen]) -> float:
    if len(seen) < 2:
        return USUAL_S * len(seen)
    return seen[-1].time_s + (seen[-1].time_s - seen[-2].time_s) / 2


def _notes(clip: Clip, seen: Sequence[Seen], length_s: float) -> Iterator[str]:
    times = np.array([one.time_s for one in seen])
    shown = np.gradient(times) if len(times) > 1 else np.array([USUAL_S])
    unseen = float(shown[[one.face is None for one in seen]].sum())
    if unseen > UNSEEN_S:
        yield f"{clip.name} shows no face for {unseen:.1f} s of {length_s:.1f} s; there the face idles"
    crowd = max(one.faces for one in seen)
    if crowd > 1:
        yield f"{clip.name} shows {crowd} people; the one with the largest face drives"
    if clip.damaged:
        yield f"{clip.name} is damaged in {clip.damaged} place{'s' * (clip.damaged > 1)}, which were left out"
