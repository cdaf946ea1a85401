"""Enrols photos in processes of their own, one photo each, with limits; never in a worker that shows a face."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from engine import errors
from engine.errors import MienError, PortraitError
from engine.rig.archive import FILE_LIMIT, Card
from streaming.enrolment_process import HEADER, TOO_MUCH, Limits, command, environment

log = logging.getLogger(__name__)

START_S: Final = 30.0  # until a process has loaded what it needs; a cold disk is slow
WORK_S: Final = 20.0  # until the portrait is there; about 2 s are usual
IDLE_S: Final = 120.0  # how long a process that was started ahead waits for a photo
AT_ONCE: Final = 1
WAITING: Final = 4


class EnrolmentBusy(MienError):
    """Too many photos are waiting already."""


def _ignore(line: str) -> None:
    """Progress that nobody follows."""


class Enroller:
    """Turns photos into portrait files.

    Args:
        limits: what each process may use.
        start: the command that starts a process; the default is the real one.
        start_s, work_s, idle_s: seconds, see above.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        start: Sequence[str] | None = None,
        start_s: float = START_S,
        work_s: float = WORK_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._start = list(start or command(limits or Limits()))
        self._start_s, self._work_s, self._idle_s = start_s, work_s, idle_s
        self._free = asyncio.Semaphore(AT_ONCE)
        self._preparing = asyncio.Lock()
        self._inside = 0
        self._spare: asyncio.subprocess.Process | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def enrol(self, photo: bytes, card: Card, progress: Callable[[str], None] = _ignore) -> bytes:
        """The portrait file made of a photo.

        Raises:
            EnrolmentBusy: `WAITING` photos wait already.
            PortraitError: the photo cannot be used; one of its kinds where that is known.
            MissingDependency: the face tracker is not installed.
        """
        if self._inside >= AT_ONCE + WAITING:
            raise EnrolmentBusy("other photos are being prepared; try again in a moment")
        self._inside += 1
        try:
            async with self._free:
                return await self._enrol(photo, card, progress)
        finally:
            self._inside -= 1

    async def prepare(self) -> None:
        """Start a process ahead, for a photo that will probably come; it ends by itself after `idle_s`."""
        async with self._preparing:
            if self._spare is None or self._spare.returncode is not None:
                self._spare = await self._spawn()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(self._idle_s, self._dismiss)

    async def close(self) -> None:
        """End the process that was started ahead, if any."""
        spare = self._spare
        self._dismiss()
        if spare is not None:
            await spare.wait()

    def _dismiss(self) -> None:
        spare, self._spare = self._spare, None
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if spare is not None and spare.returncode is None:
            spare.kill()

    async def _spawn(self) -> asyncio.subprocess.Process:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            *self._start, stdin=pipe, stdout=pipe, stderr=nothing, env=environment(), start_new_session=True
        )

    async def _take(self) -> asyncio.subprocess.Process:
        spare, self._spare = self._spare, None
        self._dismiss()
        return spare if spare is not None and spare.returncode is None else await self._spawn()

    async def _enrol(self, photo: bytes, card: Card, progress: Callable[[str], None]) -> bytes:
        process = await self._take()
        try:
            async with _limit(self._start_s, "preparing to enrol the photo"):
                await _ready(process)
            async with _limit(self._work_s, "enrolling the photo"):
                await _hand_over(process, photo, card)
                return await _result(process, progress)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def _limit(seconds: float, what: str) -> AsyncGenerator[None, None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise PortraitError(f"{what} took more than {seconds:.0f} s and was stopped; try again, or another photo") from error


async def _ready(process: asyncio.subprocess.Process) -> None:
    kind, body = await _message(process)
    if kind != b"R":
        raise _error(body)


async def _hand_over(process: asyncio.subprocess.Process, photo: bytes, card: Card) -> None:
    assert process.stdin is not None
    about = json.dumps({"name": card.name, "label": card.label, "consent": card.consent}).encode()
    with contextlib.suppress(ConnectionError):  # it died: what it said, or did not say, is read next
        for kind, body in ((b"J", about), (b"P", photo)):
            process.stdin.write(HEADER.pack(kind, len(body)) + body)
        await process.stdin.drain()


async def _result(process: asyncio.subprocess.Process, progress: Callable[[str], None]) -> bytes:
    while True:
        kind, body = await _message(process)
        if kind == b"F":
            return body
        if kind != b"L":
            raise _error(body)
        progress(body.decode("utf-8", "replace"))


async def _message(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    try:
        kind, length = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
        if kind not in (b"R", b"L", b"F", b"E") or length > FILE_LIMIT:
            raise PortraitError("the enrolling process answered with something else than a portrait; try another photo")
        return kind, await process.stdout.readexactly(length)
    except asyncio.IncompleteReadError as error:
        status = await process.wait()
        log.warning("an enrolling process died", extra={"status": status})
        raise PortraitError(TOO_MUCH) from error


def _error(body: bytes) -> MienError:
    """What the process says went wrong, as the class it names; a crash is told in general words."""
    try:
        told: dict[str, str] = json.loads(body)
        kind, line, where = str(told["error"]), " ".join(str(told["message"]).split()), str(told.get("where", ""))
    except (ValueError, KeyError, TypeError):
        kind, line, where = "", "", ""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, MienError) and line:
        return known(line)
    log.error("enrolling crashed: %s at %s", kind[:80], where[:80])
    return PortraitError(f"this photo could not be enrolled ({kind or 'no reason given'}); try another one")
