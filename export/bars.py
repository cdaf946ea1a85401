"""How far an output may be from what it should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_PEAK: Final = 2.0
"""Pictures are -1..1."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit on the error of one output over all probes.

    Attributes:
        limit: of what `unit` says.
        unit: "relative", the largest difference over the largest value, of each channel of the last axis if `channels`;
            "dB", the PSNR of a picture in -1..1; anything else ("px", "levels") is the largest difference itself.
        channels: see unit.
    """

    limit: float
    unit: Literal["relative", "dB", "px", "of 1", "cells", "levels"] = "relative"
    channels: bool = False

    def measure(self, found: NDArray[Any], wanted: NDArray[Any]) -> float:
        """The error in the bar's unit; what is not finite is infinitely wrong."""
        difference = np.abs(found.astype(np.float64) - wanted)
        if not np.isfinite(difference).all():
            return -np.inf if self.unit == "dB" else np.inf
        if self.unit == "dB":
            return float(20 * np.log10(_PEAK / max(float(np.sqrt(np.square(difference).mean())), 1e-9)))
        if self.unit != "relative":
            return float(difference.max())
        axes = tuple(range(difference.ndim - 1)) if self.channels else None
        return float((difference.max(axes) / np.maximum(np.abs(wanted).max(axes), 1e-9)).max())

    def excess(self, measured: float) -> float:
        """The error over its limit: up to 1 the bar is kept."""
        return float(10 ** ((self.limit - measured) / 20)) if self.unit == "dB" else measured / self.limit

    def __str__(self) -> str:
        return f">= {self.limit:g} dB" if self.unit == "dB" else f"<= {self.limit:g} {self.unit}"


Bars = Mapping[str, Bar]
"""By the output's name."""
EXACT: Final = Bar(1e-4)
"""The same sums in float32 in another order: PyTorch against ONNX Runtime, of every output and state."""


def measured(bars: Bars, found: Sequence[Arrays], wanted: Sequence[Arrays]) -> dict[str, float]:
    """Each bar's error over answers that belong together."""
    return {
        name: bar.measure(np.stack([said[name] for said in found]), np.stack([said[name] for said in wanted]))
        for name, bar in bars.items()
    }


def excess(bars: Bars, errors: Mapping[str, float]) -> float:
    """The largest error over its limit."""
    return max(bar.excess(errors[name]) for name, bar in bars.items())
