"""Blinks, narrowed and widened eyes, from how far a person's lids are apart compared with their own."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.rig.topology import LID_LOWER, LID_UPPER, SIDES

Floats = NDArray[np.float64]

_MIDDLE: Final = slice(3, 6)
_CLOSED: Final = 0.14
"""How far apart a tracker sees shut lids, as a share of the open ones, before a blink of the person has told."""
_CLOSED_LIMIT: Final = 0.42
_BLINK: Final = 0.55  # closing beyond which it is a blink, for learning
_SLACK: Final = 0.10  # closing that is only noise, or a lid that rests
_SURPLUS: Final = 1.06  # what is a little short of shut is shut
_DOWN: Final = (0.38 / 24.0, 0.46 / 50.0)
"""Share of the opening lost with each degree of a look down, gained with each one up (as in `engine.rig.lids`)."""
_LOWER_BLINK, _LOWER_SQUINT = 0.22, 0.24
"""Shares of the opening by which the lower lid rises in a blink and in a squint."""
_SQUINT_NARROWS: Final = 0.41
_WIDE_OPENS: Final = 0.20
_WIDE_SLACK: Final = 0.05
_SQUINT_S: Final = 0.20


def lids_of(points: Floats) -> tuple[Floats, Floats]:
    """Openings and heights of the lower lids, float64[..., 2] each, in the unit of float64[..., 478, 3]; left before right.

    Heights count upwards from the line between the corners, in the head's frame.
    """
    opening: list[Floats] = []
    height: list[Floats] = []
    for side in SIDES:
        upper, lower = (points[..., list(ring), 1] for ring in (LID_UPPER[side], LID_LOWER[side]))
        opening.append((lower - upper)[..., _MIDDLE].mean(-1))
        height.append(0.5 * (upper[..., 0] + upper[..., -1]) - lower[..., _MIDDLE].mean(-1))
    return np.stack(opening, -1), np.stack(height, -1)


class LidReader:
    """Lids of one person: what is open is that of the neutral face, what is shut is learned from blinks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._closed = np.full(2, _CLOSED)
        self._least = np.ones(2)
        self._squint = np.zeros(2)
        self._last_open_s = np.zeros(2)

    def read(
        self, lids: tuple[Floats, Floats], at_rest: tuple[Floats, Floats], up_deg: float, time_s: float, passed_s: float
    ) -> tuple[Floats, Floats, Floats]:
        """eyeBlink, eyeSquint and eyeWide, float64[2] each, left before right.

        Args:
            lids: `lids_of` the picture.
            at_rest: `lids_of` the neutral face.
            up_deg: where the eyes look: the upper lid goes along.
            time_s: instant of the picture.
            passed_s: since the last one.
        """
        usual = 1 + _DOWN[0] * min(up_deg, 0.0) + _DOWN[1] * max(up_deg, 0.0)
        rest = np.maximum(at_rest[0], 1e-3)
        share = lids[0] / rest / max(usual, 0.4)
        narrowed = 1 - share
        self._learn(share, time_s)
        blink = (narrowed - _SLACK) / np.maximum(1 - self._closed - _SLACK, 0.3) * _SURPLUS
        risen = (lids[1] - at_rest[1]) / rest - _LOWER_BLINK * np.maximum(narrowed, 0)
        squint = np.clip(risen / (_LOWER_SQUINT - _LOWER_BLINK * _SQUINT_NARROWS), 0, 1)
        squint = np.minimum(squint, np.clip(narrowed / _SQUINT_NARROWS, 0, 1))
        steady = narrowed < _BLINK
        self._squint += np.where(steady, 1 - np.exp(-passed_s / _SQUINT_S), 0.0) * (squint - self._squint)
        blink = np.clip(blink - _SQUINT_NARROWS * self._squint * (1 - np.clip(blink, 0, 1)), 0, 1)
        wide = np.clip((share - 1 - _WIDE_SLACK) / _WIDE_OPENS, 0, 1)
        return blink, self._squint.copy(), wide

    def open_share(self, lids: tuple[Floats, Floats], at_rest: tuple[Floats, Floats]) -> Floats:
        """float64[2]: 0 shut, 1 as open as at rest."""
        share = lids[0] / np.maximum(at_rest[0], 1e-3)
        return (share - self._closed) / (1 - self._closed)

    def _learn(self, share: Floats, time_s: float) -> None:
        """Take the least opening of each blink as what shut means: soon where it is smaller, slowly where it is larger."""
        for eye, now in enumerate(share.tolist()):
            if now < 1 - _BLINK:
                self._least[eye] = min(self._least[eye], now)
                continue
            if self._least[eye] < 1 and time_s - self._last_open_s[eye] < 0.6:
                known, seen = self._closed[eye], float(np.clip(self._least[eye], 0, _CLOSED_LIMIT))
                self._closed[eye] = known + (0.5 if seen < known else 0.12) * (seen - known)
            self._least[eye] = 1.0
            self._last_open_s[eye] = time_s
