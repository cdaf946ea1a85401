"""A clock painted into pictures: rows of Gray-coded numbers that any receiver of the picture can read.

The first row is the media instant that the picture depicts, the second that of
the latest click in the sound, the third the time of day when it was painted, in
units of `TICK` samples. With them a viewer knows which sound belongs to a
picture, when a click came and how old the picture is, without asking the
server. Neighbouring numbers differ in one cell, so that a picture
read while it changes is off by one at most.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.media import Emission
from engine.timeline import SAMPLE_RATE_HZ

BITS: Final = 24
ROW_PX: Final = 16
"""Height of a row: a macroblock, so that its edges survive the encoder."""
TICK: Final = 16
"""Samples per unit: 1/3 ms, whole for every frame rate; 24 bits of it last 93 minutes."""
WRAP_S: Final = 60
"""The longest pause between two pictures in which the numbers may begin anew."""
ILLEGIBLE_S: Final = 0.5
CLICK_LEVEL: Final = 0.2
CLICK_QUIET: Final = SAMPLE_RATE_HZ // 5
"""Samples of quiet before a sound counts as a click."""


class Clock:
    """The clock of one session; `mark` every emission in order."""

    def __init__(self) -> None:
        self._click = 0
        self._loud = -CLICK_QUIET

    def mark(self, emission: Emission, time_s: float = 0.0) -> None:
        """Paint the clock into the emission's picture, which must be writeable; one that is repeated keeps its own."""
        self._listen(emission)
        if not emission.fresh:
            return
        numbers = (emission.video.sample // TICK, self._click // TICK, int(time_s * SAMPLE_RATE_HZ / TICK))
        for row, number in enumerate(numbers):
            paint(emission.video.rgb[row * ROW_PX : (row + 1) * ROW_PX], number)

    def _listen(self, emission: Emission) -> None:
        loud = np.flatnonzero(np.abs(emission.audio.samples) > CLICK_LEVEL) + emission.audio.start
        for at in loud.tolist():
            if at - self._loud > CLICK_QUIET:
                self._click = at
            self._loud = at


def paint(row: NDArray[np.uint8], value: int) -> None:
    """Write a number as Gray code across a row uint8[h, W] or uint8[h, W, 3]: bit 0 leftmost, bright is 1."""
    value &= (1 << BITS) - 1
    code = value ^ (value >> 1)
    cell = row.shape[1] // BITS
    for bit in range(BITS):
        row[:, bit * cell : (bit + 1) * cell] = 255 if code >> bit & 1 else 0


def read(row: NDArray[np.uint8]) -> int:
    """The number painted into a row uint8[h, W]; the page of the browser suite reads it likewise."""
    cell = row.shape[1] // BITS
    middle = row[row.shape[0] // 2, cell // 2 : cell // 2 + BITS * cell : cell]
    code = sum(1 << bit for bit in range(BITS) if middle[bit] > 127)
    shift = 1
    while shift < BITS:
        code ^= code >> shift
        shift *= 2
    return code


def unwrapped(media: NDArray[np.float64], click: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first two numbers of pictures in their order, going on where `BITS` began anew.

    A session that was opened anew begins at 0, too, but hardly within `WRAP_S` of where a clock that went on would be.
    """
    span = 1 << BITS
    steps = np.diff(media, prepend=media[:1])
    turned = (steps < 0) & (steps + span < WRAP_S * SAMPLE_RATE_HZ / TICK)
    gone_on = media + span * np.cumsum(turned)
    since = (media - click + span // 2) % span - span // 2  # a click may come a little after its picture's instant
    return gone_on, gone_on - since


def legible(media: NDArray[np.float64], rtp: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool[N]: where the media instants read from pictures go on as the RTP timestamps (90 kHz, 32 bits) of the pictures do.

    A picture that changes its size while it is read says anything.
    """
    if len(media) == 0:
        return np.zeros(0, np.bool_)
    steps = (np.diff(rtp, prepend=rtp[:1]) + 2**31) % 2**32 - 2**31
    apart = media - np.cumsum(steps) / 90_000 * SAMPLE_RATE_HZ / TICK
    around = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(apart, 2, mode="edge"), 5), axis=1)
    return np.abs(apart - around) < ILLEGIBLE_S * SAMPLE_RATE_HZ / TICK
