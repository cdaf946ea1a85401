import numpy as np

from streaming.worker.understudy import Understudy


def test_without_sound_it_is_silent() -> None:
    audio, missing = Understudy().play(960, 1.0)
    assert audio.dtype == np.int16
    assert not audio.any()
    assert missing == 960


def test_the_sound_goes_on_at_once() -> None:
    understudy = Understudy()
    rng = np.random.default_rng(1)
    for k in range(30):
        understudy.push(rng.uniform(-0.5, 0.5, 960).astype(np.float32), 0.02 * k + 0.021)
    for k in range(3):
        audio, _ = understudy.play(1920, 0.6 + 0.04 * k)
        assert np.abs(audio).max() > 10_000
        for half in (0, 1):
            understudy.push(rng.uniform(-0.5, 0.5, 960).astype(np.float32), 0.02 * (30 + 2 * k + half) + 0.021)
