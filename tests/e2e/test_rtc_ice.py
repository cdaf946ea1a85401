"""Candidates that come later, and ICE restarts, over HTTP as RFC 9725 has them; aiortc as the browser."""

import asyncio
import logging
from typing import Any

import aioice.ice
import psutil
import pytest

from streaming.rtc import aiortc_seam as seam
from streaming.rtc import ice
from streaming.rtc.fragment import FRAGMENT_TYPE, checked_fragment, written_fragment
from streaming.rtc.peer import RtcConfig
from streaming.rtc.reach import Reach, this_host
from tests.e2e.rtc_client import PATIENCE_S, SDP, Client, client, request, until
from tests.e2e.rtc_measure import Stand, served
from tests.unit.rtc_offers import offer


async def patch(stand: Stand, location: str, body: str, match: str | None, kind: str = FRAGMENT_TYPE) -> tuple[int, str, Any]:
    headers = {"Content-Type": kind} | ({} if match is None else {"If-Match": match})
    return await request(stand, "PATCH", location.lstrip("/"), data=body, headers=headers)


async def restart(stand: Stand, one: Client) -> aioice.ice.Connection:
    """Restart ICE from the client's side; returns what it had before, which nothing uses any more."""
    transceiver = one.pc.getTransceivers()[0]
    fresh = aioice.ice.Connection(ice_controlling=True)
    seam.use_addresses(fresh, ["127.0.0.1"], 1)
    await fresh.gather_candidates()
    body = written_fragment(fresh.local_username, fresh.local_password, "0", fresh.local_candidates)
    status, text, headers = await patch(stand, one.location, body, "*")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, FRAGMENT_TYPE), text
    theirs = checked_fragment(text, Reach(own=this_host()))
    fresh.remote_username, fresh.remote_password = theirs.username, theirs.password
    for candidate in theirs.candidates:
        await fresh.add_remote_candidate(candidate)
    await fresh.connect()
    return seam.hand_over(transceiver, fresh)


async def test_a_restart_moves_a_viewer_to_a_new_way_without_a_gap():
    async with served(size=256) as stand, client(stand, watches=True) as viewer:
        await viewer.picture()
        peer = stand.peers.peers("s")[0]
        broadcast = stand.peers.broadcast("s")
        assert broadcast is not None
        before = seam.ice_of(peer.connection.getTransceivers()[0])
        await seam.close_apart(await restart(stand, viewer))
        await until(lambda: seam.ice_of(peer.connection.getTransceivers()[0]) is not before)
        lane = broadcast.stats.lanes["H264"]
        keys, pictures = lane.keys, lane.pictures
        for _ in range(30):
            await viewer.picture()
        assert peer.connected
        assert viewer.pc.connectionState == "connected"
        assert lane.pictures > pictures
        assert lane.keys == keys == 1  # nothing was lost; of two ways a packet may overtake another, and be asked for again


async def test_a_speaker_is_heard_all_through_a_restart_and_the_next_one():
    async with served() as stand, client(stand, watches=False) as speaker:
        await until(lambda: len(stand.session.pushed) > 10)
        receiver = stand.peers.peers("s")[0].receiver
        assert receiver is not None
        for _ in range(2):
            heard = len(stand.session.pushed)
            former = await restart(stand, speaker)
            await until(lambda before=heard: len(stand.session.pushed) > before + 20)
            await seam.close_apart(former)
        assert receiver.stream.stats.concealed == 0


async def test_restarts_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ice, "OVERLAP_S", 0.05)
    async with served() as stand, client(stand, watches=False) as speaker:
        await until(lambda: len(stand.session.pushed) > 10)
        before = psutil.Process().num_fds()
        for _ in range(6):
            await seam.close_apart(await restart(stand, speaker))
        await until(lambda: psutil.Process().num_fds() <= before)
        heard = len(stand.session.pushed)
        await until(lambda: len(stand.session.pushed) > heard + 10)


async def test_a_restart_that_finds_no_way_leaves_the_connection_as_it_was(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "streaming.rtc.ice")
    async with served(size=256) as stand, client(stand, watches=True) as viewer:
        side = stand.peers.peers("s")[0].ice
        assert side is not None
        side._patience_s = 0.3  # pyright: ignore[reportPrivateUsage]
        body = written_fragment("nobody", "P2uYro0UCOQ4zxjKXaWCBui1", "0", [])
        status, _, headers = await patch(stand, viewer.location, body, "*")
        assert status == 200
        assert headers["ETag"]
        await until(lambda: "found no way" in caplog.text)
        await viewer.picture()
        assert stand.peers.peers("s")[0].connected


async def test_a_candidate_that_comes_later_connects():
    """From an address of its own, as one behind a firewall that must be called first."""
    async with served(RtcConfig(connect_timeout_s=PATIENCE_S), size=64) as stand:
        fresh = aioice.ice.Connection(ice_controlling=True)
        seam.use_addresses(fresh, ["127.0.0.1"], 1)
        await fresh.gather_candidates()
        text = offer(candidates=()).replace("Qm0X", fresh.local_username)
        text = text.replace("DAZRGs2Rw5SerKzZRIzk9Lbr", fresh.local_password)
        _, answer, headers = await request(stand, "POST", "whep/s", data=text, headers=SDP)
        theirs = checked_fragment("\r\n".join(answer.split("m=")[1].split("\r\n")), Reach(own=this_host()))
        fresh.remote_username, fresh.remote_password = theirs.username, theirs.password
        body = written_fragment(fresh.local_username, fresh.local_password, "0", fresh.local_candidates)
        assert (await patch(stand, headers["Location"], body, headers["ETag"]))[0] == 204
        async with asyncio.timeout(PATIENCE_S):  # with no candidate of theirs added here, only their checks can find us
            await fresh.connect()
        await fresh.close()


async def test_what_does_not_fit_is_refused_as_the_standard_says():
    async with served(RtcConfig(connect_timeout_s=PATIENCE_S), size=64) as stand:
        status, _, headers = await request(stand, "POST", "whep/s", data=offer(), headers=SDP)
        location, tag = headers["Location"], headers["ETag"]
        assert (status, headers["Accept-Patch"]) == (201, FRAGMENT_TYPE)
        assert tag.startswith('"')  # a strong one
        body = "a=end-of-candidates\r\n"
        assert (await patch(stand, location, body, None))[0] == 428
        assert (await patch(stand, location, body, '"another"'))[0] == 412
        assert (await patch(stand, location, body, f'"another", {tag}'))[0] == 204
        status, _, headers = await patch(stand, location, body, tag, kind="application/sdp")
        assert (status, headers["Accept-Patch"]) == (415, FRAGMENT_TYPE)
        assert (await patch(stand, location, "nonsense", tag))[0] == 400
        assert (await patch(stand, location, "a=x" * 4000, tag))[0] == 413
        assert (await patch(stand, location.replace("whep", "whip"), body, tag))[0] == 404
        new = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        status, text, _ = await patch(stand, location, new, "*")
        assert (status, "when it is connected" in text) == (409, True)
        status, _, headers = await request(stand, "OPTIONS", location.lstrip("/"))
        assert (status, headers["Accept-Patch"]) == (204, FRAGMENT_TYPE)
        for method in ("GET", "POST", "PUT"):
            assert (await request(stand, method, location.lstrip("/")))[0] == 405
        status, _, _ = await request(stand, "POST", "whep/s", data=offer(), headers=SDP | {"Accept": "application/json"})
        assert status == 406
