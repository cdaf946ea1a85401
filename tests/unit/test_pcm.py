import numpy as np

from streaming.worker.pcm import joined, to_int16


def test_what_is_too_loud_is_clipped() -> None:
    assert to_int16(np.array([-2, -1, 0, 0.5, 1, 2], np.float32)).tolist() == [-32767, -32767, 0, 16384, 32767, 32767]


def test_two_voices_are_joined_without_a_step() -> None:
    t = np.arange(1920) / 48_000
    before = to_int16((0.5 * np.sin(2 * np.pi * 200 * t + 1)).astype(np.float32))
    after = to_int16((0.5 * np.sin(2 * np.pi * 200 * t + 4)).astype(np.float32))
    mended = joined(before, after)
    assert abs(int(mended[0]) - int(before[-1])) < 300
    assert np.abs(np.diff(mended.astype(int))).max() < 1000
    np.testing.assert_array_equal(mended[600:], after[600:])


def test_what_fits_is_left_as_it_is() -> None:
    sound = np.arange(100, dtype=np.int16)
    np.testing.assert_array_equal(joined(np.zeros(1, np.int16), sound), sound)
