"""The same speech as many people in many rooms would say it, cheaply: on log-mel, sequence by sequence.

Sounds add in power; gain, microphone and vocal tract act on bands. What needs
the waveform (rooms, tempo and pitch) is done once for a few versions of each
example (`versions`); the rest anew for every sequence (`disturb`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly

from engine.features.mel import BANDS, FLOOR
from engine.motion.visemes import ARTICULATORS
from training.corpus import CLOSE, Example, pairs
from training.data.tracks import STEP_SAMPLES

SPEEDS: Final = (Fraction(1), Fraction(5, 6), Fraction(6, 5), Fraction(9, 10), Fraction(10, 9))
"""Factors by which a sound is played faster: pitch, formants and tempo at once, which makes another speaker of one."""
SNR_DB: Final = tuple(range(6, 31, 3))
"""Rhythmic Head Motion, section 3.2."""
NOISY: Final = 0.65  # share of sequences with a noise at one of these; the others have the hiss of a room
ROOMS: Final = 0.5
GAIN_DB: Final = (-32.0, 12.0)
COLOUR_DB: Final = 7.0
TRACT: Final = 0.14  # vocal tracts longer or shorter by so much
MASKS: Final = 2  # at most so many ranges of bands are flattened (Park et al. 2019, SpecAugment), ...
MASK_BANDS: Final = 6  # ... each at most so wide
_DB: Final = 1 / 40  # of a log-mel value per decibel


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """An example as one speaker says it in one room; arrays as in `Example`, `mel` float16[T, 2, 40], speech at 0 dB."""

    kind: str
    mel: NDArray[np.float16]
    shapes: NDArray[np.float16]
    trusted: NDArray[np.float16]
    phones: NDArray[np.int16]


def versions(
    examples: Sequence[Example], rooms: Sequence[NDArray[np.float32]], each: int, rng: np.random.Generator
) -> Iterator[Version]:
    """`each` versions of every example: the first as it was recorded, the others at other speeds and in rooms."""
    for example in examples:
        for number in range(each):
            spoken = example if number == 0 else faster(example, SPEEDS[int(rng.integers(len(SPEEDS)))])
            sound = spoken.sound
            if rooms and rng.random() < ROOMS * (number > 0):
                sound = in_room(sound, rooms[int(rng.integers(len(rooms)))])
            mel = pairs(_level(sound))
            steps = min(len(mel), spoken.steps)
            yield Version(
                example.kind,
                mel[:steps].astype(np.float16),
                spoken.shapes[:steps].astype(np.float16),
                spoken.trusted[:steps].astype(np.float16),
                spoken.phones[:steps],
            )


def faster(example: Example, factor: Fraction) -> Example:
    """The example played `factor` times as fast, lips and all."""
    if factor == 1:
        return example
    sound = resample_poly(example.sound, factor.denominator, factor.numerator).astype(np.float32)
    steps = len(sound) // STEP_SAMPLES
    at = np.minimum(np.arange(steps) * float(factor), example.steps - 1)
    before = at.astype(np.int64)
    after = np.minimum(before + 1, example.steps - 1)
    part = (at - before)[:, None].astype(np.float32)
    shapes = example.shapes[before] * (1 - part) + example.shapes[after] * part
    nearest = np.rint(at).astype(np.int64)
    return replace(
        example,
        sound=sound[: steps * STEP_SAMPLES],
        shapes=shapes,
        trusted=np.minimum(example.trusted[before], example.trusted[after]),
        phones=example.phones[nearest],
    )


def in_room(sound: NDArray[np.float32], response: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound in a room; its direct path stays where it was."""
    direct = int(np.abs(response).argmax())
    return fftconvolve(sound, response)[direct : direct + len(sound)].astype(np.float32)


def _level(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound with its loud parts at an RMS of 0.1."""
    frames = sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)
    rms = np.sqrt((frames.astype(np.float64) ** 2).mean(1)) if len(frames) else np.zeros(1)
    loud = float(np.percentile(rms, 90))
    return sound * np.float32(0.1 / loud) if loud > 1e-4 else sound


LOUD: Final = 0.01
"""Mean power of the loud parts of a `Version`."""


def disturb(mel: NDArray[np.float32], noise: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The log-mel float32[T, 2, 40] of a version as heard elsewhere, by somebody else, from another microphone.

    Args:
        mel: of the speech alone.
        noise: float32[T, 2, 40], power of a noise whose mean is 1.
        rng: decides.
    """
    mel = _other_tract(mel, rng)
    snr_db = float(rng.choice(SNR_DB)) if rng.random() < NOISY else float(rng.uniform(32, 60))
    power = decibel_power(mel) + LOUD * 10 ** (-snr_db / 10) * noise
    value = (np.log10(np.maximum(power, FLOOR)) / 4 + 1).astype(np.float32)
    _mask(value, rng)
    value += _DB * float(rng.uniform(*GAIN_DB)) + _DB * _colour(rng)
    return np.maximum(value, np.log10(FLOOR) / 4 + 1).astype(np.float32)


def _mask(mel: NDArray[np.float32], rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(MASKS + 1))):
        wide = int(rng.integers(1, MASK_BANDS + 1))
        low = int(rng.integers(BANDS - wide + 1))
        mel[..., low : low + wide] = mel[..., low : low + wide].mean()


def decibel_power(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The power that log-mel values stand for; what lies on the floor is nothing."""
    return np.maximum(10 ** (4 * (mel - 1)) - FLOOR, 0).astype(np.float32)


def _other_tract(mel: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Bands moved up or down as by a shorter or longer vocal tract (piecewise linear in the band's number)."""
    factor = float(rng.uniform(1 - TRACT, 1 + TRACT))
    at = np.clip(np.arange(BANDS) * factor, 0, BANDS - 1)
    before = np.minimum(at.astype(np.int64), BANDS - 2)
    part = (at - before).astype(np.float32)
    return (mel[..., before] * (1 - part) + mel[..., before + 1] * part).astype(np.float32)


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[40] dB: a microphone's smooth response, now and then one that cuts its ends off."""
    x = np.arange(BANDS) / BANDS
    waves = np.stack([np.cos(np.pi * k * x + rng.uniform(0, 2 * np.pi)) / k for k in (1, 2, 3)])
    response = COLOUR_DB * (rng.normal(0, 0.6, 3) @ waves)
    if rng.random() < 0.25:  # telephone, cheap headset
        response = response - 30 * np.clip((x - rng.uniform(0.72, 0.95)) * 6, 0, 1)
    if rng.random() < 0.25:
        response = response - 25 * np.clip((rng.uniform(0.03, 0.12) - x) * 10, 0, 1)
    return response.astype(np.float32)


def blend_in(version: Version, before: int, length: int) -> Version:
    """The part of a version that begins at step `before`, silence where it has ended: `length` steps."""
    stop = min(before + length, len(version.phones))
    missing = length - (stop - before)
    quiet = np.full((missing, *version.mel.shape[1:]), -1, np.float16)
    rest = np.zeros((missing, len(ARTICULATORS)), np.float16)
    trust = np.ones_like(rest)
    trust[:, CLOSE] = 0
    return Version(
        version.kind,
        np.concatenate([version.mel[before:stop], quiet]),
        np.concatenate([version.shapes[before:stop], rest]),
        np.concatenate([version.trusted[before:stop], trust]),
        np.concatenate([version.phones[before:stop], np.zeros(missing, np.int16)]),
    )
