"""A worker's loop: waits for messages until the next deadline, then hears and ticks the sessions that are due, their graphs
together.
"""

import gc
import logging
import math
import select
import time
from collections.abc import Callable
from typing import Any, Final

from engine.contract import BatchGraph, Graph, GraphRequest
from engine.errors import MienError
from streaming.contract import SessionSettings
from streaming.language import Wire
from streaming.worker.arena import Arena
from streaming.worker.batching import Answer, Graphs, Lost, Outputs
from streaming.worker.loader import Loaded, Loader
from streaming.worker.messages import (
    Beat,
    Close,
    Closed,
    Control,
    Encoded,
    Frame,
    Interrupt,
    Look,
    Message,
    Open,
    Opened,
    Ready,
    Refused,
    Sound,
    Stop,
)
from streaming.worker.options import PLACES, WorkerOptions
from streaming.worker.session import Made, WorkerSession
from streaming.worker.steps import Steps
from streaming.worker.studio import Clock, Performance, Studio

log = logging.getLogger(__name__)

BEAT_S: Final = 0.25
STALL_EVERY: Final = 25  # frames, see WorkerOptions.inject_stall_ms
WARM_FRAMES: Final = 12
_SPARE_S = 0.002  # a pause at least this long is used to collect garbage: 0.3 ms, as what stays is frozen
_COLLECT_WITHIN_S = 5.0  # without such a pause, in any
_PHASES = 16
_WARMING = 0  # no session has this key


class Loop:
    """Runs the sessions of one process until told to stop or left alone."""

    def __init__(
        self, wire: Wire[Message], arena: Arena, studio: Studio, graphs: Graphs, options: WorkerOptions, clock: Clock
    ) -> None:
        self._wire = wire
        self._arena = arena
        self._studio = studio
        self._options = options
        self._clock = clock
        self._loader = Loader()
        self._graphs = graphs
        self._steps = Steps(studio, self._loader, wire.send, _line)
        self._sessions: dict[int, WorkerSession] = {}
        self._opening: dict[int, tuple[Open, list[Message]]] = {}
        self._beat_at = clock()
        self._collect_at = math.inf  # until what stays is frozen
        self._waited_s = clock()
        self._device_s = 0.0
        self.stopping = False

    def run(self) -> None:
        """Serve; returns when told to `Stop` or when the other side is gone.

        Sessions that wait for a worker's return are built before anything is warmed up.
        """
        self._read()
        self._loader.submit(_WARMING, self._warm_up)
        while self._wire.open and not self.stopping:
            self._wait()
            self._take_loaded()
            self._read()
            self._listen()
            self._tick_due()
            self._hear_graphs()
            self._beat()

    def _wait(self) -> None:
        upcoming = min((s.wakes for s in self._sessions.values()), default=self._beat_at)
        pause = 0.0 if self._graphs else min(upcoming, self._beat_at) - self._clock()
        overdue = self._clock() - self._collect_at
        if overdue > (0.0 if pause > _SPARE_S else _COLLECT_WITHIN_S):
            gc.collect()
            self._collect_at = self._clock() + 1.0
            pause = min(upcoming, self._beat_at) - self._clock()
        wires = [self._wire, *self._graphs.wires]
        before = self._clock()
        _, writable, _ = select.select([*wires, self._loader], [wire for wire in wires if wire.waiting], [], max(0.0, pause))
        self._waited_s += self._clock() - before
        for wire in writable:
            wire.flush()

    def _read(self) -> None:
        for message in self._wire.receive():
            self._obey(message)

    def _obey(self, message: Message) -> None:
        if isinstance(message, Stop):
            self.stopping = True
        elif isinstance(message, Open):
            self._opening[message.key] = (message, [])
            self._loader.submit(message.key, lambda: self._studio.build(message.settings, message.portrait, self._clock))
        elif isinstance(message, Close):
            self._opening.pop(message.key, None)
            self._sessions.pop(message.key, None)
            self._steps.end(message.key)
        elif isinstance(message, Sound | Look | Encoded | Control | Interrupt):
            if message.key in self._sessions:
                self._guard(message.key, lambda: self._change(self._sessions[message.key], message))
            elif message.key in self._opening and isinstance(message, Control):
                self._opening[message.key][1].append(message)

    def _change(self, session: WorkerSession, message: Sound | Look | Encoded | Control | Interrupt) -> None:
        if isinstance(message, Sound):
            session.push(message.samples, message.arrived)
        elif isinstance(message, Look):
            session.look(message)
        elif isinstance(message, Encoded):
            session.drive(message)
        elif isinstance(message, Interrupt):
            session.interrupt()
        else:
            self._control(session, dict(message.changes))

    def _control(self, session: WorkerSession, changes: dict[str, Any]) -> None:
        if (portrait := changes.pop("portrait", None)) is not None:
            self._steps.portray(session.key, portrait)
        try:
            session.performance.apply(changes)
        except ValueError as error:
            self._wire.send(Refused(session.key, str(error)))

    def _take_loaded(self) -> None:
        for loaded in self._loader.take():
            self._begin(loaded)

    def _begin(self, loaded: Loaded) -> None:
        """A session or a new face of one has been built."""
        if loaded.key == _WARMING:
            self._warm(loaded)
        elif loaded.key in self._sessions:
            self._guard(loaded.key, lambda: self._steps.loaded(loaded))
        elif loaded.key in self._opening:
            opened, waiting = self._opening.pop(loaded.key)
            if loaded.error is not None:
                self._end(loaded.key, loaded.error)
                return
            self._guard(loaded.key, lambda: self._start(opened, loaded.value))
            for message in waiting:
                self._obey(message)

    def _start(self, opened: Open, performance: Performance) -> None:
        period = self._options.period_s(opened.settings.fps)
        anchor = opened.anchor or self._free_phase(period)
        session = WorkerSession(opened, performance, self._arena, anchor, period, self._clock)
        session.resume(self._clock())
        performance.apply({name: value for name, value in opened.controls.items() if name != "portrait"})
        self._sessions[opened.key] = session
        self._wire.send(Opened(opened.key, anchor, performance.session.lead))
        self._steps.begin(session, opened.portrait)

    def _free_phase(self, period: float) -> float:
        """The next instant at which a frame would begin as far as possible from those of the other sessions."""
        instant = self._clock()
        taken = [s.anchor / period % 1 for s in self._sessions.values()]

        def distance(phase: float) -> float:
            return min((abs((phase - other + 0.5) % 1 - 0.5) for other in taken), default=1.0)

        candidates = [instant + step * period / _PHASES for step in range(_PHASES)]
        return max(candidates, key=lambda at: (round(distance(at / period % 1), 3), -at))

    def _listen(self) -> None:
        """Take the sound that is due of every session, and send it on: it waits for no picture."""
        for session in list(self._sessions.values()):
            if session.listens <= self._clock():
                self._guard(session.key, lambda session=session: self._hear(session))

    def _hear(self, session: WorkerSession) -> None:
        for speech in session.listen(self._clock()):
            self._wire.send(speech)

    def _tick_due(self) -> None:
        """Tick every session that is due, once, the most urgent first: as many as the next batch has room for."""
        for session in sorted(self._sessions.values(), key=lambda s: s.ticks):
            if not self._graphs.has_room:
                break
            if session.key in self._sessions and session.ticks <= self._clock():
                self._guard(session.key, lambda session=session: self._tick(session))
                self._read()  # sound that came meanwhile belongs to the next tick
                self._listen()

    def _tick(self, session: WorkerSession) -> None:
        if (frame := session.overdue()) is not None:
            self._show(frame)
        stalled = session.index % STALL_EVERY == STALL_EVERY - 1
        self._go_on(session, session.tick(self._options.inject_stall_ms / 1000 if stalled else 0.0))

    def _go_on(self, session: WorkerSession, made: Made) -> None:
        if isinstance(made, GraphRequest):
            self._graphs.submit(session.key, made, session.due)
        elif made is not None:
            self._show(made)

    def _show(self, frame: Frame) -> None:
        self._steps.note(frame)
        self._wire.send(frame)

    def _hear_graphs(self) -> None:
        """Run the next batch and hand it out; answers to what is not waited for any more are dropped."""
        for answer in self._graphs.answers():
            self._device_s += answer.cost_s if self._options.served else 0.0
            session = self._sessions.get(answer.asker)
            if session is not None and session.asking is answer.request:
                self._guard(session.key, lambda session=session, answer=answer: self._take(session, answer))
                self._read()

    def _take(self, session: WorkerSession, answer: Answer[int]) -> None:
        if isinstance(answer.said, Lost):
            session.give_up()
            return
        if isinstance(answer.said, Exception):
            raise answer.said
        self._go_on(session, session.answer(answer.said, 0.0 if self._options.served else answer.cost_s))

    def _guard(self, key: int, work: Callable[[], None]) -> None:
        """Do a session's work; what goes wrong in it ends this session alone."""
        try:
            work()
        except Exception as error:
            log.exception("a session failed", extra={"session": key})
            self._end(key, error)

    def _end(self, key: int, error: Exception) -> None:
        self._sessions.pop(key, None)
        self._steps.end(key)
        self._wire.send(Closed(key, type(error).__name__, _line(error)))

    def _beat(self) -> None:
        if self._clock() >= self._beat_at:
            self._steps.judge(self._clock(), self._clock() - self._waited_s)
            self._beat_at = self._clock() + BEAT_S
            costs = {str(s.key): s.cost() for s in self._sessions.values()}
            self._wire.send(Beat(costs, time.process_time(), self._clock() - self._waited_s, self._device_s))

    def _warm_up(self) -> float:
        """Draw a few frames of each size, so that everything is compiled and cached; returns what the last kind cost."""
        cost, warmed = 0.0, list[Graph]()
        for size in self._options.sizes if self._options.warm else ():
            settings = SessionSettings(portrait="", size=size)
            built = self._studio.build(settings, self._options.warm, self._clock)
            opened = Open(_WARMING, PLACES, 0.0, 0, self._options.warm, settings, {})
            for _ in ("compile", "measure"):
                session = WorkerSession(opened, built, self._arena, self._clock(), 1 / settings.fps, self._clock)
                for _ in range(WARM_FRAMES):
                    session.resume(self._clock())
                    session.listen(session.due)
                    made = session.tick()
                    while isinstance(made, GraphRequest):
                        made = session.answer(*self._rehearsed(made, warmed))
                cost = session.typical_cost()
        return cost

    def _rehearsed(self, request: GraphRequest, warmed: list[Graph]) -> tuple[Outputs, float]:
        """What a graph says, and what of this worker's time that took; one that was not met before is warmed up."""
        graph = request.graph
        if graph not in warmed:
            warmed.append(graph)
            if isinstance(graph, BatchGraph):
                graph.warm_up(self._clock)
        begin = self._clock()
        said = graph.run(request.inputs)
        return said, 0.0 if self._options.served else self._clock() - begin

    def _warm(self, loaded: Loaded) -> None:
        if loaded.error is not None:
            cause = None if isinstance(loaded.error, MienError) else loaded.error
            log.error("warming up failed: %s", _line(loaded.error), exc_info=cause)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._collect_at = self._clock()
        self._wire.send(Ready(self._options.sizes[-1], loaded.value or 0.0))


def _line(error: Exception) -> str:
    """One line for the user: our own errors speak for themselves, others are named as our fault."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MienError) else f"a fault inside mien ({type(error).__name__}: {text}); its log tells more"
