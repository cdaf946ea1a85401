"""All cameras of a server and the one process that follows the faces in them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from streaming.camera.camera import Camera, Hear
from streaming.camera.messages import LANGUAGE, Encoded, End, Found, Lost, Message, Outline, Ready, Stop, Unusable
from streaming.child import Child
from streaming.enrolment_process import environment
from streaming.kept import Kept, Watch

FULL_BYTES: Final = 1_000_000
"""Pictures are left out while this much (one raw picture, or seconds of coded ones) waits for a process that does not read."""


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What the camera process is started with.

    Attributes:
        tracker: "module:callable" that makes the `Tracker`; tests put their own here.
        memory_mb: address space that it may use beyond what it has when it is ready.
        encoder: folder of networks whose motion encoder sees faces, too, or "".
    """

    tracker: str = "streaming.camera.tracker:tracker"
    memory_mb: int = 1024
    encoder: str = ""


class Cameras(Kept[Message]):
    """Starts the process when the first camera is switched on, and again when it has fallen."""

    role: ClassVar[str] = "the camera process"

    def __init__(self, options: CameraOptions | None = None) -> None:
        super().__init__()
        self._options = options or CameraOptions()
        self._keys = itertools.count(1)
        self._cameras: dict[int, Camera] = {}
        self._watch = Watch([self])

    @property
    def full(self) -> bool:
        """Whether the process does not keep up with reading."""
        return self._child is not None and self._child.waiting_bytes > FULL_BYTES

    def prepare(self) -> None:
        """A camera will probably be switched on: have the process ready."""
        self._watch.begin()

    def open(self, hear: Hear) -> Camera:
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
        await self._watch.end()
        await self.stop(Stop())

    def _new(self, gone: Callable[[], None]) -> Child[Message]:
        return Child(LANGUAGE, self._hear, gone)

    async def _launch(self, child: Child[Message]) -> None:
        words = ["--tracker", self._options.tracker, "--memory-mb", str(self._options.memory_mb)]
        words += ["--encoder", self._options.encoder] if self._options.encoder else []
        await child.launch("streaming.camera", words, alone=environment())

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.ready = True
        elif isinstance(message, Unusable) and message.key == 0:
            self.rest()
            self._refuse(message.reason)
        elif isinstance(message, Found | Outline | Encoded | Lost | Unusable) and message.key in self._cameras:
            self._cameras[message.key].take(message)

    def _bereave(self, *, worn_out: bool) -> None:
        for camera in list(self._cameras.values()):
            camera.fall()
        if worn_out:
            self._refuse(f"following faces has failed again and again; it is tried again after {self.rest_s:.0f} s")

    def _refuse(self, reason: str) -> None:
        for camera in list(self._cameras.values()):
            camera.take(Unusable(camera.key, reason))
