from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import sounds
from training.baseline.analysis import BANDS, CENTRE, HOP, RANGE_DB, Analyser, SoundFrame


def loudest(frames: list[SoundFrame]) -> int:
    return int(np.argmax([frame.loudness_db for frame in frames]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=20))
def test_the_sound_may_be_cut_anywhere(cuts: list[int]) -> None:
    sound = sounds.syllables(2, lead_s=0.1)
    whole, pieces = Analyser().push(sound), []
    analyser = Analyser()
    for a, b in pairwise([0, *np.minimum(np.cumsum(cuts, dtype=int), len(sound)).tolist(), len(sound)]):
        pieces += analyser.push(sound[a:b])
    assert len(pieces) == len(whole) == len(sound) // HOP
    for one, two in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.bands, two.bands)
        assert (one.loudness_db, one.periodicity, one.pitch_hz) == (two.loudness_db, two.periodicity, two.pitch_hz)


def test_a_frame_is_centred_where_it_says() -> None:
    sound = sounds.noise(0.5, -80)
    where = 12_000
    sound[where : where + 96] += sounds.noise(0.002, 0)
    centre = (loudest(Analyser().push(sound)) + 1) * HOP - CENTRE
    assert abs(centre - where - 48) <= HOP // 2 + 48


def test_formants_show_in_the_bands() -> None:
    def brightest(name: str) -> tuple[int, int]:
        frames = Analyser().push(np.concatenate([sounds.silence(0.3), sounds.vowel(name, 0.4)]))
        bands = np.mean([frame.bands for frame in frames[45:60]], axis=0)
        return int(np.argmax(bands[:8])), 8 + int(np.argmax(bands[8:14]))

    assert brightest("aa")[0] > brightest("ee")[0]
    assert brightest("ee")[1] > brightest("oo")[1]


@pytest.mark.parametrize("gain_db", [-20, 15])
def test_what_is_said_does_not_depend_on_the_gain(gain_db: int) -> None:
    sound = sounds.syllables(8)
    plain, other = (Analyser().push(sound * np.float32(10 ** (db / 20))) for db in (0, gain_db))
    apart = [np.abs(a.bands - b.bands).mean() for a, b in zip(plain, other, strict=True) if a.loudness_db > -15]
    assert np.median(apart[20:]) < 1.0


def test_everything_is_in_range_whatever_comes_in() -> None:
    for sound in (sounds.silence(0.3), sounds.noise(0.3, 30), np.full(9600, np.nan, np.float32)):
        for frame in Analyser().push(sound):
            assert frame.bands.shape == (BANDS,)
            assert frame.bands.dtype == np.float32
            assert (frame.bands >= RANGE_DB[0]).all()
            assert (frame.bands <= RANGE_DB[1]).all()
            assert -60 <= frame.loudness_db <= 12
            assert 0 <= frame.periodicity <= 1
