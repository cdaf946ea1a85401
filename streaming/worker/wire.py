"""A worker's end of the socket: never blocks, never holds more than it may."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

from streaming.worker.messages import Framer, Message, encode

ROOM_BYTES: Final = 1 << 20
"""Bytes that may wait to be sent: about 200 frames of sound. A frame that finds no room is left out."""


class Wire:
    """Messages over a connected stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.setblocking(False)
        self._framer = Framer()
        self._unsent = bytearray()
        self.open = True

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    @property
    def waiting(self) -> bool:
        """Whether bytes wait until the other side has read some."""
        return bool(self._unsent)

    def send(self, message: Message) -> bool:
        """Send now or as soon as there is room; false when too much waits already."""
        if len(self._unsent) > ROOM_BYTES:
            return False
        self._unsent += encode(message)
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

    def receive(self) -> Iterator[Message]:
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
