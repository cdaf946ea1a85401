import asyncio
import threading

import pytest

from streaming.capture.ahead import Ahead


class Slow:
    """A source whose second piece comes when it is let, and that remembers what was done to it."""

    def __init__(self, done: list[str]) -> None:
        self.done, self.asked, self.let, self.closed = done, threading.Event(), threading.Event(), threading.Event()
        self.count = 0

    def read(self) -> int:
        self.count += 1
        if self.count == 2:
            self.asked.set()
            self.let.wait(60)
        self.done.append(f"read {self.count}")
        return self.count

    def close(self) -> None:
        self.done.append("closed")
        self.closed.set()


def test_what_is_being_read_is_closed_after_that_when_all_tasks_are_cancelled() -> None:
    done: list[str] = []
    slow = Slow(done)

    async def watch() -> None:
        async with Ahead(lambda: slow, Slow.read) as ahead:
            while True:
                await ahead.next()

    async def main() -> None:
        watching = asyncio.create_task(watch())
        await asyncio.to_thread(slow.asked.wait, 60)
        assert not watching.done()

    asyncio.run(main())  # cancels what is left, as a server does that is stopped
    assert done == ["read 1"]
    slow.let.set()
    assert slow.closed.wait(60)
    assert done == ["read 1", "read 2", "closed"]


async def test_what_cannot_be_opened_or_read_says_so() -> None:
    def fails() -> Slow:
        raise OSError("no such thing")

    with pytest.raises(OSError, match="no such thing"):
        async with Ahead(fails, Slow.read):
            pass
    slow = Slow([])
    async with Ahead(lambda: slow, lambda source: source.done[0]) as ahead:
        with pytest.raises(IndexError):
            await ahead.next()
    assert await asyncio.to_thread(slow.closed.wait, 60)


async def test_who_gives_up_while_it_is_being_opened_leaves_nothing_open() -> None:
    slow, opening = Slow([]), threading.Event()

    def opens() -> Slow:
        opening.set()
        slow.let.wait(60)
        return slow

    async def watch() -> None:
        async with Ahead(opens, Slow.read):
            pass

    watching = asyncio.create_task(watch())
    await asyncio.to_thread(opening.wait, 60)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    slow.let.set()
    assert await asyncio.to_thread(slow.closed.wait, 60)
