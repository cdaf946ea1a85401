"""What a process and its children hold, looked at from beside them every second."""

import contextlib
import dataclasses
import sys
import threading
from dataclasses import dataclass
from typing import Self

import numpy as np
import psutil
from numpy.typing import NDArray

from streaming.contract import now

STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """What a process and its children held over time.

    Attributes:
        at_s: float64[N], instants of `streaming.contract.now`.
        server_mb, workers_mb: float64[N], resident.
        shared_mb: float64[N], of it shared between processes.
        threads, descriptors: float64[N], of all of them.
    """

    at_s: NDArray[np.float64]
    server_mb: NDArray[np.float64]
    workers_mb: NDArray[np.float64]
    shared_mb: NDArray[np.float64]
    threads: NDArray[np.float64]
    descriptors: NDArray[np.float64]

    def between(self, began: float, ended: float) -> "Health":
        """The part in [began, ended)."""
        part = (self.at_s >= began) & (self.at_s < ended)
        return Health(*(getattr(self, field.name)[part] for field in dataclasses.fields(self)))

    @property
    def resident_mb(self) -> NDArray[np.float64]:
        """Of all processes."""
        return self.server_mb + self.workers_mb


class Physician(threading.Thread):
    """Looks at a process, this one if none is named, and its children every `STEP_S`, for at most `seconds`.

    To be used with `with`; ends by itself with the process.
    """

    def __init__(self, seconds: float, pid: int | None = None) -> None:
        super().__init__(name="physician", daemon=True)
        self._table = np.full((round(seconds / STEP_S), 6), np.nan)
        self._done = threading.Event()
        self._patient = psutil.Process(pid)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """See `threading.Thread`."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for row in self._table:
                if self._done.wait(STEP_S):
                    return
                row[:] = self._examined()

    @property
    def health(self) -> Health:
        """What was seen so far."""
        known = self._table[np.isfinite(self._table[:, 0])]
        return Health(*known.T)

    def _examined(self) -> tuple[float, ...]:
        server, workers, shared, threads, descriptors = 0.0, 0.0, 0.0, 0, 0
        for process in (self._patient, *self._patient.children(recursive=True)):
            try:
                memory = process.memory_info()
                threads += process.num_threads()
                descriptors += process.num_fds() if sys.platform != "win32" else 0
            except psutil.Error:
                continue
            shared += getattr(memory, "shared", 0) / 2**20
            if process.pid == self._patient.pid:
                server += memory.rss / 2**20
            else:
                workers += memory.rss / 2**20
        return now(), server, workers, shared, float(threads), float(descriptors)
