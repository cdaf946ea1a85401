"""Batches of the synthetic factorial set: the same factor shown by several people, everything else being different.

A batch consists of stars. In the middle of a star is one picture; about it,
for each factor, one picture of somebody else whose value of this factor is the
same. So every factor of the middle picture can be taken from another person,
and one factor of each of the others; a motion encoder looks at every picture
once.
"""

# pyright: basic
# cv2 types its images as unions

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from engine.features.pdfgc import BEFORE, FIRST_PICTURE, FRAMES, HOP, PER_PICTURE, gain_of, mel_of
from engine.motion.visemes import controls_of
from engine.rig.topology import LID_LOWER, LID_UPPER, LIP_LOWER_OUTER, LIP_UPPER_OUTER, SIDES
from training.data.splits import Split
from training.pdfgc import heatmaps
from training.pdfgc.augment import discoloured, hued
from training.speech.utterances import Utterance
from training.synthesis.data import Clips, Sharing, Stills
from training.synthesis.factors import FACTORS, LIP, MASK
from training.synthesis.lesson import mirrored
from training.tracker.augment import tone

STAR: Final = 1 + len(FACTORS)
"""Pictures of a star."""
PICTURES: Final = ("targets", "identities", "drivers", "focus")
"""What a star shows, see `Stars.draw`."""
EYES: Final = tuple((*LID_UPPER[side], *LID_LOWER[side]) for side in SIDES)
MOUTH: Final = (*LIP_UPPER_OUTER, *LIP_LOWER_OUTER)
GAIN_DB: Final = 3.0
"""By how much a voice's level is misjudged (standard deviation): live it is not known before it ends."""
_AFTER: Final = HOP * FRAMES
"""Samples from the beginning of a window's first hop to its end."""
_FULL: Final = 32768.0

Image = NDArray[np.uint8]


class FactorialError(MienError):
    """A factorial set that nothing can be learned from."""


class Stars:
    """Draws stars from stills.

    Args:
        stills: to draw from.
        split: whose people.
        size: px of the pictures that are to be made.
        seen: px of those that the encoders see.
        plain: show people as they are; otherwise half of the stars are mirrored, and half of the people are in other
            colours, so that there are more people than were photographed.

    Raises:
        FactorialError: if the split has fewer than two people.
    """

    def __init__(self, stills: Stills, split: Split, size: int, seen: int, *, plain: bool = False) -> None:
        self._stills, self._size, self._seen, self._rows = stills, size, seen, stills.rows(split)
        self._plain = plain
        self.people, who = np.unique(stills.people[self._rows], return_inverse=True)
        if len(self.people) < 2:
            raise FactorialError(
                f"the factorial set has {len(self.people)} people in '{split}'; stars need others to share with"
            )
        self._own = [self._rows[who == i] for i in range(len(self.people))]
        self._of = dict(zip(self._rows.tolist(), who.tolist(), strict=True))
        self._sharing = Sharing(stills, self._rows)

    def draw(self, rng: np.random.Generator, looked_at: Collection[str] = PICTURES) -> dict[str, NDArray[np.generic]]:
        """A star, its middle first.

        Args:
            rng: what is drawn depends on it and on `looked_at`.
            looked_at: which of `PICTURES` are read, decoded and in what is returned.

        Returns:
            targets: uint8[6, S, S, 3].
            drivers: uint8[6, E, E, 3], the same pictures in other colours, for a motion encoder.
            identities: uint8[6, E, E, 3], the person of each target in another picture.
            focus: uint8[6, S, S], see `focus`.
            marks: float32[6, 478, 2], the landmarks of each in sides of the picture.
            motion: float32[6, 58].
            away: int64[6, 5], for each factor how many rows further on is a picture, of somebody else, that shares it;
                0 where there is none.
        """
        rows, away = self._star(rng)
        others = np.array([self._another(rng, row) for row in rows])
        marks = self._stills.marks(rows)
        colours = np.zeros(STAR, np.int64) if self._plain else rng.integers(2**32, size=STAR)
        pictures: Mapping[str, Callable[[], Image]] = {
            "targets": lambda: recoloured(self._stills.read(rows, self._size), colours),
            "identities": lambda: recoloured(self._stills.read(others, self._seen), colours),
            "drivers": lambda: np.stack([discoloured(picture, rng) for picture in self._stills.read(rows, self._seen)]),
            "focus": lambda: np.stack([focus(face, self._size) for face in marks]),
        }
        star: dict[str, NDArray[Any]] = {name: make() for name, make in pictures.items() if name in looked_at}
        star |= {"marks": marks, "motion": self._stills.motion[rows], "away": away}
        return star if self._plain or rng.random() < 0.5 else in_mirror(star)

    def _star(self, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Rows intp[6], people equally often in the middle, and `away`."""
        middle = rng.choice(self._own[int(rng.integers(len(self._own)))])
        around = self._sharing.drivers(np.array([middle]), rng)[0]
        away = np.zeros((STAR, len(FACTORS)), np.int64)
        for factor in np.flatnonzero(around >= 0):
            away[0, factor], away[1 + factor, factor] = 1 + factor, -(1 + factor)
        return np.array([middle, *np.where(around >= 0, around, rng.choice(self._rows, len(around)))]), away

    def _another(self, rng: np.random.Generator, row: int) -> int:
        """Another picture of the same person; the same if there is only one."""
        own = self._own[self._of[int(row)]]
        others = own[own != row]
        return int(rng.choice(others)) if len(others) else int(row)


def recoloured(pictures: Image, seeds: NDArray[np.int64]) -> Image:
    """uint8[N, S, S, 3]: of pictures, those with odd seeds in other colours, equal seeds in equal ones."""
    return np.stack([
        tone(hued(picture, np.random.default_rng(seed)), np.random.default_rng(seed)) if seed % 2 else picture
        for picture, seed in zip(pictures, seeds.tolist(), strict=True)
    ])  # fmt: skip


def in_mirror(star: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A star of `Stars.draw` as a mirror shows it."""
    pictures = {name: star[name][:, :, ::-1].copy() for name in PICTURES if name in star}
    return {**star, **pictures, "marks": heatmaps.in_mirror(star["marks"]), "motion": mirrored(star["motion"])}


class FactorialSpeech:
    """Speech whose lips are known.

    Args:
        sounds: int16[N] at 16 kHz, one piece of speech each.
        lips: floating[F, 58] of each, the controls at the middle of its pictures.

    Raises:
        FactorialError: if no piece is long enough to be heard.
    """

    def __init__(self, sounds: Sequence[NDArray[np.int16]], lips: Sequence[NDArray[np.floating]]) -> None:
        pairs = [(sound, moved) for sound, moved in zip(sounds, lips, strict=True) if _heard(sound, moved)]
        if not pairs:
            raise FactorialError("no piece of speech is long enough to be heard")
        self._sounds, self._lips = zip(*pairs, strict=True)
        self._gains = [gain_of(sound / _FULL) for sound in self._sounds]
        counts = np.array([len(_heard(*pair)) for pair in pairs])
        self._share = counts / counts.sum()

    @classmethod
    def of_clips(cls, clips: Clips, split: Split) -> "FactorialSpeech":
        """The sound of a factorial set's clips."""
        rows = clips.rows(split)
        return cls([clips.sound[row] for row in rows], [clips.motion[row] for row in rows])

    @classmethod
    def of_utterances(cls, utterances: Iterable[Utterance]) -> "FactorialSpeech":
        """Any speech."""
        sounds, lips = [], []
        for utterance in utterances:
            sounds.append(utterance.sound)
            lips.append(controls_of(utterance.articulators[1::2].astype(np.float32)).astype(np.float16))
        return cls(sounds, lips)

    def draw(self, rng: np.random.Generator, count: int) -> dict[str, NDArray[np.generic]]:
        """mel: float32[count, 1, 80, 20], at another level; spoken: float32[count, 58], of the mouth alone."""
        mels, lips = [], []
        for piece in rng.choice(len(self._sounds), count, p=self._share):
            sound, moved = self._sounds[piece], self._lips[piece]
            picture = int(rng.choice(_heard(sound, moved)))
            gain = self._gains[piece] * 10 ** (float(rng.normal(0, GAIN_DB)) / 20)
            mels.append(window_of(sound, picture, gain))
            lips.append(moved[picture] * MASK[LIP])
        return {"mel": np.stack(mels), "spoken": np.stack(lips).astype(np.float32)}


def _heard(sound: NDArray[np.int16], lips: NDArray[np.floating]) -> range:
    """The pictures whose window lies in the sound."""
    whole = (len(sound) - _AFTER) // (HOP * PER_PICTURE) + FIRST_PICTURE + 1
    return range(FIRST_PICTURE, max(min(len(lips), whole), FIRST_PICTURE))


def window_of(sound: NDArray[np.int16], picture: int, gain: float) -> NDArray[np.float32]:
    """float32[1, 80, 20]: what `windows_of` has for one picture, without the mel of all the others."""
    first = HOP * PER_PICTURE * (picture - FIRST_PICTURE) - BEFORE
    piece = sound[max(first, 0) : first + BEFORE + _AFTER]
    padded = np.pad(piece, (BEFORE + _AFTER - len(piece), 0)) / _FULL
    return mel_of(padded, gain)[BEFORE // HOP :][:FRAMES].T[None]


def focus(marks: NDArray[np.float32], size: int) -> Image:
    """uint8[size, size]: 255 in the eyes of a face float32[478, 2], half in its mouth, softly 0 elsewhere.

    What is looked at most is smallest: a loss that takes all pixels alike forgets it.
    """
    mask = np.zeros((size, size), np.uint8)
    for outline, grown, value in (*[(eye, 1.5, 255) for eye in EYES], (MOUTH, 1.25, 128)):
        points = marks[list(outline)] * size
        middle = points.mean(0)
        hull = cv2.convexHull(np.round((middle + grown * (points - middle)) * 16).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, value, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), size / 80), np.uint8)
