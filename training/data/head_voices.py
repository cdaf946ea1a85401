"""Voices without pictures: what a head motion learner should not mistake for a still person's silence."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import mel_of
from training.data.media import Unusable, decimated, sound_of
from training.data.splits import TEST_ONLY

SUFFIXES: Final = (".wav", ".flac", ".opus", ".mp3", ".ogg", ".m4a")
LONGEST_S: Final = 30.0


def mels_of(folder: Path, most: int = 150) -> list[NDArray[np.float32]]:
    """float32[2 N, 40] of up to `most` sounds below a folder, evenly chosen; what cannot be read is left out."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not {*path.parts} & {*TEST_ONLY})
    chosen = paths[:: max(len(paths) // most, 1)][:most]
    mels = list[NDArray[np.float32]]()
    for path in chosen:
        try:
            sound = sound_of(path)
        except Unusable:
            continue
        count = min(len(sound) // 3, round(LONGEST_S * 16_000)) // 320 * 320
        mels.append(mel_of(decimated(sound, count).astype(np.float32) / np.float32(32768)))
    return mels
