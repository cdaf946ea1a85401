"""The media clock as receivers are told about it."""

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
    """

    def __init__(self) -> None:
        self._origin_s: float | None = None  # wall-clock time of media time 0

    def anchor(self, media_s: float, wall_s: float) -> None:
        """Fix the clock once: `media_s` is depicted at `wall_s`. Later calls change nothing."""
        if self._origin_s is None:
            self._origin_s = wall_s - media_s

    def ntp(self, media_s: float) -> int | None:
        """The NTP timestamp of an instant of the media clock; None before the anchor."""
        return None if self._origin_s is None else ntp(self._origin_s + media_s)


class Pace:
    """When each packet of an emission leaves: spread over the emission's time, on the clock of the punctual ones.

    Two packets sent at once look to a receiver like 20 ms of jitter, and it
    holds all sound longer for it. A late emission's packets are not delayed
    further: they leave when a punctual one's would have.
    """

    LEAK_S = 0.0002  # per emission: what is forgotten of the earliest one, more than any clock drifts

    def __init__(self) -> None:
        self._origin_s: float | None = None

    def begin(self, media_s: float, at: float) -> None:
        """An emission that starts at `media_s` is there at the instant `at`."""
        origin_s = at - media_s
        self._origin_s = origin_s if self._origin_s is None else min(self._origin_s + self.LEAK_S, origin_s)

    def due(self, media_s: float) -> float:
        """The instant at which the packet that starts at `media_s` leaves; in the past means at once."""
        assert self._origin_s is not None, "begin comes first"
        return self._origin_s + media_s
