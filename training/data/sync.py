"""Is a clip's sound late? Many clips that went through several hands have lips and sound 50 to 250 ms apart.

A linear listener learns, from one speaker whose sound is in place, to hear how
far the lips are apart; where its answer fits another clip's lips best tells by
how much that clip's sound is late. It correlates weakly with a stranger's lips
(0.3), but over ten seconds and more the place of the best fit is sharp: both
halves of a clip agree within 30 ms, and 15 s of a speaker whose sound is in
place are found to be off by 12 ms (standard deviation). A clip whose halves do
not agree is left as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import FRAMES_PER_STEP, mel_of
from engine.timeline import MOTION_RATE_HZ
from training.data.fit import correlation
from training.data.tracks import STEP_SAMPLES, Track

Floats = NDArray[np.float64]

MOST_STEPS: Final = 18
"""Lateness that is looked for, each way, in steps of 20 ms."""
CONTEXT: Final = 10
"""Steps of sound before and after an instant that the listener hears."""
SHORTEST_S: Final = 6.0
AGREE_MS: Final = 60.0
"""How far the halves of a clip may disagree."""
LEAST_GAIN: Final = 0.03
LEAST_MS: Final = 40.0
"""Correlation that must be won by moving the sound, and lateness from which it is moved: less is the method's own error."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """By how much a clip's sound is late.

    Attributes:
        ms: of the best fit; negative: early.
        r: correlation of heard and seen gap there.
        r_now: the same without moving the sound.
        sure: both halves of the clip say so, and it makes a difference.
    """

    ms: float
    r: float
    r_now: float
    sure: bool


class Listener:
    """Hears the lips' gap: ridge regression from log-mel around an instant, fitted to tracks whose sound is in place."""

    def __init__(self, tracks: Iterable[Track], ridge: float = 100.0) -> None:
        size = (2 * CONTEXT // 2 + 1) * 40 + 1
        normal, wanted = ridge * np.eye(size), np.zeros(size)
        for track in tracks:
            heard = _heard(track)
            gap = track.gap[: len(heard)].astype(np.float64)
            normal += heard.T @ heard
            wanted += heard.T @ (gap - gap.mean())
        self._weights = np.linalg.solve(normal, wanted)

    def lateness(self, track: Track) -> Lateness:
        """How late the sound of a track is."""
        heard = _heard(track) @ self._weights
        gap = track.gap[: len(heard)].astype(np.float64)
        if track.seconds < SHORTEST_S or not track.sound.any():
            return Lateness(0.0, 0.0, 0.0, sure=False)
        curve, half = _fits(heard, gap), len(heard) // 2
        ms = _peak_ms(curve)
        first, second = _peak_ms(_fits(heard[:half], gap[:half])), _peak_ms(_fits(heard[half:], gap[half:]))
        r, r_now = float(curve.max()), float(curve[MOST_STEPS])
        inside = LEAST_MS <= abs(ms) < (MOST_STEPS - 1) * 1000 / MOTION_RATE_HZ
        sure = inside and abs(first - second) <= AGREE_MS and r - r_now >= LEAST_GAIN
        return Lateness(ms, r, r_now, sure)


def in_place(track: Track, late_ms: float) -> Track:
    """The track with its sound moved by so much that it is no longer late; what then has no sound at the end is cut off."""
    late = round(late_ms * STEP_SAMPLES * MOTION_RATE_HZ / 1000)
    silence = np.zeros(max(-late, 0), track.sound.dtype)
    sound = np.concatenate([silence, track.sound[max(late, 0) :]])
    steps = min(len(sound) // STEP_SAMPLES, len(track.controls))
    sound = sound[: steps * STEP_SAMPLES]
    frames = int(steps / MOTION_RATE_HZ * track.fps)
    return replace(
        track,
        sound=sound,
        mel=mel_of(sound.astype(np.float32) / np.float32(32768)).astype(np.float16),
        **{name: getattr(track, name)[:frames] for name in ("landmarks", "pose", "crop", "valid")},
        **{name: getattr(track, name)[:steps] for name in ("controls", "gap", "width", "eye", "moving")},
    )


def _heard(track: Track) -> Floats:
    """float64[M, D]: log-mel around each instant, relative to the clip's own loudness."""
    mel = track.mel.astype(np.float64)
    steps = mel[: len(mel) // FRAMES_PER_STEP * FRAMES_PER_STEP].reshape(-1, FRAMES_PER_STEP, mel.shape[1]).mean(1)
    steps = steps[: len(track.gap)] - np.percentile(steps, 95)
    padded, count = np.pad(steps, ((CONTEXT, CONTEXT), (0, 0)), mode="edge"), len(steps)
    around = [padded[k : k + count] for k in range(0, 2 * CONTEXT + 1, 2)]
    return np.concatenate([*around, np.ones((count, 1))], 1)


def _fits(heard: Floats, seen: Floats) -> Floats:
    """float64[2 MOST_STEPS + 1]: correlation of what is heard with what is seen, by how late (in steps) the sound is."""
    middle = heard[MOST_STEPS : len(heard) - MOST_STEPS]
    return np.array(
        [correlation(middle, seen[MOST_STEPS - k : len(seen) - MOST_STEPS - k]) for k in range(-MOST_STEPS, MOST_STEPS + 1)]
    )


def _peak_ms(curve: Floats) -> float:
    """Where a curve peaks, between its points by a parabola."""
    i = int(np.clip(curve.argmax(), 1, len(curve) - 2))
    a, b, c = curve[i - 1 : i + 2].tolist()
    bend = a - 2 * b + c
    return (i - MOST_STEPS + (0.5 * (a - c) / bend if bend < 0 else 0.0)) * 1000 / MOTION_RATE_HZ
