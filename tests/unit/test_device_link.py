"""A worker's link to the device process; here that process's loop runs in a thread."""

import select
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract import Graph, GraphRequest
from engine.errors import DeviceError, ModelError
from engine.runtime.batches import Batches
from streaming.contract import now
from streaming.device.link import Caller, DeviceGraphs
from streaming.device.loop import Loop
from streaming.device.memory import BYTES, REQUESTS, Memory
from streaming.device.messages import LANGUAGE, Ask, Message, Ready, Said, Serves
from streaming.language import BrokenMessage, Wire
from streaming.worker.batching import Answer, Lost
from tests.unit.test_batches import SPEC, batches, path, samples

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets without a file are Linux's")
__all__ = ["path"]  # a fixture

EQUAL = {1: 0.001, 2: 0.001, 4: 0.001, 8: 0.001, 16: 0.001, 32: 0.001}


@contextmanager
def serving(graphs: Mapping[str, Graph] | Exception, *, falls: bool = False) -> Iterator[tuple[Caller, DeviceGraphs]]:
    """Both ways to a loop that serves graphs."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(b"")
    listener.listen()
    ours, theirs = socket.socketpair()
    loop = Loop(Wire(theirs, LANGUAGE), listener, graphs, now)

    def run() -> None:
        with pytest.raises(DeviceError) if falls else nullcontext():
            loop.run()

    thread = threading.Thread(target=run)
    thread.start()
    address = bytes(listener.getsockname()).hex()
    with closing(Caller(address)) as caller, closing(DeviceGraphs(address, now)) as graphs_there:
        try:
            yield caller, graphs_there
        finally:
            loop.stopping = True
            ours.close()
            thread.join()
            theirs.close()
            listener.close()


def hear(graphs: DeviceGraphs, count: int) -> list[Answer[int]]:
    """The next answers."""
    come = list[Answer[int]]()
    while len(come) < count:
        if not graphs:
            select.select(list(graphs.wires), [], [], 0.01)
        come += graphs.answers()
    return come


def test_who_waits_gets_what_the_graph_says(path: Path) -> None:
    direct = batches(path, EQUAL)
    with serving({"sums": direct}) as (caller, _):
        graph = caller.graphs()["sums"]
        assert graph.spec == SPEC
        (sample,) = samples(1)
        for name, value in direct.run(sample).items():
            np.testing.assert_array_equal(graph.run(sample)[name], value)


def test_who_does_not_wait_gets_the_same_each_its_own(path: Path) -> None:
    direct, asked = batches(path, EQUAL), samples(12)
    with serving({"sums": direct}) as (caller, graphs):
        graph = caller.graphs()["sums"]
        requests = [GraphRequest(graph, sample) for sample in asked]
        linked(graphs, requests[0])
        for asker, request in enumerate(requests):
            graphs.submit(asker, request, now())
        for answer in hear(graphs, len(requests)):
            assert answer.request is requests[answer.asker]
            assert isinstance(answer.said, dict)
            np.testing.assert_array_equal(answer.said["y"], direct.run(asked[answer.asker])["y"])


def linked(graphs: DeviceGraphs, request: GraphRequest) -> None:
    """Ask until there is a link: what is asked for before is lost at once."""
    while True:
        graphs.submit(-1, request, 0.0)
        (answer,) = hear(graphs, 1)
        if not isinstance(answer.said, Lost):
            return


def test_what_does_not_fit_is_refused_where_it_is_asked(path: Path) -> None:
    with serving({"sums": batches(path, EQUAL)}) as (caller, graphs):
        graph = caller.graphs()["sums"]
        linked(graphs, GraphRequest(graph, samples(1)[0]))
        with pytest.raises(ValueError, match="takes x, z, h"):
            graphs.submit(1, GraphRequest(graph, {}), 0.0)


def test_a_graph_that_fails_fails_for_who_asked(path: Path) -> None:
    class Failing:
        spec = SPEC

        def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            raise ValueError("it cannot be")

    with serving({"sums": Failing()}) as (caller, _), pytest.raises(RuntimeError, match="ValueError: it cannot be"):
        caller.graphs()["sums"].run(samples(1)[0])


def test_why_nothing_is_served_is_said() -> None:
    with serving(ModelError("sums.onnx is damaged")) as (caller, _), pytest.raises(ModelError, match="is damaged"):
        caller.graphs()


def test_when_the_process_goes_what_is_under_way_is_lost_and_so_is_what_is_asked_then() -> None:
    begun, gone = threading.Event(), threading.Event()

    class Held:
        spec = SPEC

        def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            begun.set()
            gone.wait()
            raise DeviceError("the device is gone")

    with serving({"sums": Held()}, falls=True) as (caller, graphs):
        request = GraphRequest(caller.graphs()["sums"], samples(1)[0])
        while not begun.is_set():  # until there is a link, what is asked for is lost
            graphs.submit(1, request, 0.0)
            graphs.answers()
        gone.set()
        graphs.submit(2, request, 0.0)
        assert all(isinstance(answer.said, Lost) for answer in hear(graphs, 1))
        graphs.submit(3, request, 0.0)
        assert all(isinstance(answer.said, Lost) for answer in hear(graphs, 1))


def test_more_than_there_are_places_for_are_lost(path: Path) -> None:
    with serving({"sums": Batches.of(path, "cpu")}) as (caller, graphs):
        graph = caller.graphs()["sums"]
        linked(graphs, GraphRequest(graph, samples(1)[0]))
        for asker in range(REQUESTS + 1):
            graphs.submit(asker, GraphRequest(graph, samples(1)[0]), 0.0)
        lost = [answer.asker for answer in hear(graphs, REQUESTS + 1) if isinstance(answer.said, Lost)]
        assert lost == [REQUESTS]


def test_both_sides_see_the_same_memory() -> None:
    ours = Memory()
    theirs = Memory(ours.descriptor)
    (sample,) = samples(1)
    for name, view in ours.inputs(3, SPEC).items():
        np.copyto(view, sample[name])
    for name, view in theirs.inputs(3, SPEC).items():
        np.testing.assert_array_equal(view, sample[name])
    assert not any(view.any() for view in theirs.outputs(3, SPEC).values())
    with pytest.raises(ValueError, match="place"):
        ours.inputs(REQUESTS, SPEC)
    ours.close()


def test_a_memory_of_another_size_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "small").open("w+b") as file, pytest.raises(ValueError, match=f"expected a memory of {BYTES}"):
        Memory(file.fileno())


@pytest.mark.parametrize(
    "message",
    [
        Ready(),
        Serves(("a", "b")),
        Serves((), "ModelError", "why"),
        Ask(7, 2, 31, 12.5),
        Said(7, 0.25),
        Said(7, 0.0, "E", "why"),
    ],
)
def test_messages_arrive_as_they_were_sent(message: Message) -> None:
    kind, body = LANGUAGE.encode(message)
    assert LANGUAGE.decode(kind, memoryview(body)) == message
    with pytest.raises(BrokenMessage):
        LANGUAGE.decode(kind, memoryview(b"x"))
