"""The step that one session is on, as the event loop tells it: to the page, to the log, to the figures."""

import logging

from streaming.contract import SessionSettings, Step
from streaming.metrics import Metrics
from streaming.worker.ladder import name_of

log = logging.getLogger(__name__)


class Standing:
    """How much of a session its worker draws."""

    def __init__(self, session_id: str, settings: SessionSettings, metrics: Metrics) -> None:
        self._id, self._settings, self._metrics = session_id, settings, metrics
        self._step: Step | None = None  # None before it has begun and after it has ended
        self._full = Step(settings.fps, settings.size)

    @property
    def step(self) -> Step | None:
        """The step, or None while all of it is drawn."""
        return None if self._step == self._full else self._step

    def begin(self) -> None:
        """A worker begins to draw it, in full."""
        self._stand_at(self._full)

    def take(self, step: Step) -> None:
        """Its worker draws it like this from now on."""
        before = self._step or self._full
        self._stand_at(step)
        is_less = (step.fps, step.size) < (before.fps, before.size)
        self._metrics.step("down" if is_less else "up")
        log.warning("session %s: %s", self._id, _words(step, self._settings, is_less=is_less))

    def end(self) -> None:
        """It is drawn no more."""
        self._stand_at(None)

    def _stand_at(self, step: Step | None) -> None:
        if self._step is not None:
            self._metrics.stand(name_of(self._step, self._settings), -1)
        if step is not None:
            self._metrics.stand(name_of(step, self._settings), 1)
        self._step = step


def _words(step: Step, settings: SessionSettings, *, is_less: bool) -> str:
    drawn = "a still portrait" if step.still else f"{step.fps} of {settings.fps} pictures a second, {step.size} px"
    return f"{drawn}, {'as its worker is too busy for more' if is_less else 'as there is time for it again'}"
