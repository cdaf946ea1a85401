import numpy as np
import pytest

from streaming.worker.resample import REACH_BEFORE, read


def tone(hz: float, positions: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * hz * positions / 48_000)


@pytest.mark.parametrize("hz", [100, 1000, 4000, 8000])
@pytest.mark.parametrize("step", [0.995, 1.0002, 1.005])
def test_a_voice_is_read_between_its_samples(hz: float, step: float) -> None:
    sound = tone(hz, np.arange(3000)).astype(np.float32)
    got = read(sound, 20.37, step, 1920)
    assert np.abs(got - tone(hz, 20.37 + step * np.arange(1920))).max() < 6e-4


def test_whole_positions_are_exact() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 2000).astype(np.float32)
    np.testing.assert_allclose(read(sound, REACH_BEFORE, 1.0, 1000), sound[REACH_BEFORE : REACH_BEFORE + 1000], atol=1e-6)


def test_reading_does_not_depend_on_the_cut() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 3000).astype(np.float32)
    whole = read(sound, 10.0, 1.001, 1000)
    parts = np.concatenate((read(sound, 10.0, 1.001, 400), read(sound, 10.0 + 400 * 1.001, 1.001, 600)))
    np.testing.assert_allclose(parts, whole, atol=2e-3)


def test_reading_beyond_the_sound_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="of 100 samples"):
        read(np.zeros(100, np.float32), 50.0, 1.0, 60)
