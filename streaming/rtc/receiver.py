"""The microphone's RTP stream: stands in for aiortc's RTCRtpReceiver.

No jitter buffer and no decoder thread: packets go straight into an
`OpusStream` and its sound straight to the session. Receiver reports go on as
the browser expects them.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV and aiortc are partly untyped.
# pyright: reportPrivateUsage=false
# The underscored names below are aiortc's interface between receiver and transport.

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np
from aiortc import rtp
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import now
from streaming.rtc.reception import StreamReceiver
from streaming.rtc.voice import PATIENCE_S, OpusStream

REPORT_INTERVAL_S = 1.0
PIECE = SAMPLE_RATE_HZ // 50  # samples: what a packet brings for those lost before it must not look like one long packet

Push = Callable[[NDArray[np.float32], float], None]


class VoiceReceiver(StreamReceiver):
    """Receives one microphone and pushes its sound as it comes, with the time of arrival."""

    def __init__(self, transport: RTCDtlsTransport, push: Push) -> None:
        super().__init__(transport, SAMPLE_RATE_HZ)
        self.stream = OpusStream()
        self.heard_at: float | None = None
        self._push = push
        self._payload_types: frozenset[int] = frozenset()
        self._reports: asyncio.Task[None] | None = None
        self._giving_up: asyncio.TimerHandle | None = None

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin: the transport is connected and the parameters are negotiated."""
        if self._reports is None:
            opus = (codec.payloadType for codec in parameters.codecs if codec.name.lower() == "opus")
            self._payload_types = frozenset(number for number in opus if number is not None)
            self.transport._register_rtp_receiver(self, parameters)
            self._reports = asyncio.create_task(self._send_reports())

    async def stop(self) -> None:
        """End for good."""
        if self._giving_up is not None:
            self._giving_up.cancel()
        if self._reports is not None:
            self.transport._unregister_rtp_receiver(self)
            self._reports.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reports

    def mute(self) -> None:
        """Hand on nothing more: another voice has taken over."""
        self._enabled = False

    async def _handle_rtp_packet(self, packet: rtp.RtpPacket, arrival_time_ms: int) -> None:
        arrived = now()
        if not self._enabled or packet.payload_type not in self._payload_types:
            return
        self._reception.count(packet)
        if packet.ssrc != self._source:
            self._source, self.stream = packet.ssrc, OpusStream()
        self.heard_at = arrived
        self._give(self.stream.add(packet.sequence_number, packet.timestamp, packet.payload), arrived)

    # private

    def _give(self, sound: NDArray[np.float32], arrived: float) -> None:
        for start in range(0, len(sound), PIECE):
            self._push(sound[start : start + PIECE], arrived)
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        if self.stream.waiting:
            self._giving_up = asyncio.get_running_loop().call_later(PATIENCE_S, self._give_up)

    def _give_up(self) -> None:
        self._giving_up = None
        self._give(self.stream.give_up(), now())

    async def _send_reports(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            await self._report()
