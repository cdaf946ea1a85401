"""One worker process, seen from the event loop: started, spoken to, ended."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from streaming.contract import now
from streaming.worker.arena import Arena
from streaming.worker.messages import BrokenMessage, Framer, Message, Sound, Stop, encode
from streaming.worker.options import WorkerOptions

log = logging.getLogger(__name__)

SOUND_WAITING_BYTES: Final = 200_000
"""Sound is left out while this much (about a second of one session's) waits for a worker that does not read."""
STOP_S: Final = 2.0
"""How long a worker may take to end by itself."""

_SEND_BUFFER_BYTES = 1 << 17  # 30 frames of sound; macOS gives two
_ROOT = Path(__file__).resolve().parents[2]
_SINGLE_THREADED = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")}


class WorkerProcess(asyncio.Protocol):
    """A running worker. `hear` gets its messages, `gone` is called once when it has ended or hung up."""

    def __init__(self, hear: Callable[[Message], None], gone: Callable[[], None]) -> None:
        self._hear = hear
        self._gone = gone
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lost = False
        self.heard_at = now()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self, options: WorkerOptions, arena: Arena) -> None:
        """Start the process; returns at once, the worker says `Ready` when it is."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        with theirs:
            theirs.setblocking(True)
            self._process = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "streaming.worker",
                    "--socket", str(theirs.fileno()), "--arena", str(arena.descriptor), "--options", options.encode(),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), arena.descriptor),
                env=os.environ | _SINGLE_THREADED | {"PYTHONPATH": _python_path()},
            )  # fmt: skip
        self.heard_at = now()
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    def send(self, message: Message) -> None:
        """Send; sound that would pile up is left out."""
        if self._transport is None or self._transport.is_closing():
            return
        if isinstance(message, Sound) and self._transport.get_write_buffer_size() > SOUND_WAITING_BYTES:
            return
        self._transport.write(encode(message))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are not of its classes

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.heard_at = now()
        try:
            for message in self._framer.feed(data):
                self._hear(message)
        except BrokenMessage:
            log.exception("a worker does not speak our language")
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._lose()

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
        if self._transport is not None:
            self._transport.abort()

    async def stop(self) -> None:
        """Ask it to end, insist after `STOP_S`; returns when the process is no more."""
        self.send(Stop())
        if not await self._ended(STOP_S):
            self.kill()
        await self._ended(STOP_S)
        if self._transport is not None:
            self._transport.close()

    async def _ended(self, patience_s: float) -> bool:
        assert self._process is not None
        deadline = now() + patience_s
        while self._process.poll() is None:
            if now() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def reap(self) -> None:
        """Wait for a killed process, so that it does not stay as a zombie; afterwards it is gone for sure."""
        await self._ended(STOP_S)
        self._lose()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._gone()


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
