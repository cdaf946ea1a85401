"""What sessions ask of graphs, gathered into batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract import GraphRequest, GraphSpec
from streaming.worker.batching import BatchQueue


class Doubling:
    """y = 2 x for up to four at once; what is not a number cannot be doubled. Each run takes a second."""

    spec = GraphSpec("doubling", (), ())
    largest = 4

    def __init__(self, clock: list[float]) -> None:
        self.runs, self._clock = list[int](), clock

    def warm_up(self, clock: Callable[[], float]) -> None:
        pass

    def split(self, count: int) -> tuple[int, ...]:
        return tuple(min(4, count - first) for first in range(0, count, 4))

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return self.run_batch([inputs])[0]

    def run_batch(self, samples: Sequence[Mapping[str, NDArray[Any]]]) -> list[dict[str, NDArray[Any]]]:
        self.runs.append(len(samples))
        self._clock[0] += 1.0
        if any(np.isnan(sample["x"]).any() for sample in samples):
            raise ValueError("not a number")
        return [{"y": 2 * sample["x"]} for sample in samples]


def queue() -> tuple[BatchQueue[int], Doubling]:
    at = [0.0]
    return BatchQueue(lambda: at[0]), Doubling(at)


def asking(graph: Doubling, value: float) -> GraphRequest:
    return GraphRequest(graph, {"x": np.array([value])})


def test_what_waits_runs_together_the_most_urgent_first() -> None:
    waiting, graph = queue()
    for asker, deadline in enumerate((5.0, 1.0, 4.0, 2.0, 3.0, 6.0)):
        waiting.submit(asker, asking(graph, asker), deadline)
    first, second = waiting.answers(), waiting.answers()
    assert [answer.asker for answer in first] == [1, 3, 4, 2]
    assert [answer.asker for answer in second] == [0, 5]
    assert graph.runs == [4, 2]
    assert not waiting
    assert waiting.answers() == []
    for answer in first + second:
        assert isinstance(answer.said, dict)
        assert answer.said["y"] == 2 * answer.asker


def test_each_bears_its_part_of_the_time() -> None:
    waiting, graph = queue()
    for asker in range(4):
        waiting.submit(asker, asking(graph, 1.0), 0.0)
    assert [answer.cost_s for answer in waiting.answers()] == [0.25] * 4


def test_there_is_room_while_one_more_would_join_the_next_run() -> None:
    waiting, graph = queue()
    for asker in range(4):
        assert waiting.has_room
        waiting.submit(asker, asking(graph, 1.0), 0.0)
    assert not waiting.has_room
    waiting.answers()
    assert waiting.has_room


def test_a_graph_that_takes_one_sample_takes_them_one_by_one() -> None:
    class Alone:
        spec = GraphSpec("alone", (), ())

        def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            return dict(inputs)

    waiting, graph = BatchQueue[int](lambda: 0.0), Alone()
    for asker in (0, 1):
        waiting.submit(asker, GraphRequest(graph, {}), float(asker))
    assert not waiting.has_room
    assert [[answer.asker for answer in waiting.answers()] for _ in range(2)] == [[0], [1]]


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_only_those_fail_that_cannot_be_run(poisoned: list[bool]) -> None:
    waiting, graph = queue()
    for asker, bad in enumerate(poisoned):
        waiting.submit(asker, asking(graph, np.nan if bad else asker), 0.0)
    while waiting:
        for answer in waiting.answers():
            assert isinstance(answer.said, ValueError) == poisoned[answer.asker]
            if isinstance(answer.said, dict):
                assert answer.said["y"] == 2 * answer.asker


def test_two_graphs_take_turns_by_deadline() -> None:
    waiting, one = queue()
    other = Doubling([0.0])
    for asker, (graph, deadline) in enumerate(((one, 1.0), (other, 2.0), (one, 3.0))):
        waiting.submit(asker, asking(graph, 1.0), deadline)
    assert [[answer.asker for answer in waiting.answers()] for _ in range(2)] == [[0, 2], [1]]
