"""The delay between two sounds is found from the sounds alone."""

import numpy as np

from benchmarks.matching import source_positions

RATE = 48_000
FRAME = 1920


def babble(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise in syllables: four a second, with a pause of half a second in every two."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    envelope = np.clip(np.sin(2 * np.pi * 4 * t), 0, 1) * (t % 2 < 1.5)
    return (0.3 * envelope * np.convolve(rng.normal(size=len(t)), np.ones(12) / 12, "same")).astype(np.float32)


def test_a_constant_delay_is_found_and_silence_bridged() -> None:
    source = babble(8)
    heard = np.concatenate([np.zeros(3000, np.float32), source])[: 8 * RATE]
    found = source_positions(source, heard, FRAME)
    known = np.isfinite(found)
    assert known[2:180].all()
    np.testing.assert_allclose(found[known], (np.arange(len(found)) * FRAME - 3000)[known], atol=1)


def test_a_delay_that_drifts_and_jumps_is_followed() -> None:
    source = babble(8)
    at = np.arange(8 * RATE) * (1 + 150e-6) - 2000
    at[4 * RATE :] += 240  # a period left out
    heard = np.interp(at, np.arange(len(source)), source, left=0).astype(np.float32)
    found = source_positions(source, heard, FRAME)
    begin = np.arange(len(found)) * FRAME
    known = np.isfinite(found) & (begin > 2 * FRAME) & (np.abs(begin - 4 * RATE) > 2 * RATE // 2)
    assert known.sum() > 80
    np.testing.assert_allclose(found[known], at[begin[known]], atol=2)


def test_unrelated_sound_is_not_matched() -> None:
    found = source_positions(babble(4), babble(4, seed=1), FRAME)
    assert not np.isfinite(found).any()
