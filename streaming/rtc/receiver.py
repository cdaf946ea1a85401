"""The microphone's RTP stream: stands in for aiortc's RTCRtpReceiver.

No jitter buffer and no decoder thread: packets go straight into an
`OpusStream` and its sound straight to the session. Receiver reports go on as
the browser expects them. It offers the attributes that RTCPeerConnection,
RTCRtpTransceiver and RTCDtlsTransport use, see `streaming.rtc.aiortc_seam`.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV and aiortc are partly untyped.
# pyright: reportPrivateUsage=false
# The underscored names below are aiortc's interface between receiver and transport.

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np
from aiortc import MediaStreamTrack, rtp
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.stats import RTCStatsReport
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import now
from streaming.rtc.reception import Reception
from streaming.rtc.voice import PATIENCE_S, OpusStream

REPORT_INTERVAL_S = 1.0

Push = Callable[[NDArray[np.float32], float], None]


class VoiceReceiver:
    """Receives one microphone and pushes its sound as it comes, with the time of arrival."""

    def __init__(self, transport: RTCDtlsTransport, push: Push) -> None:
        self.transport = transport
        self.stream = OpusStream()
        self.heard_at: float | None = None
        self._push = push
        self._track: MediaStreamTrack | None = None  # aiortc puts one here; nobody reads it
        self._enabled = True
        self._ssrc: int | None = None  # of our reports
        self._source: int | None = None  # the far SSRC now heard
        self._payload_types: frozenset[int] = frozenset()
        self._reception = Reception(SAMPLE_RATE_HZ)
        self._reports: asyncio.Task[None] | None = None
        self._giving_up: asyncio.TimerHandle | None = None

    # what RTCPeerConnection and RTCRtpTransceiver call

    @property
    def track(self) -> MediaStreamTrack | None:
        """The track that aiortc announces; it stays empty."""
        return self._track

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802 (aiortc's name)
        """Use another transport, when media are bundled."""
        self.transport = transport

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._ssrc = ssrc

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

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 (aiortc's name)
        """Of the transport only; the stream's own are in `stream.stats`."""
        report = RTCStatsReport()
        report.update(self.transport._get_stats())
        return report

    # what RTCDtlsTransport calls

    def _handle_disconnect(self) -> None:
        """The connection's own state tells its peer."""

    async def _handle_rtp_packet(self, packet: rtp.RtpPacket, arrival_time_ms: int) -> None:
        arrived = now()
        if not self._enabled or packet.payload_type not in self._payload_types:
            return
        self._reception.count(packet)
        if packet.ssrc != self._source:
            self._source, self.stream = packet.ssrc, OpusStream()
        self.heard_at = arrived
        self._give(self.stream.add(packet.sequence_number, packet.timestamp, packet.payload), arrived)

    async def _handle_rtcp_packet(self, packet: rtp.AnyRtcpPacket) -> None:
        self._reception.heard(packet)

    # private

    def _give(self, sound: NDArray[np.float32], arrived: float) -> None:
        if len(sound):
            self._push(sound, arrived)
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
            if self._ssrc is not None and (report := self._reception.report(self._ssrc)):
                with contextlib.suppress(ConnectionError):
                    await self.transport._send_rtp(report)
