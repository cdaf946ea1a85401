"""What is said: sentences and strings of syllables, in `texts/LANGUAGE.txt`."""

from pathlib import Path
from typing import Final

import numpy as np

FOLDER: Final = Path(__file__).with_name("texts")
HELD_OUT: Final = 6
"""Every sixth sentence is kept for tests."""


def sentences(language: str, *, held_out: bool) -> list[str]:
    """Those of a language that are trained on, or those that are not."""
    lines = [line for line in _lines(language) if not line.startswith("~")]
    return [line for i, line in enumerate(lines) if (i % HELD_OUT == 3) == held_out]


def babble(language: str, rng: np.random.Generator) -> str:
    """A string of 6 to 14 random syllables in words of one to three, rich in m, b, p, f, v, w and u."""
    syllables = next(line for line in _lines(language) if line.startswith("~"))[1:].split()
    words: list[str] = []
    left = int(rng.integers(6, 15))
    while left > 0:
        count = min(int(rng.integers(1, 4)), left)
        words.append("".join(rng.choice(syllables, count).tolist()))
        left -= count
    pauses = [", " if rng.random() < 0.15 else " " for _ in words]
    return "".join(word + pause for word, pause in zip(words, pauses, strict=True)).strip(", ") + "."


def _lines(language: str) -> list[str]:
    return [line.strip() for line in (FOLDER / f"{language}.txt").read_text("utf-8").splitlines() if line.strip()]
