"""Pictures in memory that the event loop and a worker share.

The memory has no name: it lives as long as a process holds it, so nothing is
left behind whoever is killed. Pages come into being when first written.
"""

import mmap
import os
import sys
import tempfile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming.worker.options import PLACES

LARGEST: Final = 768
"""px; the largest picture that has room."""
SLOTS: Final = 16
"""Pictures that a session has in flight: 200 ms at 60 fps and a few to spare."""

_SLOT_BYTES: Final = LARGEST * LARGEST * 3 // 2
_RINGS: Final = PLACES + 1  # the last one is for warming up
ARENA_BYTES: Final = _RINGS * SLOTS * _SLOT_BYTES


class Arena:
    """`PLACES` rings of `SLOTS` I420 pictures. The descriptor may be passed to a child; both see the same pictures."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = anonymous(ARENA_BYTES, "mien-pictures") if descriptor is None else descriptor
        self._memory = mmap.mmap(self.descriptor, ARENA_BYTES)
        self._pixels = np.frombuffer(self._memory, np.uint8).reshape(_RINGS, SLOTS, _SLOT_BYTES)

    def picture(self, place: int, slot: int, size: int) -> NDArray[np.uint8]:
        """uint8[size * 3 // 2, size]: the I420 picture in a slot, a view of the shared memory."""
        return self._pixels[place, slot % SLOTS, : size * size * 3 // 2].reshape(size * 3 // 2, size)

    def close(self) -> None:
        """Give the descriptor back; the memory goes when the last view of a picture does."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def anonymous(size: int, name: str) -> int:
    """The descriptor of so many bytes without a file; `name` is for those who look for what uses memory."""
    if sys.platform == "linux":
        descriptor = os.memfd_create(name)
    else:
        with tempfile.TemporaryFile() as file:  # already without a name
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
