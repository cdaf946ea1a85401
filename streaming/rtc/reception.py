"""What a receiver tells its sender about a stream: receiver reports (RFC 3550, 6.4.2)."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# aiortc is partly untyped.

import time

from aiortc import rtp
from aiortc.rtcrtpreceiver import StreamStatistics

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
