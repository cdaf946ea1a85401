"""How long pictures wait at the sender for a receiver whose sound path is slower than its picture path."""

from typing import Final

MOST_MS: Final = 100.0
"""A browser's jitter buffer of 50 ms and 30 ms of output are met; more would cost more latency than the skew is worth."""
AIM_MS: Final = 10.0
"""Sound this late is what is aimed at: the middle of what EBU R37 allows (40 ms early to 60 ms late)."""
TRUST: Final = 0.3  # of a report's error is mended at once; the reports of a second differ by some milliseconds
SLEW_MS: Final = 1.0  # per picture: 25 ms a second at 25 fps, which nobody sees
NOISE_MS: Final = 3.0  # an error smaller than this is none
BELIEVED_MS: Final = 500.0  # a report beyond this is of a connection that stands still


class PictureHold:
    """Steers the hold by what a receiver reports; without reports it stays where it began."""

    def __init__(self, start_ms: float) -> None:
        self._now = self._wanted = start_ms

    @property
    def ms(self) -> float:
        """The hold of the newest picture."""
        return self._now

    def hear(self, sound_late_ms: float) -> None:
        """A receiver plays its sound this much later than the picture that belongs to it."""
        error = sound_late_ms - AIM_MS - (self._wanted - self._now)  # what is already on its way is not asked for twice
        if abs(sound_late_ms) <= BELIEVED_MS and abs(error) > NOISE_MS:
            self._wanted = min(max(self._wanted + TRUST * error, 0.0), MOST_MS)

    def next(self) -> float:
        """Seconds to hold the next picture."""
        self._now += min(max(self._wanted - self._now, -SLEW_MS), SLEW_MS)
        return self._now / 1000
