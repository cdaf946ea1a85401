"""From one source of latents to another without a jump."""

from typing import Final

import numpy as np

from engine.render.pdfgc.latent import Floats

EASE: Final = 0.25
"""Share of the way per picture from one source to the other."""


class Handover:
    """A part of the latent that comes from a source while that has something to say, and otherwise from another."""

    def __init__(self) -> None:
        self._share: float | None = None  # of the first source, 0..1; None before the first picture
        self._last: Floats | None = None

    def next(self, first: Floats | None, second: Floats) -> Floats:
        """float32[...] of the next picture: `first`, or `second` if that is None; eased when it changes."""
        goal = float(first is not None)
        past = goal if self._share is None else self._share
        self._share = past + float(np.clip(goal - past, -EASE, EASE))
        self._last = self._last if first is None else first
        if self._last is None or self._share == 0:
            return second
        if self._share == 1:
            return self._last
        return (second + self._share * (self._last - second)).astype(np.float32)
