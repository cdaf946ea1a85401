import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from streaming.ending import SIGNALS, told_to_end


class Guests:
    """A house with somebody in it, until they leave."""

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty
        self.told: list[float] = []

    async def drain(self, seconds: float) -> None:
        self.told.append(seconds)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def ended(guests: Guests, *numbers: int, drain_s: float = 3600.0) -> "asyncio.Task[None]":
    """The end of a server that gets these signals, one after the other."""
    ending = asyncio.create_task(told_to_end(guests, drain_s))
    await asyncio.sleep(0)
    for number in numbers:
        os.kill(os.getpid(), number)
        for _ in range(5):
            await asyncio.sleep(0.005)
    return ending


async def test_ctrl_c_ends_at_once() -> None:
    guests = Guests()
    await (await ended(guests, signal.SIGINT))
    assert guests.told == []


async def test_sigterm_ends_at_once_where_nobody_is() -> None:
    guests = Guests(empty=True)
    await (await ended(guests, signal.SIGTERM))
    assert guests.told == []


async def test_sigterm_waits_until_everybody_has_left() -> None:
    guests = Guests()
    ending = await ended(guests, signal.SIGTERM)
    assert (guests.told, ending.done()) == ([3600.0], False)
    guests.empty = True
    await ending


async def test_but_not_longer_than_it_may() -> None:
    guests = Guests()
    await (await ended(guests, signal.SIGTERM, drain_s=0.05))
    assert guests.told == [0.05]
    await (await ended(guests, signal.SIGTERM, drain_s=0.0))
    assert guests.told == [0.05]


@pytest.mark.parametrize("second", SIGNALS)
async def test_nor_after_a_second_signal(second: int) -> None:
    await (await ended(Guests(), signal.SIGTERM, second))


async def test_then_a_signal_ends_the_process_whatever_it_is_doing() -> None:
    await (await ended(Guests(), signal.SIGINT))
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_DFL, signal.SIG_DFL]
