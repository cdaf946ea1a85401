"""What every receiver of ours has in common: aiortc's interface, and receiver reports (RFC 3550, 6.4.2)."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# aiortc is partly untyped.
# pyright: reportPrivateUsage=false
# The underscored names below are aiortc's interface between receiver and transport.

import contextlib
import time

from aiortc import MediaStreamTrack, rtp
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.stats import RTCStatsReport

STREAMS_MAX = 4  # sources reported on; a sender that changes its SSRC for ever must not fill memory


class Reception:
    """Counts packets by source and makes reports of it."""

    def __init__(self, clock_rate_hz: int) -> None:
        self._rate = clock_rate_hz
        self.sources: dict[int, StreamStatistics] = {}
        self._last_report: dict[int, tuple[int, float]] = {}  # far SSRC -> middle of its NTP time, when it came

    def count(self, packet: rtp.RtpPacket) -> None:
        """A packet has come."""
        statistics = self.sources.get(packet.ssrc)
        if statistics is None:
            while len(self.sources) >= STREAMS_MAX:
                oldest = next(iter(self.sources))
                del self.sources[oldest]
                self._last_report.pop(oldest, None)
            statistics = self.sources[packet.ssrc] = StreamStatistics(self._rate)
        statistics.add(packet)

    def heard(self, packet: rtp.AnyRtcpPacket) -> None:
        """A report of the sender has come."""
        if isinstance(packet, rtp.RtcpSrPacket) and packet.ssrc in self.sources:
            self._last_report[packet.ssrc] = (packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF, time.monotonic())

    def report(self, ssrc: int) -> bytes:
        """What to send, in the name of `ssrc`; nothing when there is nothing to say."""
        reports = [self._of(source, statistics) for source, statistics in self.sources.items()]
        return bytes(rtp.RtcpRrPacket(ssrc=ssrc, reports=reports)) if reports else b""

    def _of(self, ssrc: int, statistics: StreamStatistics) -> rtp.RtcpReceiverInfo:
        last, came_at = self._last_report.get(ssrc, (0, 0.0))
        delay = int((time.monotonic() - came_at) * 65536) if last else 0
        return rtp.RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=statistics.fraction_lost,
            packets_lost=statistics.packets_lost,
            highest_sequence=(statistics.cycles + (statistics.max_seq or 0)) & 0xFFFFFFFF,
            jitter=statistics.jitter & 0xFFFFFFFF,
            lsr=last,
            dlsr=min(delay, 0xFFFFFFFF),
        )


class StreamReceiver:
    """What stands in for aiortc's RTCRtpReceiver, but for the stream itself.

    It offers the attributes that RTCPeerConnection, RTCRtpTransceiver and RTCDtlsTransport use, see
    `streaming.rtc.aiortc_seam`; a stream's own receiver adds `receive`, `stop` and `_handle_rtp_packet`.
    """

    def __init__(self, transport: RTCDtlsTransport, clock_rate_hz: int) -> None:
        self.transport = transport
        self._reception = Reception(clock_rate_hz)
        self._track: MediaStreamTrack | None = None  # aiortc puts one here; nobody reads it
        self._enabled = True
        self._ssrc: int | None = None  # of our reports
        self._source: int | None = None  # the far SSRC now received

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

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 (aiortc's name)
        """Of the transport only; the stream's own are in `stream.stats`."""
        report = RTCStatsReport()
        report.update(self.transport._get_stats())
        return report

    # what RTCDtlsTransport calls

    def _handle_disconnect(self) -> None:
        """The connection's own state tells its peer."""

    async def _handle_rtcp_packet(self, packet: rtp.AnyRtcpPacket) -> None:
        self._reception.heard(packet)

    # what the stream's own receiver calls

    async def _report(self) -> None:
        """Tell the sender how its packets arrive."""
        if self._ssrc is not None and (report := self._reception.report(self._ssrc)):
            await self._send(report)

    async def _send(self, packet: object) -> None:
        data = packet if isinstance(packet, bytes) else bytes(packet)  # type: ignore[call-overload]
        with contextlib.suppress(ConnectionError):
            await self.transport._send_rtp(data)
