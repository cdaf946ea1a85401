"""Networks on an NVIDIA GPU, by TensorRT or TensorRT-RTX, with no other framework.

Buffers are allocated once. A run copies the inputs through pinned memory,
computes, and copies the outputs back: one CUDA graph, recorded at the start.
States of a stream stay on the GPU.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec, TensorSpec
from engine.errors import DeviceError, OutOfDeviceMemory
from engine.runtime import cuda, engines
from engine.runtime.engines import Cache, Library, Progress
from engine.runtime.model_file import ModelFile, read_model
from engine.runtime.signature import NEXT, compare

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[np.generic]]


class TrtGraph:
    """A network on a GPU; see `Graph` and `StatefulGraph`. Get one by `load`.

    One thread at a time may run it: its buffers are its own. What a run gives
    back is copied, so it belongs to the caller.
    """

    def __init__(self, spec: GraphSpec, gpu: cuda.Gpu, context: Any) -> None:
        self._spec, self._gpu, self._context = spec, gpu, context
        self._queue = cuda.Stream(gpu)
        self._inputs = {tensor.name: _Port(gpu, tensor) for tensor in spec.inputs}
        self._outputs = {tensor.name: _Port(gpu, tensor) for tensor in spec.outputs}
        self._states = {tensor.name: _Port(gpu, tensor) for tensor in spec.states}
        self._next = {tensor.name: _Port(gpu, tensor) for tensor in spec.states}
        after = {NEXT + name: port for name, port in self._next.items()}
        for name, port in (self._inputs | self._states | self._outputs | after).items():
            context.set_tensor_address(name, port.device.address)
        self._compute()  # once as it is: the library finishes its preparations, which cannot be recorded
        self._queue.wait()
        self._recording = self._recorded()

    @classmethod
    def load(cls, path: Path, index: int = 0) -> "TrtGraph":
        """The network of a file on a GPU, its engine built if this is the first time; loaded once per process.

        Raises:
            ModelError: if the file is missing, damaged or of another version.
            MissingDependency: if the driver or the library is missing.
            DeviceError: if the GPU cannot be used, has too little memory, or the network is nothing for TensorRT.
        """
        return _load(path.resolve(), index)

    @property
    def spec(self) -> GraphSpec:
        """See `Graph`."""
        return self._spec

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """See `Graph`. A state that went in as `h` is given back, moved on, as `h`.

        Raises:
            ValueError: if an input is missing, unknown, or of another shape or dtype than the signature says.
            DeviceError: if the GPU fails.
        """
        self._spec.check(inputs, (*self._spec.inputs, *self._spec.states))
        self._gpu.use()
        for name, port in self._states.items():
            port.fill(inputs[name])
            self._queue.upload(port.host, port.device)
        self._step({name: inputs[name] for name in self._inputs})
        for port in self._next.values():
            self._queue.download(port.device, port.host)
        self._queue.wait()
        return {name: port.taken() for name, port in (self._outputs | self._next).items()}

    def stream(self) -> "TrtStream":
        """See `StatefulGraph`."""
        return TrtStream(self)

    def allocate(self) -> dict[str, cuda.Buffer]:
        """States of a new stream, not yet zero."""
        return {name: cuda.Buffer(self._gpu, port.device.size) for name, port in self._states.items()}

    def clear(self, states: Mapping[str, cuda.Buffer]) -> None:
        """Zero states."""
        self._gpu.use()
        for state in states.values():
            self._queue.clear(state)

    def advance(self, inputs: Arrays, states: Mapping[str, cuda.Buffer]) -> dict[str, NDArray[np.generic]]:
        """Run with states that are on the GPU, and move them on. Raises as `run` does."""
        self._spec.check(inputs, self._spec.inputs)
        self._gpu.use()
        for name, state in states.items():
            self._queue.copy(state, self._states[name].device)
        self._step(inputs)
        for name, state in states.items():
            self._queue.copy(self._next[name].device, state)
        self._queue.wait()
        return {name: port.taken() for name, port in self._outputs.items()}

    def _step(self, inputs: Arrays) -> None:
        for name, value in inputs.items():
            self._inputs[name].fill(value)
        if self._recording is None:
            self._compute()
        else:
            self._recording.replay()

    def _compute(self) -> None:
        for port in self._inputs.values():
            self._queue.upload(port.host, port.device)
        if not self._context.execute_async_v3(self._queue.handle):
            raise engines.library().failure(f"{self._spec.name} did not run on GPU {self._gpu.index}")
        for port in self._outputs.values():
            self._queue.download(port.device, port.host)

    def _recorded(self) -> cuda.Recording | None:
        """A run without its states as one CUDA graph; None where the library does what cannot be recorded."""
        try:
            return self._queue.record(self._compute)
        except DeviceError:
            return None


class TrtStream:
    """A `Stream` whose state stays on the GPU."""

    def __init__(self, graph: TrtGraph) -> None:
        self._graph, self._states = graph, graph.allocate()
        self.reset()

    def reset(self) -> None:
        """See `Stream`."""
        self._graph.clear(self._states)

    def step(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """See `Stream`."""
        return self._graph.advance(inputs, self._states)


class _Port:
    """A tensor in both memories."""

    def __init__(self, gpu: cuda.Gpu, tensor: TensorSpec) -> None:
        self.host = cuda.Pinned(gpu, tensor.shape, tensor.dtype)
        self.device = cuda.Buffer(gpu, self.host.array.nbytes)

    def fill(self, value: NDArray[np.generic]) -> None:
        np.copyto(self.host.array, value)

    def taken(self) -> NDArray[np.generic]:
        return self.host.array.copy()


@cache
def _load(path: Path, index: int) -> TrtGraph:
    model, using, gpu = read_model(path), engines.library(), cuda.gpu(index)
    refuse_old_driver(using, gpu.driver)
    gpu.use()
    kept = Cache()
    made_for = (using.name, using.version, gpu.driver.version, gpu.name, gpu.capability)
    stem = f"{model.spec.name}-{engines.digest(model.sha256, *made_for)}"
    engine = _engine(model, using, kept, f"{stem}.engine", f"{engines.digest(*made_for)}.timing")
    compare(path, model.spec, *_ends(engine, using))
    context, keep = _context(engine, using, kept, f"{stem}.kernels")
    graph = TrtGraph(model.spec, gpu, context)
    keep()
    return graph


def refuse_old_driver(using: Library, driver: cuda.Driver) -> None:
    """Raise DeviceError if the driver does not know the CUDA that the library was made for."""
    if using.cuda > driver.version[0]:
        known = ".".join(map(str, driver.version))
        raise DeviceError(
            f"NVIDIA's driver is too old: it knows CUDA {known}, "
            f"{using.name} {using.version} needs {using.cuda}: update the driver"
        )


def _engine(model: ModelFile, using: Library, kept: Cache, name: str, timing: str) -> Any:
    """The engine as it was kept, or else built and kept."""
    runtime = using.module.Runtime(using.log)
    held = kept.read(name)
    engine = None if held is None else runtime.deserialize_cuda_engine(held)
    if engine is not None:
        return engine
    if held is not None:
        failure = using.failure(f"the engine {kept.folder / name} cannot be used")
        if isinstance(failure, OutOfDeviceMemory):
            raise failure
        log.warning("%s; it is built again", failure)
    log.warning("the engine of %s is built for this GPU, once", model.spec.name)
    built, times = engines.build(model, using, _told(), kept.read(timing) or b"")
    engine = runtime.deserialize_cuda_engine(built)
    if engine is None:
        raise using.failure(f"the engine of {model.spec.name} cannot be used")
    kept.write(name, built)
    if times:
        kept.write(timing, times)
    return engine


def _told() -> Progress:
    """Progress to the log, in tenths: it may take minutes."""
    last = -1

    def told(name: str, share: float) -> None:
        nonlocal last
        if int(10 * share) > last:
            last = int(10 * share)
            log.info("building the engine of %s: %d %%", name, 10 * last)

    return told


def _ends(engine: Any, using: Library) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Shapes by name: what an engine takes, and what it gives."""
    names = [engine.get_tensor_name(n) for n in range(engine.num_io_tensors)]
    takes = {name for name in names if engine.get_tensor_mode(name) == using.module.TensorIOMode.INPUT}
    shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names}
    return {name: shapes[name] for name in names if name in takes}, {n: shapes[n] for n in names if n not in takes}


def _context(engine: Any, using: Library, kept: Cache, name: str) -> tuple[Any, Callable[[], None]]:
    """What runs an engine, and what keeps the kernels that `tensorrt_rtx` compiles for it at its first run."""
    if using.name != "tensorrt_rtx":
        return _made(engine.create_execution_context(), using), lambda: None
    config = engine.create_runtime_config()
    kernels, held = config.create_runtime_cache(), kept.read(name)
    if held:
        kernels.deserialize(held)
    config.set_runtime_cache(kernels)

    def keep() -> None:
        compiled = bytes(kernels.serialize())
        if compiled != held:
            kept.write(name, compiled)

    return _made(engine.create_execution_context(config), using), keep


def _made(context: Any, using: Library) -> Any:
    if context is None:
        raise using.failure("the network cannot be prepared to run")
    return context
