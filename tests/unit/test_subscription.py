import asyncio

import numpy as np

from streaming.contract import Outgoing, Stamps
from streaming.worker.subscription import Subscription

VIDEO = np.zeros((6, 4), np.uint8)


def frame(index: int) -> Outgoing:
    return Outgoing(index, VIDEO, True, Stamps())


async def test_the_oldest_give_way_beyond_200_ms() -> None:
    subscription = Subscription[Outgoing](25)
    for index in range(20):
        subscription.put(frame(index))
    subscription.end()
    assert [outgoing.index async for outgoing in subscription] == [15, 16, 17, 18, 19]


async def test_it_waits_for_what_comes_and_ends_when_told() -> None:
    subscription = Subscription[Outgoing](25)
    reading = asyncio.create_task(anext(subscription))
    await asyncio.sleep(0)
    subscription.put(frame(7))
    assert (await reading).index == 7
    ending = asyncio.create_task(anext(subscription, None))
    await asyncio.sleep(0)
    subscription.end()
    assert await ending is None


async def test_a_reader_that_gives_up_does_no_harm() -> None:
    subscription = Subscription[Outgoing](25)
    reading = asyncio.create_task(anext(subscription))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    subscription.put(frame(1))
    assert (await anext(subscription)).index == 1
