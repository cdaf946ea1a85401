"""Milliseconds: what each stage may take, and what it took."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

STAGES = ("audio_hold", "features", "queue", "inference", "colour", "encode", "send")
"""The server's stages in the order in which a piece of sound meets them."""


@dataclass(frozen=True, slots=True)
class LatencyBudget:
    """Milliseconds per stage. The parts add up to `total_ms`, or the budget cannot be built.

    Raises:
        ValueError: if the parts do not add up to the total, a part is negative, or the total is not positive.
    """

    total_ms: float
    parts_ms: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.total_ms > 0:
            raise ValueError(f"a budget needs a positive total, got {self.total_ms} ms")
        negative = [name for name, ms in self.parts_ms.items() if not ms >= 0]
        if negative:
            raise ValueError(f"stage {negative[0]!r} has a negative budget")
        total = math.fsum(self.parts_ms.values())
        if not math.isclose(total, self.total_ms, abs_tol=1e-6):
            raise ValueError(f"the stages add up to {total:g} ms, the total says {self.total_ms:g} ms")

    def over(self, measured_ms: Mapping[str, float]) -> dict[str, float]:
        """The stages that took longer than they may, and by how many milliseconds."""
        return {k: ms - self.parts_ms[k] for k, ms in measured_ms.items() if k in self.parts_ms and ms > self.parts_ms[k]}


ENGINE_BUDGET = LatencyBudget(
    60.0,
    {"audio_hold": 20.0, "features": 2.0, "queue": 20.0, "inference": 10.0, "colour": 1.0, "encode": 5.0, "send": 2.0},
)
"""The engine's own share of mouth-to-screen on two CPU cores, median, without the declared look-ahead."""


class StageTimes:
    """The last `room` durations of each stage, in milliseconds: a fixed-size ring per stage, nothing grows."""

    def __init__(self, stages: tuple[str, ...] = STAGES, room: int = 1024) -> None:
        self._rings = {name: _Ring(room) for name in stages}

    def add(self, stage: str, milliseconds: float) -> None:
        """Record one duration."""
        self._rings[stage].add(milliseconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """Per stage that has any: p50, p95, p99, max and n (all durations ever recorded)."""
        return {name: ring.summary() for name, ring in self._rings.items() if ring.count}


@dataclass(slots=True)
class _Ring:
    room: int
    count: int = 0
    values: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.values = np.zeros(self.room)

    def add(self, value: float) -> None:
        self.values[self.count % self.room] = value
        self.count += 1

    def summary(self) -> dict[str, float]:
        kept = self.values[: min(self.count, self.room)]
        p50, p95, p99 = np.percentile(kept, (50, 95, 99))
        return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(kept.max()), "n": self.count}
