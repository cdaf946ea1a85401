"""libopus, for what FFmpeg's decoder keeps to itself: in-band error correction (RFC 6716, 2.1.7) and concealment.

It is the library that PyAV's wheels bring along, or else the system's.
"""

import ctypes
import functools
import weakref
from ctypes.util import find_library
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingDependency
from engine.timeline import SAMPLE_RATE_HZ

PACKET_MAX: Final = SAMPLE_RATE_HZ * 120 // 1000
"""Samples of the longest packet: 120 ms."""
STEP: Final = SAMPLE_RATE_HZ // 400
"""What is invented comes in multiples of this many samples: 2.5 ms."""
_PARTS: Final = ("av.libs/libopus*", "av.libs/opus*", "av/.dylibs/libopus*")  # Linux, Windows, macOS; beside PyAV


class OpusError(ValueError):
    """A packet is no Opus, or damaged."""


class OpusDecoder:
    """One mono stream at 48 kHz; libopus itself folds stereo packets. Packets must come in order.

    Raises:
        MissingDependency: if there is no libopus.
    """

    def __init__(self) -> None:
        error = ctypes.c_int()
        self._library = _library()
        self._state = ctypes.c_void_p(self._library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error)))
        assert error.value == 0, f"libopus makes no decoder: error {error.value}"
        weakref.finalize(self, self._library.opus_decoder_destroy, self._state)

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """A packet's sound, float32[N].

        Raises:
            OpusError: if it cannot be decoded.
        """
        return self._decoded(payload, PACKET_MAX, from_next=False)

    def recover(self, following: bytes, count: int) -> NDArray[np.float32]:
        """float32[count]: the last `count` samples (a multiple of `STEP`) before the packet `following`, which is not used up.

        They are as its sender coded them a second time where `repeats` says so, else invented.

        Raises:
            OpusError: if it cannot be decoded.
        """
        return self._decoded(following, count, from_next=True)

    def conceal(self, count: int) -> NDArray[np.float32]:
        """float32[count]: how the sound would have gone on; `count` is a multiple of `STEP`."""
        return self._decoded(None, count, from_next=False)

    def _decoded(self, payload: bytes | None, room: int, *, from_next: bool) -> NDArray[np.float32]:
        sound = np.empty(room, np.float32)
        size = len(payload) if payload else 0
        count = self._library.opus_decode_float(self._state, payload, size, sound.ctypes.data, room, int(from_next))
        if count < 0:
            raise OpusError(f"libopus refuses a packet of {size} bytes: error {count}")
        return sound[:count]


def repeats(payload: bytes) -> bool:
    """Whether a packet also carries the sound before it, coded once more."""
    asked = getattr(_library(), "opus_packet_has_lbrr", None)  # libopus 1.4
    return asked is not None and asked(payload, len(payload)) == 1


def length(payload: bytes) -> int:
    """Samples at 48 kHz that a packet lasts.

    Raises:
        OpusError: if it is none.
    """
    count = _library().opus_packet_get_nb_samples(payload, len(payload), SAMPLE_RATE_HZ)
    if count <= 0:
        raise OpusError(f"{len(payload)} bytes are no Opus packet: error {count}")
    return count


@functools.cache
def _library() -> ctypes.CDLL:
    site = Path(av.__file__).parent.parent
    bundled = [str(file) for pattern in _PARTS for file in sorted(site.glob(pattern))]
    name = bundled[0] if bundled else find_library("opus")
    if name is None:
        raise MissingDependency("libopus is not found: install PyAV's wheel (pip install --force-reinstall av), or libopus0")
    library = ctypes.CDLL(name)
    library.opus_decoder_create.restype = ctypes.c_void_p
    library.opus_decoder_destroy.restype = None
    library.opus_decode_float.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    )  # fmt: skip
    return library
