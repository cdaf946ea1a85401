import pytest

from streaming.rtc.clock import MediaClock, ntp


def seconds(stamp: int) -> float:
    return stamp / 2**32 - 2_208_988_800


def test_ntp_counts_from_1900():
    assert ntp(0.5) == (2_208_988_800 << 32) + (1 << 31)


def test_the_clock_is_fixed_once_and_runs_with_the_media():
    clock = MediaClock()
    assert clock.ntp(0.0) is None
    clock.anchor(2.0, 1000.0)
    clock.anchor(3.0, 1234.0)
    stamp = clock.ntp(5.0)
    assert stamp is not None
    assert seconds(stamp) == pytest.approx(1003.0, abs=1e-6)


def test_picture_and_sound_begin_at_the_same_instant():
    for _ in range(50):
        clock = MediaClock()
        apart = (8 * clock.begin(90_000) - 15 * clock.begin(48_000)) % 2**32  # of 1/720000 s, as streaming/web/lips.js has it
        assert apart == 0
    with pytest.raises(ValueError, match="multiple of 6000"):
        MediaClock().begin(44_100)
