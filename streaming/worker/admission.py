"""How many sessions fit: arithmetic on what a frame was measured to cost."""

from collections.abc import Sequence
from typing import Final

from streaming.contract import SessionSettings

WORKER_SHARE: Final = 0.75
"""The part of a worker's time that sessions may take; the rest is for frames that cost more than most."""
MACHINE_SHARE: Final = 0.90
"""The part of all cores that workers and the event loop may take together."""
ALONE_SHARE: Final = 4.5
"""What a session may take that has the machine to itself: of five pictures four may repeat the one before (REPEATS_MOST)."""
UNKNOWN_S: Final = 0.012
"""Assumed cost of a 512 px frame before any was measured."""
SERVE_S: Final = 0.003
"""What the event loop spends on a 512 px frame: one encode, RTP, Opus."""

_REFERENCE_PX = 512


class Admission:
    """Remembers costs by picture size and answers whether, and where, one more session fits."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._costs: dict[int, float] = {}

    def learn(self, size: int, frame_s: float) -> None:
        """A frame of `size` px was measured to cost `frame_s` seconds of a core."""
        if frame_s > 0:
            self._costs[size] = frame_s

    def share(self, settings: SessionSettings, frame_s: float = 0.0) -> float:
        """The part of a worker that a session takes: by its own measured cost, or by what its like have cost."""
        return (frame_s or self._expected(settings.size)) * settings.fps

    def choose(
        self, settings: SessionSettings, worker_shares: Sequence[float | None], running: Sequence[SessionSettings]
    ) -> int:
        """The least loaded worker that has room for one more session, or -1.

        A machine on which nothing runs takes one session that costs up to `ALONE_SHARE`: a face that is too slow for its
        rate shows fewer pictures, which beats none.

        Args:
            settings: of the session that wants in.
            worker_shares: what each worker's sessions take now; None for a worker that takes none.
            running: all sessions of the machine.
        """
        one = self.share(settings)
        if not running and 0.0 in worker_shares and one <= ALONE_SHARE:
            return worker_shares.index(0.0)
        serving = sum(_serving(s) for s in (*running, settings))
        total = sum(share or 0.0 for share in worker_shares) + one + serving
        if total > self._cores * MACHINE_SHARE:
            return -1
        free = [(share, i) for i, share in enumerate(worker_shares) if share is not None and share + one <= WORKER_SHARE]
        return min(free)[1] if free else -1

    def _expected(self, size: int) -> float:
        if size in self._costs:
            return self._costs[size]
        nearest = min(self._costs, key=lambda known: abs(known - size), default=None)
        if nearest is None:
            return UNKNOWN_S * _area(size)
        return self._costs[nearest] * _area(size) / _area(nearest)


def _area(size: int) -> float:
    return (size / _REFERENCE_PX) ** 2


def _serving(settings: SessionSettings) -> float:
    return SERVE_S * _area(settings.size) * settings.fps
