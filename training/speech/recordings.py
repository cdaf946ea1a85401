"""Recordings whose words or phones are known: GRID, speechocean762, TextGrids."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.speech.align import Word
from training.speech.errors import SpeechError
from training.speech.phones import Phone, from_arpabet, spread

LEXICON: Final[dict[str, str]] = {
    "bin": "B IH N", "lay": "L EY", "place": "P L EY S", "set": "S EH T",
    "blue": "B L UW", "green": "G R IY N", "red": "R EH D", "white": "W AY T",
    "at": "AE T", "by": "B AY", "in": "IH N", "with": "W IH DH",
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY",
    "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW", "r": "AA",
    "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "x": "EH K S", "y": "W AY", "z": "Z EH D",
    "zero": "Z IH R OW", "one": "W AH1 N", "two": "T UW", "three": "TH R IY", "four": "F AO", "five": "F AY V",
    "six": "S IH K S", "seven": "S EH V AH0 N", "eight": "EY T", "nine": "N AY N",
    "again": "AH0 G EH N", "now": "N AW", "please": "P L IY Z", "soon": "S UW N",
}  # fmt: skip
"""GRID's 51 words in ARPABET as its first speaker, an Englishman, says them."""

GRID_UNIT_S: Final = 1 / 25_000
"""GRID's alignments count thousandths of a frame at 25 fps."""
WINDOW_SHIFT_S: Final = 0.0125
"""Forced aligners of Kaldi's kind stamp a frame with the start of its window of 25 ms: their boundaries lie half a window
early (seen in the sounds as well: the energy of s rises 10 to 20 ms after its boundary)."""
_PAUSES: Final = ("sil", "sp", "")


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a recording.

    Attributes:
        path: of the sound.
        speaker: the person; "" where unknown.
        words: their phones and, where known, times.
    """

    path: Path
    speaker: str
    words: tuple[Word, ...]


def grid_words(path: Path) -> tuple[Word, ...]:
    """The words of a GRID `.align` file, of its lines `start end word`.

    Raises:
        SpeechError: if it is not such a file, or has a word that is not GRID's.
    """
    words: list[Word] = []
    for line in _text(path).splitlines():
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
            raise SpeechError(f"{path.name}: expected lines of start, end and word, got '{line[:40]}'")
        if parts[2] in _PAUSES:
            continue
        if parts[2] not in LEXICON:
            raise SpeechError(f"{path.name}: '{parts[2]}' is none of GRID's words")
        classes = tuple(i for symbol in LEXICON[parts[2]].split() for i in from_arpabet(symbol))
        words.append(Word(classes, int(parts[0]) * GRID_UNIT_S, int(parts[1]) * GRID_UNIT_S))
    return tuple(words)


def speechocean(folder: Path) -> Iterator[Transcript]:
    """The recordings of speechocean762 in a folder with its `labels.json`.

    Raises:
        SpeechError: if there are no labels.
    """
    path = folder / "labels.json"
    try:
        labels: dict[str, Any] = json.loads(_text(path))
    except ValueError as error:
        raise SpeechError(f"{path.name} is no JSON: {error}") from error
    for name, label in labels.items():
        words = tuple(
            Word(tuple(i for symbol in word.split() for i in from_arpabet(symbol))) for word in label.get("phones", ())
        )
        yield Transcript(folder / f"{name}.flac", str(label.get("spk", "")), words)


def textgrid(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """The interval tiers of a Praat TextGrid, long or short: start, end and text of each interval by the tier's name.

    Raises:
        SpeechError: if it is no TextGrid.
    """
    text = _text(path)
    if "ooTextFile" not in text[:100] and "TextGrid" not in text[:100]:
        raise SpeechError(f"{path.name} is no TextGrid")
    # both forms are one sequence of numbers and strings once the long form's names are taken away
    tokens = re.findall(r'"(?:[^"]|"")*"|(?<![\w.\[])-?\d+(?:\.\d+)?(?![\w.\]])', text)
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    i = 0
    try:
        while i < len(tokens):
            if tokens[i] == '"IntervalTier"':
                name, count = tokens[i + 1].strip('"'), int(tokens[i + 4])
                rows = [tokens[j : j + 3] for j in range(i + 5, i + 5 + 3 * count, 3)]
                tiers[name] = [(float(a), float(b), c[1:-1].replace('""', '"')) for a, b, c in rows]
                i += 5 + 3 * count
            else:
                i += 1
    except (ValueError, IndexError) as error:
        raise SpeechError(f"{path.name} is no TextGrid, or cut off: {error}") from error
    return tiers


def textgrid_phones(path: Path) -> list[Phone]:
    """The phones of a TextGrid's tier of that name, in ARPABET.

    Raises:
        SpeechError: if it has none: "empty phone tier".
    """
    tiers = textgrid(path)
    rows = next((rows for name, rows in tiers.items() if name.lower().startswith("phone")), [])
    shift = WINDOW_SHIFT_S
    phones = [p for start, end, name in rows for p in spread(start + shift, end + shift, from_arpabet(name)) if p.index]
    if not phones:
        raise SpeechError(f"{path.name}: empty phone tier")
    return phones


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SpeechError(f"{path.name} cannot be read: {error.strerror}") from error
    return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
