"""What PD-FGC hears, in a stream: equal to the whole, however cut, and at a level that a live voice finds by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.features.mel import RATE_HZ
from engine.features.pdfgc import BANDS, HOP, LOOK_AHEAD, TARGET_RMS, Level, MelStream, gain_of, mel_of, pictures_of, windows_of

SOUND = np.random.default_rng(1).normal(0, 0.05, 5000).astype(np.float32)
SOUND[2000:3000] = 0
MEL, LEVELLED = mel_of(SOUND), MelStream().push(SOUND)


def _voice(rms: float, seconds: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    syllables = np.repeat(rng.uniform(0.3, 1, int(seconds * 8) + 1), RATE_HZ // 8)[: int(seconds * RATE_HZ)]
    sound = syllables * rng.normal(0, 1, len(syllables))
    return (sound * rms / np.sqrt(np.mean(sound**2))).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 1500), max_size=6))
def test_a_stream_with_the_wholes_gain_equals_the_whole_at_any_cut(cuts: list[int]) -> None:
    stream, pieces, start = MelStream(gain_of(SOUND)), [np.zeros((0, BANDS), np.float32)], 0
    for size in (*cuts, len(SOUND)):
        pieces.append(stream.push(SOUND[start : start + size]))
        start += size
    joined = np.concatenate(pieces)
    assert len(joined) == len(SOUND) // HOP
    assert np.abs(joined - MEL[: len(joined)]).max() <= 1e-5


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 1500), max_size=6))
def test_how_a_stream_that_finds_its_level_is_cut_cannot_show(cuts: list[int]) -> None:
    stream, pieces, start = MelStream(), [np.zeros((0, BANDS), np.float32)], 0
    for size in (*cuts, len(SOUND)):
        pieces.append(stream.push(SOUND[start : start + size]))
        start += size
    assert np.abs(np.concatenate(pieces) - LEVELLED).max() <= 1e-5


def test_a_window_hears_as_far_as_it_says() -> None:
    picture = 4
    other = SOUND.copy()
    other[640 * picture + 320 + LOOK_AHEAD :] = 1
    windows, changed = (windows_of(mel_of(sound, 1.0)) for sound in (SOUND, other))
    at = pictures_of(len(mel_of(SOUND))).index(picture)
    assert (windows[at] == changed[at]).all()
    other[640 * picture + 320 + LOOK_AHEAD - 1] = 1
    assert (windows[at] != windows_of(mel_of(other, 1.0))[at]).any()


def test_sound_too_short_has_no_windows() -> None:
    assert windows_of(mel_of(np.zeros(100))).shape == (0, 1, BANDS, 20)


@pytest.mark.parametrize("rms", [0.01, 0.05, 0.3])
def test_after_seconds_the_level_is_that_of_the_whole(rms: float) -> None:
    level, voice = Level(), _voice(rms, 4)
    gain = [level.gain(block) for block in voice[: len(voice) // HOP * HOP].reshape(-1, HOP)][-1]
    assert 20 * abs(np.log10(gain / gain_of(voice))) < 1.5


def test_a_pause_does_not_make_noise_loud() -> None:
    level = Level()
    for block in _voice(0.1, 3).reshape(-1, HOP):
        level.gain(block)
    gain = 0.0
    for block in _voice(0.0005, 10).reshape(-1, HOP):
        gain = level.gain(block)
    assert 0.0005 * gain < 0.1 * TARGET_RMS


def test_a_voice_that_becomes_lower_is_found_again() -> None:
    level, gain = Level(), 0.0
    for rms in (0.3, 0.02):
        for block in _voice(rms, 20).reshape(-1, HOP):
            gain = level.gain(block)
    assert gain == pytest.approx(TARGET_RMS / 0.02, rel=0.3)
