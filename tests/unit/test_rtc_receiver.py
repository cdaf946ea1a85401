# pyright: reportPrivateUsage=false
import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc import rtp
from numpy.typing import NDArray

from streaming.rtc import receiver as module
from streaming.rtc.encoder import VoiceEncoder
from streaming.rtc.receiver import VoiceReceiver
from streaming.rtc.reception import STREAMS_MAX
from tests.unit.rtc_fakes import Transport, receive_parameters

PAYLOADS = [packet.payload for packet in VoiceEncoder().encode(np.zeros(9600, np.int16), 0)]


class Stand:
    def __init__(self) -> None:
        self.transport = Transport()
        self.pushed: list[tuple[NDArray[np.float32], float]] = []
        self.receiver = VoiceReceiver(self.transport, lambda samples, at: self.pushed.append((samples, at)))  # type: ignore[arg-type]
        self.receiver._set_rtcp_ssrc(77)

    async def packet(self, number: int, *, payload_type: int = 111, ssrc: int = 5) -> None:
        packet = rtp.RtpPacket(payload_type, 0, number, number * 960, ssrc, PAYLOADS[number % len(PAYLOADS)])
        await self.receiver._handle_rtp_packet(packet, arrival_time_ms=0)

    @property
    def lengths(self) -> list[int]:
        return [len(samples) for samples, _ in self.pushed]


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    one = Stand()
    await one.receiver.receive(receive_parameters())
    yield one
    await one.receiver.stop()


async def test_sound_is_pushed_within_the_call_that_brings_the_packet(stand: Stand):
    await stand.packet(0)
    await stand.packet(1)
    assert stand.lengths == [960, 960]
    assert stand.pushed[0][1] <= stand.pushed[1][1]
    assert stand.receiver.heard_at == stand.pushed[1][1]


async def test_what_waits_for_a_lost_packet_is_given_up_in_time(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    await stand.packet(0)
    await stand.packet(2)
    assert stand.lengths == [960]
    for _ in range(3):
        await asyncio.sleep(0)
    assert stand.lengths == [960, 960, 960]  # no longer than packets are, however many come at once


async def test_packets_of_other_kinds_are_not_sound(stand: Stand):
    await stand.packet(0, payload_type=96)
    assert stand.pushed == []


async def test_a_new_source_begins_anew_and_memory_is_bounded(stand: Stand):
    for ssrc in range(20):
        await stand.packet(3 * ssrc, ssrc=ssrc)
    assert stand.lengths == [960] * 20
    assert len(stand.receiver._reception.sources) == STREAMS_MAX


async def test_reports_tell_loss_and_answer_the_senders_report(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REPORT_INTERVAL_S", 0.0)
    await stand.receiver.stop()
    stand.receiver._reports = None
    await stand.receiver.receive(receive_parameters())
    for number in (0, 1, 3, 4):
        await stand.packet(number)
    info = rtp.RtcpSenderInfo(ntp_timestamp=0x1234_5678_9ABC_DEF0, rtp_timestamp=0, packet_count=0, octet_count=0)
    await stand.receiver._handle_rtcp_packet(rtp.RtcpSrPacket(ssrc=5, sender_info=info))
    stand.transport.sent.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    report = stand.transport.reports()[0]
    assert (report.ssrc, report.reports[0].ssrc) == (77, 5)
    assert (report.reports[0].packets_lost, report.reports[0].highest_sequence) == (1, 4)
    assert report.reports[0].lsr == 0x5678_9ABC
    assert report.reports[0].dlsr < 65536


async def test_a_stopped_receiver_leaves_nothing_behind(stand: Stand):
    await stand.packet(0)
    await stand.packet(2)
    await stand.receiver.stop()
    assert not stand.transport.registered
