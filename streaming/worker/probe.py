"""What the benchmarks put into a live session in order to measure it: a clock in the picture, a stall, a null renderer.

A probe is asked for by `SessionSettings.probe`, a comma-separated list:

    clock          paint two rows of Gray-coded numbers into the top of the picture: the media instant that the picture
                   depicts, and that of the latest click in the session's outgoing sound, both in units of `TICK`
    stall:MS/N     hold up the renderer by MS milliseconds in one frame of N

Nobody but `benchmarks` sets it; the server's own requests cannot.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract import GraphRequest, Motion, Renderer
from engine.media import Emission, VideoFrame
from engine.timeline import SAMPLE_RATE_HZ

BITS: Final = 24
ROW_PX: Final = 16
"""Height of a row of the clock: a macroblock, so that its edges survive the encoder."""
TICK: Final = 16
"""Samples per unit of the painted numbers: 1/3 ms, whole for every frame rate; 24 bits of it last 93 minutes."""
DARK: Final = 16
BRIGHT: Final = 235

_CLICK_LEVEL = 0.2
_CLICK_REST = SAMPLE_RATE_HZ // 5  # samples of quiet before a sound counts as a click


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A probe as asked for.

    Raises:
        ValueError: from `parse`, when the text is not one.
    """

    clock: bool = False
    stall_ms: float = 0.0
    stall_every: int = 25

    @classmethod
    def parse(cls, text: str) -> "ProbeSpec":
        """Read `SessionSettings.probe`."""
        clock, stall_ms, every = False, 0.0, 25
        for word in filter(None, text.split(",")):
            name, _, value = word.partition(":")
            if word == "clock":
                clock = True
            elif name == "stall":
                try:
                    milliseconds, _, frames = value.partition("/")
                    stall_ms, every = float(milliseconds), int(frames)
                except ValueError:
                    raise ValueError(f"a stall is written stall:MS/N, got {word!r}") from None
            else:
                raise ValueError(f"there is no probe {word!r}; it is clock or stall:MS/N")
        if not 0 <= stall_ms <= 10_000 or every < 1:
            raise ValueError(f"a stall takes 0 to 10000 ms in one frame of 1 or more, got {text!r}")
        return cls(clock, stall_ms, every)


def is_stalled(index: int, every: int) -> bool:
    """Whether a stall is put into frame `index`: the last one of each group of `every`."""
    return index % every == every - 1


class Probe:
    """The clock of one session; `mark` every emission in order."""

    def __init__(self) -> None:
        self._click = 0
        self._loud = -_CLICK_REST

    def mark(self, luma: NDArray[np.uint8], emission: Emission) -> None:
        """Paint the clock into the luma plane uint8[H, W] of the emission's picture."""
        self._listen(emission)
        paint(luma[:ROW_PX], emission.video.sample // TICK)
        paint(luma[ROW_PX : 2 * ROW_PX], self._click // TICK)

    def _listen(self, emission: Emission) -> None:
        loud = np.flatnonzero(np.abs(emission.audio.samples) > _CLICK_LEVEL) + emission.audio.start
        for at in loud.tolist():
            if at - self._loud > _CLICK_REST:
                self._click = at
            self._loud = at


def paint(row: NDArray[np.uint8], value: int) -> None:
    """Write a number as Gray code across a row of luma uint8[h, W]: bit 0 leftmost, bright is 1."""
    value &= (1 << BITS) - 1
    code = value ^ (value >> 1)
    cell = row.shape[1] // BITS
    for bit in range(BITS):
        row[:, bit * cell : (bit + 1) * cell] = BRIGHT if code >> bit & 1 else DARK


def read(row: NDArray[np.uint8]) -> int:
    """The number that `paint` wrote; the page of the browser suite reads it likewise."""
    cell = row.shape[1] // BITS
    middle = row[row.shape[0] // 2, cell // 2 : cell // 2 + BITS * cell : cell]
    code = sum(1 << bit for bit in range(BITS) if middle[bit] > (DARK + BRIGHT) // 2)
    shift = 1
    while shift < BITS:
        code ^= code >> shift
        shift *= 2
    return code


class StallingRenderer:
    """A renderer that is held up in some frames, as by a page fault or a greedy neighbour."""

    def __init__(self, inner: Renderer, spec: ProbeSpec, samples_per_frame: int) -> None:
        self._inner = inner
        self._spec = spec
        self._samples_per_frame = samples_per_frame
        self._stalled = False

    @property
    def size(self) -> int:
        """See `Renderer`."""
        return self._inner.size

    def prepare(self, motion: Motion) -> GraphRequest | None:
        """See `Renderer`."""
        self._stalled = is_stalled(motion.sample // self._samples_per_frame, self._spec.stall_every)
        return self._inner.prepare(motion)

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        """See `Renderer`."""
        if self._stalled:
            time.sleep(self._spec.stall_ms / 1000)
        return self._inner.finish(outputs)

    def reset(self) -> None:
        """See `Renderer`."""
        self._inner.reset()


class NullRenderer:
    """A grey picture that costs nothing: what is left is the path."""

    def __init__(self, size: int) -> None:
        self._rgb = np.full((size, size, 3), 128, np.uint8)
        self._sample = 0

    @property
    def size(self) -> int:
        """See `Renderer`."""
        return self._rgb.shape[0]

    def prepare(self, motion: Motion) -> GraphRequest | None:
        """See `Renderer`."""
        self._sample = motion.sample

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        """See `Renderer`."""
        return VideoFrame(self._sample, self._rgb)

    def reset(self) -> None:
        """See `Renderer`."""
