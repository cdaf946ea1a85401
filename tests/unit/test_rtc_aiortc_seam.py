# pyright: reportPrivateUsage=false
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import aioice.ice
import aioice.stun
import aiortc
import pytest
from aiortc import rtp

from streaming.rtc import aiortc_seam as seam
from streaming.rtc.feedback import TRANSPORT_URI, Feedback


def test_aiortc_is_as_it_was_when_we_reached_into_it():
    seam.check()


def test_another_aiortc_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aiortc, "__version__", "1.17.0")
    with pytest.raises(RuntimeError, match=r"aiortc 1\.16 is needed, 1\.17\.0 is installed"):
        seam.check()


def test_moved_internals_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(aioice.ice, "CONSENT_INTERVAL")
    with pytest.raises(RuntimeError, match="CONSENT_INTERVAL is gone"):
        seam.check()


def test_a_vanished_peer_is_noticed_within_15_s_and_a_hole_of_8_s_ends_nobody():
    answer_s, since_the_last_check_s = 0.5, 1.2 * seam.CONSENT_INTERVAL_S
    assert seam.CONSENT_FAILURES * (1.2 * seam.CONSENT_INTERVAL_S + answer_s) <= 15
    assert seam.CONSENT_FAILURES * (0.8 * seam.CONSENT_INTERVAL_S + answer_s) - since_the_last_check_s > 8


def test_damaged_stun_messages_raise_nothing_unexpected():
    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes["PRIORITY"] = 5
    whole = bytes(message)
    assert seam.parse_stun(whole).attributes["PRIORITY"] == 5
    for end in range(20, len(whole)):
        cut = whole[:2] + (end - 20).to_bytes(2, "big") + whole[4:end]
        with contextlib.suppress(ValueError):
            seam.parse_stun(cut)


VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 102 35 36 120 200\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\n"
    "a=rtpmap:102 H264/90000\r\na=rtpmap:35 red/90000\r\na=rtpmap:36 rtx/90000\r\na=fmtp:36 apt=35\r\n"
    "a=rtpmap:120 ulpfec/90000\r\na=rtpmap:200 red/90000\r\n"
    f"a=extmap:3 {TRANSPORT_URI}\r\n"
)


class Offered:
    """Stands where a connection that has been offered `VIDEO` would."""

    remoteDescription = aiortc.RTCSessionDescription("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + VIDEO, "offer")  # noqa: N815 (aiortc's name)


def test_what_aiortc_does_not_know_is_accepted_if_it_is_offered_and_may_be():
    transceiver: Any = SimpleNamespace(mid="1", _codecs=[], _headerExtensions=[])
    assert seam.accept_extension(cast(Any, Offered()), transceiver, TRANSPORT_URI)
    assert not seam.accept_extension(cast(Any, Offered()), transceiver, "urn:another")
    assert [extension.id for extension in transceiver._headerExtensions] == [3]
    seam.accept_codecs(cast(Any, Offered()), transceiver, ("red", "ulpfec"))
    assert [codec.payloadType for codec in transceiver._codecs] == [35, 120, 36]
    seam.accept_feedback(transceiver)
    assert [len(codec.rtcpFeedback) for codec in transceiver._codecs] == [1, 1, 0]


async def test_reports_about_packets_are_taken_out_before_aiortc_reads_on():
    handed: list[bytes] = []

    async def handle(data: bytes) -> None:
        handed.append(data)

    transport = SimpleNamespace(_handle_rtcp_data=handle)
    heard: list[Feedback] = []
    seam.hear_feedback(cast(Any, SimpleNamespace(sender=SimpleNamespace(transport=transport))), heard.append)
    report = b"\x8f\xcd\x00\x05" + bytes(8) + b"\x00\x07\x00\x01\x00\x00\x01\x00\x20\x01\x04\x00"
    other = bytes(rtp.RtcpRrPacket(ssrc=1))
    await transport._handle_rtcp_data(report)
    await transport._handle_rtcp_data(report + other)
    assert [found.base for found in heard] == [7, 7]
    assert handed == [other]


def test_link_local_addresses_are_not_offered(monkeypatch: pytest.MonkeyPatch):
    found = ["169.254.3.4", "192.168.1.2", "fd00::2", *(f"10.0.0.{i}" for i in range(20))]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: found)  # pyright: ignore
    assert seam.host_addresses(loopback=True)[:3] == ["127.0.0.1", "192.168.1.2", "fd00::2"]
    assert seam.host_addresses(loopback=False)[0] == "192.168.1.2"
    assert len(seam.host_addresses(loopback=True)) == 8
