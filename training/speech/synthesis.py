"""Who says what, how fast and how high: a plan of synthetic speech, and its utterances."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import RATE_HZ
from engine.motion.visemes import ARTICULATORS
from training.data.splits import Split
from training.data.tracks import STEP_SAMPLES
from training.speech import coarticulation, flite, noise, texts
from training.speech.coarticulation import Articulation
from training.speech.espeak import RATES_WPM, Voice, espeak
from training.speech.noise import Surroundings
from training.speech.phones import SIL, Phone
from training.speech.sound import to_16k, to_int16
from training.speech.utterances import Utterance

VARIANTS: Final[dict[Split, tuple[str, ...]]] = {
    "train": (
        *("", "m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f4", "klatt2", "Annie", "Andy", "Michael", "linda"),
        *("steph", "Denis", "grandma", "paul", "belinda"),
    ),
    "validation": ("m5", "f3"),
    "test": ("m8", "f5", "max"),
}
"""espeak-ng's voices of each split."""

FLITE: Final[dict[Split, tuple[str, ...]]] = {"train": ("slt", "rms", "kal16"), "validation": ("slt",), "test": ("awb",)}

LEAD_S, TRAIL_S = (0.15, 0.9), (0.25, 0.9)
"""Silence before and after an utterance."""

BABBLE_SHARE: Final = 0.35
"""Of texts that are random syllables."""


def espeak_utterances(language: str, split: Split, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    """What espeak-ng says in a language with the voices of a split, until `seconds` are said."""
    said = 0.0
    while said < seconds:
        voice = espeak_voice(language, split, rng)
        text = text_of(language, split, rng)
        sound, phones = espeak().say(text, voice)
        name = f"{language}-{split}-{int(said * 1000):08d}"
        utterance = utterance_of(name, language, voice.variant or "-", "espeak", split, sound, espeak().rate_hz, phones, rng)
        said += utterance.seconds
        yield utterance


def flite_utterances(split: Split, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    """The same of Flite, in English."""
    said = 0.0
    while said < seconds:
        language = str(rng.choice(("en-us", "en-gb")))
        voice = flite_voice(split, rng)
        rate_hz, sound, phones = flite.say(text_of(language, split, rng), voice)
        name = f"flite-{split}-{int(said * 1000):08d}"
        utterance = utterance_of(name, "en-us", voice.name, "flite", split, sound, rate_hz, phones, rng)
        said += utterance.seconds
        yield utterance


def text_of(language: str, split: Split, rng: np.random.Generator) -> str:
    """A sentence or two of a split, or syllables."""
    if rng.random() < BABBLE_SHARE:
        return texts.babble(language, rng)
    lines = texts.sentences(language, held_out=split == "test")
    return " ".join(rng.choice(lines, 2 if rng.random() < 0.3 else 1, replace=False).tolist())


def utterance_of(
    name: str,
    language: str,
    voice: str,
    source: str,
    split: Split,
    sound: NDArray[np.float32],
    rate_hz: int,
    phones: Sequence[Phone],
    rng: np.random.Generator,
) -> Utterance:
    """Between silences, at -23 dB, with its articulation."""
    lead = round(float(rng.uniform(*LEAD_S)) * RATE_HZ)
    trail = round(float(rng.uniform(*TRAIL_S)) * RATE_HZ)
    low = to_16k(sound, rate_hz)
    low = low * (0.07 / max(float(np.sqrt(np.mean(low**2))), 1e-4))
    low *= min(1.0, 0.98 / max(float(np.abs(low).max()), 1e-4))
    samples = to_int16(np.pad(low, (lead, trail)))
    moved = tuple(Phone(p.start_s + lead / RATE_HZ, p.end_s + lead / RATE_HZ, p.index) for p in phones if p.index != SIL)
    return with_articulation(name, language, voice, source, split, samples, moved, coarticulation.calibrated())


def with_articulation(
    name: str,
    language: str,
    voice: str,
    source: str,
    split: Split,
    sound: NDArray[np.int16],
    phones: tuple[Phone, ...],
    model: Articulation,
) -> Utterance:
    """An utterance whose articulators are the model's."""
    loudness = coarticulation.loudness_of(sound, phones)
    moved = coarticulation.articulate(phones, len(sound) // STEP_SAMPLES, model, loudness)
    return Utterance(name, language, voice, source, split, sound, phones, moved.astype(np.float16))


def espeak_voice(language: str, split: Split, rng: np.random.Generator) -> Voice:
    """A random voice of a split."""
    return Voice(
        language,
        str(rng.choice(VARIANTS[split])),
        int(rng.integers(*RATES_WPM)),
        int(np.clip(rng.normal(50, 16), 10, 95)),
        int(np.clip(rng.normal(55, 20), 10, 99)),
    )


def flite_voice(split: Split, rng: np.random.Generator) -> flite.FliteVoice:
    """A random one of a split's."""
    name = str(rng.choice(FLITE[split]))
    mean_hz = 180.0 if name == "slt" else 105.0
    return flite.FliteVoice(name, float(rng.uniform(0.8, 1.35)), float(np.clip(rng.normal(mean_hz, 0.12 * mean_hz), 70, 260)))


def silences(split: Split, seconds: float, around: Surroundings, rng: np.random.Generator) -> Iterator[Utterance]:
    """Silence, digital or as a microphone hears an empty room, and noises and music alone: the mouth stays shut."""
    made = 0.0
    while made < seconds:
        samples = int(rng.uniform(3, 8) * RATE_HZ)
        kind = str(rng.choice(("digital", "room", "noise"), p=(0.15, 0.25, 0.6)))
        if kind == "digital":
            sound = np.zeros(samples, np.float32)
        elif kind == "room":
            level = np.float32(10 ** (float(rng.uniform(-75, -50)) / 20))
            sound = level * noise.colour_noise(samples, rng, str(rng.choice(tuple(noise.COLOURS))))
        else:
            level = np.float32(20 * 10 ** (float(rng.uniform(-50, -18)) / 20))  # a noise has an RMS of 0.05
            sound = level * noise.noise(samples, rng, around)
        still = np.zeros((samples // STEP_SAMPLES, len(ARTICULATORS)), np.float16)
        source = "noise" if kind == "noise" else "silence"
        yield Utterance(f"silence-{split}-{int(made * 1000):08d}", "", kind, source, split, to_int16(sound), (), still)
        made += samples / RATE_HZ
