"""Scenes and tracks that tests make themselves."""

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel
from engine.features.mel import mel_of
from training.data.tracks import Track
from training.evaluate.face import face_of
from training.evaluate.voice import stand_in

SECONDS = 3


def syllables(seconds: float = SECONDS, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sound float32[N] at 16 kHz whose loudness is the jaw float32[M] at 50 Hz that goes with it."""
    rng = np.random.default_rng(seed)
    steps = round(seconds * 50)
    jaw = np.maximum(np.sin(2 * np.pi * (2.5 + rng.random()) * np.arange(steps) / 50 + rng.random()), 0) ** 2
    jaw[: steps // 4] = 0
    loud = np.interp(np.arange(steps * 320) / 320, np.arange(steps), jaw)
    tone = sum(np.sin(2 * np.pi * 130 * k * np.arange(len(loud)) / 16000) / k for k in range(1, 20))
    sound = 0.08 * loud * tone + 1e-4 * rng.standard_normal(len(loud))
    return sound.astype(np.float32), (0.35 * jaw).astype(np.float32)


def track(name: str = "a", source: str = "us_officials", seed: int = 0, seconds: float = SECONDS) -> Track:
    """A built-in person who says `syllables`, filmed at 25 fps."""
    sound, jaw = syllables(seconds, seed)
    neutral = stand_in()
    frames = round(seconds * 25)
    controls = np.zeros((len(jaw), len(CHANNELS)), np.float32)
    controls[:, Channel["jawOpen"]] = jaw
    face = face_of(neutral)
    lips = face.lips(controls)
    at = np.minimum(np.round((np.arange(frames) + 0.5) * 2).astype(int), len(jaw) - 1)
    landmarks = np.tile(neutral, (frames, 1, 1))
    from training.evaluate.face import LIPS, opening

    landmarks[:, LIPS] = lips[at]
    return Track(
        name=name,
        source=source,
        speaker=source,
        fps=25.0,
        sound=np.round(sound * 32767).astype(np.int16),
        mel=mel_of(sound).astype(np.float16),
        landmarks=landmarks,
        pose=np.zeros((frames, 6), np.float32),
        crop=np.zeros((frames, 3), np.float32),
        valid=np.ones(frames, bool),
        controls=controls,
        gap=opening(lips),
        width=np.zeros(len(jaw), np.float32),
        eye=np.ones((len(jaw), 2), np.float32),
        moving=np.ones(len(jaw), bool),
        neutral=neutral,
    )
