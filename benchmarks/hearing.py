"""How long the server held a page's voice, and how much of it was real: pure arithmetic on a `Heard`."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.journal import Heard
from benchmarks.matching import source_positions
from benchmarks.metrics import Distribution, Metric
from benchmarks.residence import DRAWS

Floats = NDArray[np.float64]


def figures(heard: Heard, voices: Sequence[Mapping[str, Any]], began_ms: float, ended_ms: float) -> dict[str, Metric]:
    """Between two times of day: how long sound was held, and which share of what the model got had been spoken.

    `voices` are the counts of the receiver, in order: samples that it had to invent are not real; those that it read
    out of the next packet (in-band error correction) are.
    """
    due_ms = (heard.due + heard.wall) * 1000
    counted = (due_ms >= began_ms) & (due_ms < ended_ms)
    held, newest = held_ms(heard)
    given = int(counted.sum()) * heard.sound.shape[1]
    missing = int(heard.missing[counted].sum())
    invented, recovered = _gained(voices, "concealed"), _gained(voices, "recovered")
    return {
        "stage_audio_hold_ms": Distribution.of(held[counted].ravel()),
        "audio_buffer_ms": Distribution.of(newest[counted]),
        "sound_missing_ratio": missing / given if given else None,
        "sound_invented_ratio": invented / given if given and invented is not None else None,
        "sound_recovered_ratio": recovered / given if given and recovered is not None else None,
        "real_samples_ratio": 1 - (missing + (invented or 0)) / given if given else None,
    }


def held_ms(heard: Heard, seed: int = 0) -> tuple[Floats, Floats]:
    """Ms from the arrival (T1) of uniformly random samples until they left the buffer (T2), and of each piece's newest.

    float64[F, DRAWS] and float64[F], NaN where it is not known. The buffer gives a piece's worth of samples at a time.
    """
    count, samples = heard.sound.shape
    if not len(heard.ends):
        unknown: Floats = np.full((count, DRAWS + 1), np.nan)
        return unknown[:, 1:], unknown[:, 0]
    source, sound = _sound(heard.source), _sound(heard.sound.ravel())
    positions = source_positions(source, sound, samples, newest=_pushed_by(heard))
    offsets = np.random.default_rng(seed).integers(0, samples, (count, DRAWS))
    last = np.full((count, 1), samples - 1, np.int64)
    return _held(heard, positions, offsets), _held(heard, positions, last)[:, 0]


def _sound(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    return pcm.astype(np.float32) * np.float32(1 / 32768)


def _pushed_by(heard: Heard) -> NDArray[np.int64]:
    """How much had been pushed when each piece was due; for one that was not heard, nothing."""
    ends = np.concatenate([[0], heard.ends])
    return ends[np.searchsorted(heard.arrived, np.nan_to_num(heard.due), side="right")]


def _held(heard: Heard, positions: Floats, offsets: NDArray[np.int64]) -> Floats:
    wanted = positions[:, None] + offsets
    known = np.isfinite(wanted) & (wanted >= 0) & (wanted < heard.ends[-1])
    packet = np.searchsorted(heard.ends, np.where(known, wanted, 0), side="right")
    arrived = np.where(known, heard.arrived[np.minimum(packet, len(heard.arrived) - 1)], np.nan)
    held = (heard.due[:, None] - arrived) * 1000
    return np.where(held >= 0, held, np.nan)  # nothing leaves before it came: mistaken for another sound like it


def _gained(voices: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """By how much a count rose; one that fell began anew with another connection."""
    counts = [int(voice[name]) for voice in voices if name in voice]
    if not counts:
        return None
    return sum(after - before if after >= before else after for before, after in itertools.pairwise(counts))
