"""Graphs that are asked for, run in this process: what waits for the same one is run together.

Nothing waits for company: what is asked for while a batch runs makes the next one, so batches grow with the load.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.contract import BatchGraph, Graph, GraphRequest
from streaming.language import Wire
from streaming.worker.studio import Clock

A = TypeVar("A")

Outputs = Mapping[str, NDArray[np.generic]]


class Lost(Exception):
    """What was asked for will not be answered, through no fault of who asked."""


class Graphs(Protocol):
    """Where the graphs of a worker's sessions run: `BatchQueue` in the worker, `streaming.device.link` elsewhere."""

    @property
    def has_room(self) -> bool:
        """Whether one more session may begin a picture now."""
        ...

    @property
    def wires(self) -> Sequence[Wire[Any]]:
        """On which answers come."""
        ...

    def __bool__(self) -> bool:
        """Whether `answers` has something to do now, whatever comes."""
        ...

    def submit(self, asker: int, request: GraphRequest, deadline: float) -> None:
        """Have a request run.

        Raises:
            ValueError: if it is not what its graph takes.
        """
        ...

    def answers(self) -> list["Answer[int]"]:
        """What there is to hand out."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Answer(Generic[A]):
    """What a graph said to a request, or the error that it met; `cost_s` is the request's part of the time that this took."""

    asker: A
    request: GraphRequest
    said: Outputs | Exception
    cost_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[A]):
    deadline: float
    asker: A
    request: GraphRequest


class BatchQueue(Generic[A]):
    """Requests that wait, the earliest deadline first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[_Waiting[A]] = []

    @property
    def wires(self) -> Sequence[Wire[Any]]:
        """None: `answers` runs what waits."""
        return ()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether one more request could be part of the next run."""
        if not self._waiting:
            return True
        graph = self._waiting[0].request.graph
        return len(self._for(graph)) < (graph.largest if isinstance(graph, BatchGraph) else 1)

    def submit(self, asker: A, request: GraphRequest, deadline: float) -> None:
        """Have a request run."""
        insort(self._waiting, _Waiting(deadline, asker, request), key=lambda waiting: waiting.deadline)

    def answers(self) -> list[Answer[A]]:
        """Run the most urgent request, and with it as many of the same graph as one batch should hold, oldest first."""
        if not self._waiting:
            return []
        graph = self._waiting[0].request.graph
        alike = self._for(graph)
        batch = alike[: graph.split(len(alike))[0]] if isinstance(graph, BatchGraph) else alike[:1]
        self._waiting = [waiting for waiting in self._waiting if waiting not in batch]
        return self._run(graph, batch)

    def _for(self, graph: Graph) -> list[_Waiting[A]]:
        return [waiting for waiting in self._waiting if waiting.request.graph is graph]

    def _run(self, graph: Graph, batch: Sequence[_Waiting[A]]) -> list[Answer[A]]:
        """What a batch says; where it fails each sample is run by itself, so that only the culprit does."""
        begin = self._clock()
        try:
            said = _said(graph, batch)
        except Exception as error:
            if len(batch) > 1:
                return [answer for one in batch for answer in self._run(graph, [one])]
            said = [error]
        cost_s = (self._clock() - begin) / len(batch)
        return [Answer(one.asker, one.request, told, cost_s) for one, told in zip(batch, said, strict=True)]


def _said(graph: Graph, batch: Sequence[_Waiting[A]]) -> Sequence[Outputs | Exception]:
    if len(batch) == 1 or not isinstance(graph, BatchGraph):
        return [graph.run(one.request.inputs) for one in batch]
    return graph.run_batch([one.request.inputs for one in batch])
