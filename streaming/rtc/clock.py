"""The media clock as receivers are told about it."""

from secrets import randbits

_NTP_EPOCH_S = 2_208_988_800  # between 1900, where NTP starts, and 1970


def ntp(wall_s: float) -> int:
    """A Unix time in seconds as a 64-bit NTP timestamp (RFC 5905)."""
    return int((wall_s + _NTP_EPOCH_S) * (1 << 32))


class MediaClock:
    """When each instant of the media clock was due, on the wall clock.

    Sender reports say which wall-clock time an RTP timestamp stands for, and
    browsers play together what stands for the same time. A report that names
    the time of *sending* makes them keep for ever whatever difference the
    encoders caused; this clock names the time that is *depicted*, from one
    anchor for picture and sound.

    RTP timestamps begin at a random instant, which is the same for picture and
    sound: a receiver can tell how far they are apart without any report.
    """

    def __init__(self) -> None:
        self._begin = randbits(32)  # in 1/6000 s, of which both 90 and 48 kHz are multiples
        self._origin_s: float | None = None  # wall-clock time of media time 0

    def anchor(self, media_s: float, wall_s: float) -> None:
        """Fix the clock once: `media_s` is depicted at `wall_s`. Later calls change nothing."""
        if self._origin_s is None:
            self._origin_s = wall_s - media_s

    def begin(self, rate_hz: int) -> int:
        """The RTP timestamp of media time 0 at a codec's clock rate.

        Raises:
            ValueError: for a rate that is no multiple of 6 kHz.
        """
        times, rest = divmod(rate_hz, 6000)
        if rest:
            raise ValueError(f"a codec's clock runs at a multiple of 6000 Hz, got {rate_hz}")
        return self._begin * times & 0xFFFFFFFF

    def ntp(self, media_s: float) -> int | None:
        """The NTP timestamp of an instant of the media clock; None before the anchor."""
        return None if self._origin_s is None else ntp(self._origin_s + media_s)
