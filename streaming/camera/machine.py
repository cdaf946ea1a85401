"""The camera of this machine: read while somebody follows it, its person read once for all."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

from engine.errors import MienError
from streaming.camera.camera import Camera
from streaming.camera.cameras import Cameras
from streaming.camera.messages import Encoded, Found, Manner, Outline
from streaming.camera.viewfinder import Viewfinder
from streaming.contract import CameraStatus, CodedPicture

log = logging.getLogger(__name__)

AGAIN_S: Final = 3.0
"""A camera that has gone is looked for this often while somebody follows it."""


class PictureFeed(Protocol):
    """A source of coded pictures, such as `streaming.capture.camera.CameraFeed`."""

    def feed(self, push: Callable[[CodedPicture], object]) -> Awaitable[None]:
        """Push pictures as they come, until cancelled; `MienError` says why there are none."""
        ...


class Machine:
    """See `streaming.camera.viewfinder.Shared`."""

    def __init__(self, cameras: Cameras, feed: PictureFeed) -> None:
        self._cameras = cameras
        self._feed = feed
        self._viewfinders: list[Viewfinder] = []
        self._camera: Camera | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason = ""

    def join(self, viewfinder: Viewfinder) -> None:
        """See `Shared`."""
        self._viewfinders.append(viewfinder)
        if self._camera is None:
            self._camera = self._cameras.open(self._hear)
            self._task = asyncio.create_task(self._run(self._camera), name="this machine's camera")
        self.manner()

    def leave(self, viewfinder: Viewfinder) -> None:
        """See `Shared`."""
        self._viewfinders.remove(viewfinder)
        if not self._viewfinders and self._camera is not None:
            if self._task is not None:
                self._task.cancel()
            self._cameras.end(self._camera)
            self._camera = self._task = None
        else:
            self.manner()

    def manner(self) -> None:
        """See `Shared`; what one of them wants is done for all."""
        if self._camera is not None:
            wanted = [viewfinder.manner for viewfinder in self._viewfinders]
            self._camera.behave(
                Manner(
                    lips_from_voice=any(manner.lips_from_voice for manner in wanted),
                    eye_contact=any(manner.eye_contact for manner in wanted),
                    outline=any(manner.outline for manner in wanted),
                    encode=any(manner.encode for manner in wanted),
                )
            )

    def take_neutral(self) -> None:
        """See `Shared`."""
        if self._camera is not None:
            self._camera.take_neutral()

    def status(self) -> CameraStatus:
        """See `Shared`."""
        if self._camera is None:
            return CameraStatus("machine")
        status = self._camera.status("machine")
        return replace(status, state="gone", reason=self._reason) if self._reason else status

    async def close(self) -> None:
        """Let go of the device."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _hear(self, message: Found | Outline | Encoded) -> None:
        for viewfinder in list(self._viewfinders):
            viewfinder.hear(message)

    async def _run(self, camera: Camera) -> None:
        def push(picture: CodedPicture) -> None:
            self._reason = ""
            camera.push(picture)

        while True:
            try:
                await self._feed.feed(push)
            except MienError as error:
                if str(error) != self._reason:
                    log.warning("this machine's camera: %s", error)
                self._reason = str(error)
            except Exception:
                log.exception("this machine's camera failed")
                self._reason = "reading this machine's camera failed; the log says more"
            await asyncio.sleep(AGAIN_S)
