"""Reading ahead in a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar


class Closable(Protocol):
    """A file or device that is open."""

    def close(self) -> None:
        """Let go of it."""
        ...


Source = TypeVar("Source", bound=Closable)
Piece = TypeVar("Piece")


class Ahead(Generic[Source, Piece]):
    """A source that one thread opens, reads one piece ahead, and closes.

    Who is cancelled waits for the thread no longer, but the thread goes on. Closed by another one, FFmpeg would read on in
    memory that is no longer its own.

    Args:
        make: opens it.
        read: takes the next piece.

    Attributes:
        source: what was opened, once entered.
    """

    source: Source

    def __init__(self, make: Callable[[], Source], read: Callable[[Source], Piece]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._opened = self._pool.submit(make)
        self._read = read

    async def __aenter__(self) -> Self:
        try:
            self.source = await asyncio.wrap_future(self._opened)
        except BaseException:
            self._end()
            raise
        self._reading = self._submit()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        self._end()

    async def next(self) -> Piece:
        """The next piece; raises what reading it raised."""
        piece = await asyncio.wrap_future(self._reading)
        self._reading = self._submit()
        return piece

    def _submit(self) -> Future[Piece]:
        return self._pool.submit(self._read, self.source)

    def _end(self) -> None:
        self._pool.submit(
            lambda: self._opened.result().close()
        )  # after what is being done; of what never opened there is nothing
        self._pool.shutdown(wait=False)
