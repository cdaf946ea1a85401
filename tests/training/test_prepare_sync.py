"""Late sound is noticed and put in place."""

from dataclasses import replace

import numpy as np
import pytest

from engine.contract.motion import CHANNELS
from engine.features.mel import mel_of
from training.data.sync import Listener, in_place
from training.data.tracks import STEP_SAMPLES, Track


def speaker(seed: int, seconds: float = 12.0, late_ms: float = 0.0) -> Track:
    """Noise that is as loud as the lips are apart; the sound begins `late_ms` too late."""
    rng = np.random.default_rng(seed)
    steps, extra = int(seconds * 50), 20
    slow = np.convolve(rng.normal(0, 1, steps + 2 * extra), np.hanning(13), "same")
    gap = np.maximum(slow / slow.std() * 0.05 + 0.03, 0)
    at = np.arange((steps + extra) * STEP_SAMPLES) / STEP_SAMPLES + extra
    loud = np.interp(at - late_ms / 20, np.arange(len(gap)), gap)
    noise = rng.normal(0, 1, len(at)) * loud
    sound = np.round(np.clip(noise, -1, 1) * 20000).astype(np.int16)[: steps * STEP_SAMPLES]
    frames = steps // 2
    return Track(
        name=f"s{seed}", source="made-up", speaker=f"s{seed}", fps=25.0, sound=sound,
        mel=mel_of(sound.astype(np.float32) / np.float32(32768)).astype(np.float16),
        landmarks=np.zeros((frames, 478, 3), np.float32), pose=np.zeros((frames, 6), np.float32),
        crop=np.ones((frames, 3), np.float32), valid=np.ones(frames, bool),
        controls=np.zeros((steps, len(CHANNELS)), np.float32), gap=gap[extra : extra + steps].astype(np.float32),
        width=np.ones(steps, np.float32), eye=np.ones((steps, 2), np.float32), moving=np.ones(steps, bool),
        neutral=np.zeros((478, 3), np.float32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener([speaker(0), speaker(1)], ridge=1.0)


@pytest.mark.parametrize("late_ms", [-120.0, 60.0, 180.0])
def test_a_strangers_late_sound_is_measured_and_put_in_place(listener: Listener, late_ms: float) -> None:
    track = speaker(5, late_ms=late_ms)
    late = listener.lateness(track)
    assert late.sure
    assert late.ms == pytest.approx(late_ms, abs=12)
    assert late.r > late.r_now
    again = listener.lateness(in_place(track, late.ms))
    assert not again.sure
    assert again.ms == pytest.approx(0, abs=12)


def test_sound_that_is_in_place_or_has_nothing_to_do_with_the_lips_stays(listener: Listener) -> None:
    track = speaker(7)
    assert not listener.lateness(track).sure
    assert not listener.lateness(replace(track, gap=speaker(8).gap)).sure
    assert not listener.lateness(replace(track, sound=np.zeros_like(track.sound))).sure
    assert not listener.lateness(speaker(9, seconds=4, late_ms=120)).sure


@pytest.mark.parametrize("late_ms", [-70.0, 0.0, 133.0])
def test_what_is_put_in_place_stays_one_clip(late_ms: float) -> None:
    track = speaker(3)
    moved = in_place(track, late_ms)
    steps, late = len(moved.controls), round(late_ms * 16)
    assert len(moved.sound) == steps * STEP_SAMPLES
    assert len(moved.mel) == 2 * steps
    assert len(moved.gap) == len(moved.width) == len(moved.eye) == len(moved.moving) == steps
    assert len(moved.landmarks) == len(moved.pose) == len(moved.crop) == len(moved.valid) == steps // 2
    assert steps == len(track.controls) - -(-max(late, 0) // STEP_SAMPLES)
    start = max(-late, 0)
    assert np.array_equal(moved.sound[start : start + 5000], track.sound[max(late, 0) : max(late, 0) + 5000])
