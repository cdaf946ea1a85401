"""Real WebRTC inside one process: aiortc as the browser."""

import asyncio
import contextlib
import gc
import threading
from typing import Any

import aioice.ice
import numpy as np
import psutil
import pytest
from av import AudioFrame
from hypothesis import HealthCheck, given, settings

from streaming.contract import now
from streaming.rtc.lane import KEY_INTERVAL_S
from streaming.rtc.offer import OfferError
from streaming.rtc.peer import Crowded, Peers, RtcConfig
from streaming.rtc.stats import peer_stats
from tests.e2e.rtc_client import PATIENCE_S, SDP, client, request, until
from tests.e2e.rtc_fakes import ClockSession
from tests.e2e.rtc_measure import Stand, served
from tests.unit.rtc_offers import broken_offers, offer


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_viewer_sees_and_hears_the_session(codec: str):
    async with served(RtcConfig(codecs=(codec,)), size=256) as stand, client(stand, watches=True) as viewer:
        frame = await viewer.picture()
        assert (frame.width, frame.height) == (256, 256)
        heard = await viewer.track("audio").recv()
        assert isinstance(heard, AudioFrame)
        assert heard.sample_rate == 48_000
        broadcast = stand.peers.broadcast("s")
        assert broadcast is not None
        assert list(broadcast.stats.lanes) == [codec]
        await until(lambda: stand.session.viewers == 1)


async def test_picture_and_voice_carry_the_timestamps_of_one_clock():
    async with served(size=256) as stand, client(stand, watches=True) as viewer:
        senders = stand.peers.peers("s")[0].senders
        await viewer.picture()
        await until(lambda: all(len(sender._reported) >= 3 for sender in senders))  # pyright: ignore[reportPrivateUsage]
        broadcast = stand.peers.broadcast("s")
        assert broadcast is not None

        def seconds() -> list[float]:
            last = [sender._last_timestamp for sender in senders]  # pyright: ignore[reportPrivateUsage]
            return [stamp / rate for stamp, rate in zip(last, (48_000, 90_000), strict=True) if stamp is not None]

        await until(lambda: abs(seconds()[0] - seconds()[1]) < 0.2)
        assert broadcast.clock.ntp(seconds()[0]) is not None


async def test_all_viewers_share_one_encode_and_a_newcomer_sees_at_once():
    async with served(size=256) as stand, client(stand, watches=True) as first:
        await first.picture()
        async with client(stand, watches=True) as second:
            await second.picture()
            broadcast = stand.peers.broadcast("s")
            assert broadcast is not None
            lane = broadcast.stats.lanes["H264"]
            pictures, encoded, emissions = lane.pictures, lane.pictures + lane.skipped, broadcast.stats.emissions
            await until(lambda: lane.pictures >= pictures + 25)
            assert lane.pictures + lane.skipped - encoded == pytest.approx(broadcast.stats.emissions - emissions, abs=2)
            assert lane.keys == 2
            await until(lambda: stand.session.viewers == 2)
        await until(lambda: stand.session.viewers == 1)


async def test_who_joins_as_a_broadcast_fails_gets_another_while_its_viewers_leave():
    async with served(size=256) as stand, client(stand, watches=True) as first:
        await first.picture()
        failed = stand.peers.broadcast("s")
        assert failed is not None
        failed._on_end()  # pyright: ignore[reportPrivateUsage]
        assert stand.peers.broadcast("s") is None
        async with client(stand, watches=True) as second:
            await second.picture()
            assert stand.peers.broadcast("s") is not failed
            await until(lambda: stand.session.viewers == 1 and len(stand.peers.peers("s")) == 1)


async def test_a_key_frame_that_is_asked_for_comes_and_not_too_often():
    async with served(size=256) as stand, client(stand, watches=True) as viewer:
        await viewer.picture()
        broadcast = stand.peers.broadcast("s")
        assert broadcast is not None
        lane = broadcast.stats.lanes["H264"]
        receiver = next(t.receiver for t in viewer.pc.getTransceivers() if t.kind == "video")
        sender = stand.peers.peers("s")[0].senders[1]
        before, began = lane.keys, now()
        for _ in range(10):
            await receiver._send_rtcp_pli(sender._ssrc)  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0.02)
        await until(lambda: lane.keys > before and sender.stats.key_requests == 10)
        assert lane.keys - before <= 1 + (now() - began) / KEY_INTERVAL_S


async def test_the_state_of_the_connections_can_be_asked_for():
    async with served(size=256) as stand, client(stand, watches=True) as viewer, client(stand, watches=False):
        await viewer.picture()
        await until(lambda: peer_stats(stand.peers, "s").peers[0].round_trip_ms is not None)
        await until(lambda: peer_stats(stand.peers, "s").pictures["H264"] > 10)
        await until(lambda: (heard := peer_stats(stand.peers, "s").peers[1].heard) is not None and heard.packets > 10)
        stats = peer_stats(stand.peers, "s")
        assert (stats.viewers, len(stats.peers)) == (1, 2)
        assert stats.bitrate_bps > 0
        assert set(stats.stages_ms) == {"encode", "send", "voice", "residence"}
        assert peer_stats(stand.peers, "other").peers == ()


async def test_a_speaker_is_heard_and_gets_reports():
    async with served() as stand, client(stand, watches=False) as speaker:
        await until(lambda: len(stand.session.pushed) > 30)
        sound = np.concatenate([samples for samples, _ in stand.session.pushed[5:]])
        assert sound.dtype == np.float32
        assert 0.15 < np.abs(sound).max() < 0.27  # aiortc spreads mono over two channels, 3 dB lower
        arrivals = [at for _, at in stand.session.pushed]
        assert arrivals == sorted(arrivals)
        assert stand.session.viewers == 0

        async def reported() -> bool:
            return any(stats.type == "remote-inbound-rtp" for stats in (await speaker.pc.getStats()).values())

        async with asyncio.timeout(PATIENCE_S):
            while not await reported():
                await asyncio.sleep(0.1)


async def test_a_new_speaker_replaces_the_old_one():
    async with served() as stand, client(stand, watches=False) as old, client(stand, watches=False):
        await until(lambda: old.pc.connectionState == "closed" and len(stand.peers.peers("s")) == 1)


async def test_the_speakers_answer_asks_for_error_correction_and_declines_pictures_that_would_not_come():
    async with served() as stand:
        text = offer(direction="sendonly").replace("a=mid:1\r\na=sendonly", "a=mid:1\r\na=inactive")
        _, answer = await stand.peers.speak(stand.session, text)
        audio, video = answer.split("m=")[1:]
        assert "useinbandfec=1" in audio
        assert "a=recvonly" in audio
        assert "a=inactive" in video


async def test_the_viewers_answer_negotiates_the_playout_delay_and_our_codec_first():
    async with served() as stand:
        _, answer = await stand.peers.watch(stand.session, offer())
        video = answer.split("m=video")[1]
        assert "playout-delay" in video
        assert video.split("a=rtpmap:")[1].startswith("108 H264")
        assert "a=sendonly" in video


async def test_the_endpoints_speak_http_as_the_standard_says():
    async with served(RtcConfig(viewers_max=1)) as stand:
        assert (await request(stand, "POST", "whep/none", data=offer(), headers=SDP))[0] == 404
        assert (await request(stand, "POST", "whep/s", data=offer()))[0] == 415
        assert (await request(stand, "POST", "whep/s", data=b"v=0\r\n" + b"a" * 40_000, headers=SDP))[0] == 413
        assert (await request(stand, "POST", "whep/s", data="nonsense", headers=SDP))[0] == 400
        assert (await request(stand, "POST", "whip/s", data=b"\xff\xfe\x00", headers=SDP))[0] == 400
        status, _, headers = await request(stand, "OPTIONS", "whip/s")
        assert (status, headers["Accept-Post"]) == (204, "application/sdp")
        for method in ("GET", "PUT", "PATCH"):
            assert (await request(stand, method, "whip/s"))[0] == 405
        status, text, headers = await request(stand, "POST", "whep/s", data=offer(), headers=SDP)
        assert (status, headers["Content-Type"].split(";")[0]) == (201, "application/sdp")
        assert text.startswith("v=0")
        location = headers["Location"].lstrip("/")
        assert (await request(stand, "POST", "whep/s", data=offer(), headers=SDP))[0] == 503
        assert (await request(stand, "DELETE", location.replace("whep", "whip")))[0] == 404
        assert (await request(stand, "DELETE", location))[0] == 200
        assert (await request(stand, "DELETE", location))[0] == 404


async def test_deleting_ends_the_connection():
    async with served(size=256) as stand, client(stand, watches=True) as viewer:
        await request(stand, "DELETE", viewer.location.lstrip("/"))
        await until(lambda: viewer.pc.connectionState == "closed")
        assert stand.peers.broadcast("s") is None
        assert stand.session.viewers == 0


async def test_viewers_leave_when_the_session_ends():
    async with served(size=256) as stand, client(stand, watches=True) as viewer:
        await viewer.picture()
        await stand.session.close()
        await until(lambda: viewer.pc.connectionState == "closed")
        assert not stand.peers.peers("s")


async def test_who_never_connects_is_forgotten():
    async with served(RtcConfig(connect_timeout_s=0.3)) as stand:
        made = [(await stand.peers.watch(stand.session, text))[0] for text in (offer(candidates=()), offer())]
        await until(lambda: all(peer.ended.is_set() for peer in made))
        assert not stand.peers.peers("s")
        await until(lambda: stand.peers.broadcast("s") is None)


async def test_a_vanished_viewer_is_noticed(monkeypatch: pytest.MonkeyPatch):
    async with served(size=256) as stand:
        monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.1)
        async with client(stand, watches=True) as viewer:
            await viewer.picture()
            connection = viewer.pc.getTransceivers()[0].receiver.transport.transport._connection  # pyright: ignore[reportPrivateUsage]
            for protocol in connection._protocols:  # pyright: ignore[reportPrivateUsage]
                protocol.transport.abort()
            await until(lambda: not stand.peers.peers("s"))
            assert stand.session.viewers == 0


async def test_a_crowd_is_limited():
    async with served(RtcConfig(viewers_max=2)) as stand:
        for _ in range(2):
            await stand.peers.watch(stand.session, offer())
        with pytest.raises(Crowded, match="2 viewers"):
            await stand.peers.watch(stand.session, offer())


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken_offers())
def test_a_broken_offer_is_refused_or_answered_and_leaves_nothing_behind(text: str):
    async def attempt() -> None:
        session = ClockSession(size=64)
        peers = Peers({"s": session}.get)
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        for attend in (peers.watch, peers.speak):
            with contextlib.suppress(OfferError):
                await attend(session, text)
        await peers.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert len(left) <= 8, left  # aiortc's own, about to end
        await asyncio.sleep(0.01)
        assert not faults

    asyncio.run(attempt())


async def cycle(stand: Stand) -> None:
    async with client(stand, watches=True) as viewer, client(stand, watches=False):
        await viewer.picture()


def held() -> tuple[int, int, int]:
    """Descriptors, threads and tasks."""
    gc.collect()
    return psutil.Process().num_fds(), threading.active_count(), len(asyncio.all_tasks())


@pytest.mark.slow
async def test_nothing_piles_up_when_peers_come_and_go():
    async with served(size=256) as stand:
        for _ in range(3):
            await cycle(stand)
        await asyncio.sleep(1.0)
        before = held()
        for _ in range(30):
            await cycle(stand)
        async with asyncio.timeout(PATIENCE_S):
            while any(more > some + 1 for some, more in zip(before, held(), strict=True)):
                await asyncio.sleep(0.2)
