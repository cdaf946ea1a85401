import numpy as np
import pytest

from engine.features.voicing import RATE_HZ, WINDOW, voicing


@pytest.mark.parametrize("hz", [80, 118, 210, 330])
def test_the_pitch_of_a_pulse_train_is_found(hz: float) -> None:
    t = np.arange(WINDOW) / RATE_HZ
    sound = np.cos(2 * np.pi * hz * np.outer(np.arange(1, 9), t)).sum(axis=0).astype(np.float32)
    periodicity, pitch_hz = voicing(sound)
    assert periodicity > 0.9
    assert pitch_hz == pytest.approx(hz, rel=0.03)


def test_noise_has_little_period_and_silence_none() -> None:
    rng = np.random.default_rng(0)
    found = [voicing(rng.standard_normal(WINDOW).astype(np.float32))[0] for _ in range(50)]
    assert np.mean(found) < 0.4
    assert voicing(np.zeros(WINDOW, np.float32)) == (0.0, 0.0)
