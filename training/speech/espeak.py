"""espeak-ng through its library: sound, and exactly when each phone of it begins. A tool of the build, never of the product."""

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.speech.errors import SpeechError
from training.speech.phones import CLASS, SIL, VOICED, VOICELESS, VOWELS, Phone, from_ipa, spread

LIBRARY: Final = "libespeak-ng.so.1"

LANGUAGES: Final = {
    "en-gb": "gmw/en", "en-us": "gmw/en-US", "de": "gmw/de", "nl": "gmw/nl", "sv": "gmq/sv", "fr": "roa/fr", "es": "roa/es",
    "it": "roa/it", "pt": "roa/pt", "pl": "zlw/pl", "ru": "zle/ru", "ja": "jpx/ja", "cmn": "sit/cmn", "hi": "inc/hi",
    "ar": "sem/ar", "tr": "trk/tr",
}  # fmt: skip
"""Language -> espeak-ng's file of it."""

RATES_WPM: Final = (110, 240)

_SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_OPTIONS: Final = 0x8003  # phoneme events, in IPA; do not exit without data
_UTF8: Final = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_END, _PHONEME = 0, 7


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", _Name),
    )  # fmt: skip


_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Voice:
    """How espeak-ng speaks.

    Attributes:
        language: a key of `LANGUAGES`.
        variant: one of espeak-ng's voice variants, such as `m3`; "" is its own voice.
        rate_wpm: words per minute.
        pitch: 0..100; 50 is the variant's own.
        pitch_range: 0..100; 50 is natural.
    """

    language: str
    variant: str = ""
    rate_wpm: int = 170
    pitch: int = 50
    pitch_range: int = 50


class Espeak:
    """The library, loaded once in a process: it keeps its state in globals, so there is one; see `espeak`."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise SpeechError("espeak-ng is missing: apt-get install libespeak-ng1 espeak-ng-data") from error
        self.rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _OPTIONS))
        if self.rate_hz <= 0:
            raise SpeechError("espeak-ng has no data: apt-get install espeak-ng-data")
        self._pieces: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._take)  # kept: C calls it
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, sound: Any, samples: int, events: Any) -> int:
        if sound and samples > 0:
            self._pieces.append(np.ctypeslib.as_array(sound, (samples,)).copy())
        i = 0
        while events[i].type != _END:
            if events[i].type == _PHONEME:
                self._events.append((events[i].sample, bytes(events[i].id.string).decode("utf-8", "ignore")))
            i += 1
        return 0

    def say(self, text: str, voice: Voice) -> tuple[NDArray[np.float32], list[Phone]]:
        """float32[N] at `rate_hz`, and its phones from its first to its last sample.

        The library goes on with the phase and the noise of what it said before: the same text sounds a little other
        each time, and its phones move by less than a millisecond.

        Raises:
            SpeechError: if there is no such voice, or nothing was said.
        """
        name = LANGUAGES[voice.language] + (f"+{voice.variant}" if voice.variant else "")
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise SpeechError(f"espeak-ng has no voice '{name}'")
        for parameter, value in ((_RATE, voice.rate_wpm), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._pieces.clear()
        self._events.clear()
        raw = text.encode() + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, 1, 0, _UTF8, None, None)
        if not self._pieces or not self._events:
            raise SpeechError(f"espeak-ng said nothing to '{text[:40]}'")
        sound = np.concatenate(self._pieces).astype(np.float32) / np.float32(32768)
        return sound, _phones(self._events, sound, self.rate_hz)


@lru_cache(maxsize=1)
def espeak() -> Espeak:
    """The library; loaded when first asked for.

    Raises:
        SpeechError: if it or its data is missing.
    """
    return Espeak()


def _phones(events: list[tuple[int, str]], sound: NDArray[np.float32], rate_hz: int) -> list[Phone]:
    """Phones of espeak-ng's events.

    An event sits at the phone's start, but that of a voiceless stop at its
    burst: the silence before it, which espeak-ng counts to the phone before,
    is its closure (measured: `docs/training.md`). The breath after the burst
    becomes a phone of its own, since lips have parted by then. A voiced stop
    or nasal holds the way to its vowel in its last `RELEASE_S`, which is taken
    from it.
    """
    phones: list[Phone] = []
    ends = [sample for sample, _ in events[1:]] + [len(sound)]
    for (sample, symbol), end in zip(events, ends, strict=True):
        if end <= sample:
            continue
        classes = from_ipa(symbol) or (SIL,)
        start_s, end_s = sample / rate_hz, end / rate_hz
        if classes[0] in VOICELESS:
            closed_s = _closure_start(sound, sample, rate_hz)
            _shorten(phones, closed_s)
            phones += _stop(classes, closed_s, start_s, end_s)
        else:
            if classes[0] in VOWELS:
                start_s = _release(phones, start_s)
            phones += spread(start_s, end_s, classes)
    return phones


def _release(phones: list[Phone], vowel_s: float) -> float:
    """Seconds where a voiced closure before a vowel opens; it is shortened to there."""
    last = phones[-1] if phones else None
    if last is None or last.index not in VOICED or abs(last.end_s - vowel_s) > 1e-6:
        return vowel_s
    released_s = max(vowel_s - RELEASE_S, last.start_s + 0.5 * (vowel_s - last.start_s))
    phones[-1] = Phone(last.start_s, released_s, last.index)
    return released_s


RELEASE_S: Final = 0.025
BURST_S: Final = 0.010
"""What of a voiceless stop's burst still counts to it."""


def _stop(classes: tuple[int, ...], closed_s: float, burst_s: float, end_s: float) -> list[Phone]:
    """Closure, then whatever follows the burst: the rest of an affricate or cluster, or breath."""
    if len(classes) == 1 and classes[0] == CLASS["ch"]:
        return [Phone(closed_s, end_s, classes[0])]
    released_s = min(burst_s + BURST_S, end_s)
    stop = [Phone(closed_s, released_s, classes[0])]
    rest = classes[1:] or (CLASS["hh"],)
    return stop + (spread(released_s, end_s, rest) if end_s - released_s > 0.005 else [])


def _closure_start(sound: NDArray[np.float32], burst: int, rate_hz: int) -> float:
    """Seconds where the digital silence before a burst begins; the burst itself without one."""
    past = np.abs(sound[max(burst - int(0.15 * rate_hz), 0) : burst])
    loud = np.flatnonzero(past > 1e-3)  # -60 dB: formant synthesis has no floor of noise
    gap = len(past) - 1 - (int(loud[-1]) if len(loud) else -1)
    return (burst - gap) / rate_hz if gap > 0.008 * rate_hz else burst / rate_hz


def _shorten(phones: list[Phone], end_s: float) -> None:
    """Let the last of `phones` end at `end_s`; drop what begins later."""
    while phones and phones[-1].start_s >= end_s - 1e-6:
        phones.pop()
    if phones:
        phones[-1] = Phone(phones[-1].start_s, end_s, phones[-1].index)
