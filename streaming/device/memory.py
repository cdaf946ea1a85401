"""Tensors in memory that a worker and the device process share."""

import mmap
import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract import GraphSpec, TensorSpec
from streaming.worker.arena import anonymous
from streaming.worker.options import PLACES

REQUESTS: Final = 2 * PLACES
"""Requests that a worker may have under way: one of each session, and some that nobody waits for any more."""
_PLACE_BYTES: Final = 8 << 20  # pages come into being when first written
_ALIGNED: Final = 64
BYTES: Final = REQUESTS * _PLACE_BYTES


class Memory:
    """`REQUESTS` places, each with room for the inputs and the outputs of one graph. The worker makes it and hands it over.

    Raises:
        ValueError: if the descriptor is of a memory of another size.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = anonymous(BYTES, "mien-requests") if descriptor is None else descriptor
        if os.fstat(self.descriptor).st_size != BYTES:
            raise ValueError(f"expected a memory of {BYTES} bytes, got {os.fstat(self.descriptor).st_size}")
        self._memory = mmap.mmap(self.descriptor, BYTES)

    def inputs(self, place: int, spec: GraphSpec) -> dict[str, NDArray[np.generic]]:
        """Views of a place: what goes into a graph."""
        return self._views(place, 0, (*spec.inputs, *spec.states))

    def outputs(self, place: int, spec: GraphSpec) -> dict[str, NDArray[np.generic]]:
        """Views of a place: what a graph says."""
        return self._views(place, _size((*spec.inputs, *spec.states)), (*spec.outputs, *spec.states))

    def close(self) -> None:
        """Give the descriptor back; the memory goes when the last view does."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _views(self, place: int, begin: int, tensors: tuple[TensorSpec, ...]) -> dict[str, NDArray[np.generic]]:
        if not 0 <= place < REQUESTS:
            raise ValueError(f"a place is 0..{REQUESTS - 1}, got {place}")
        views = dict[str, NDArray[np.generic]]()
        for tensor in tensors:
            count = int(np.prod(tensor.shape))
            at = place * _PLACE_BYTES + begin
            views[tensor.name] = np.frombuffer(self._memory, tensor.dtype, count, at).reshape(tensor.shape)
            begin += _bytes(tensor)
        return views


def fits(spec: GraphSpec) -> bool:
    """Whether a place has room for a graph."""
    return _size((*spec.inputs, *spec.states, *spec.outputs, *spec.states)) <= _PLACE_BYTES


def _size(tensors: tuple[TensorSpec, ...]) -> int:
    return sum(map(_bytes, tensors))


def _bytes(tensor: TensorSpec) -> int:
    held = int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize
    return -(-held // _ALIGNED) * _ALIGNED
