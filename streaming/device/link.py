"""A worker's side of the device process: graphs that are run there, asked for without waiting, or by a thread that waits."""

import itertools
import select
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

import engine.errors
from engine.contract import GraphRequest, GraphSpec
from engine.errors import DeviceError, MienError
from engine.runtime.signature import decode
from streaming.device.memory import REQUESTS, Memory
from streaming.device.messages import LANGUAGE, Ask, Message, Said, Serves
from streaming.language import Wire
from streaming.worker.batching import Answer, Lost, Outputs
from streaming.worker.studio import Clock

AGAIN_S: Final = 0.1
"""A worker whose device process is gone tries again after this long."""
PATIENCE_S: Final = 600.0
"""How long the networks may take to load: engines are built for a GPU at its first use."""
_STEP_S: Final = 0.5


class Link:
    """One connection to the device process; what has been asked for and not answered is given up with it.

    Raises:
        OSError: if nobody listens.
    """

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.memory = Memory()
        try:
            self._socket.setblocking(False)
            self._socket.connect(bytes.fromhex(address))
            socket.send_fds(self._socket, [b"m"], [self.memory.descriptor])
        except OSError:
            self.close()
            raise
        self.wire: Wire[Message] = Wire(self._socket, LANGUAGE)
        self.serves: Serves | None = None
        self.specs: Mapping[str, GraphSpec] = {}
        self._tickets = itertools.count(1)
        self._places: dict[int, tuple[int, GraphSpec]] = {}  # by ticket
        self._free = list(range(REQUESTS))

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
        self.memory.close()

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be asked for now."""
        return not self._free

    def ask(self, spec: GraphSpec, inputs: Outputs, deadline: float) -> int:
        """Have a graph run; the ticket of its answer.

        Raises:
            ValueError: if an input is missing, unknown, or of another shape or dtype than the signature says.
        """
        spec.check(inputs, (*spec.inputs, *spec.states))
        place, ticket = self._free.pop(), next(self._tickets)
        for name, view in self.memory.inputs(place, spec).items():
            np.copyto(view, inputs[name])
        self._places[ticket] = (place, spec)
        self.wire.send(Ask(ticket, list(self.specs).index(spec.name), place, deadline))
        return ticket

    def answers(self) -> list[tuple[int, Outputs | Exception, float]]:
        """What has come: ticket, outputs or error, cost in seconds."""
        come = list[tuple[int, Outputs | Exception, float]]()
        for message in self.wire.receive():
            if isinstance(message, Serves):
                self.serves = message
                self.specs = {spec.name: spec for spec in map(decode, message.signatures)}
            elif isinstance(message, Said):
                come.append((message.ticket, self._taken(message), message.cost_s))
        return come

    def _taken(self, said: Said) -> Outputs | Exception:
        place, spec = self._places.pop(said.ticket)
        self._free.append(place)
        if said.fault:
            return _error(said.fault, said.reason)
        return {name: view.copy() for name, view in self.memory.outputs(place, spec).items()}


class DeviceGraphs:
    """What a worker's sessions ask of the device process, as `BatchQueue` for graphs of its own.

    While that is away every request is lost at once: sessions repeat their pictures and ask anew.
    """

    def __init__(self, address: str, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._link: Link | None = None
        self._again_at = clock()
        self._asked: dict[int, tuple[int, GraphRequest]] = {}
        self._lost: list[Answer[int]] = []

    @property
    def has_room(self) -> bool:
        """Whoever is due may ask: batches are made over there."""
        return True

    def __bool__(self) -> bool:
        """Whether there are answers to be handed out now."""
        return bool(self._lost)

    @property
    def wires(self) -> Sequence[Wire[Message]]:
        """For `select`."""
        return () if self._link is None else (self._link.wire,)

    def submit(self, asker: int, request: GraphRequest, deadline: float) -> None:
        """Have a request run. Raises ValueError as `Link.ask` does."""
        link, spec = self._link, request.graph.spec
        if link is None or link.is_full or spec.name not in link.specs:
            self._lost.append(Answer(asker, request, Lost("the device process is away")))
            return
        self._asked[link.ask(spec, request.inputs, deadline)] = (asker, request)

    def answers(self) -> list[Answer[int]]:
        """All answers so far."""
        lost, self._lost = self._lost, []
        if self._link is None:
            self._connect()
            return lost
        come = [Answer(*self._asked.pop(ticket), said, cost_s) for ticket, said, cost_s in self._link.answers()]
        if not self._link.wire.open:
            self._hang_up()
        return lost + come

    def close(self) -> None:
        """End the connection; what is under way is lost."""
        if self._link is not None:
            self._hang_up()

    def _connect(self) -> None:
        if self._clock() < self._again_at:
            return
        self._again_at = self._clock() + AGAIN_S
        try:
            self._link = Link(self._address)
        except OSError:
            self._link = None

    def _hang_up(self) -> None:
        assert self._link is not None
        self._link.close()
        self._link = None
        gone = Lost("the device process has gone")
        self._lost += [Answer(asker, request, gone) for asker, request in self._asked.values()]
        self._asked = {}


class Caller:
    """Runs graphs in the device process for a thread that may wait: portraits, and the first pictures of a worker.

    Args:
        address: of the device process.
        patience_s: how long an answer may take, the start of the process included.
    """

    def __init__(self, address: str, patience_s: float = PATIENCE_S) -> None:
        self._address = address
        self._patience_s = patience_s
        self._link: Link | None = None

    def graphs(self) -> dict[str, "DeviceGraph"]:
        """What is served, by name.

        Raises:
            MienError: if nothing is; it says why.
        """
        link = self._linked(time.monotonic() + self._patience_s)
        return {name: DeviceGraph(spec, self) for name, spec in link.specs.items()}

    def call(self, spec: GraphSpec, inputs: Outputs) -> dict[str, NDArray[np.generic]]:
        """What a graph says; asked again if the process falls meanwhile.

        Raises:
            MienError: if there is no answer, or it is an error.
        """
        until = time.monotonic() + self._patience_s
        while True:
            link = self._linked(until)
            link.ask(spec, inputs, 0.0)
            while link.wire.open:
                for _, said, _ in link.answers():
                    if isinstance(said, Exception):
                        raise said
                    return dict(said)
                self._wait(link, until)
            self.close()

    def _linked(self, until: float) -> Link:
        """The link, once it says what is served."""
        while self._link is None or self._link.serves is None:
            if self._link is None:
                try:
                    self._link = Link(self._address)
                except OSError:
                    time.sleep(AGAIN_S)
            if self._link is not None:
                self._link.answers()
                self._wait(self._link, until)
                if not self._link.wire.open:
                    self.close()
            _refuse_after(until)
        serves = self._link.serves
        if serves.fault:
            self.close()
            raise _error(serves.fault, serves.reason)
        return self._link

    def _wait(self, link: Link, until: float) -> None:
        _refuse_after(until)
        if link.serves is None or link.wire.open:
            select.select([link.wire], [], [], _STEP_S)

    def close(self) -> None:
        """End the connection; the next call makes another."""
        if self._link is not None:
            self._link.close()
            self._link = None


class DeviceGraph:
    """A graph that the device process runs; see `Graph`. `run` waits, so it is for a thread that may."""

    def __init__(self, spec: GraphSpec, caller: Caller) -> None:
        self.spec = spec
        self._caller = caller

    def run(self, inputs: Outputs) -> dict[str, NDArray[np.generic]]:
        """See `Graph`."""
        return self._caller.call(self.spec, inputs)


def _refuse_after(until: float) -> None:
    if time.monotonic() > until:
        raise DeviceError("the process that runs the networks does not answer; its log tells why")


def _error(fault: str, reason: str) -> Exception:
    """The error that the device process met: one of our own, or a fault."""
    kind = getattr(engine.errors, fault, None)
    return kind(reason) if isinstance(kind, type) and issubclass(kind, MienError) else RuntimeError(f"{fault}: {reason}")
