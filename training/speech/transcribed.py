"""Recordings whose words are written down: their phones by espeak-ng's rules, their times by an aligner."""

import ctypes
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import HOP, RATE_HZ
from training.data.splits import Split
from training.speech import coarticulation
from training.speech.align import Word, align
from training.speech.alignments import Tally
from training.speech.errors import SpeechError
from training.speech.espeak import LANGUAGES, LIBRARY, espeak
from training.speech.phones import SIL, Phone, from_ipa
from training.speech.recogniser import Recogniser, labels
from training.speech.sound import read, to_int16
from training.speech.synthesis import with_articulation
from training.speech.utterances import Utterance

SUFFIXES: Final = ("", ".g722", ".wav", ".flac", ".mp3", ".opus")
LEAD_S, TRAIL_S = 0.25, 0.35
"""Silence laid around a recording: prompts are cut tightly."""
LOWEST: Final = -3.0
"""Mean log-probability of the aligned phones, over speech, below which what is said is not what is written."""
WORST: Final = -3.8
"""The same of the worst stretch of half a second."""
_WINDOW: Final = 50
GROUP_S: Final = 12.0
"""Of recordings that the aligner hears at once."""
SHORTEST_S: Final = 5.0
"""Recordings are cut at pauses, or strung, into utterances that are just longer than this."""
PAUSE_S: Final = 0.25
_UTF8, _IPA = 1, 2


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a sound file, by whom, in which of `espeak.LANGUAGES`."""

    name: str
    path: Path
    text: str
    source: str
    speaker: str
    language: str


def transcripts(source: str, before: str, listing: str, language: str) -> Iterator[Transcript]:
    """Transcripts of recordings.

    Args:
        source: name of the source.
        before: what comes before each name in a path: a folder with `/` at its end, or the beginning of file names as well.
        listing: path of lines `NAME: text` or `NAME<tab>text`; "-" where files are named by the number that is said.
        language: one of `espeak.LANGUAGES`.

    Raises:
        SpeechError: if the language is unknown, or there is no list.
    """
    if language not in LANGUAGES:
        raise SpeechError(f"unknown language '{language}', known: {', '.join(LANGUAGES)}")
    for name, text in _numbers(before) if listing == "-" else _lines(Path(listing)):
        path = next((p for p in (Path(f"{before}{name}{suffix}") for suffix in SUFFIXES) if p.is_file()), None)
        if path is not None and text:
            speaker = f"{Path(before).name or source}-{language}"
            yield Transcript(f"{speaker}-{name.replace('/', '-')}", path, text, source, speaker, language)


def _lines(listing: Path) -> Iterator[tuple[str, str]]:
    """Names and texts; notes in brackets mean that something else than words is heard."""
    try:
        lines = listing.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise SpeechError(f"no list of texts: {error}") from error
    for line in lines:
        found = re.match(r"([^:\t]+?)\s*[:\t]\s*(.+)", line)
        if found and not re.search(r"[\[\]#*]|\(.*(?:silence|note|tone)", found[2]):
            yield found[1], found[2].strip()


def _numbers(before: str) -> Iterator[tuple[str, str]]:
    for path in sorted(Path(before).glob("*.*")):
        if path.stem.isdigit() and path.suffix == ".g722":
            yield path.name, path.stem


def words_of(text: str, language: str) -> tuple[Word, ...]:
    """The words of a text with the classes of their phones, as espeak-ng would say it."""
    library = ctypes.CDLL(LIBRARY)
    espeak()  # the library keeps its state: it is initialised now
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    if library.espeak_SetVoiceByName(LANGUAGES[language].encode()) != 0:
        raise SpeechError(f"espeak-ng has no voice '{LANGUAGES[language]}'")
    raw = ctypes.create_string_buffer(text.encode() + b"\0")
    rest = ctypes.c_void_p(ctypes.addressof(raw))
    clauses: list[str] = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA | ord("_") << 8).decode())
    return words_of_ipa(" ".join(clauses))


def words_of_ipa(line: str) -> tuple[Word, ...]:
    """Words of phonemes that are parted by "_", as espeak-ng writes them; "(en)" and such tell a change of language."""
    words = re.sub(r"\([a-z-]+\)", "", line).split()
    classes = (tuple(c for symbol in word.split("_") for c in from_ipa(symbol)) for word in words)
    return tuple(Word(c) for c in classes if c)


def scores(log_odds: NDArray[np.float32], phones: Sequence[Phone]) -> tuple[float, float]:
    """How well phones fit what is heard: the mean log-probability over speech, and that of the worst half a second."""
    spoken = labels(phones, len(log_odds))
    each = log_odds[np.arange(len(spoken)), spoken][spoken != SIL]
    if not len(each):
        return -np.inf, -np.inf
    window = min(_WINDOW, len(each))
    return float(each.mean()), float(np.convolve(each, np.ones(window) / window, "valid").min())


@dataclass(frozen=True, slots=True, eq=False)
class _Take:
    """A recording or a part of one, float32[N] at 16 kHz, with its phones."""

    transcript: Transcript
    sound: NDArray[np.float32]
    phones: list[Phone]


def utterances(some: Sequence[Transcript], model: Recogniser, tally: Tally) -> Iterator[Utterance]:
    """Recordings as utterances: long ones are cut at pauses, short ones strung; what does not fit its text is left out."""
    held: list[_Take] = []
    for group in _groups(some, tally):
        for take in _aligned(group, model, tally):
            held.append(take)
            if sum(len(t.sound) for t in held) > SHORTEST_S * RATE_HZ:
                yield _strung(held)
                held = []
    if held:
        yield _strung(held)


def _groups(some: Sequence[Transcript], tally: Tally) -> Iterator[list[tuple[Transcript, NDArray[np.float32]]]]:
    """Recordings of one speaker, together long enough for the aligner to know the voice."""
    group: list[tuple[Transcript, NDArray[np.float32]]] = []
    for transcript in some:
        try:
            sound = read(transcript.path)
        except SpeechError as error:
            tally.leave_out(SpeechError(f"{transcript.name}: {error}"))
            continue
        lead = round(LEAD_S * RATE_HZ)
        trail = round(TRAIL_S * RATE_HZ) + (-len(sound)) % HOP  # whole frames: all of a group lie on one grid
        group.append((transcript, np.pad(sound, (lead, trail))))
        if sum(len(sound) for _, sound in group) > GROUP_S * RATE_HZ:
            yield group
            group = []
    if group:
        yield group


def _aligned(group: Sequence[tuple[Transcript, NDArray[np.float32]]], model: Recogniser, tally: Tally) -> Iterator[_Take]:
    """The recordings of a group that fit their texts, or those parts of them that do."""
    heard = model.log_odds(np.concatenate([sound for _, sound in group]))
    at = 0
    for transcript, sound in group:
        first, at = at // HOP, at + len(sound)
        log_odds = heard[first : at // HOP]
        try:
            phones = align(log_odds, words_of(transcript.text, transcript.language))
            parts = list(_pieces(transcript, sound, phones))
        except SpeechError as error:
            tally.leave_out(SpeechError(f"{transcript.name}: {error}"))
            continue
        begin = 0
        for part in parts:
            end = begin + len(part.sound) // HOP
            mean, worst = scores(log_odds[begin:end], part.phones)
            begin = end
            if mean < LOWEST or worst < WORST:
                tally.leave_out(SpeechError(f"{transcript.name}: heard is not what is written ({mean:.2f}, {worst:.2f})"))
            else:
                yield part


def _pieces(transcript: Transcript, sound: NDArray[np.float32], phones: Sequence[Phone]) -> Iterator[_Take]:
    """A recording cut in the middle of pauses wherever a piece would grow longer than `SHORTEST_S`."""
    start_s, taken = 0.0, list[Phone]()
    for phone, following in zip(phones, [*phones[1:], None], strict=True):
        taken.append(Phone(phone.start_s - start_s, phone.end_s - start_s, phone.index))
        if following is None:
            yield _Take(transcript, sound[round(start_s * RATE_HZ) :], taken)
        elif following.start_s - phone.end_s > PAUSE_S and phone.end_s - start_s > SHORTEST_S:
            end_s = round(0.5 * (phone.end_s + following.start_s), 2)
            yield _Take(transcript, sound[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)], taken)
            start_s, taken = end_s, []


def _strung(takes: Sequence[_Take]) -> Utterance:
    """Takes one after the other, named by the first."""
    phones: list[Phone] = []
    at_s = 0.0
    for take in takes:
        phones += [Phone(at_s + p.start_s, at_s + p.end_s, p.index) for p in take.phones]
        at_s += len(take.sound) / RATE_HZ
    first = takes[0].transcript
    name = f"{first.name}-{round(1000 * takes[0].phones[0].start_s)}-{round(1000 * at_s)}"
    return with_articulation(
        name, first.language, first.speaker, first.source, split_of_name(name),
        to_int16(np.concatenate([take.sound for take in takes])), tuple(phones), coarticulation.calibrated(),
    )  # fmt: skip


def split_of_name(name: str) -> Split:
    """One in ten is for validation."""
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return "validation" if int(digest, 16) % 10 == 0 else "train"
