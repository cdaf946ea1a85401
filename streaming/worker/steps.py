"""The steps of a worker's sessions, carried out: how much is drawn of each, by a renderer that was built for it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from streaming.contract import Step
from streaming.worker.ladder import Ladder
from streaming.worker.loader import Loaded, Loader
from streaming.worker.messages import Frame, Message, Refused, Stepped
from streaming.worker.session import WorkerSession
from streaming.worker.studio import Studio

log = logging.getLogger(__name__)


class Portrayal(NamedTuple):
    """A portrait file, drawn at `size` px."""

    portrait: str
    size: int


@dataclass(slots=True)
class _Sitting:
    session: WorkerSession
    shown: Portrayal
    wanted: Portrayal
    building: Portrayal | None = None


class Steps:
    """Moves sessions on the ladder and changes their renderers, which a loader builds: one per session at a time.

    Args:
        studio: builds renderers.
        loader: where; what it brings for a session goes to `loaded`.
        send: takes messages to the event loop.
        line: makes one line of an error.
    """

    def __init__(
        self, studio: Studio, loader: Loader, send: Callable[[Message], object], line: Callable[[Exception], str]
    ) -> None:
        self._studio, self._loader, self._send, self._line = studio, loader, send, line
        self._ladder = Ladder()
        self._sittings: dict[int, _Sitting] = {}
        self._read_at = self._busy_s = 0.0

    def begin(self, session: WorkerSession, portrait: str) -> None:
        """A session that is drawn in full has begun."""
        whole = Portrayal(portrait, session.settings.size)
        self._sittings[session.key] = _Sitting(session, whole, whole)
        step = self._ladder.join(session.key, session.settings, scales=self._studio.scales)
        if step != session.step:
            self._carry_out({session.key: step})

    def end(self, key: int) -> None:
        """A session has ended."""
        if self._sittings.pop(key, None) is not None:
            self._carry_out(self._ladder.leave(key))

    def portray(self, key: int, portrait: str) -> None:
        """Draw a session with another portrait, as soon as it can be."""
        sitting = self._sittings[key]
        sitting.wanted = sitting.wanted._replace(portrait=portrait)
        self._build(sitting)

    def loaded(self, loaded: Loaded) -> None:
        """A session's renderer has been built, or could not be: then it stays as it was."""
        sitting = self._sittings[loaded.key]
        built, sitting.building = sitting.building, None
        assert built is not None, "what was loaded was asked for"
        if loaded.error is None:
            sitting.shown = built
            sitting.session.show(loaded.value)
        elif built.portrait == sitting.shown.portrait:
            log.warning("a session cannot be drawn at %d px: %s", built.size, self._line(loaded.error))
            sitting.wanted = sitting.wanted._replace(size=sitting.shown.size)
        else:
            self._send(Refused(loaded.key, self._line(loaded.error)))
            if sitting.wanted.portrait == built.portrait:
                sitting.wanted = sitting.wanted._replace(portrait=sitting.shown.portrait)
        self._build(sitting)

    def note(self, frame: Frame) -> None:
        """A frame has been made."""
        late = frame.stamps.colour > frame.stamps.due + self._sittings[frame.key].session.period
        self._ladder.note(missed=late or not (frame.fresh or frame.spared))

    def judge(self, at: float, busy_s: float) -> None:
        """Look whether somebody has to step down, or may step up; `busy_s` is how long the worker has been busy so far.

        What is missed while something is being loaded says nothing.
        """
        load = (busy_s - self._busy_s) / max(at - self._read_at, 1e-3)
        self._read_at, self._busy_s = at, busy_s
        self._carry_out(self._ladder.judge(at, load, loading=self._loader.busy))

    def _carry_out(self, steps: Mapping[int, Step]) -> None:
        for key, step in steps.items():
            sitting = self._sittings[key]
            sitting.session.take(step)
            sitting.wanted = sitting.wanted._replace(size=step.size)
            self._send(Stepped(key, step))
            self._build(sitting)

    def _build(self, sitting: _Sitting) -> None:
        if sitting.building is None and sitting.wanted != sitting.shown:
            sitting.building = sitting.wanted
            portrait, size = sitting.wanted
            settings = replace(sitting.session.settings, size=size)
            self._loader.submit(sitting.session.key, lambda: self._studio.renderer(settings, portrait))
