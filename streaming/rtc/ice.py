"""The ICE side of a peer as its HTTP resource has it: candidates that come later, and restarts (RFC 9725, section 4.3)."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aioice.ice import Connection
from aiortc import RTCIceServer, RTCRtpTransceiver

from engine.errors import MienError
from streaming.rtc import aiortc_seam as seam
from streaming.rtc.fragment import Fragment, written_fragment
from streaming.rtc.offer import CANDIDATES_MAX, OfferError

log = logging.getLogger(__name__)

GATHER_S = 1.0  # for STUN and TURN servers to answer; those that do not are done without
OVERLAP_S = 2.0  # the path before a restart is still listened to for so long


class TooEarly(MienError):
    """ICE cannot be restarted before it has been established."""


@dataclass(frozen=True, slots=True)
class Means:
    """What there is now to be found by: addresses of this machine, and servers with credentials that are still good."""

    addresses: Sequence[str]
    servers: list[RTCIceServer]


class IceSide:
    """Adds candidates to a peer's ICE, and restarts it without a gap in its media.

    aioice cannot restart. So a restart makes a successor with credentials of
    its own, which connects while the former carries the media on, and then
    takes the DTLS association over. One that does not connect leaves all as it
    was.
    """

    def __init__(self, transceiver: RTCRtpTransceiver, means: Callable[[], Means], patience_s: float) -> None:
        self._transceiver, self._means, self._patience_s = transceiver, means, patience_s
        self._username = ""  # of the far side's newest generation
        self._generation = 0
        self._candidates = 0  # of that generation
        self._next: Connection | None = None  # a successor that is not connected yet
        self._moving: asyncio.Task[None] | None = None
        self._given_up = asyncio.Event()
        self._restarting = asyncio.Lock()
        self._closed = False
        seam.use_addresses(self._now, means().addresses, GATHER_S)

    @property
    def tag(self) -> str:
        """The entity tag of this generation of ICE (RFC 9725, section 4.3.1)."""
        return f'"{self._generation}-{(self._next or self._now).local_username}"'

    def begin(self, username: str, candidates: int) -> None:
        """Say what the offer (or answer) said: the far side's user name, and how many of its candidates may be sent to."""
        self._username, self._candidates = username, candidates
        if not candidates:
            seam.await_checks(self._now, self._patience_s)

    async def take(self, fragment: Fragment) -> str | None:
        """Add candidates, or restart when the credentials are new: then what to answer.

        Raises:
            OfferError: when there are too many candidates.
            TooEarly: when a restart is asked for before anything has connected.
        """
        if fragment.username in ("", self._username):
            await self._add(self._next or self._now, fragment)
            return None
        async with self._restarting:
            return await self._restart(fragment)

    async def close(self) -> None:
        """End a restart that is under way, and allow no other. The connection itself is its peer's to close."""
        self._closed = True
        self._given_up.set()
        async with self._restarting:
            await self._settle()

    # private

    async def _settle(self) -> None:
        """Give up a restart that is under way, and wait until its sockets are closed."""
        self._given_up.set()
        if self._moving is not None:
            await asyncio.wait((self._moving,))

    @property
    def _now(self) -> Connection:
        return seam.ice_of(self._transceiver)

    @property
    def _connected(self) -> bool:
        return self._transceiver.receiver.transport.state == "connected"

    async def _add(self, connection: Connection, fragment: Fragment) -> None:
        self._candidates += len(fragment.candidates)
        if self._candidates > CANDIDATES_MAX:
            raise OfferError(f"there are more than {CANDIDATES_MAX} candidates")
        for candidate in fragment.candidates:
            await connection.add_remote_candidate(candidate)

    async def _restart(self, fragment: Fragment) -> str:
        if self._closed or not self._connected:
            raise TooEarly("ICE can be restarted when it is connected; this one is not (yet): make a new connection")
        if len(fragment.candidates) > CANDIDATES_MAX:
            raise OfferError(f"there are more than {CANDIDATES_MAX} candidates")
        await self._settle()
        means = self._means()
        fresh = seam.successor(means.servers)
        seam.use_addresses(fresh, means.addresses, GATHER_S)
        await fresh.gather_candidates()
        fresh.remote_username, fresh.remote_password = fragment.username, fragment.password
        self._username, self._candidates, self._next = fragment.username, 0, fresh
        self._generation += 1
        seam.await_checks(fresh, self._patience_s)
        await self._add(fresh, fragment)
        self._given_up = asyncio.Event()
        self._moving = asyncio.create_task(self._move(fresh, self._given_up), name="ICE restart")
        mid = self._transceiver.mid or "0"
        return written_fragment(fresh.local_username, fresh.local_password, mid, fresh.local_candidates)

    async def _move(self, fresh: Connection, given_up: asyncio.Event) -> None:
        """Connect and hand over. It is never cancelled: aioice, stopped while it closes, leaves sockets open."""
        superseded = fresh
        if await _done(fresh.connect(), given_up, self._patience_s) and self._connected:
            superseded = seam.hand_over(self._transceiver, fresh)
            await _done(asyncio.sleep(OVERLAP_S), given_up, 2 * OVERLAP_S)
        else:
            log.info("an ICE restart found no way; the way before it stays")
        self._next = None
        await seam.close_apart(superseded)


async def _done(work: Coroutine[Any, Any, None], given_up: asyncio.Event, patience_s: float) -> bool:
    """Whether work came to its end before it was given up or took too long."""
    tasks = asyncio.create_task(work), asyncio.create_task(given_up.wait())
    done, pending = await asyncio.wait(tasks, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return tasks[0] in done and tasks[0].exception() is None
