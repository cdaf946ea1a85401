"""Live sessions as the event loop has them: `Live` opens them on workers, a `Remote` each."""

import asyncio
import re
import secrets
from collections.abc import Mapping
from typing import Final

from streaming.camera.cameras import Cameras
from streaming.camera.machine import Machine, PictureFeed
from streaming.camera.viewfinder import Viewfinder
from streaming.contract import SESSION_ID, CapacityReached, SessionSettings
from streaming.device.device import Device
from streaming.metrics import Metrics
from streaming.remote import Locate, LookAt, Remote
from streaming.worker.admission import Admission
from streaming.worker.knobs import check_settings
from streaming.worker.options import WorkerOptions
from streaming.worker.pool import Pool

OPEN_S: Final = 30.0


class Live:
    """All live sessions of a server. Implements `streaming.contract.LiveSessions`.

    Args:
        locate: finds a portrait's file by its id.
        workers: processes; as many as there are cores if not given.
        options: see `WorkerOptions`.
        cameras: follows faces; a process of its own, if not given.
        own_camera: the camera of this machine, if it is offered.
        device: the process that runs the workers' graphs (`WorkerOptions.served`), if they do not themselves.
        metrics: what all sessions report to.
        admission: who is let in; by what this machine carries, if not given.
    """

    def __init__(
        self,
        locate: Locate,
        *,
        workers: int | None = None,
        options: WorkerOptions | None = None,
        cameras: Cameras | None = None,
        own_camera: PictureFeed | None = None,
        device: Device | None = None,
        metrics: Metrics | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._locate = locate
        self._options = options or WorkerOptions()
        self._pool = Pool(workers, self._options, admission)
        self._device = device
        self._cameras = cameras or Cameras()
        self._machine = Machine(self._cameras, own_camera) if own_camera is not None else None
        self._sessions: dict[str, Remote] = {}
        self.metrics = metrics or Metrics()

    @property
    def pool(self) -> Pool:
        """The worker processes."""
        return self._pool

    @property
    def ready(self) -> bool:
        """See `LiveSessions`."""
        return self._pool.ready

    async def start(self) -> None:
        """See `LiveSessions`."""
        if self._device is not None:
            self._device.keep()
        await self._pool.start()

    async def open(self, settings: SessionSettings, session_id: str | None = None) -> Remote:
        """See `LiveSessions`."""
        check_settings(settings)
        name = session_id or secrets.token_hex(4)
        if not re.fullmatch(SESSION_ID, name):
            raise ValueError(f"a session's id consists of a-z, 0-9 and -, got {name!r}")
        if self.get(name) is not None:
            raise ValueError(f"there is a session {name!r} already")
        worker = self._pool.choose(settings)
        period = self._options.period_s(settings.fps)
        key = self._pool.next_key()
        remote = Remote(name, key, settings, worker, self._locate, period, self._viewfinder, self.metrics)
        self._sessions[name] = remote
        worker.admit(remote)
        try:
            await asyncio.wait_for(asyncio.shield(remote.opened), OPEN_S)
        except TimeoutError:
            raise CapacityReached(f"no worker took the session up within {OPEN_S:.0f} s; is the machine overloaded?") from None
        finally:
            if not remote.opened.done() or remote.opened.exception() is not None:
                await remote.close()
        return remote

    def get(self, session_id: str) -> Remote | None:
        """See `LiveSessions`."""
        return self.all().get(session_id)

    def all(self) -> Mapping[str, Remote]:
        """See `LiveSessions`."""
        self._sessions = {name: remote for name, remote in self._sessions.items() if remote.state != "closed"}
        return self._sessions

    async def close(self) -> None:
        """See `LiveSessions`."""
        for remote in list(self._sessions.values()):
            await remote.close()
        if self._machine is not None:
            await self._machine.close()
        await self._cameras.close()
        await self._pool.close()
        if self._device is not None:
            await self._device.close()

    def _viewfinder(self, look: LookAt) -> Viewfinder:
        return Viewfinder(self._cameras, self._machine, look)
