"""The device process, seen from the event loop."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from streaming.child import Child
from streaming.device.messages import LANGUAGE, Message, Ready, Stop
from streaming.kept import Kept, Watch

_BACKLOG = 128


class Device(Kept[Message]):
    """Keeps one process running that serves a folder's networks; workers find it at `address`, whichever process it is.

    Args:
        models: folder of the networks.
        device: where they run, see `engine.runtime.placement`.
    """

    role: ClassVar[str] = "the device process"
    start_s: ClassVar[float] = 600.0  # engines are built for a GPU at its first use

    def __init__(self, models: Path, device: str) -> None:
        super().__init__()
        self._words = ["--models", str(models), "--device", device]
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(b"")  # an address without a file, of Linux's choice: nothing is left behind
        self._listener.listen(_BACKLOG)
        self._watch = Watch([self])

    @property
    def address(self) -> str:
        """Where workers connect, for `streaming.device.link`."""
        return bytes(self._listener.getsockname()).hex()

    def keep(self) -> None:
        """Start the process, and watch over it."""
        self._watch.begin()

    async def close(self) -> None:
        """End the process; returns when it is no more."""
        await self._watch.end()
        await self.stop(Stop())
        self._listener.close()

    def _new(self, gone: Callable[[], None]) -> Child[Message]:
        return Child(LANGUAGE, self._hear, gone)

    async def _launch(self, child: Child[Message]) -> None:
        listener = self._listener.fileno()
        await child.launch("streaming.device", ["--listener", str(listener), *self._words], [listener])

    def _hear(self, message: Message) -> None:
        self.ready |= isinstance(message, Ready)

    def _bereave(self, *, worn_out: bool) -> None:
        """Workers notice by themselves."""
