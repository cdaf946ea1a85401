"""One set of phones for all languages: what an articulation model and a recogniser tell apart."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.motion.visemes import VISEMES

_VISEME_OF: Final[dict[str, str]] = {
    "sil": "sil",
    # lips: meet, touch the teeth, narrow
    "p": "mm", "b": "mm", "m": "mm", "f": "ff", "v": "ff", "w": "oo",
    # vowels, as in: machine, pit, French été, pet, pat, Spanish papa, father, cup, about, bird,
    # thought, French eau, put, pool, French lune, French peu, Russian ты
    "iy": "ee", "ih": "ee", "e": "eh", "eh": "eh", "ae": "aa", "a": "aa", "aa": "aa", "ah": "aa", "ax": "eh", "er": "rr",
    "ao": "oh", "o": "oh", "uh": "oo", "u": "oo", "y": "oo", "oe": "oh", "ix": "ee",
    # the others; rt is a tapped or rolled r, x what German calls ach, hh also the breath after a stop
    "th": "dd", "dh": "dd", "s": "ss", "z": "ss", "sh": "sh", "zh": "sh", "ch": "sh", "jh": "sh", "t": "dd", "d": "dd",
    "n": "dd", "l": "dd", "r": "rr", "rt": "dd", "k": "kk", "g": "kk", "ng": "kk", "x": "kk", "hh": "kk", "j": "ee",
}  # fmt: skip

PHONES: Final = tuple(_VISEME_OF)
"""44 names; a phone's class is its place here. 0 is silence."""

CLASS: Final = {name: i for i, name in enumerate(PHONES)}
VISEME: Final[NDArray[np.int64]] = np.array([VISEMES.index(viseme) for viseme in _VISEME_OF.values()])
"""int64[44]: the place in `engine.motion.visemes.VISEMES` of each class."""

SIL: Final = CLASS["sil"]
BREATH: Final = CLASS["hh"]
CLOSED: Final = frozenset(CLASS[name] for name in ("p", "b", "m"))
"""Both lips meet."""
BITTEN: Final = frozenset(CLASS[name] for name in ("f", "v"))
"""The lower lip meets the upper teeth."""
VOICELESS: Final = frozenset(CLASS[name] for name in ("p", "t", "k", "ch"))
"""Stops that are silent first and then burst."""
VOICED: Final = frozenset(CLASS[name] for name in ("b", "m", "d", "n", "g", "ng"))
"""Closures of the mouth that sound."""
VOWELS: Final = frozenset(
    CLASS[n] for n in ("iy", "ih", "e", "eh", "ae", "a", "aa", "ah", "ax", "er", "ao", "o", "uh", "u", "y", "oe", "ix")
)
OPEN_VOWELS: Final = frozenset(CLASS[name] for name in ("ae", "a", "aa", "ah", "eh", "ao"))


@dataclass(frozen=True, slots=True)
class Phone:
    """A stretch of sound, `start_s` to `end_s` seconds from its beginning, of one class."""

    start_s: float
    end_s: float
    index: int

    @property
    def name(self) -> str:
        """Of the class."""
        return PHONES[self.index]

    @property
    def middle_s(self) -> float:
        """Between start and end."""
        return 0.5 * (self.start_s + self.end_s)


_IPA: Final[dict[str, str]] = {
    "p": "p", "b": "b", "m": "m", "f": "f", "v": "v", "w": "w", "ɱ": "v", "ʋ": "v", "β": "v", "ɸ": "w", "ʍ": "w", "ɥ": "y",
    "i": "iy", "ɪ": "ih", "e": "e", "ɛ": "eh", "æ": "ae", "a": "a", "ɑ": "aa", "ʌ": "ah", "ɐ": "ah", "ɒ": "ao", "ɔ": "ao",
    "ə": "ax", "ɘ": "ax", "ɵ": "oe", "ɜ": "er", "ɚ": "er", "ɝ": "er", "ɞ": "oe", "o": "o", "ɤ": "ah", "ʊ": "uh", "u": "u",
    "ʉ": "y", "y": "y", "ʏ": "y", "ø": "oe", "œ": "oe", "ɶ": "oe", "ɨ": "ix", "ɯ": "ix", "ᵻ": "ih", "ᵿ": "uh", "ɿ": "ix",
    "θ": "th", "ð": "dh", "s": "s", "z": "z", "ʃ": "sh", "ʒ": "zh", "ɕ": "sh", "ʑ": "zh", "ʂ": "sh", "ʐ": "zh", "t": "t",
    "d": "d", "ʈ": "t", "ɖ": "d", "n": "n", "ɳ": "n", "ɲ": "n", "l": "l", "ɫ": "l", "ɭ": "l", "ɬ": "l", "ɮ": "l", "ʎ": "j",
    "ɹ": "r", "ɻ": "r", "ɺ": "rt", "ɾ": "rt", "ɽ": "rt", "r": "rt", "k": "k", "ɡ": "g", "g": "g", "c": "k", "ɟ": "g",
    "q": "k", "ɢ": "g", "ŋ": "ng", "ɴ": "ng", "x": "x", "ɣ": "x", "χ": "x", "ʁ": "x", "ʀ": "x", "ç": "sh", "ʝ": "j",
    "ħ": "hh", "ʕ": "hh", "h": "hh", "ɦ": "hh", "ʔ": "hh", "ɧ": "x", "j": "j", "ɰ": "x", "?": "hh",
}  # fmt: skip
_AFFRICATES: Final[dict[tuple[str, ...], tuple[str, ...]]] = {("t", "sh"): ("ch",), ("d", "zh"): ("jh",)}

_ARPABET: Final[dict[str, tuple[str, ...]]] = {
    "AA": ("aa",), "AE": ("ae",), "AH": ("ah",), "AX": ("ax",), "AXR": ("er",), "AO": ("ao",), "AW": ("a", "uh"),
    "AY": ("a", "ih"), "B": ("b",), "CH": ("ch",), "D": ("d",), "DH": ("dh",), "DX": ("rt",), "EH": ("eh",), "ER": ("er",),
    "EY": ("e", "ih"), "F": ("f",), "G": ("g",), "HH": ("hh",), "HV": ("hh",), "IH": ("ih",), "IX": ("ih",), "IY": ("iy",),
    "JH": ("jh",), "K": ("k",), "L": ("l",), "M": ("m",), "N": ("n",), "NG": ("ng",), "OW": ("o", "uh"), "OY": ("ao", "ih"),
    "P": ("p",), "R": ("r",), "S": ("s",), "SH": ("sh",), "T": ("t",), "TH": ("th",), "UH": ("uh",), "UW": ("u",),
    "V": ("v",), "W": ("w",), "Y": ("j",), "Z": ("z",), "ZH": ("zh",), "EL": ("ax", "l"), "EM": ("ax", "m"),
    "EN": ("ax", "n"), "SIL": ("sil",), "PAU": ("sil",), "SP": ("sil",), "SPN": ("ax",), "BRTH": ("sil",),
}  # fmt: skip


def from_ipa(symbol: str) -> tuple[int, ...]:
    """Classes of one IPA symbol or cluster of them, such as "tʃ" or "aɪ"; () where nothing is known.

    Stress, length, tone and all secondary articulation are left out.
    """
    names: list[str] = []
    for char in unicodedata.normalize("NFD", symbol.replace("ç", "\x00")):
        name = _IPA.get("ç" if char == "\x00" else char)
        if name and (not names or names[-1] != name):
            names.append(name)
    if not names and "ʲ" in symbol:  # on its own it is a glide
        names = ["j"]
    known = _AFFRICATES.get(tuple(names), tuple(names))
    return tuple(CLASS[name] for name in known)


def from_arpabet(symbol: str) -> tuple[int, ...]:
    """Classes of an ARPABET symbol in either case; a stress digit and a position mark (`AH0_B`) are left out.

    Unstressed AH is a schwa. () where nothing is known.
    """
    bare = symbol.split("_")[0].upper()
    stress = bare[-1:] if bare[-1:].isdigit() else ""
    bare = bare.removesuffix(stress)
    if bare == "AH" and stress == "0":
        bare = "AX"
    return tuple(CLASS[name] for name in _ARPABET.get(bare, ()))


def spread(start_s: float, end_s: float, classes: Iterable[int]) -> list[Phone]:
    """The phones of one symbol's stretch: the first of a diphthong takes 55 %, the others share the rest."""
    indices = list(classes)
    if not indices:
        return []
    share = [1.0] if len(indices) == 1 else [0.55] + [0.45 / (len(indices) - 1)] * (len(indices) - 1)
    edges = start_s + (end_s - start_s) * np.concatenate(([0.0], np.cumsum(share)))
    edges[-1] = end_s
    return [Phone(float(a), float(b), i) for a, b, i in zip(edges, edges[1:], indices, strict=False)]


def per_step(phones: Iterable[Phone], steps: int, step_s: float = 0.02) -> NDArray[np.int8]:
    """int8[steps], the class at n `step_s`; silence where there is no phone."""
    out = np.full(steps, SIL, np.int8)
    for phone in phones:
        first, last = (int(np.ceil(round(t / step_s, 6))) for t in (phone.start_s, phone.end_s))
        out[max(first, 0) : max(last, 0)] = phone.index
    return out
