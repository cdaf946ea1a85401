"""Samples in batches of fixed sizes, on ONNX Runtime with files that are written here."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract import BatchGraph, Graph, GraphSpec, TensorSpec
from engine.errors import DeviceError, ModelError, OutOfDeviceMemory
from engine.runtime import placement
from engine.runtime.batches import LONGEST_S, Batches
from engine.runtime.model_file import file_name
from engine.runtime.signature import encode
from tests.unit.tiny_onnx import model

SPEC = GraphSpec(
    "sums",
    (TensorSpec("x", (1, 3)), TensorSpec("z", (2, 1, 2), axis=1)),
    (TensorSpec("y", (1, 3)), TensorSpec("w", (2, 1, 2), axis=1)),
    (TensorSpec("h", (1, 3)),),
)
"""y = x + h, w = z + z, and h becomes y: of w the samples lie along its second axis."""
NODES = [("Add", ["x", "h"], ["y"]), ("Identity", ["y"], ["next_h"]), ("Add", ["z", "z"], ["w"])]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    for size in placement.BATCHES:
        spec = SPEC.batched(size)
        (folder / file_name("sums", size)).write_bytes(model(NODES, spec, encode(spec)))
    return folder / "sums.onnx"


class Ticking:
    """A clock by which each run takes what its size is said to."""

    def __init__(self, costs: Mapping[int, float]) -> None:
        self.at, self.costs = 0.0, costs

    def __call__(self) -> float:
        return self.at

    def timed(self, graph: Graph, size: int) -> Graph:
        return Timed(graph, lambda: self.wait(size))

    def wait(self, size: int) -> None:
        self.at += self.costs[size]


class Timed:
    """A graph that does something else first."""

    def __init__(self, graph: Graph, first: Callable[[], object]) -> None:
        self.spec, self._graph, self._first = graph.spec, graph, first

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        self._first()
        return self._graph.run(inputs)


def batches(path: Path, costs: Mapping[int, float]) -> Batches:
    """Warmed up by a clock on which a run of each size takes so many seconds."""
    clock = Ticking(costs)
    made = Batches(lambda size: clock.timed(placement.load(path, "cpu", batch=size), size), tuple(costs))
    made.warm_up(clock)
    return made


def samples(count: int) -> list[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(count)
    tensors = (*SPEC.inputs, *SPEC.states)
    return [{t.name: rng.normal(size=t.shape).astype(np.float32) for t in tensors} for _ in range(count)]


LINEAR = {size: 0.001 * (1 + 0.1 * size) for size in placement.BATCHES}
"""A device for which a run is dear and a sample cheap."""

some_costs = st.lists(st.floats(1e-4, LONGEST_S), min_size=6, max_size=6).map(
    lambda costs: dict(zip(placement.BATCHES, sorted(costs), strict=True))
)


@settings(max_examples=12, deadline=None)
@given(costs=some_costs, count=st.integers(1, 40))
def test_batched_equals_separate_however_it_is_split(path: Path, costs: dict[int, float], count: int) -> None:
    graph, asked = batches(path, costs), samples(count)
    split = graph.split(count)
    assert sum(split) == count
    place, told = 0, list[dict[str, NDArray[Any]]]()
    for taken in split:
        told += graph.run_batch(asked[place : place + taken])
        place += taken
    for sample, said in zip(asked, told, strict=True):
        alone = graph.run(sample)
        assert said.keys() == alone.keys() == {"y", "w", "h"}
        for name, value in alone.items():
            np.testing.assert_array_equal(said[name], value)


@settings(max_examples=20, deadline=None)
@given(costs=some_costs, count=st.integers(1, 40))
def test_no_split_into_runs_of_one_size_is_cheaper(path: Path, costs: dict[int, float], count: int) -> None:
    graph = batches(path, costs)
    used = graph.costs
    cost = sum(min(used[size] for size in used if size >= taken) for taken in graph.split(count))
    for size, one in used.items():
        assert cost <= -(-count // size) * one + 1e-9


def test_the_cheapest_split_pads_where_that_is_cheaper(path: Path) -> None:
    graph = batches(path, LINEAR)
    assert graph.split(0) == ()
    assert graph.split(1) == (1,)
    assert graph.split(7) == (7,)  # in a run for 8
    assert graph.split(33) == (32, 1)
    assert graph.split(64) == (32, 32)


def test_a_size_that_brings_nothing_is_not_used(path: Path) -> None:
    graph = batches(path, {1: 0.001, 2: 0.002, 4: 0.003, 8: 0.0059})
    assert set(graph.costs) == {1, 4}
    assert graph.split(5) == (4, 1)


def test_a_size_that_would_make_all_late_is_not_used(path: Path) -> None:
    assert set(batches(path, {1: 0.02, 2: 0.03, 4: LONGEST_S + 0.01, 8: 0.06}).costs) == {1, 2}
    assert set(batches(path, {1: LONGEST_S + 0.1, 2: LONGEST_S + 0.1}).costs) == {1}


def test_before_it_is_warm_it_runs_sample_by_sample(path: Path) -> None:
    graph = Batches.of(path, "cpu")
    assert isinstance(graph, BatchGraph)
    assert graph.split(3) == (1, 1, 1)
    assert graph.spec == SPEC


def test_files_beside_the_first_are_found_and_measured(path: Path) -> None:
    graph = Batches.of(path, "cpu")
    steps: Iterator[float] = iter(np.arange(1000) * 1e-4)
    graph.warm_up(lambda: next(steps))  # all sizes cost the same
    assert graph.split(40) == (32, 8)


def test_more_than_a_run_takes_is_refused(path: Path) -> None:
    graph = batches(path, {1: 0.001, 2: 0.001})
    for count in (0, 3):
        with pytest.raises(ValueError, match="1 to 2 samples"):
            graph.run_batch(samples(count))


def test_a_size_that_the_device_refuses_is_left_out_with_one_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Ticking(LINEAR)

    def load(size: int) -> Graph:
        if size >= 8:
            raise OutOfDeviceMemory("memory is full")
        return clock.timed(placement.load(path, "cpu", batch=size), size)

    graph = Batches(load, placement.BATCHES)
    with caplog.at_level(logging.WARNING):
        graph.warm_up(clock)
    assert graph.split(10) == (4, 4, 2)
    (record,) = caplog.records
    assert record.getMessage() == "sums runs for at most 4 at a time, as 8 are refused (memory is full)"


def test_where_memory_runs_out_later_the_next_smaller_size_is_used(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, full = Ticking(LINEAR), list[bool]()

    def grow(size: int) -> None:
        clock.wait(size)
        if full and size > 4:
            raise OutOfDeviceMemory("memory is full")

    graph = Batches(lambda size: Timed(placement.load(path, "cpu", batch=size), lambda: grow(size)), placement.BATCHES)
    graph.warm_up(clock)
    assert graph.split(30) == (30,)
    full.append(True)
    asked = samples(30)
    told = graph.run_batch(asked)
    np.testing.assert_array_equal(told[29]["y"], graph.run(asked[29])["y"])
    assert graph.split(30) == (4, 4, 4, 4, 4, 4, 4, 2)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


def test_what_fails_otherwise_is_said(path: Path) -> None:
    def refuse(size: int) -> None:
        raise DeviceError("the device is gone")

    graph = Batches(lambda size: Timed(placement.load(path, "cpu", batch=size), lambda: refuse(size)), (1,))
    with pytest.raises(DeviceError, match="gone"):
        graph.warm_up(lambda: 0.0)


def test_a_file_of_another_network_is_refused(path: Path) -> None:
    graph = Batches(lambda _size: placement.load(path, "cpu"), (1, 2))
    with pytest.raises(ModelError, match="for 2 samples is of another network"):
        graph.warm_up(lambda: 0.0)
