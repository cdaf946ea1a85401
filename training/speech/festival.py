"""Festival on the command line: diphones and HTS in five languages, with their segments. A tool of the build."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from training.data.splits import Split
from training.speech.errors import SpeechError
from training.speech.flite import burst
from training.speech.phones import BREATH, CLASS, SIL, VOICELESS, Phone, from_arpabet, from_ipa, spread
from training.speech.synthesis import text_of, utterance_of
from training.speech.utterances import Utterance


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice of Festival.

    Attributes:
        texts: the languages whose texts it reads.
        encoding: of what it reads.
        share: of the minutes.
        split: part of the data.
        mean_hz: of its fundamental, where it can be set; else 0.
    """

    texts: tuple[str, ...]
    encoding: str
    share: float
    split: Split = "train"
    mean_hz: float = 0.0


_ENGLISH: Final = ("en-us", "en-gb")
SPEAKERS: Final = {
    "kal_diphone": Speaker(_ENGLISH, "ascii", 6, mean_hz=105),
    "cmu_us_slt_arctic_hts": Speaker(_ENGLISH, "ascii", 6),
    "ked_diphone": Speaker(_ENGLISH, "ascii", 2, "test", mean_hz=105),
    "lp_diphone": Speaker(("it",), "iso-8859-1", 2.5),
    "pc_diphone": Speaker(("it",), "iso-8859-1", 2.5),
    "upc_ca_ona_hts": Speaker(("ca",), "iso-8859-1", 2.5),
    "czech_dita": Speaker(("cs",), "iso-8859-2", 1.5),
    "czech_krb": Speaker(("cs",), "iso-8859-2", 1.5),
    "czech_machac": Speaker(("cs",), "iso-8859-2", 1.5),
    "czech_ph": Speaker(("cs",), "iso-8859-2", 1.5),
    "suo_fi_lj_diphone": Speaker(("fi",), "iso-8859-1", 1.5),
    "hy_fi_mv_diphone": Speaker(("fi",), "iso-8859-1", 1.5),
}
"""Debian's; those of Hindi, Marathi and Telugu do not load, and the Russian one's closures are not where it says."""

_IPA: Final[dict[str, dict[str, str]]] = {
    "it": {
        "E": "ɛ", "O": "ɔ", "S": "ʃ", "Z": "ʒ", "tS": "tʃ", "dZ": "dʒ", "J": "ɲ", "ng": "ŋ", "nf": "ɱ", "L": "ʎ",
    },
    "ca": {"ax": "ə", "E": "ɛ", "O": "ɔ", "S": "ʃ", "Z": "ʒ", "J": "ɲ", "L": "ʎ", "r": "ɾ", "rr": "r"},
    "cs": {
        "c": "ts", "c~": "tʃ", "ch": "x", "d~": "ɟ", "dz~": "dʒ", "h": "ɦ", "n*": "ŋ", "n~": "ɲ", "r~": "ʒ", "r~*": "ʃ",
        "s~": "ʃ", "t~": "c", "z~": "ʒ",
    },
    "fi": {"@": "æ", "7": "ø", "&": "ə", "T": "θ", "D": "ð", "S": "ʃ", "Z": "ʒ", "N": "ŋ", "L": "ʎ"},
}  # fmt: skip
"""Where a voice's symbols are not IPA already; stress (1), length (:) and silence are known beside this."""
_SILENT: Final = frozenset(("pau", "#", "##", "h#", "_", "brth"))

BATCH: Final = 6
"""Texts of one run of Festival."""
STRETCHES: Final = (0.75, 1.35)
"""Of durations, where a voice heeds it."""
SPEEDS: Final = (0.9, 1.12)
"""At which the sound is played: other vocal tracts."""
_STEP_HZ: Final = 400


def classes_of(language: str, symbol: str) -> tuple[int, ...]:
    """Classes of a symbol of a voice of `language`; silence's for a pause, () where nothing is known."""
    if symbol in _SILENT:
        return (SIL,)
    if language in _ENGLISH:
        return from_arpabet("n" if symbol == "nx" else symbol)
    bare = symbol.rstrip("1").removesuffix(":")
    table = _IPA[language]
    return from_ipa(table.get(symbol) or table.get(bare) or bare)


def plan(minutes: float) -> dict[str, float]:
    """Seconds of each voice, of `minutes` in all."""
    if minutes <= 0:
        return {}
    each = minutes * 60 / sum(speaker.share for speaker in SPEAKERS.values())
    return {name: each * speaker.share for name, speaker in SPEAKERS.items()}


def utterances(name: str, split: Split, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    """What a voice says, until `seconds` are said.

    Raises:
        SpeechError: if Festival or the voice is missing.
    """
    speaker = SPEAKERS[name]
    said = 0.0
    while said < seconds:
        language = str(rng.choice(speaker.texts))
        lines = [text_of(language, split, rng) for _ in range(BATCH)]
        pitch_hz = float(speaker.mean_hz * np.clip(rng.normal(1, 0.12), 0.75, 1.4))
        for rate_hz, sound, phones in say(lines, name, float(rng.uniform(*STRETCHES)), pitch_hz):
            played_hz, moved = _played(rate_hz, phones, float(rng.uniform(*SPEEDS)))
            made = utterance_of(
                f"{name}-{split}-{int(said * 1000):08d}", language, name, "festival", split, sound, played_hz, moved, rng
            )
            said += made.seconds
            yield made


def _played(rate_hz: int, phones: Sequence[Phone], speed: float) -> tuple[int, list[Phone]]:
    """The rate, and the phones' times, of a sound played at another speed."""
    played_hz = round(rate_hz * speed / _STEP_HZ) * _STEP_HZ
    slower = rate_hz / played_hz
    return played_hz, [Phone(p.start_s * slower, p.end_s * slower, p.index) for p in phones]


def say(
    lines: Sequence[str], name: str, stretch: float = 1.0, pitch_hz: float = 0.0
) -> list[tuple[int, NDArray[np.float32], list[Phone]]]:
    """Rate in Hz, float32[N] and phones of each text; what Festival could not say is left out.

    Args:
        lines: texts.
        name: one of `SPEAKERS`.
        stretch: of all durations.
        pitch_hz: mean of the fundamental; 0 for the voice's own.

    Raises:
        SpeechError: if Festival or the voice is missing, or it says nothing.
    """
    speaker = SPEAKERS[name]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "say.scm"
        script.write_bytes(_script(lines, name, stretch, pitch_hz, folder).encode(speaker.encoding, "ignore"))
        try:
            told = subprocess.run(["festival", "-b", str(script)], capture_output=True, check=False, timeout=300)
        except FileNotFoundError as error:
            raise SpeechError("festival is missing: apt-get install festival") from error
        except subprocess.TimeoutExpired as error:
            raise SpeechError(f"festival hangs with '{name}'") from error
        out = [
            _spoken(path, speaker.texts[0]) for path in sorted(Path(folder).glob("*.wav")) if path.with_suffix(".lab").exists()
        ]
    if not out:
        complaint = told.stderr.decode("latin-1").strip()[:80]
        raise SpeechError(f"festival has no voice '{name}', or it said nothing: {complaint}")
    return out


def _script(lines: Sequence[str], name: str, stretch: float, pitch_hz: float, folder: str) -> str:
    """Festival's Scheme: every text to `NN.wav` and `NN.lab`; one that fails does not stop the others."""
    out = [f"(voice_{name})", f"(Parameter.set 'Duration_Stretch {stretch:.3f})"]
    if pitch_hz:
        out.append(
            f"(set! int_lr_params '((target_f0_mean {pitch_hz:.0f}) (target_f0_std {0.14 * pitch_hz:.0f})"
            " (model_f0_mean 170) (model_f0_std 34)))"
        )
    for i, line in enumerate(lines):
        said = re.sub(r'["\\]', " ", line)
        out.append(
            f'(unwind-protect (begin (set! u (utt.synth (Utterance Text "{said}")))'
            f' (utt.save.wave u "{folder}/{i:02d}.wav" \'riff) (utt.save.segs u "{folder}/{i:02d}.lab")) nil)'
        )
    return "\n".join(out) + "\n"


def _spoken(path: Path, language: str) -> tuple[int, NDArray[np.float32], list[Phone]]:
    rate_hz, sound = wavfile.read(path)
    floats = sound.astype(np.float32) / np.float32(32768)
    return int(rate_hz), floats, phones_of(path.with_suffix(".lab").read_text("latin-1"), language, floats, int(rate_hz))


def phones_of(labels: str, language: str, sound: NDArray[np.float32], rate_hz: int) -> list[Phone]:
    """Phones of lines `END_S 100 SYMBOL`; a voiceless stop is cut at its burst, as Flite's are.

    Equal neighbours are one: a doubled consonant is one closure.
    """
    spans: list[tuple[float, float, tuple[int, ...]]] = []
    start = 0.0
    for end_text, symbol in re.findall(r"^\s*(\d+\.\d+)\s+\d+\s+(\S+)", labels, re.MULTILINE):
        end = min(float(end_text), len(sound) / rate_hz)
        classes = classes_of(language, symbol)
        if spans and len(classes) == 1 and spans[-1][2] == classes:
            spans[-1] = (spans[-1][0], end, classes)
        elif classes and end > start:
            spans.append((start, end, classes))
        start = max(end, start)
    return [phone for a, b, classes in spans for phone in _cut(a, b, classes, sound, rate_hz)]


def _cut(start_s: float, end_s: float, classes: tuple[int, ...], sound: NDArray[np.float32], rate_hz: int) -> list[Phone]:
    first = classes[0] if len(classes) == 1 else SIL
    if first not in VOICELESS or first == CLASS["ch"]:
        return spread(start_s, end_s, classes)
    released = burst(sound, rate_hz, start_s, end_s)
    if end_s - released < 0.012:
        return [Phone(start_s, end_s, first)]
    return [Phone(start_s, released, first), Phone(released, end_s, BREATH)]
