"""Damaged requests, frames and datagrams for a server that runs; `python -m tests.fuzz` sends ten thousand of each."""

import pytest

from tests.fuzz.feeding import LOG_MOST
from tests.fuzz.wire import WIRES

INPUTS = 160


@pytest.mark.parametrize("name", WIRES)
async def test_damaged_ones_harm_nobody(name: str) -> None:
    found = await WIRES[name](INPUTS, 0)
    assert not found.failures
    assert found.logged <= LOG_MOST * INPUTS


async def test_an_empty_datagram_ends_no_connection() -> None:
    """It did: aioice handed it on, and aiortc looked at its first byte."""
    assert not (await WIRES["datagrams"](1, 8)).failures
