"""Stretches of speech for lips that speak."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.motion.visemes import controls_of
from training.data.splits import Split
from training.speech.phones import SIL
from training.speech.utterances import Utterance, load
from training.synthesis.errors import SynthesisError
from training.synthesis.plan import FRAMES, SAMPLES

SPOKEN_LEAST: Final = 0.6
"""Share of a stretch that is speech."""
_TRIES: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A clip's speech.

    Attributes:
        name: of the utterance.
        sound: int16[SAMPLES * FRAMES] at 16 kHz.
        articulators: float16[2 * FRAMES, 9] at n 20 ms.
    """

    name: str
    sound: NDArray[np.int16]
    articulators: NDArray[np.float16]


def stretches_of(folder: Path, split: Split, count: int, seed: int) -> list[Stretch]:
    """`count` stretches of a split, of as many voices as there are, each equally often while it has some left.

    Raises:
        SynthesisError: if there are not so many.
    """
    rng = np.random.default_rng(seed)
    files = sorted(folder.glob(f"*-{split}.npz"))
    each = [_stretches(files[i], split, rng) for i in rng.permutation(len(files))]
    by_turns = [stretch for turn in itertools.zip_longest(*each) for stretch in turn if stretch is not None]
    if len(by_turns) < count:
        raise SynthesisError(
            f"{folder} has {len(by_turns)} stretches of speech for '{split}', {count} are wanted; "
            "make more with: python -m training speech --again --minutes N"
        )
    return [by_turns[i] for i in rng.permutation(count)]  # the first ones: so each voice as often as can be


def _stretches(file: Path, split: Split, rng: np.random.Generator) -> list[Stretch]:
    """One of each utterance of a file that is long enough and has enough speech in it, in any order."""
    own = [u for u in load(file) if u.split == split and u.steps >= 2 * FRAMES]
    found = (_stretch(own[i], rng) for i in rng.permutation(len(own)))
    return [stretch for stretch in found if stretch is not None]


def _stretch(utterance: Utterance, rng: np.random.Generator) -> Stretch | None:
    """A part of an utterance in which someone speaks most of the time."""
    silent = utterance.classes == SIL
    for _ in range(_TRIES):
        first = 2 * int(rng.integers((utterance.steps - 2 * FRAMES) // 2 + 1))
        steps = slice(first, first + 2 * FRAMES)
        if 1 - silent[steps].mean() >= SPOKEN_LEAST:
            sound = utterance.sound[first * SAMPLES // 2 :][: SAMPLES * FRAMES]
            return Stretch(utterance.name, sound, utterance.articulators[steps])
    return None


def lips_of(stretches: list[Stretch]) -> NDArray[np.float32]:
    """float32[M, 58]: all lips of some stretches, as controls."""
    return controls_of(np.concatenate([stretch.articulators for stretch in stretches]).astype(np.float32))
