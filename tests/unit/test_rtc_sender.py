# pyright: reportPrivateUsage=false
import asyncio
from collections.abc import AsyncIterator
from struct import unpack

import pytest
from aiortc import rtp

from streaming.contract import now
from streaming.rtc import history, losses
from streaming.rtc import sender as module
from streaming.rtc.clock import MediaClock
from streaming.rtc.line import Line
from streaming.rtc.sender import MediaSender
from tests.unit.rtc_fakes import PROTECTED, VIDEO, Transport, send_parameters


class Stand:
    def __init__(self) -> None:
        self.transport = Transport()
        self.clock = MediaClock()
        self.clock.anchor(0.0, 1_000_000.0)
        self.ready: list[MediaSender] = []
        self.heard: list[MediaSender] = []
        self.line = Line(2_000_000)
        parts = self.transport, self.line, self.clock, self.ready.append, self.heard.append
        self.sender = MediaSender("video", *parts, (0, 200))  # type: ignore[arg-type]


@pytest.fixture
async def stand(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    monkeypatch.setattr(module, "REPORT_INTERVALS_S", (0.0, 0.0))
    one = Stand()
    await one.sender.send(send_parameters(VIDEO))
    yield one
    await one.sender.stop()


def extensions(data: bytes) -> dict[int, bytes]:
    profile, words = unpack("!HH", data[12:16])
    return dict(rtp.unpack_header_extensions(profile, data[16 : 16 + 4 * words]))


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_frame_is_numbered_marked_and_labelled(stand: Stand):
    assert stand.ready == [stand.sender]
    await stand.sender.transmit((b"one", b"two"), 3600)
    await stand.sender.transmit((b"three",), 7200)
    packets = stand.transport.packets()
    assert [(p.payload, p.marker, p.payload_type) for p in packets] == [(b"one", 0, 102), (b"two", 1, 102), (b"three", 1, 102)]
    first = packets[0]
    assert [(p.sequence_number - first.sequence_number) & 0xFFFF for p in packets] == [0, 1, 2]
    assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in packets] == [0, 0, 3600]
    assert {p.ssrc for p in packets} == {stand.sender._ssrc}


async def test_the_playout_delay_is_asked_for_in_units_of_10_ms(stand: Stand):
    await stand.sender.transmit((b"x",), 0)
    found = extensions(stand.transport.sent[0])
    assert found[5] == bytes((0, 0, 20))  # 12 bits 0, 12 bits 20
    assert found[4] == b"1"
    assert len(found[2]) == 3


async def test_reports_name_the_instant_depicted_not_the_one_of_sending(stand: Stand):
    await stand.sender.transmit((b"x",), 90_000 * 7)
    await turn()
    report = next(r for r in stand.transport.reports() if isinstance(r, rtp.RtcpSrPacket))
    assert report.sender_info.ntp_timestamp >> 32 == 1_000_007 + 2_208_988_800
    assert report.sender_info.rtp_timestamp == stand.transport.packets()[0].timestamp
    assert report.sender_info.packet_count == 1


async def test_no_report_goes_out_before_the_first_packet(stand: Stand):
    await turn()
    assert stand.transport.sent == []


async def test_a_lost_packet_is_repeated_on_the_stream_for_repeats_and_not_while_it_may_be_under_way(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
):
    stand.sender.started, stand.sender.stats.round_trip.smoothed_s = True, 3600.0
    await stand.sender.transmit((b"one", b"two"), 0)
    lost = stand.transport.packets()[1].sequence_number
    nack = rtp.RtcpRtpfbPacket(fmt=rtp.RTCP_RTPFB_NACK, ssrc=1, media_ssrc=stand.sender._ssrc)
    nack.lost = [lost, (lost + 1000) & 0xFFFF]
    await stand.sender._handle_rtcp_packet(nack)
    assert len(stand.transport.packets()) == 2  # just sent: it may still be under way
    stand.sender.stats.round_trip.smoothed_s = 0.0
    monkeypatch.setattr(history, "GAP_S", 0.0)
    monkeypatch.setattr(history, "LATE_S", 3600.0)
    await stand.sender._handle_rtcp_packet(nack)
    repeat = stand.transport.packets()[2]
    assert (repeat.payload_type, repeat.ssrc) == (103, stand.sender._rtx_ssrc)
    assert repeat.payload == lost.to_bytes(2, "big") + b"two"
    assert stand.sender.stats.retransmitted == 1
    assert stand.sender.wants_key  # for the other packet, which nobody knows any more


async def test_a_round_trip_is_measured_from_the_report_that_is_answered(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    await stand.sender.transmit((b"x",), 0)
    await turn()
    report = next(r for r in stand.transport.reports() if isinstance(r, rtp.RtcpSrPacket))
    middle = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
    monkeypatch.setattr(losses, "WINDOW_S", 0.0)
    for lost, highest in ((3, 5), (8, 25)):
        info = rtp.RtcpReceiverInfo(stand.sender._ssrc, 64, lost, highest, 900, middle, 0)
        await stand.sender._handle_rtcp_packet(rtp.RtcpRrPacket(ssrc=1, reports=[info]))
    stats = stand.sender.stats
    assert stats.round_trip.smoothed_s is not None
    assert 0 <= stats.round_trip.smoothed_s < 60
    assert (stats.fraction_lost, stats.jitter_s) == (0.25, 0.01)


async def test_requests_for_key_frames_and_estimates_reach_the_broadcast(stand: Stand):
    ssrc = stand.sender._ssrc
    await stand.sender._handle_rtcp_packet(rtp.RtcpPsfbPacket(fmt=rtp.RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc))
    assert stand.sender.wants_key
    remb = rtp.pack_remb_fci(1_500_000, [ssrc])
    await stand.sender._handle_rtcp_packet(rtp.RtcpPsfbPacket(fmt=rtp.RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=remb))
    assert stand.sender.stats.allowed_bps == pytest.approx(1_500_000, rel=0.01)
    await stand.sender._handle_rtcp_packet(rtp.RtcpPsfbPacket(fmt=rtp.RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=b"REMB\x05"))
    assert stand.heard == [stand.sender, stand.sender]
    assert stand.sender.stats.key_requests == 1


async def test_every_packet_is_numbered_on_its_line_where_the_viewer_reports_them(stand: Stand):
    await stand.sender.transmit((b"one", b"two"), 0)
    assert [extensions(data)[6] for data in stand.transport.sent] == [b"\x00\x00", b"\x00\x01"]
    assert stand.line.number(100, 0.0) == 2


async def test_what_was_sent_before_a_line_fell_or_a_key_picture_is_not_repeated(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "GAP_S", 0.0)
    sender = stand.sender
    await sender.transmit((b"one", b"two"), 0)
    sender.started = True
    sender.begin_anew()
    assert not sender.started
    nack = rtp.RtcpRtpfbPacket(fmt=rtp.RTCP_RTPFB_NACK, ssrc=1, media_ssrc=sender._ssrc)
    nack.lost = [packet.sequence_number for packet in stand.transport.packets()]
    await sender._handle_rtcp_packet(nack)
    sender.started = True
    await sender.transmit((b"key",), 3600, key=True)
    await sender._handle_rtcp_packet(nack)
    assert [packet.payload for packet in stand.transport.packets()] == [b"one", b"two", b"key"]
    assert not sender.wants_key
    await asyncio.sleep(0)


async def test_where_packets_are_lost_pictures_bring_what_mends_them(stand: Stand):
    sender, transport = stand.sender, stand.transport
    await sender.stop()
    sender = MediaSender("video", transport, stand.line, stand.clock, stand.ready.append, stand.heard.append, (0, 200))  # type: ignore[arg-type]
    await sender.send(send_parameters(PROTECTED))
    begin = len(transport.packets())
    await sender.transmit((b"one",), 0)
    assert sender._playout is not None
    sender._playout.lose(now(), 0.05)
    for _ in range(50):
        sender._playout.report(0.1)
    await sender.transmit((b"two", b"three", b"four"), 3600)
    plain, *coded, parity, other = transport.packets()[begin:]
    assert (plain.payload_type, plain.payload) == (102, b"one")
    assert [packet.payload_type for packet in (*coded, parity, other)] == [118] * 5
    assert [packet.marker for packet in (*coded, parity, other)] == [0, 0, 1, 0, 0]
    assert [packet.payload for packet in coded] == [b"\x66two", b"\x66three", b"\x66four"]
    assert parity.payload[0] == other.payload[0] == 120
    assert unpack("!H", parity.payload[3:5])[0] == coded[0].sequence_number
    xor = bytes(a ^ b for a, b in zip(b"two\0", b"four", strict=True))
    assert parity.payload.endswith(xor)
    assert other.payload.endswith(b"three")
    sender.stats.round_trip.smoothed_s = 0.0
    nack = rtp.RtcpRtpfbPacket(fmt=rtp.RTCP_RTPFB_NACK, ssrc=1, media_ssrc=sender._ssrc, lost=[parity.sequence_number])
    for packet in sender._history.largest(4):
        packet.at -= 1.0
    await sender._handle_rtcp_packet(nack)
    assert transport.packets()[-1].payload_type == 119
    await sender.stop()


async def test_where_parities_are_sent_a_key_frame_comes_before_chromium_loses_count(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "KEY_WITHIN", 5)
    sender = MediaSender("video", stand.transport, stand.line, stand.clock, stand.ready.append, stand.heard.append, (0, 200))  # type: ignore[arg-type]
    await sender.send(send_parameters(PROTECTED))
    await sender.transmit((b"x",) * 8, 0, key=True)
    await sender.transmit((b"x",), 3600)
    assert not sender.wants_key  # nothing is lost: no parities
    assert sender._playout is not None
    sender._playout.lose(now(), 0.05)
    await sender.transmit((b"x",), 7200)
    assert sender.wants_key
    sender.wants_key = False
    await sender.transmit((b"x",), 10_800, key=True)
    assert not sender.wants_key
    await sender.transmit((b"x",) * 4, 14_400)
    await sender.transmit((b"x",), 18_000)
    assert sender.wants_key
    await sender.stop()


async def test_what_is_repeated_goes_twice_unless_the_line_is_thin(stand: Stand):
    sender, transport = stand.sender, stand.transport
    await sender.transmit((b"one", b"two"), 0)
    for bps, copies in ((stand.line.picture_bps, 2), (100_000, 1)):
        stand.line.picture_bps = bps
        for packet in sender._history.largest(2):
            packet.at -= 1.0
        nack = rtp.RtcpRtpfbPacket(fmt=rtp.RTCP_RTPFB_NACK, ssrc=1, media_ssrc=sender._ssrc)
        nack.lost = [packet.sequence_number for packet in transport.packets()[:2]]
        begin = len(transport.packets())
        await sender._handle_rtcp_packet(nack)
        assert [packet.payload[2:] for packet in transport.packets()[begin:]] == [b"one", b"two"] * copies
    assert sender.stats.retransmitted == 4


async def test_a_line_is_probed_with_what_was_sent_before(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    rates = iter((1e9, None))
    monkeypatch.setattr(stand.line, "probe", lambda at: next(rates))  # pyright: ignore
    await stand.sender.transmit((b"large one", b"x"), 0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert {packet.payload[2:] for packet in stand.transport.packets()[2:]} <= {b"large one", b"x"}
    assert len(stand.transport.packets()) == 4
    assert {packet.payload_type for packet in stand.transport.packets()[2:]} == {103}


async def test_a_broken_connection_is_somebody_elses_to_notice(stand: Stand):
    stand.transport.broken = True
    await stand.sender.transmit((b"x",), 0)
    assert stand.sender.stats.packets == 0


async def test_a_stopped_sender_says_goodbye_and_sends_no_more(stand: Stand):
    await stand.sender.transmit((b"x",), 0)
    await stand.sender.stop()
    assert isinstance(stand.transport.reports()[-1], rtp.RtcpByePacket)
    count = len(stand.transport.sent)
    await stand.sender.transmit((b"y",), 3600)
    assert len(stand.transport.sent) == count
    assert not stand.transport.registered


async def test_a_bitrate_for_more_sources_than_it_names_is_not_heard(stand: Stand):
    whole = rtp.pack_remb_fci(900_000, [stand.sender._ssrc, 6])
    await stand.sender._handle_rtcp_packet(rtp.RtcpPsfbPacket(rtp.RTCP_PSFB_APP, 1, 0, whole[:-4]))
    assert stand.sender.stats.allowed_bps is None
