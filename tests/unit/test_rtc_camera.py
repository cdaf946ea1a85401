# pyright: reportPrivateUsage=false
import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import rtp
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters

from streaming.contract import CodedPicture
from streaming.rtc import camera as module
from streaming.rtc.camera import RATE_BPS, RATE_LEAST_BPS, RATE_MOST_BPS, CameraReceiver
from tests.unit.rtc_fakes import Transport
from tests.unit.test_rtc_pictures import vp8

VIDEO = [
    RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96),
    RTCRtpCodecParameters(mimeType="video/rtx", clockRate=90_000, payloadType=97, parameters={"apt": 96}),
]
SOURCE, REPAIRS = 5, 6


class Session:
    def __init__(self) -> None:
        self.pictures: list[CodedPicture] = []
        self.ended = 0
        self.takes = True

    def push_picture(self, picture: CodedPicture) -> bool:
        self.pictures.append(picture)
        return self.takes

    def end_pictures(self) -> None:
        self.ended += 1


class Stand:
    def __init__(self) -> None:
        self.transport, self.session = Transport(), Session()
        self.receiver = CameraReceiver(self.transport, self.session)  # type: ignore[arg-type]
        self.receiver._set_rtcp_ssrc(77)
        self.sent = vp8(20, keys=(0, 9), first=100)
        self.at = 100.0  # its clock, in seconds

    async def packet(self, number: int, *, ssrc: int = SOURCE, send_time: int | None = None, payload_type: int = 96) -> None:
        part = self.sent[number]
        packet = rtp.RtpPacket(payload_type, part.marker, part.sequence, part.timestamp, ssrc, part.payload)
        packet.extensions.abs_send_time = send_time
        await self.receiver._handle_rtp_packet(packet, arrival_time_ms=number * 11)

    async def repair(self, number: int) -> None:
        part = self.sent[number]
        packet = rtp.RtpPacket(96, part.marker, part.sequence, part.timestamp, SOURCE, part.payload)
        await self.receiver._handle_rtp_packet(rtp.wrap_rtx(packet, 97, number, REPAIRS), arrival_time_ms=0)

    def told(self, kind: type, fmt: int) -> list[rtp.RtcpPsfbPacket | rtp.RtcpRtpfbPacket]:
        return [packet for packet in self.transport.reports() if isinstance(packet, kind) and packet.fmt == fmt]


@pytest.fixture
async def stand(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    one = Stand()
    monkeypatch.setattr(module, "REORDER_S", 0.0)
    monkeypatch.setattr(module, "now", lambda: one.at)
    await one.receiver.receive(RTCRtpReceiveParameters(codecs=VIDEO, muxId="0"))
    yield one
    await one.receiver.stop()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_picture_is_handed_on_within_the_call_that_completes_it(stand: Stand):
    for number in range(3):
        await stand.packet(number)
    (picture,) = stand.session.pictures
    assert (picture.key, picture.codec.name) == (True, "vp8")
    assert picture.arrived == stand.receiver.seen_at
    await stand.packet(0, payload_type=111)
    assert len(stand.session.pictures) == 1


async def test_a_missing_packet_is_asked_for_and_taken_from_the_repair_stream(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streaming.rtc.pictures.REORDER_S", 0.0)
    for number in (0, 1, 2, 3, 5):
        await stand.packet(number)
    await turns()
    (nack,) = stand.told(rtp.RtcpRtpfbPacket, rtp.RTCP_RTPFB_NACK)
    assert isinstance(nack, rtp.RtcpRtpfbPacket)
    assert (nack.ssrc, nack.media_ssrc, nack.lost) == (77, SOURCE, [104])
    await stand.repair(4)
    assert len(stand.session.pictures) == 2
    assert stand.receiver.stream.stats.recovered == 1
    assert not stand.told(rtp.RtcpPsfbPacket, rtp.RTCP_PSFB_PLI)


async def test_a_key_frame_is_asked_for_when_the_session_needs_one_and_not_too_often(stand: Stand):
    stand.session.takes = False
    for number in range(6):
        await stand.packet(number)
        stand.at += 1.0 if number == 2 else 0.0
        await turns()
    assert len(stand.told(rtp.RtcpPsfbPacket, rtp.RTCP_PSFB_PLI)) == 1
    stand.session.takes = True
    for number in range(6, 9):
        await stand.packet(number)
    assert not stand.receiver._needs_key


async def test_a_stream_begins_with_a_key_frame_and_one_is_asked_for_only_if_none_comes(stand: Stand):
    await stand.packet(4)
    await turns()
    assert stand.receiver.key_requests == 0
    stand.at += module.KEY_AGAIN_S
    await turns()
    assert stand.receiver.key_requests == 1


async def test_the_sender_is_told_what_it_may_send(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    await stand.packet(0)
    await stand.receiver._send_rate()
    (told,) = stand.told(rtp.RtcpPsfbPacket, rtp.RTCP_PSFB_APP)
    assert isinstance(told, rtp.RtcpPsfbPacket)
    rate, sources = rtp.unpack_remb_fci(told.fci)
    assert abs(rate - RATE_BPS) < 8
    assert sources == [SOURCE]
    for estimate, held_to in ((10_000, RATE_LEAST_BPS), (90_000_000, RATE_MOST_BPS)):
        monkeypatch.setattr(stand.receiver._estimator, "add", lambda *_, estimate=estimate: (estimate, [SOURCE]))
        await stand.packet(1, send_time=1)
        assert stand.receiver.rate_bps == held_to
    assert len(stand.told(rtp.RtcpPsfbPacket, rtp.RTCP_PSFB_APP)) == 2  # less is told at once, more with the next report


async def test_another_source_is_another_stream(stand: Stand):
    for number in range(3):
        await stand.packet(number)
    before = stand.receiver.stream
    await stand.packet(3, ssrc=9)
    assert stand.receiver.stream is not before
    assert stand.receiver.stream.wants_key


async def test_a_camera_that_gave_way_hands_on_nothing_more(stand: Stand):
    await stand.packet(0)
    stand.receiver.mute()
    for number in range(1, 6):
        await stand.packet(number)
    assert stand.session.pictures == []
    await stand.receiver.stop()
    assert stand.session.ended == 1
    assert not stand.transport.registered


async def test_padding_on_the_repair_stream_is_nothing(stand: Stand):
    await stand.receiver._handle_rtp_packet(rtp.RtpPacket(97, 0, 1, 0, REPAIRS, b""), arrival_time_ms=0)
    await stand.packet(0)
    await stand.receiver._handle_rtp_packet(rtp.RtpPacket(97, 0, 1, 0, REPAIRS, b""), arrival_time_ms=0)
    assert stand.receiver.stream.stats.packets == 1
