"""A network for any number of samples at a time: which of its batch sizes cost least is measured where it runs.

A network's files have fixed batch sizes (`placement.BATCHES`). So many samples
are split into runs of those sizes, a run that is not full being padded where
that costs less than several smaller ones.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec
from engine.errors import DeviceError, ModelError, OutOfDeviceMemory
from engine.runtime import placement

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[np.generic]]

LONGEST_S: Final = 0.040
"""A run that takes longer than a picture at 25 fps would make all late that are in it: such sizes are not used."""
WORTH: Final = 0.95
"""A size is used if it costs at most this part of what its samples cost in smaller ones; else who was first is served first."""
RUNS: Final = 3
"""That a size is timed by; the least counts, as what a busy machine adds is not the network's."""


class Batches:
    """One network in all its batch sizes; see `BatchGraph`. By itself it is the `Graph` of one sample.

    As it is made it runs sample by sample: larger sizes are loaded, and their costs measured, by `warm_up`.

    Args:
        load: the graph for a batch size.
        sizes: that `load` knows, 1 among them.

    Raises:
        ModelError, DeviceError: as `load` does for one sample.
    """

    def __init__(self, load: Callable[[int], Graph], sizes: Sequence[int]) -> None:
        self._load = load
        self._sizes = sorted(sizes)
        self._graphs = {1: load(1)}
        self._costs = {1: 1.0}
        self._splits: dict[int, tuple[int, ...]] = {}

    @classmethod
    def of(cls, path: Path, device: str = placement.AUTO, threads: int = 1) -> "Batches":
        """The network of a file and of those beside it, on a device (`placement.load`)."""

        def load(size: int) -> Graph:
            where = device if size == 1 else placement.chosen(device).device  # no batch of a GPU's goes down to the CPU
            return placement.load(path, where, threads, size)

        return cls(load, placement.batches(path))

    @property
    def spec(self) -> GraphSpec:
        """See `Graph`: of one sample."""
        return self._graphs[1].spec

    @property
    def largest(self) -> int:
        """See `BatchGraph`."""
        return max(self._graphs)

    @property
    def costs(self) -> Mapping[int, float]:
        """Seconds that a run of each size takes; before `warm_up` one size, its cost unknown."""
        return self._costs

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """See `Graph`."""
        return self._graphs[1].run(inputs)

    def warm_up(self, clock: Callable[[], float]) -> None:
        """See `BatchGraph`. A size that the device refuses is left out, and so are larger ones; a warning says so.

        Raises:
            ModelError: if a file cannot be used, or is of another network than the one for one sample.
            DeviceError: if one sample does not run.
        """
        graphs, costs = {1: self._graphs[1]}, {1: _measured(self._graphs[1], clock)}
        for size in self._sizes[1:]:
            if max(costs.values()) > LONGEST_S:
                break
            try:
                graph = self._loaded(size)
                cost = _measured(graph, clock)
            except DeviceError as error:
                self._warn(size, max(graphs), error)
                break
            if cost <= min(LONGEST_S, WORTH * _cheapest(costs, size)[0]):
                graphs[size], costs[size] = graph, cost
        self._use(graphs, costs)

    def split(self, count: int) -> tuple[int, ...]:
        """See `BatchGraph`."""
        if count not in self._splits:
            self._splits[count] = tuple(sorted(_cheapest(self._costs, count)[1], reverse=True))
        return self._splits[count]

    def run_batch(self, samples: Sequence[Arrays]) -> list[dict[str, NDArray[np.generic]]]:
        """See `BatchGraph`. Where the device's memory is full, smaller sizes are used from then on; a warning says so."""
        size = self._size_for(len(samples))
        if size == 1:
            return [self.run(samples[0])]
        padded = [*samples, *([samples[-1]] * (size - len(samples)))]
        spec = self.spec
        try:
            said = self._graphs[size].run(_stacked(padded, (*spec.inputs, *spec.states)))
        except OutOfDeviceMemory as error:
            kept = [smaller for smaller in self._graphs if smaller < size]
            self._use({n: self._graphs[n] for n in kept}, {n: self._costs[n] for n in kept})
            self._warn(size, self.largest, error)
            return self._run_in_parts(samples)
        return _parted(said, (*spec.outputs, *spec.states), size)[: len(samples)]

    def _run_in_parts(self, samples: Sequence[Arrays]) -> list[dict[str, NDArray[np.generic]]]:
        said = list[dict[str, NDArray[np.generic]]]()
        while rest := samples[len(said) :]:
            said += self.run_batch(rest[: self.split(len(rest))[0]])
        return said

    def _use(self, graphs: dict[int, Graph], costs: dict[int, float]) -> None:
        self._graphs, self._costs, self._splits = graphs, costs, {}

    def _size_for(self, count: int) -> int:
        room = [size for size in self._graphs if size >= count]
        if not room or not count:
            raise ValueError(f"one run takes 1 to {self.largest} samples, got {count}: see split()")
        return min(room, key=lambda size: self._costs[size])

    def _loaded(self, size: int) -> Graph:
        graph, wanted = self._load(size), self.spec.batched(size)
        if _shapes(graph.spec) != _shapes(wanted):
            raise ModelError(
                f"the file of {self.spec.name} for {size} samples is of another network than the one for one sample: "
                "export the network again (./mien export)"
            )
        return graph

    def _warn(self, refused: int, smaller: int, error: DeviceError) -> None:
        log.warning("%s runs for at most %d at a time, as %d are refused (%s)", self.spec.name, smaller, refused, error)


def _cheapest(costs: Mapping[int, float], count: int) -> tuple[float, list[int]]:
    """The least cost of so many samples, and how many of them each run takes."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for held in range(1, count + 1):
        tried = [(cost + best[max(held - size, 0)][0], size) for size, cost in costs.items()]
        cost, size = min(tried)
        best.append((cost, [*best[max(held - size, 0)][1], min(size, held)]))
    return best[count]


def _measured(graph: Graph, clock: Callable[[], float]) -> float:
    """Seconds that a run takes."""
    inputs = graph.spec.fake_inputs(0)
    graph.run(inputs)  # what is prepared at a first run counts for nothing
    times = list[float]()
    for _ in range(RUNS):
        begin = clock()
        graph.run(inputs)
        times.append(clock() - begin)
    return min(times)


def _stacked(samples: Sequence[Arrays], tensors: Sequence[TensorSpec]) -> dict[str, NDArray[np.generic]]:
    return {t.name: np.concatenate([sample[t.name] for sample in samples], axis=t.axis) for t in tensors}


def _parted(said: Arrays, tensors: Sequence[TensorSpec], size: int) -> list[dict[str, NDArray[np.generic]]]:
    split = {tensor.name: np.split(said[tensor.name], size, axis=tensor.axis) for tensor in tensors}
    return [{name: pieces[place] for name, pieces in split.items()} for place in range(size)]


def _shapes(spec: GraphSpec) -> list[dict[str, tuple[int, ...]]]:
    return [{tensor.name: tensor.shape for tensor in tensors} for tensors in (spec.inputs, spec.outputs, spec.states)]
