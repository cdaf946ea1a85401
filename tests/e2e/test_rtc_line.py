"""A real Chromium behind a line that loses packets: it reports every packet, and mends pictures by their parities."""

from typing import Any

import pytest

from benchmarks.link import course
from benchmarks.relay import through
from streaming.rtc.peer import Peer
from tests.e2e.rtc_measure import CHROMIUM, chromium, served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium, or set MIEN_CHROMIUM"),
]
TRIES = 6  # a busy machine may need more than one


def is_mended(peer: Peer, raw: dict[str, Any]) -> bool:
    video = next(stats for stats in raw["stats"] if stats["type"] == "inbound-rtp" and stats["kind"] == "video")
    parities = sum(sender.stats.parities for sender in peer.senders)
    return peer.line is not None and peer.line.reports > 3 and parities > 3 and video["framesDecoded"] > 20


async def test_packets_are_reported_and_parities_taken():
    async with served(size=256) as stand:
        with through(stand.url, course("loss=5,delay=10")) as (address, _):
            async with chromium(address) as page:
                for _ in range(TRIES):
                    raw = await page.evaluate("watch('/whep/s', 5, 256)")
                    if is_mended(stand.peers.peers("s")[-1], raw):
                        return
    pytest.fail(f"not in {TRIES} tries")
