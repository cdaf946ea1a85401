"""Pictures or sound on their way to one reader, the newest first to stay."""

import asyncio
import math
from collections import deque
from typing import Final, Generic, TypeVar

HELD_S: Final = 0.2
"""What a subscriber holds at most."""


T = TypeVar("T")


class Subscription(Generic[T]):
    """What one subscriber gets, `rate` things a second, latest wins: an async iterator that holds at most `HELD_S`."""

    def __init__(self, rate: float) -> None:
        self._held: deque[T] = deque(maxlen=math.ceil(HELD_S * rate))
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def put(self, outgoing: T) -> None:
        """One more; the oldest gives way."""
        self._held.append(outgoing)
        self._wake()

    def end(self) -> None:
        """No more will come."""
        self._ended = True
        self._wake()

    def __aiter__(self) -> "Subscription[T]":
        return self

    async def __anext__(self) -> T:
        while not self._held:
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._held.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
