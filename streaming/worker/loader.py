"""What takes long in a process, done beside its loop: loading portraits, building sessions, warming up, encoding faces."""

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job that is done: what it returned, or how it failed."""

    key: int
    value: Any
    error: Exception | None


class Loader:
    """One thread that does jobs in turn; `fileno` becomes readable when results wait in `take`."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[int, Callable[[], Any]]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Loaded] = queue.SimpleQueue()
        self._under_way = 0
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        threading.Thread(target=self._run, name="loader", daemon=True).start()

    def fileno(self) -> int:
        """For `select`."""
        return self._bell.fileno()

    @property
    def busy(self) -> bool:
        """Whether there are jobs whose results have not been taken: meanwhile the loop has less of its interpreter."""
        return self._under_way > 0

    def submit(self, key: int, job: Callable[[], Any]) -> None:
        """Do a job for the session `key`."""
        self._under_way += 1
        self._jobs.put((key, job))

    def take(self) -> list[Loaded]:
        """All results so far."""
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            return []
        taken = [self._results.get() for _ in range(self._results.qsize())]
        self._under_way -= len(taken)
        return taken

    def _run(self) -> None:
        while True:
            self._results.put(_done(*self._jobs.get()))  # by no name here: what is built is not kept until the next job
            self._ringer.send(b"!")


def _done(key: int, job: Callable[[], Any]) -> Loaded:
    try:
        return Loaded(key, job(), None)
    except Exception as error:  # the session's boundary: it ends with this as its reason
        return Loaded(key, None, error)
