"""How long a line takes there and back, and how much of that is waiting."""

import math
from typing import Final

REMEMBERED_S: Final = 30.0
"""The shortest is that of the last one to two of these: a route may become longer."""
SMOOTH: Final = 0.2


class RoundTrip:
    """Round trips as they are measured, seconds."""

    def __init__(self) -> None:
        self.smoothed_s: float | None = None
        self.queued_s = 0.0  # the last one beyond the shortest: what waits on the line
        self._least = self._older = math.inf
        self._since = -math.inf

    def add(self, seconds: float, at: float) -> None:
        """One more, measured at the instant `at`."""
        if at - self._since > REMEMBERED_S:
            self._older, self._least, self._since = self._least, seconds, at
        self._least = min(self._least, seconds)
        self.queued_s = seconds - min(self._least, self._older)
        before = seconds if self.smoothed_s is None else self.smoothed_s
        self.smoothed_s = before + SMOOTH * (seconds - before)
