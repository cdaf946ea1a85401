"""Batches of the synthetic factorial set: the same factor shown by several people, everything else being different.

A batch consists of stars. In the middle of a star is one picture; about it,
for each factor, one picture of somebody else whose value of this factor is the
same. So every factor of the middle picture can be taken from another person,
and one factor of each of the others; a motion encoder looks at every picture
once.
"""

# pyright: basic
# cv2 types its images as unions

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from engine.features.pdfgc import mel_of, pictures_of, windows_of
from engine.motion.visemes import controls_of
from engine.rig.topology import LID_LOWER, LID_UPPER, LIP_LOWER_OUTER, LIP_UPPER_OUTER, SIDES
from training.data.splits import Split
from training.pdfgc.augment import discoloured
from training.synthesis.data import Clips, Sharing, Stills
from training.synthesis.factors import FACTORS, LIP, MASK
from training.synthesis.speech import Stretch

STAR: Final = 1 + len(FACTORS)
"""Pictures of a star."""
EYES: Final = tuple((*LID_UPPER[side], *LID_LOWER[side]) for side in SIDES)
MOUTH: Final = (*LIP_UPPER_OUTER, *LIP_LOWER_OUTER)
GAIN_DB: Final = 6.0
"""By how much a voice's level is misjudged at most: live it is not known before it ends."""

Image = NDArray[np.uint8]


class FactorialError(MienError):
    """A factorial set that nothing can be learned from."""


class Stars:
    """Draws stars from stills.

    Args:
        stills: to draw from.
        split: whose people.
        size: px of the pictures given.

    Raises:
        FactorialError: if the split has fewer than two people.
    """

    def __init__(self, stills: Stills, split: Split, size: int) -> None:
        self._stills, self._size, self._rows = stills, size, stills.rows(split)
        self.people, who = np.unique(stills.people[self._rows], return_inverse=True)
        if len(self.people) < 2:
            raise FactorialError(
                f"the factorial set has {len(self.people)} people in '{split}'; stars need others to share with"
            )
        self._own = [self._rows[who == i] for i in range(len(self.people))]
        self._of = dict(zip(self._rows.tolist(), who.tolist(), strict=True))
        self._sharing = Sharing(stills, self._rows)

    def draw(self, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        """A star, its middle first.

        Returns:
            targets: uint8[6, S, S, 3]. drivers: the same pictures in other colours, for a motion encoder.
            identities: uint8[6, S, S, 3], the person of each target in another picture.
            focus: uint8[6, S, S], see `focus`.
            motion: float32[6, 58].
            away: int64[6, 5], for each factor how many rows further on is a picture, of somebody else, that shares it;
                0 where there is none.
        """
        rows, away = self._star(rng)
        targets = self._stills.read(rows, self._size)
        return {
            "targets": targets,
            "drivers": np.stack([discoloured(picture, rng) for picture in targets]),
            "identities": self._stills.read(np.array([self._another(rng, row) for row in rows]), self._size),
            "focus": np.stack([focus(marks, self._size) for marks in self._stills.marks(rows)]),
            "motion": self._stills.motion[rows],
            "away": away,
        }

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


class FactorialSpeech:
    """Windows of speech whose lips are known.

    Args:
        mels: float32[M, 80] of each piece of speech.
        lips: float32[F, 58] of each, the controls at the middle of its pictures.
    """

    def __init__(self, mels: Sequence[NDArray[np.float32]], lips: Sequence[NDArray[np.float32]]) -> None:
        self._windows = [windows_of(mel) for mel in mels]
        self._lips = [own[list(pictures_of(len(mel)))] for own, mel in zip(lips, mels, strict=True)]

    @classmethod
    def of_clips(cls, clips: Clips, split: Split) -> "FactorialSpeech":
        """The sound of a factorial set's clips."""
        rows = clips.rows(split)
        sounds = [clips.sound[row] for row in rows]
        return cls([_mel(sound) for sound in sounds], [clips.motion[row] for row in rows])

    @classmethod
    def of_stretches(cls, stretches: Sequence[Stretch]) -> "FactorialSpeech":
        """Any stretches of speech."""
        lips = [controls_of(stretch.articulators[1::2].astype(np.float32)) * MASK[LIP] for stretch in stretches]
        return cls([_mel(stretch.sound) for stretch in stretches], lips)

    def draw(self, rng: np.random.Generator, count: int) -> dict[str, NDArray[np.generic]]:
        """mel: float32[count, 1, 80, 20], at another level; spoken: float32[count, 58], of the mouth alone."""
        mels, lips = [], []
        for clip in rng.integers(len(self._windows), size=count):
            at = int(rng.integers(len(self._windows[clip])))
            mels.append(np.clip(self._windows[clip][at] + rng.normal(0, GAIN_DB / 200), 0, 1))
            lips.append(self._lips[clip][at] * MASK[LIP])
        return {"mel": np.stack(mels).astype(np.float32), "spoken": np.stack(lips).astype(np.float32)}


def _mel(sound: NDArray[np.int16]) -> NDArray[np.float32]:
    return mel_of(sound.astype(np.float32) / 32768)


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
