"""Speakers who move their heads, made from the few that can be trained on.

What there is: one speaker who was told to sit still (GRID), with sound, in
clips of three seconds; a dozen silent clips of people who do not talk; ARKit
captures without head poses. What is missing: people who move and are heard.
So each example is a person of a random liveliness, who moves as

    gain * (the still speaker's own movements, with their sound)
    + slow wandering of a random strength and speed, shifts of posture in pauses, and small quick movements while speaking

The first part teaches what goes along with the voice, the second only how
much, how fast and how the axes go together, over ranges wide enough to hold
any speaker; nothing of it is fitted to the people that are tested on. A part
of the examples are the clips as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from training.data.head_tracks import HeadClip

Floats = NDArray[np.float32]

REFERENCE_STEPS: Final = 150
"""Length of the reference: 3 s, as in the paper."""
PIECE: Final = 150
TYPICAL: Final = np.array([3.0, 2.2, 2.2, 0.05, 0.05, 0.08], np.float32)
"""float32[6] degrees, degrees, degrees, u, u, u: median standard deviation of a made speaker's wandering, about which
persons differ by a factor of two (sigma of the logarithm 0.7). A guess, not a measurement: whom it would be measured on is
whom it is tested on."""
STEP_S: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Examples for a learner.

    Attributes:
        reference_mel: float32[B, 2 R, 40]; reference_pose: float32[B, R, 6], less its own mean.
        mel: float32[B, 2 T, 40]; pose: float32[B, T, 6], less the person's mean.
    """

    reference_mel: Floats
    reference_pose: Floats
    mel: Floats
    pose: Floats


class Speakers:
    """An endless crowd, equal for equal generators.

    Args:
        clips: only those of the training (or validation) split, heard ones among them.
        voices: mels float32[2 N, 40] of other people's speech without pictures, N at least `PIECE`; may be empty.
        rng: draws everything.
    """

    def __init__(self, clips: Sequence[HeadClip], voices: Sequence[Floats], rng: np.random.Generator) -> None:
        self._heard = [clip for clip in clips if clip.heard and len(clip.pose) >= PIECE - 4]
        self._silent = [clip for clip in clips if not clip.heard]
        self._voices, self._rng = voices, rng
        if not self._heard:
            raise ValueError("no clip with sound to learn from; expected GRID's tracks among those prepared")

    def draw(self, batch: int, steps: int) -> Batch:
        """Examples of `steps` (a multiple of `PIECE`) after a reference."""
        rows = [self._one(steps) for _ in range(batch)]
        mel, pose = (np.stack(part).astype(np.float32) for part in zip(*rows, strict=True))
        split = REFERENCE_STEPS
        reference = pose[:, :split] - pose[:, :split].mean(1, keepdims=True)
        return Batch(mel[:, : 2 * split], reference, mel[:, 2 * split :], pose[:, split:])

    def _one(self, steps: int) -> tuple[Floats, Floats]:
        rng, total = self._rng, steps + REFERENCE_STEPS
        kind = rng.random()
        if kind < 0.15 and self._silent:
            mel, _ = self._talk(total // PIECE)
            return _another_microphone(mel, rng), _varied(self._silent[int(rng.integers(len(self._silent)))].pose, total, rng)
        mel, own = self._talk(total // PIECE)
        still = kind > 0.8  # the still speaker as he is, or a little livelier
        pose = own * rng.uniform(0.8, 2.0) if still else own * _gains(rng) + wandering(mel, rng)
        if rng.random() < 0.5:
            pose = pose * np.array([-1, 1, -1, -1, 1, 1], np.float32)
        return _another_microphone(mel, rng), pose

    def _talk(self, pieces: int) -> tuple[Floats, Floats]:
        """Mel and the speaker's own motion of several clips in a row; other people's voices come with none."""
        rng = self._rng
        if self._voices and rng.random() < 0.2:
            voice = self._voices[int(rng.integers(len(self._voices)))]
            mel = np.concatenate([voice] * -(-2 * PIECE * pieces // len(voice)))[: 2 * PIECE * pieces]
            return mel, np.zeros((PIECE * pieces, 6), np.float32)
        mel, pose, _ = self._heard_in_a_row(pieces)
        return mel, pose

    def heard(self, pieces: int) -> tuple[Floats, Floats]:
        """Sound float32[320 N] at 16 kHz and pose float32[N, 6] of one made speaker, N = pieces * `PIECE`."""
        mel, own, sound = self._heard_in_a_row(pieces)
        if self._rng.random() < 0.3:
            return sound, own
        return sound, own * _gains(self._rng) + wandering(mel, self._rng)

    def _heard_in_a_row(self, pieces: int) -> tuple[Floats, Floats, Floats]:
        chosen = [self._heard[self._rng.integers(len(self._heard))] for _ in range(pieces)]
        mel = np.concatenate([_fit(clip.mel, 2 * PIECE) for clip in chosen])
        pose = np.concatenate([_bridged(_fit(clip.pose, PIECE)) for clip in chosen])
        sound = np.concatenate([_fit(clip.sound[:, None], 320 * PIECE)[:, 0] for clip in chosen])
        return mel, pose, sound


def _gains(rng: np.random.Generator) -> Floats:
    """float32[6]: how many times livelier than a person who was told to sit still."""
    return np.exp(rng.normal(1.2, 0.5, 6)).astype(np.float32)


def wandering(mel: Floats, rng: np.random.Generator, spread: float = 0.5) -> Floats:
    """float32[T, 6]: what a made person's head does besides going along with the sound float32[2 T, 40].

    `spread` is the deviation of the logarithm of the person's liveliness, and again of each axis'.
    """
    steps = len(mel) // 2
    speech = speech_of(mel)
    amplitude = TYPICAL * np.exp(spread * (rng.normal() + rng.normal(0, 1, 6))).astype(np.float32)
    shares = rng.dirichlet((2.5, 1.5, 0.7)) ** 0.5
    corner = np.exp(rng.uniform(np.log(0.07), np.log(0.8)))
    slow = _second_order(steps, corner * np.exp(rng.normal(0, 0.2, 6)), rng)
    shift = _shifts(speech, rng)
    quick = _second_order(steps, np.exp(rng.uniform(np.log(1.0), np.log(2.5), 6)), rng)
    depth = rng.uniform(0.3, 1.0)
    quick *= 1 - depth + depth * speech[:, None]
    mixed = (shares[0] * slow + shares[1] * shift + shares[2] * quick) @ _coupling(rng)
    return (amplitude * mixed).astype(np.float32)


def typical_mel(rng: np.random.Generator) -> Floats:
    """float32[2 R, 40]: the outline of a voice for 3 s: syllables of noise with a spectrum that falls, and pauses."""
    steps = 2 * REFERENCE_STEPS
    phase = 2 * np.pi * np.cumsum(rng.normal(4.5, 0.8, steps).clip(2, 7)) * STEP_S / 2
    loud = (0.35 + 0.25 * np.sin(phase)) * (_second_order(steps, np.full(6, 0.6), rng)[:, 0] > -0.8)
    rows = loud[:, None] - 0.5 * np.arange(40) / 40 - 0.3 + 0.06 * rng.normal(0, 1, (steps, 40))
    return np.clip(rows, -1, 1).astype(np.float32)


def speech_of(mel: Floats) -> Floats:
    """float32[T]: 0..1, a smoothed loudness of float32[2 T, 40] relative to the clip's own range."""
    loud = mel.mean(1).reshape(-1, 2).mean(1)
    low, high = np.percentile(loud, (5, 90))
    return np.convolve(np.clip((loud - low) / (high - low + 0.05), 0, 1), np.full(11, 1 / 11), "same").astype(np.float32)


def _second_order(steps: int, corner_hz: NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """float32[T, 6] of deviation 1: noise through two one-pole filters of the same corner each, already under way."""
    warm = 600
    columns = []
    for corner in corner_hz:
        keep = np.exp(-2 * np.pi * corner * STEP_S)
        white = rng.normal(0, 1, steps + warm)
        column = lfilter([1 - keep], [1, -keep], lfilter([1 - keep], [1, -keep], white))[warm:]
        power = (1 - keep) * (1 + keep**2) / (1 + keep) ** 3  # of that filter
        columns.append(column / np.sqrt(power))
    return np.stack(columns, 1).astype(np.float32)


def _shifts(speech: Floats, rng: np.random.Generator) -> Floats:
    """float32[T, 6]: places held, and minimum-jerk ways between them, more of them begun in quiet than in speech."""
    steps = len(speech)
    track = np.zeros((steps, 6), np.float32)
    place, start = rng.normal(0, 1, 6), 0
    while start < steps:
        hold = int(rng.gamma(2.0, rng.uniform(0.5, 1.2)) / STEP_S) + 10
        hold += int(np.argmax(speech[start + hold : start + hold + 40] < 0.3)) if start + hold < steps else 0
        way, goal = int(rng.uniform(0.35, 1.3) / STEP_S), rng.normal(0, 1, 6)
        part = np.clip((np.arange(steps - start) - hold) / way, 0, 1)[:, None]
        track[start:] = place + (goal - place) * part**3 * (10 - 15 * part + 6 * part**2)
        place, start = goal, start + hold + way
    return track


def _coupling(rng: np.random.Generator) -> Floats:
    """float32[6, 6]: how the axes go together; columns of length 1."""
    mix = np.eye(6) + 0.25 * rng.normal(0, 1, (6, 6))
    mix[0, 2] += rng.normal(0.3, 0.4)  # who turns, tilts
    mix[2, 3] += rng.normal(0.3, 0.4)  # who tilts, leans
    return (mix / np.linalg.norm(mix, axis=0)).astype(np.float32)


def _bridged(pose: Floats) -> Floats:
    """A clip's motion less the line between its ends (means over 0.1 s), so that clips can follow one another."""
    first, last = pose[:5].mean(0), pose[-5:].mean(0)
    fade = np.minimum(np.minimum(np.arange(len(pose)), np.arange(len(pose))[::-1]) / 8, 1)[:, None]
    return ((pose - np.linspace(first, last, len(pose))) * fade).astype(np.float32)


def _fit(rows: Floats, length: int) -> Floats:
    return np.pad(rows[:length], ((0, max(length - len(rows), 0)), (0, 0)), mode="edge")


def _varied(pose: Floats, steps: int, rng: np.random.Generator) -> Floats:
    """float32[steps, 6] of a silent clip, played to and fro at another speed, smaller or larger, mirrored or not."""
    speed, start = np.exp(rng.uniform(-0.35, 0.35)), rng.uniform(0, len(pose))
    at = (start + speed * np.arange(steps)) % (2 * len(pose) - 2)
    at = np.minimum(at, 2 * len(pose) - 2 - at)
    track = np.stack([np.interp(at, np.arange(len(pose)), column) for column in pose.T], 1)
    mirror = np.array([-1, 1, -1, -1, 1, 1]) if rng.random() < 0.5 else 1
    return (track * mirror * np.exp(rng.normal(0, 0.4))).astype(np.float32)


def _another_microphone(mel: Floats, rng: np.random.Generator) -> Floats:
    """float32[2 T, 40] as another voice in another room: louder or softer, tilted, its formants moved, noise beneath."""
    bands = np.arange(mel.shape[1])
    moved = np.clip(bands + rng.uniform(-3, 3) * bands / len(bands) + rng.uniform(-1, 1), 0, len(bands) - 1)
    low = moved.astype(int)
    high = np.minimum(low + 1, len(bands) - 1)
    mel = mel[:, low] + (mel[:, high] - mel[:, low]) * (moved - low).astype(np.float32)
    mel = mel + np.float32(rng.uniform(-0.4, 0.3)) + (rng.uniform(-0.25, 0.25) * (bands / len(bands) - 0.5)).astype(np.float32)
    floor = rng.uniform(-1.1, -0.55) + 0.05 * rng.normal(0, 1, mel.shape)
    return np.clip(np.logaddexp(mel * 9.2, floor * 9.2) / 9.2, -1, 1.2).astype(np.float32)
