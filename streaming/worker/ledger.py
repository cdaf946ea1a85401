"""What was spent on which pictures: running totals read now and then, in windows. Instants are arguments."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 1.0
FRESH_LEAST: Final = 0.2
"""Of a window's emissions: where fewer had a picture of their own, what was spent says little about pictures."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time of `WINDOW_S` or more: seconds spent by each total, and the pictures made meanwhile, counted by size in px."""

    spent_s: tuple[float, ...]
    pictures: Mapping[int, int]


class Ledger:
    """Counts pictures between two readings of running totals."""

    def __init__(self) -> None:
        self._pictures: Counter[int] = Counter()
        self._emissions = 0
        self._opened: tuple[float, tuple[float, ...]] | None = None

    def note(self, size: int, *, fresh: bool) -> None:
        """An emission has come, with a picture of `size` of its own, or without."""
        self._emissions += 1
        if fresh:
            self._pictures[size] += 1

    def spoil(self) -> None:
        """Something else costs time now: forget the window."""
        self._opened = None

    def read(self, at: float, *totals_s: float) -> Window | None:
        """The window that ends with these totals, if it is long enough, and says something."""
        if self._opened is None:
            self._open(at, totals_s)
            return None
        began, before_s = self._opened
        if at - began < WINDOW_S:
            return None
        pictures, emissions = self._pictures, self._emissions
        self._open(at, totals_s)
        if not pictures or pictures.total() < FRESH_LEAST * emissions:
            return None
        return Window(tuple(now - before for now, before in zip(totals_s, before_s, strict=True)), pictures)

    def _open(self, at: float, totals_s: tuple[float, ...]) -> None:
        self._opened = (at, totals_s)
        self._pictures, self._emissions = Counter(), 0
