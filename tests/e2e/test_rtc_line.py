"""A real Chromium behind a line that loses packets: it reports every packet, and mends pictures by their parities."""

import pytest

from benchmarks.link import course
from benchmarks.relay import through
from tests.e2e.rtc_measure import CHROMIUM, chromium, served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium, or set MIEN_CHROMIUM"),
]


async def test_packets_are_reported_and_parities_taken():
    async with served(size=256) as stand:
        with through(stand.url, course("loss=5,delay=10")) as (address, _):
            async with chromium(address) as page:
                raw = await page.evaluate("watch('/whep/s', 6, 256)")
                (peer,) = stand.peers.peers("s")
                sender = next(sender for sender in peer.senders if sender.kind == "video")
                assert peer.line is not None
                assert peer.line.reports > 3
                assert sender.stats.parities > 3
    video = next(stats for stats in raw["stats"] if stats["type"] == "inbound-rtp" and stats["kind"] == "video")
    assert video["framesDecoded"] > 20
