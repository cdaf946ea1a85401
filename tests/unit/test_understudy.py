import numpy as np

from streaming.worker.understudy import Understudy


def test_the_sound_goes_on_later_by_the_look_ahead() -> None:
    prompt, patient = Understudy(1920, 0), Understudy(1920, 960)
    rng = np.random.default_rng(1)
    heard = list[np.ndarray](), list[np.ndarray]()
    for k in range(100):
        sound = rng.uniform(-0.5, 0.5, 960).astype(np.float32)
        for understudy in (prompt, patient):
            understudy.push(sound, 0.02 * k + 0.021)
        if k % 2:
            for understudy, out in zip((prompt, patient), heard, strict=True):
                out.append(understudy.play(0.02 * (k + 1))[0])
    first, second = map(np.concatenate, heard)
    np.testing.assert_array_equal(second[960:], first[:-960])
    assert np.abs(first[4800:]).max() > 10_000


def test_without_sound_it_is_silent() -> None:
    audio, missing = Understudy(960, 0).play(1.0)
    assert audio.dtype == np.int16
    assert not audio.any()
    assert missing == 960


def test_what_was_held_for_the_look_ahead_is_heard() -> None:
    understudy = Understudy(1920, 3840)
    rng = np.random.default_rng(1)
    for k in range(30):
        understudy.push(rng.uniform(-0.5, 0.5, 960).astype(np.float32), 0.02 * k + 0.021)
    for k in range(3):
        audio, _ = understudy.play(0.6 + 0.04 * k)
        assert np.abs(audio).max() > 10_000
        for half in (0, 1):
            understudy.push(rng.uniform(-0.5, 0.5, 960).astype(np.float32), 0.02 * (30 + 2 * k + half) + 0.021)
