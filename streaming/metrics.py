"""The server's figures, for Prometheus and for whoever reads them as text."""

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_STAGES_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 1.0)
_LAGS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_SKEWS_S: Final = (-0.06, -0.045, -0.02, 0.0, 0.015, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5)


class Metrics:
    """Counts and durations of one server, in a registry of its own. What one reads off the moment it is asked is a gauge."""

    def __init__(self) -> None:
        disable_created_metrics()  # they double every series and are rarely used
        self.registry = registry = CollectorRegistry()
        self._stages = Histogram(
            "mien_stage_seconds",
            "Time per emission in a stage; audio_hold is how deep the voice's buffer is",
            ["stage"],
            buckets=_STAGES_S,
            registry=registry,
        )
        self._frames = Counter("mien_frames", "Emissions of all sessions", registry=registry)
        self._misses = Counter("mien_deadline_misses", "Emissions without a fresh picture in time", registry=registry)
        self._skew = Histogram(
            "mien_sound_late_seconds",
            "By how much a page plays its sound later than the picture, as it reports",
            buckets=_SKEWS_S,
            registry=registry,
        )
        self._lag = Histogram("mien_loop_lag_seconds", "Lateness of the event loop", buckets=_LAGS_S, registry=registry)
        self._stalls = Counter("mien_loop_stalls", "Times that the event loop stood still", registry=registry)
        self._standing = Gauge(
            "mien_sessions_at_step",
            "Live sessions by how much of them is drawn: full, 4/5 or 3/5 of the pictures, at 512, 384 or 256 px, still",
            ["step"],
            registry=registry,
        )
        self._steps = Counter(
            "mien_steps", "Steps of sessions: down while a worker is too busy, up again", ["direction"], registry=registry
        )
        self._responses = Counter("mien_http_responses", "Answers by status", ["status"], registry=registry)
        ProcessCollector(namespace="mien", registry=registry)

    def stage(self, stage: str, milliseconds: float) -> None:
        """A stage of an emission took this long."""
        self._stages.labels(stage).observe(milliseconds / 1000)

    def frame(self, *, missed: bool) -> None:
        """An emission is on its way out."""
        self._frames.inc()
        if missed:
            self._misses.inc()

    def stand(self, step: str, sessions: int) -> None:
        """So many sessions more (or fewer) are drawn at a step."""
        self._standing.labels(step).inc(sessions)

    def step(self, direction: str) -> None:
        """A session has stepped "down" or "up"."""
        self._steps.labels(direction).inc()

    def skew(self, sound_late_ms: float) -> None:
        """A page has reported how late it plays its sound."""
        self._skew.observe(sound_late_ms / 1000)

    def lag(self, seconds: float) -> None:
        """The event loop did something this much too late."""
        self._lag.observe(seconds)

    def stall(self) -> None:
        """The event loop stood still for longer than it may."""
        self._stalls.inc()

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Offer a figure that is read when somebody asks."""
        Gauge(f"mien_{name}", documentation, registry=self.registry).set_function(read)

    async def answered(self, _: web.Request, response: web.StreamResponse) -> None:
        """A request is being answered; aiohttp's signal."""
        self._responses.labels(str(response.status)).inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


def deepest(depths_ms: Sequence[float]) -> float:
    """The largest of some depths, in seconds; 0.0 for none."""
    return max(depths_ms, default=0.0) / 1000
