"""All cameras of a server and the one process that follows the faces in them."""

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streaming.camera.camera import Camera
from streaming.camera.messages import LANGUAGE, End, Found, Lost, Message, Outline, Ready, Stop, Unusable
from streaming.child import Child
from streaming.contract import now
from streaming.enrolment_process import environment

log = logging.getLogger(__name__)

WATCH_S: Final = 0.1
SILENCE_S: Final = 2.0
"""A process that says nothing for this long is stalled: it beats every 0.25 s."""
START_S: Final = 60.0
"""One that starts may be silent for this long."""
FALLS: Final = 4
FALLS_WITHIN_S: Final = 60.0
REST_S: Final = 10.0
"""After `FALLS` falls within `FALLS_WITHIN_S` it rests: one of the cameras is what kills it."""
FULL_BYTES: Final = 1_000_000
"""Pictures are left out while this much (one raw picture, or seconds of coded ones) waits for a process that does not read."""


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What the camera process is started with.

    Attributes:
        tracker: "module:callable" that makes the `Tracker`; tests put their own here.
        memory_mb: address space that it may use beyond what it has when it is ready.
    """

    tracker: str = "streaming.camera.tracker:tracker"
    memory_mb: int = 1024


class Cameras:
    """Starts the process when the first camera is switched on, and again when it has fallen."""

    def __init__(self, options: CameraOptions | None = None) -> None:
        self._options = options or CameraOptions()
        self._keys = itertools.count(1)
        self._cameras: dict[int, Camera] = {}
        self._child: Child[Message] | None = None
        self._fallen: list[Child[Message]] = []
        self._falls: deque[float] = deque(maxlen=FALLS)
        self._resting_until = 0.0
        self._watch: asyncio.Task[None] | None = None
        self.ready = False

    @property
    def pid(self) -> int | None:
        """Of the process, or None while there is none."""
        return self._child.pid if self._child is not None else None

    @property
    def full(self) -> bool:
        """Whether the process does not keep up with reading."""
        return self._child is not None and self._child.waiting_bytes > FULL_BYTES

    def send(self, message: Message) -> None:
        """To the process, if there is one."""
        if self._child is not None:
            self._child.send(message)

    def prepare(self) -> None:
        """A camera will probably be switched on: have the process ready."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep(), name="watch over the cameras")

    def open(self, hear: Callable[[Found | Outline], None]) -> Camera:
        """Switch a camera on."""
        self.prepare()
        camera = Camera(next(self._keys), self, hear)
        self._cameras[camera.key] = camera
        return camera

    def end(self, camera: Camera) -> None:
        """Switch a camera off."""
        if self._cameras.pop(camera.key, None) is not None:
            self.send(End(camera.key))

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

    async def _keep(self) -> None:
        while True:
            before = now()
            try:
                await self._look_after()
            except OSError:
                log.exception("the camera process could not be started")
            await asyncio.sleep(WATCH_S)
            if self._child is not None and now() - before > WATCH_S + SILENCE_S / 3:
                self._child.heard_at = now()  # it was us who stalled

    async def _look_after(self) -> None:
        await self._bury()
        child = self._child
        if child is None:
            if now() >= self._resting_until:
                await self._start()
        elif now() - child.heard_at > (SILENCE_S if self.ready else START_S):
            log.error("the camera process has stalled and is replaced", extra={"pid": child.pid})
            child.kill()
            await child.reap()

    async def _start(self) -> None:
        child = Child(LANGUAGE, self._hear, lambda: self._fell(child))
        self._child = child
        words = ["--tracker", self._options.tracker, "--memory-mb", str(self._options.memory_mb)]
        await child.launch("streaming.camera", words, alone=environment())

    async def _bury(self) -> None:
        while self._fallen:
            fallen = self._fallen[0]
            await fallen.reap()  # who is cancelled here leaves it to the next one
            self._fallen.remove(fallen)

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.ready = True
        elif isinstance(message, Unusable) and message.key == 0:
            self._rest(message.reason)
        elif isinstance(message, Found | Outline | Lost | Unusable) and message.key in self._cameras:
            self._cameras[message.key].take(message)

    def _fell(self, child: Child[Message]) -> None:
        """The process is gone."""
        if child is not self._child:
            return
        self._child, self.ready = None, False
        child.kill()
        self._fallen.append(child)
        self._falls.append(now())
        log.error("the camera process has ended and is replaced", extra={"cameras": len(self._cameras)})
        for camera in list(self._cameras.values()):
            camera.fall()
        if len(self._falls) == FALLS and now() - self._falls[0] < FALLS_WITHIN_S:
            self._rest(f"following faces has failed again and again; it is tried again after {REST_S:.0f} s")

    def _rest(self, reason: str) -> None:
        """Start no process for a while."""
        self._falls.clear()
        self._resting_until = now() + REST_S
        for camera in list(self._cameras.values()):
            camera.take(Unusable(camera.key, reason))
