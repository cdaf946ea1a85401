"""Networks as the engine sees them: static shapes, explicit state, no framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and static shape of one input or output. `low` and `high` bound what a fake input may hold."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -1.0
    high: float = 1.0


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

    def fake_inputs(self, seed: int) -> dict[str, NDArray[np.generic]]:
        """Inputs and zero states of the right shapes, equal for equal seeds."""
        rng = np.random.default_rng(seed)
        fakes: dict[str, NDArray[np.generic]] = {
            spec.name: rng.uniform(spec.low, spec.high, spec.shape).astype(spec.dtype) for spec in self.inputs
        }
        return fakes | {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.states}


class Graph(Protocol):
    """A network ready to run on some device. Weights are shared by all its callers; it keeps no state between runs."""

    @property
    def spec(self) -> GraphSpec:
        """The network's signature."""
        ...

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Outputs for one set of inputs; the arrays belong to the caller."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GraphRequest:
    """Inputs that a renderer wants run through a graph; requests for the same graph may run as one batch."""

    graph: str
    inputs: Mapping[str, NDArray[np.generic]]


class GraphStream:
    """One caller's recurrent state on a shared graph: call it step by step; `reset()` equals new."""

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
