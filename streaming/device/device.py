"""The device process, seen from the event loop: started, watched, replaced, ended."""

import asyncio
import contextlib
import logging
import socket
from collections import deque
from pathlib import Path
from typing import Final

from streaming.child import Child
from streaming.contract import now
from streaming.device.messages import LANGUAGE, Message, Ready, Stop

log = logging.getLogger(__name__)

WATCH_S: Final = 0.1
SILENCE_S: Final = 2.0
"""A process that serves and says nothing for this long is stalled: it beats every 0.25 s."""
START_S: Final = 600.0
"""One that starts may be silent for this long: engines are built for a GPU at its first use."""
FALLS: Final = 4
FALLS_WITHIN_S: Final = 60.0
REST_S: Final = 10.0
"""After `FALLS` falls within `FALLS_WITHIN_S` it rests."""
_BACKLOG = 128


class Device:
    """Keeps one process running that serves a folder's networks; workers find it at `address`, whichever process it is.

    Args:
        models: folder of the networks.
        device: where they run, see `engine.runtime.placement`.
    """

    def __init__(self, models: Path, device: str) -> None:
        self._words = ["--models", str(models), "--device", device]
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(b"")  # an address without a file, of Linux's choice: nothing is left behind
        self._listener.listen(_BACKLOG)
        self._child: Child[Message] | None = None
        self._fallen: list[Child[Message]] = []
        self._falls: deque[float] = deque(maxlen=FALLS)
        self._resting_until = 0.0
        self._watch: asyncio.Task[None] | None = None
        self.ready = False

    @property
    def address(self) -> str:
        """Where workers connect, for `streaming.device.link`."""
        return bytes(self._listener.getsockname()).hex()

    @property
    def pid(self) -> int | None:
        """Of the process, or None while there is none."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the process, and watch over it."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep(), name="watch over the device process")

    async def close(self) -> None:
        """End the process; returns when it is no more."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        child, self._child = self._child, None
        self.ready = False
        if child is not None:
            await child.stop(Stop())
        await self._bury()
        self._listener.close()

    async def _keep(self) -> None:
        while True:
            before = now()
            try:
                await self._look_after()
            except OSError:
                log.exception("the device process could not be started")
            await asyncio.sleep(WATCH_S)
            if self._child is not None and now() - before > WATCH_S + SILENCE_S / 3:
                self._child.heard_at = now()  # it was us who stalled

    async def _look_after(self) -> None:
        await self._bury()
        child = self._child
        if child is None:
            if now() >= self._resting_until:
                await self._begin()
        elif now() - child.heard_at > (SILENCE_S if self.ready else START_S):
            log.error("the device process has stalled and is replaced", extra={"pid": child.pid})
            child.kill()
            await child.reap()

    async def _begin(self) -> None:
        child = Child(LANGUAGE, self._hear, lambda: self._fell(child))
        self._child = child
        listener = self._listener.fileno()
        await child.launch("streaming.device", ["--listener", str(listener), *self._words], [listener])

    async def _bury(self) -> None:
        while self._fallen:
            fallen = self._fallen[0]
            await fallen.reap()  # who is cancelled here leaves it to the next one
            self._fallen.remove(fallen)

    def _hear(self, message: Message) -> None:
        self.ready |= isinstance(message, Ready)

    def _fell(self, child: Child[Message]) -> None:
        """The process is gone."""
        if child is not self._child:
            return
        self._child, self.ready = None, False
        child.kill()
        self._fallen.append(child)
        self._falls.append(now())
        log.error("the device process has ended and is replaced")
        if len(self._falls) == FALLS and now() - self._falls[0] < FALLS_WITHIN_S:
            self._falls.clear()
            self._resting_until = now() + REST_S
