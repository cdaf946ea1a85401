"""How two processes talk over a stream socket: messages with a header, cut out of the bytes, sent without blocking.

A message is a header (length of what follows, kind), then its body. What
kinds there are, and how a body looks, is a `Language`'s matter:
`streaming.worker.messages`, `streaming.camera.messages` and `streaming.device.messages` are three.
"""

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

M = TypeVar("M")

MAX_BODY: Final = 1 << 20
"""Bytes; a longer message is refused, so that neither side can be made to hold more."""
ROOM_BYTES: Final = 1 << 20
"""Bytes that may wait to be sent: about 200 frames of sound. A message that finds no room is left out."""
_HEADER: Final = struct.Struct("<IB")


class BrokenMessage(Exception):
    """Bytes that no side of this version has sent."""


@dataclass(frozen=True, slots=True)
class Language(Generic[M]):
    """The messages that two processes exchange.

    Attributes:
        encode: a message as its kind and body.
        decode: undoes it; `BrokenMessage` if there is no such message.
    """

    encode: Callable[[M], tuple[int, bytes]]
    decode: Callable[[int, memoryview], M]


def packed(language: Language[M], message: M) -> bytes:
    """The message with its header.

    Raises:
        BrokenMessage: if it is too long.
    """
    kind, body = language.encode(message)
    if len(body) > MAX_BODY:
        raise BrokenMessage(f"a message of {len(body)} bytes; {MAX_BODY} are allowed")
    return _HEADER.pack(len(body), kind) + body


class Framer(Generic[M]):
    """Cuts a stream of bytes into messages; holds at most one unfinished message."""

    def __init__(self, language: Language[M]) -> None:
        self._language = language
        self._held = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[M]:
        """The messages that `data` completes.

        Raises:
            BrokenMessage: if the stream is none of ours.
        """
        self._held += data
        start = 0
        while len(self._held) - start >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._held, start)
            if length > MAX_BODY:
                raise BrokenMessage(f"a message of {length} bytes; {MAX_BODY} are allowed")
            end = start + _HEADER.size + length
            if len(self._held) < end:
                break
            yield self._language.decode(kind, memoryview(bytes(self._held[start + _HEADER.size : end])))
            start = end
        del self._held[:start]


class Wire(Generic[M]):
    """A child process's end of the socket: never blocks, never holds more than it may."""

    def __init__(self, sock: socket.socket, language: Language[M]) -> None:
        self._socket = sock
        self._socket.setblocking(False)
        self._language = language
        self._framer = Framer(language)
        self._unsent = bytearray()
        self.open = True

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    @property
    def waiting(self) -> bool:
        """Whether bytes wait until the other side has read some."""
        return bool(self._unsent)

    def send(self, message: M) -> bool:
        """Send now or as soon as there is room; false when too much waits already."""
        if len(self._unsent) > ROOM_BYTES:
            return False
        self._unsent += packed(self._language, message)
        self.flush()
        return True

    def flush(self) -> None:
        """Send what waits, as far as it goes."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.open = False

    def receive(self) -> Iterator[M]:
        """All messages that have come; `open` turns false when the other side has gone."""
        with contextlib.suppress(BlockingIOError):
            while data := self._recv():
                yield from self._framer.feed(data)

    def _recv(self) -> bytes:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            raise
        except OSError:
            data = b""
        if not data:
            self.open = False
        return data
