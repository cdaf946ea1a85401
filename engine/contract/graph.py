"""Networks as the engine sees them: static shapes, explicit state, no framework."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and static shape of one input or output.

    Attributes:
        low, high: bounds of what a fake input may hold.
        axis: along it the samples of a batch lie one after the other (`GraphSpec.batched`).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -1.0
    high: float = 1.0
    axis: int = 0

    def batched(self, samples: int) -> "TensorSpec":
        """So many of it, one after the other along `axis`; what has no axes stays as it is."""
        sides = [side * samples if axis == self.axis else side for axis, side in enumerate(self.shape)]
        return replace(self, shape=tuple(sides))


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A network's signature. The same spec feeds export, runtimes, warm-up, tests and benchmarks.

    `states` names recurrent tensors that appear once among the inputs and once,
    under the same name and shape, among the outputs.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    states: tuple[TensorSpec, ...] = ()

    def batched(self, samples: int) -> "GraphSpec":
        """The signature of the same network for a batch: every tensor is so many times as long along its axis."""
        groups = (self.inputs, self.outputs, self.states)
        inputs, outputs, states = (tuple(tensor.batched(samples) for tensor in group) for group in groups)
        return GraphSpec(self.name, inputs, outputs, states)

    def fake_inputs(self, seed: int) -> dict[str, NDArray[np.generic]]:
        """Inputs and zero states of the right shapes, equal for equal seeds."""
        rng = np.random.default_rng(seed)
        fakes: dict[str, NDArray[np.generic]] = {
            spec.name: rng.uniform(spec.low, spec.high, spec.shape).astype(spec.dtype) for spec in self.inputs
        }
        return fakes | {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.states}

    def check(self, inputs: Mapping[str, NDArray[np.generic]], tensors: tuple[TensorSpec, ...]) -> None:
        """Refuse what is not exactly these tensors.

        Raises:
            ValueError: if one is missing, unknown, or of another shape or dtype.
        """
        want = {tensor.name: (tensor.shape, tensor.dtype) for tensor in tensors}
        if inputs.keys() != want.keys():
            raise ValueError(f"graph {self.name!r} takes {', '.join(want)}; got {', '.join(inputs) or 'nothing'}")
        for name, value in inputs.items():
            if (value.shape, str(value.dtype)) != want[name]:
                (shape, dtype), found = want[name], f"{value.dtype}{list(value.shape)}"
                raise ValueError(f"graph {self.name!r}: {name} is {dtype}{list(shape)}, got {found}")


class Graph(Protocol):
    """A network ready to run on some device. Weights are shared by all its callers; it keeps no state between runs."""

    @property
    def spec(self) -> GraphSpec:
        """The network's signature."""
        ...

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Outputs for one set of inputs; the arrays belong to the caller."""
        ...


@runtime_checkable
class BatchGraph(Graph, Protocol):
    """A graph of one sample that can run several at once. What a sample gets does not depend on its company."""

    @property
    def largest(self) -> int:
        """How many samples one run takes at most."""
        ...

    def warm_up(self, clock: Callable[[], float]) -> None:
        """Load what larger batches need and measure what they cost; until then each sample is run by itself.

        Raises:
            DeviceError: if the device cannot run one sample.
        """
        ...

    def split(self, count: int) -> tuple[int, ...]:
        """Of how many samples each run should be, so that all `count` together cost least; the fullest first."""
        ...

    def run_batch(self, samples: Sequence[Mapping[str, NDArray[np.generic]]]) -> list[dict[str, NDArray[np.generic]]]:
        """Outputs for each set of inputs, of as many as `split` gives a run.

        Raises:
            ValueError: if these are too many, or one is not what `spec` says.
            DeviceError: if the device fails.
        """
        ...


@runtime_checkable
class StatefulGraph(Protocol):
    """A graph that can keep the states of its streams where it computes."""

    def stream(self) -> "Stream":
        """A new stream."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GraphRequest:
    """Inputs that a renderer wants run through a graph; requests for the same graph may run as one batch."""

    graph: Graph
    inputs: Mapping[str, NDArray[np.generic]]


class Stream(Protocol):
    """One caller's recurrent state on a shared graph: call it step by step."""

    def reset(self) -> None:
        """Return to the zero state, as if new."""
        ...

    def step(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run one step and return the outputs without the states."""
        ...


class GraphStream:
    """A `Stream` whose state waits in the caller's memory between steps; any graph will do."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.reset()

    def reset(self) -> None:
        """Return to the zero state."""
        self._state = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self._graph.spec.states}

    def step(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run one step and return the outputs without the states."""
        outputs = self._graph.run({**inputs, **self._state})
        self._state = {name: outputs.pop(name) for name in self._state}
        return outputs


def open_stream(graph: Graph) -> Stream:
    """A new stream on a graph, its state kept where the graph computes if that can be."""
    return graph.stream() if isinstance(graph, StatefulGraph) else GraphStream(graph)
