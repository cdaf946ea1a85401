"""What is measured of one session in the event loop."""

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.latency import StageTimes
from streaming.contract import Outgoing
from streaming.metrics import Metrics

QUIET_DBFS: Final = -120.0
_WINDOW_S = 2.0  # over which frames are counted
_RELEASE_DB_PER_S = 30.0


class Meter:
    """Frames, misses, stages and level of one session; instants are arguments.

    A miss is a frame without a fresh picture of its own by its deadline and
    one period (`deadline_miss_rate`), unless its step spares it. `lead_s` is how long a frame's sound is
    held for the look-ahead; the stages are without it. What it measures, `metrics` of the server gets too.
    """

    def __init__(self, fps: int, metrics: Metrics | None = None) -> None:
        self._period = 1 / fps
        self._metrics = metrics or Metrics()
        self.stages = StageTimes()
        self.lead_s = 0.0
        self.frames = 0
        self.misses = 0
        self.heard_at = -math.inf
        self._level = QUIET_DBFS
        self._fresh: deque[float] = deque(maxlen=round(_WINDOW_S * fps) + 1)

    def hear(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Sound has come."""
        power = float(np.dot(samples, samples)) / len(samples)
        level = 10 * math.log10(max(power, 1e-12))
        self._level = max(level, self.level_dbfs(arrived))
        self.heard_at = arrived

    def level_dbfs(self, at: float) -> float:
        """Level of the voice: rises at once, falls 30 dB a second."""
        if self.heard_at == -math.inf:
            return QUIET_DBFS
        return max(self._level - _RELEASE_DB_PER_S * max(0.0, at - self.heard_at), QUIET_DBFS)

    def show(self, outgoing: Outgoing) -> None:
        """A picture is on its way out."""
        stamps = outgoing.stamps
        missed = not (outgoing.fresh or outgoing.spared) or stamps.colour > stamps.due + self._period
        self.frames += 1
        self.misses += missed
        self._metrics.frame(missed=missed)
        if not outgoing.fresh:
            return
        self._fresh.append(stamps.colour)
        if stamps.arrived:
            self.record("audio_hold", 1000 * max(0.0, stamps.due - stamps.arrived - self.lead_s))
        self.record("queue", 1000 * max(0.0, stamps.begun - stamps.due))
        self.record("features", 1000 * (stamps.features - stamps.begun))
        self.record("inference", 1000 * (stamps.inference_end - stamps.inference_start))
        self.record("colour", 1000 * (stamps.colour - stamps.inference_end))

    def record(self, stage: str, milliseconds: float) -> None:
        """A stage of an emission took this long."""
        self.stages.add(stage, milliseconds)
        self._metrics.stage(stage, milliseconds)

    def fps(self, at: float) -> float:
        """Fresh pictures per second over the last two seconds."""
        recent = [instant for instant in self._fresh if instant > at - _WINDOW_S]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(at - self._period - recent[0], recent[-1] - recent[0], 1e-3)
