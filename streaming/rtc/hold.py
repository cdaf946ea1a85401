"""How much later than its sound a picture leaves, for a receiver whose sound path is slower than its picture path."""

from typing import Final

LEAST_MS: Final = -100.0
"""Where pictures wait for repetitions, the sound has to leave after them."""
MOST_MS: Final = 140.0
"""A browser's jitter buffer of 60 ms and 40 ms of output are met on a bad line, too; beyond, latency costs more than skew."""
AIM_MS: Final = 10.0
"""Sound this late is what is aimed at: the middle of what EBU R37 allows (40 ms early to 60 ms late)."""
TRUST: Final = 0.3  # of a report's error is mended at once; the reports of a second differ by some milliseconds
SLEW_MS: Final = 1.0  # per picture: 25 ms a second at 25 fps, which nobody sees
NOISE_MS: Final = 3.0  # an error smaller than this is none
BELIEVED_MS: Final = 500.0  # a report beyond this is of a connection that stands still


class PictureHold:
    """Steers how much later than its sound a picture leaves; without reports it stays where it began.

    A picture that looks ahead is later than its sound by itself. What is
    wanted beyond that the picture waits; what is wanted less, the sound waits.
    """

    def __init__(self, start_ms: float) -> None:
        self._now = self._wanted = start_ms

    def hear(self, sound_late_ms: float) -> None:
        """A receiver plays its sound this much later than the picture that belongs to it."""
        error = sound_late_ms - AIM_MS - (self._wanted - self._now)  # what is already on its way is not asked for twice
        if abs(sound_late_ms) <= BELIEVED_MS and abs(error) > NOISE_MS:
            self._wanted = min(max(self._wanted + TRUST * error, LEAST_MS), MOST_MS)

    def next(self) -> None:
        """One picture more: go on towards what is wanted."""
        self._now += min(max(self._wanted - self._now, -SLEW_MS), SLEW_MS)

    def of_picture(self, ahead_ms: float) -> float:
        """Milliseconds that a picture waits whose sound is there `ahead_ms` before it."""
        return max(0.0, self._now - ahead_ms)

    def of_sound(self, ahead_ms: float) -> float:
        """Milliseconds that its sound waits."""
        return max(0.0, ahead_ms - self._now)
