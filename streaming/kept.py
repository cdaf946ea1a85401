"""Child processes that are kept running: started, watched, replaced, given a rest when they fall again and again, ended."""

import abc
import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from streaming.child import Child
from streaming.contract import now

log = logging.getLogger(__name__)

M = TypeVar("M")

WATCH_S: Final = 0.1
SILENCE_S: Final = 2.0
"""A process that serves and says nothing for this long is stalled: each beats every 0.25 s."""
FALLS: Final = 4
FALLS_WITHIN_S: Final = 60.0
AGAIN_S: Final = 1.0
"""A process that could not even be started is tried again after this long."""


class Kept(abc.ABC, Generic[M]):
    """One process, whichever it is at the moment. Subclasses say what is run, and what its fall means to others.

    Attributes:
        role: what it is, for the log.
        start_s: one that starts may be silent for this long; a first start compiles.
        rest_s: after `FALLS` falls within `FALLS_WITHIN_S` none is started for so long.
        ready: whether it has said that it serves.
        ending: whether it is to stay away from now on.
    """

    role: ClassVar[str]
    start_s: ClassVar[float] = 60.0
    rest_s: ClassVar[float] = 10.0

    def __init__(self) -> None:
        self._child: Child[M] | None = None
        self._fallen: list[Child[M]] = []
        self._falls: deque[float] = deque(maxlen=FALLS)
        self._resting_until = 0.0
        self.ready = False
        self.ending = False

    @property
    def pid(self) -> int | None:
        """Of the process, or None while there is none."""
        return self._child.pid if self._child is not None else None

    def send(self, message: M) -> None:
        """To the process, if there is one."""
        if self._child is not None:
            self._child.send(message)

    async def start(self) -> None:
        """Start a process; returns at once, `ready` tells when it is.

        Raises:
            OSError: if the system has no room for one.
        """
        child = self._new(lambda: self._fell(child))
        self._child = child
        try:
            await self._launch(child)
        except OSError:
            child.kill()
            self._child, self._resting_until = None, now() + AGAIN_S
            raise

    async def look_after(self) -> None:
        """Kill a stalled process; start one where there is none."""
        await self._bury()
        child = self._child
        if child is None:
            if now() >= self._resting_until and not self.ending:
                await self.start()
        elif now() - child.heard_at > self._patience_s():
            log.error("%s has stalled and is replaced", self.role, extra={"pid": child.pid})
            child.kill()
            await child.reap()

    async def stop(self, farewell: M) -> None:
        """End the process, and whatever is left of those before it; returns when they are no more."""
        self.ending = True
        child, self._child = self._child, None
        self.ready = False
        if child is not None:
            await child.stop(farewell)
        await self._bury()

    def rest(self) -> None:
        """Start none for a while."""
        self._falls.clear()
        self._resting_until = now() + self.rest_s

    @abc.abstractmethod
    def _new(self, gone: Callable[[], None]) -> Child[M]:
        """A child, not yet launched."""

    @abc.abstractmethod
    async def _launch(self, child: Child[M]) -> None:
        """Have it run."""

    @abc.abstractmethod
    def _bereave(self, *, worn_out: bool) -> None:
        """The process is gone; another one is on the way, or it is `worn_out` and rests."""

    def _patience_s(self) -> float:
        """How long it may be silent now."""
        return SILENCE_S if self.ready else self.start_s

    def _fell(self, child: Child[M]) -> None:
        if child is not self._child:
            return
        self._child, self.ready = None, False
        child.kill()
        self._fallen.append(child)
        if self.ending:
            return
        self._falls.append(now())
        log.error("%s has ended and is replaced", self.role)
        worn_out = len(self._falls) == FALLS and now() - self._falls[0] < FALLS_WITHIN_S
        if worn_out:
            self.rest()
        self._bereave(worn_out=worn_out)

    async def _bury(self) -> None:
        while self._fallen:
            fallen = self._fallen[0]
            await fallen.reap()  # who is cancelled here leaves it to the next one
            self._fallen.remove(fallen)


class Watch:
    """Looks after processes, again and again; `also` is called in each round."""

    def __init__(self, kept: Sequence[Kept[Any]], also: Callable[[], None] = lambda: None) -> None:
        self._kept = kept
        self._also = also
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin, if it has not begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="watch over " + ", ".join({one.role for one in self._kept}))

    async def end(self) -> None:
        """Look no more; returns when nothing is being looked after."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            for one in self._kept:
                try:
                    await one.look_after()
                except OSError:
                    log.exception("%s could not be started", one.role)
            await self._pause()
            self._also()

    async def _pause(self) -> None:
        """Until it is time to look again; when it was us who stalled, what the processes said meanwhile is let in first."""
        stalled = True
        while stalled:
            before = now()
            await asyncio.sleep(WATCH_S)
            stalled = now() - before > WATCH_S + SILENCE_S / 3
