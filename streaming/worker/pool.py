"""All workers of a server: started, watched, replaced, ended; and who is placed where."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import OutOfDeviceMemory
from streaming.child import Child
from streaming.contract import CapacityReached, SessionSettings, now
from streaming.kept import SILENCE_S, Kept, Watch
from streaming.worker.admission import Admission
from streaming.worker.arena import Arena
from streaming.worker.ledger import Ledger
from streaming.worker.messages import (
    LANGUAGE,
    Beat,
    Close,
    Closed,
    Frame,
    Message,
    Open,
    Opened,
    Ready,
    Refused,
    Speech,
    Stepped,
    Stop,
)
from streaming.worker.options import PLACES, WorkerOptions
from streaming.worker.process import WorkerProcess

FRAMES_SILENT: Final = 4
"""So long as this many frames take, a worker whose frames are slow may be silent, too: it beats between them."""
BUSY_S: Final = 8.0
"""So is one that is opening a session: loading may hold its interpreter up, on a crowded machine for seconds."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Tenant(Protocol):
    """A session that lives on a worker."""

    @property
    def key(self) -> int:
        """Its number, never used twice."""
        ...

    @property
    def settings(self) -> SessionSettings:
        """What it was opened with."""
        ...

    @property
    def watched(self) -> bool:
        """Whether anybody watches it: it is encoded only then."""
        ...

    def opening(self, place: int) -> Open:
        """What its worker has to be told to begin, or to go on where the last one fell."""
        ...

    def hear(self, message: Opened | Frame | Speech | Stepped | Refused | Closed) -> None:
        """Its worker has something to say."""
        ...

    def lost(self) -> None:
        """Its worker is gone; another one is on the way."""
        ...


class Worker(Kept[Message]):
    """One worker's place in the pool; its processes come and go, its sessions and their pictures stay."""

    role: ClassVar[str] = "a worker"
    rest_s: ClassVar[float] = 3.0  # its sessions have ended, as one of them is what kills it: others wait for it

    def __init__(self, options: WorkerOptions, admission: Admission, served: Ledger) -> None:
        super().__init__()
        self._options = options
        self._admission = admission
        self._served = served  # the server's, of all workers
        self._drawn = Ledger()
        self._arena = Arena()
        self._tenants: dict[int, tuple[Tenant, int]] = {}
        self._costs: dict[int, float] = {}
        self._frame_s = 0.0
        self._opening: set[int] = set()

    @property
    def settings(self) -> list[SessionSettings]:
        """Of all sessions placed here."""
        return [tenant.settings for tenant, _ in self._tenants.values()]

    @property
    def full(self) -> bool:
        """Whether it can take nobody, whatever it costs."""
        return self.ending or len(self._tenants) >= PLACES

    def picture(self, key: int, slot: int, size: int) -> NDArray[np.uint8]:
        """The I420 picture in a slot of a session, read-only."""
        picture = self._arena.picture(self._tenants[key][1], slot, size)
        picture.flags.writeable = False
        return picture

    def admit(self, tenant: Tenant) -> None:
        """Place a session here."""
        taken = {place for _, place in self._tenants.values()}
        place = next(place for place in range(PLACES) if place not in taken)
        self._tenants[tenant.key] = (tenant, place)
        self.send(tenant.opening(place))

    def leave(self, key: int) -> None:
        """End a session here."""
        if self._tenants.pop(key, None) is not None:
            self._costs.pop(key, None)
            self._opening.discard(key)
            self._admission.device_full = ""
            self.send(Close(key))

    def send(self, message: Message) -> None:
        """To the process, if there is one."""
        if isinstance(message, Open) and self._child is not None:
            self._opening.add(message.key)
        super().send(message)

    async def close(self) -> None:
        """End the process; returns when it is no more."""
        await self.stop(Stop())
        self._arena.close()

    def _new(self, gone: Callable[[], None]) -> Child[Message]:
        return WorkerProcess(LANGUAGE, self._hear, gone)

    async def _launch(self, child: Child[Message]) -> None:
        """Start a process and tell it of all sessions placed here."""
        words = ["--arena", str(self._arena.descriptor), "--options", self._options.encode()]
        await child.launch("streaming.worker", words, [self._arena.descriptor])
        for tenant, place in list(self._tenants.values()):
            self.send(tenant.opening(place))

    def _patience_s(self) -> float:
        if not self.ready:
            return self.start_s
        return max(BUSY_S if self._opening else SILENCE_S, FRAMES_SILENT * max([self._frame_s, *self._costs.values()]))

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.ready, self._frame_s = True, message.frame_s
            self._admission.warm(message.size, message.frame_s)
        elif isinstance(message, Beat):
            self._costs = {int(key): cost for key, cost in message.costs.items()}
            self._account(message)
        elif isinstance(message, Opened | Frame | Speech | Stepped | Refused | Closed):
            self._opening.discard(message.key)
            if message.key in self._tenants:
                self._pass_on(self._tenants[message.key][0], message)

    def _pass_on(self, tenant: Tenant, message: Opened | Frame | Speech | Stepped | Refused | Closed) -> None:
        if isinstance(message, Frame):
            self._drawn.note(message.size, fresh=message.fresh)
            if tenant.watched:
                self._served.note(message.size, fresh=message.fresh)
        tenant.hear(message)
        if isinstance(message, Closed) and message.fault == OutOfDeviceMemory.__name__:
            self._admission.device_full = message.reason  # until a session leaves

    def _account(self, beat: Beat) -> None:
        """Have admission learn what this worker spent on its pictures; sessions that are being built cost, too."""
        if self._opening:
            self._drawn.spoil()
        elif window := self._drawn.read(now(), beat.cpu_s, beat.busy_s, beat.device_s):
            cpu_s, busy_s, device_s = window.spent_s
            self._admission.learn(cpu_s, busy_s, window.pictures)
            self._admission.device.learn(device_s, window.pictures)

    def _bereave(self, *, worn_out: bool) -> None:
        self._opening.clear()
        self._drawn.spoil()
        if worn_out:
            for tenant, _ in list(self._tenants.values()):
                tenant.hear(Closed(tenant.key, "WorkerFell", "its worker has failed again and again; see the log"))
        for tenant, _ in list(self._tenants.values()):
            tenant.lost()


class Pool:
    """A fixed number of workers."""

    def __init__(
        self, count: int | None = None, options: WorkerOptions | None = None, admission: Admission | None = None
    ) -> None:
        cores = available_cores()
        self._admission = admission or Admission(cores)
        self._served = Ledger()
        self._workers = [Worker(options or WorkerOptions(), self._admission, self._served) for _ in range(count or cores)]
        self._keys = itertools.count(1)
        self._watch = Watch(self._workers, self._account)

    @property
    def workers(self) -> Sequence[Worker]:
        """All workers."""
        return self._workers

    @property
    def ready(self) -> bool:
        """Whether a worker is warm."""
        return any(worker.ready for worker in self._workers)

    def next_key(self) -> int:
        """A number for a new session."""
        return next(self._keys)

    def room_for(self, settings: SessionSettings) -> bool:
        """Whether `choose` would find a worker."""
        try:
            self.choose(settings)
        except CapacityReached:
            return False
        return True

    def choose(self, settings: SessionSettings) -> Worker:
        """The worker for one more session.

        Raises:
            CapacityReached: when none has room.
        """
        sessions = [None if worker.full or (self.ready and not worker.ready) else worker.settings for worker in self._workers]
        return self._workers[self._admission.choose(settings, sessions)]

    async def start(self) -> None:
        """Start all workers."""
        for worker in self._workers:
            await worker.start()
        self._watch.begin()

    async def close(self) -> None:
        """End all workers; returns when no process is left."""
        for worker in self._workers:
            worker.ending = True
        await self._watch.end()
        await asyncio.gather(*(worker.close() for worker in self._workers))

    def _account(self) -> None:
        """Have admission learn what this process spent on the sessions that are watched."""
        looping_s = time.thread_time()
        if window := self._served.read(now(), looping_s, time.process_time() - looping_s):
            looping_s, encoding_s = window.spent_s
            self._admission.looping.learn(looping_s, window.pictures)
            self._admission.encoding.learn(encoding_s, window.pictures)
