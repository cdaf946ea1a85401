import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.features.mel import BANDS, FLOOR_VALUE, HOP, RATE_HZ, WINDOW, MelStream, log_mel, mel_of


def tone(hz: float, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_silence_lies_on_the_floor():
    assert mel_of(np.zeros(1600, np.float32)) == pytest.approx(np.full((10, BANDS), FLOOR_VALUE))


def test_white_noise_is_flat_and_full_scale_is_one():
    noise = np.random.default_rng(0).normal(0, 1, 16_000).astype(np.float32)
    power = (10 ** (4 * (log_mel(noise) - 1))).mean(0)
    assert power == pytest.approx(np.ones(BANDS), rel=0.3)


def test_a_higher_tone_moves_up_the_bands():
    peaks = [int(mel_of(tone(hz))[20].argmax()) for hz in (150, 400, 1000, 2500, 5000)]
    assert peaks == sorted(set(peaks))


def test_twenty_decibels_are_half_a_unit():
    loud, quiet = mel_of(tone(700, level=0.5))[20].max(), mel_of(tone(700, level=0.05))[20].max()
    assert loud - quiet == pytest.approx(0.5, abs=0.01)


@given(st.lists(st.integers(0, 700), max_size=12), st.integers(0, 5000))
def test_how_a_stream_is_cut_cannot_show(cuts: list[int], rest: int):
    sound = np.random.default_rng(1).normal(0, 0.1, sum(cuts) + rest).astype(np.float32)
    stream, pieces, start = MelStream(), [np.zeros((0, BANDS), np.float32)], 0
    for size in (*cuts, rest):
        pieces.append(stream.push(sound[start : start + size]))
        start += size
    joined = np.concatenate(pieces)
    assert joined.shape == (len(sound) // HOP, BANDS)
    assert np.array_equal(joined, mel_of(sound)) or joined == pytest.approx(mel_of(sound), abs=1e-5)


def test_the_future_never_changes_the_past():
    sound = tone(300)
    other = sound.copy()
    other[4000:] = 0
    assert np.array_equal(mel_of(sound)[: 4000 // HOP], mel_of(other)[: 4000 // HOP])


def test_too_little_sound_has_no_frames():
    assert log_mel(np.zeros(WINDOW - 1, np.float32)).shape == (0, BANDS)
