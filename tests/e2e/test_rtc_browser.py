"""WebRTC with a real Chromium: what a person would see and hear."""

import asyncio
from typing import Any

import numpy as np
import pytest

from streaming.contract import Step
from streaming.rtc.peer import RtcConfig
from streaming.rtc.stats import peer_stats
from tests.e2e.rtc_measure import CHROMIUM, chromium, evaluated, heard, served

PACKET = 960  # samples of 20 ms

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium, or set MIEN_CHROMIUM"),
]


def inbound(raw: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(stats for stats in raw["stats"] if stats["type"] == "inbound-rtp" and stats["kind"] == kind)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_picture_and_voice_arrive_soon_and_together(codec: str):
    config = RtcConfig(codecs=(codec,))
    async with served(config, picture_hold_ms=40) as stand, chromium(stand.url) as page:
        raw = await page.evaluate("watch('/whep/s', 9, 512)")
        seen = evaluated(raw, stand.session)
        assert inbound(raw, "video")["framesDecoded"] > 100
        assert any(stats.get("mimeType") == f"video/{codec}" for stats in raw["stats"])
        assert seen.display_delay.min() < 150  # the least of them: a busy machine adds to the others, a wrong path to all
        assert np.abs(seen.skew).min() < 150


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_colours_are_what_they_were(codec: str):
    async with served(RtcConfig(codecs=(codec,)), size=256) as stand, chromium(stand.url) as page:
        stand.session.colour = (0x51, 0x5A, 0xF0)  # BT.601 limited: pure red is Y 81, U 90, V 240
        await page.evaluate("watch('/whep/s', 2, 256)")
        red, green, blue, _ = await page.evaluate("pixels(128, 200)")
        assert red > 245
        assert green < 12
        assert blue < 12


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_browser_follows_smaller_and_fewer_pictures_and_a_still_one(codec: str):
    async with served(RtcConfig(codecs=(codec,))) as stand, chromium(stand.url) as page:
        watching = asyncio.ensure_future(page.evaluate("watch('/whep/s', 10, 512)"))
        for step in (Step(25, 512), Step(15, 384), Step(15, 256), Step(0, 256), Step(25, 512)):
            stand.session.step = step
            await page.wait_for_function(f"v.videoWidth === {step.size}", timeout=60_000)
            await page.wait_for_timeout(1200)  # a still portrait is sent again meanwhile
        raw = await watching
        lane = stand.peers.broadcast("s").stats.lanes[codec]  # pyright: ignore[reportOptionalMemberAccess]
        assert lane.repeated > 20
        assert inbound(raw, "audio")["totalSamplesReceived"] > 10 * 48_000 / 2
        assert inbound(raw, "video")["keyFramesDecoded"] >= 4


async def test_two_viewers_one_encode():
    async with served(size=256) as stand, chromium(stand.url) as page:
        watching = asyncio.ensure_future(page.evaluate("watch('/whep/s', 6, 256)"))
        await asyncio.sleep(2)
        other = await page.context.new_page()
        await other.goto(stand.url)
        raw = await other.evaluate("watch('/whep/s', 2, 256)")
        stats = peer_stats(stand.peers, "s")
        assert stats.viewers == 2
        assert list(stats.pictures) == ["H264"]
        broadcast = stand.peers.broadcast("s")
        assert broadcast is not None
        assert stats.pictures["H264"] <= broadcast.stats.emissions
        assert inbound(raw, "video")["framesDecoded"] > 20
        assert inbound(await watching, "video")["framesDecoded"] > 80


async def test_the_microphone_is_pushed_on_arrival():
    async with served() as stand, chromium(stand.url) as page:
        raw = await page.evaluate("speak('/whip/s', 6)")
        delays = heard(raw["clicks"], stand.session)
        assert len(delays) >= 4
        assert min(delays) < 60  # aiortc's own receiver is never below 60
        sound = sum(len(samples) for samples, _ in stand.session.pushed)
        (sent,) = (stats["packetsSent"] for stats in raw["stats"] if stats["type"] == "outbound-rtp")
        assert sound / PACKET == pytest.approx(sent, abs=25)  # all of it, once; half a second is on its way
        assert any(stats["type"] == "remote-inbound-rtp" for stats in raw["stats"])


async def test_a_page_without_permission_connects_as_fast():
    """It hides its addresses behind `.local` names; nobody waits for them."""
    async with served(size=256) as stand, chromium(stand.url, microphone=False) as page:
        took: list[float] = []
        while not took or (min(took) >= 950 and len(took) < 5):  # aioice would look the name up for a second each time
            raw = await page.evaluate("watch('/whep/s', 0, 256)")
            took.append(raw["connected"] - raw["answered"])
        assert min(took) < 950
