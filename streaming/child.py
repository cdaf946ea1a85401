"""A child process of the server, seen from the event loop: started, spoken to, ended."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar, cast

from streaming.contract import now
from streaming.language import BrokenMessage, Framer, Language, packed

log = logging.getLogger(__name__)

M = TypeVar("M")

STOP_S: Final = 2.0
"""How long a child may take to end by itself."""

_SEND_BUFFER_BYTES = 1 << 17  # 30 frames of sound; macOS gives two
_ROOT = Path(__file__).resolve().parents[1]
_SINGLE_THREADED = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")}


class Child(asyncio.Protocol, Generic[M]):
    """A running child process. `hear` gets its messages, `gone` is called once when it has ended or hung up."""

    def __init__(self, language: Language[M], hear: Callable[[M], None], gone: Callable[[], None]) -> None:
        self._language = language
        self._hear = hear
        self._gone = gone
        self._framer = Framer(language)
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lost = False
        self.heard_at = now()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def waiting_bytes(self) -> int:
        """Bytes that it has not read yet and that wait on our side."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def launch(
        self, module: str, words: Sequence[str], descriptors: Sequence[int] = (), *, alone: Mapping[str, str] | None = None
    ) -> None:
        """Start `python -m module --socket N words...`; returns at once.

        Args:
            module: what to run.
            words: its further arguments.
            descriptors: files that it inherits besides its socket.
            alone: its environment; None: ours, with one thread for each library.
        """
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        with theirs:
            theirs.setblocking(True)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, "--socket", str(theirs.fileno()), *words],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *descriptors),
                env=os.environ | _SINGLE_THREADED | {"PYTHONPATH": _python_path()} if alone is None else alone,
            )
        self.heard_at = now()
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    def send(self, message: M) -> None:
        """Send, if there is somebody to read it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed(self._language, message))

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
            log.exception("a child process does not speak our language")
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

    async def stop(self, farewell: M) -> None:
        """Ask it to end, insist after `STOP_S`; returns when the process is no more."""
        self.send(farewell)
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
