"""How the server ends: SIGINT at once, SIGTERM when its sessions have, any signal after that at once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from typing import Final, Protocol

from streaming.contract import now

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LOOK_S: Final = 0.2


class Drained(Protocol):
    """What is let run out."""

    async def drain(self, seconds: float) -> None:
        """Take nothing new in, and tell who is there how long it may stay."""
        ...

    @property
    def empty(self) -> bool:
        """Whether nobody is left."""
        ...


async def told_to_end(house: Drained, drain_s: float) -> None:
    """Wait for a signal to end; after SIGTERM also for `house` to be empty, `drain_s` at most, or for another signal.

    When it returns, the process ends at the next signal whatever it is doing.
    """
    async with _signals() as told:
        if await told.get() == signal.SIGTERM and drain_s > 0 and not house.empty:
            await house.drain(drain_s)
            await _emptied(house, told, now() + drain_s)


async def _emptied(house: Drained, told: "asyncio.Queue[int]", deadline: float) -> None:
    while not house.empty and (left := deadline - now()) > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told.get(), min(_LOOK_S, left))
            return


@contextlib.asynccontextmanager
async def _signals() -> "AsyncGenerator[asyncio.Queue[int], None]":
    """The signals that tell the process to end, as they come."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[int] = asyncio.Queue()
    for number in SIGNALS:
        loop.add_signal_handler(number, told.put_nowait, number)
    try:
        yield told
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
