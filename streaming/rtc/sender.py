"""One RTP stream to one viewer: stands in for aiortc's RTCRtpSender.

aiortc's own sender encodes per viewer, stamps its reports with the time of
sending and knows no playout-delay. This one is given what a `Broadcast` has
encoded for everybody and only numbers, labels and repeats packets; its reports
follow the media clock. It offers the attributes that RTCPeerConnection,
RTCRtpTransceiver and RTCDtlsTransport use, see `streaming.rtc.aiortc_seam`.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV and aiortc are partly untyped.
# pyright: reportPrivateUsage=false
# The underscored names below are aiortc's interface between sender and transport.

import asyncio
import contextlib
import math
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiortc import rtp
from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.stats import RTCStatsReport
from aiortc.utils import random16, random32

from streaming.contract import now
from streaming.rtc.bitrate import LineReport
from streaming.rtc.clock import MediaClock, ntp
from streaming.rtc.estimator import PROBE_PACKETS
from streaming.rtc.fec import RED, ULPFEC, parities
from streaming.rtc.feedback import TRANSPORT_URI
from streaming.rtc.history import MENDED_MOST, ROOM, History, Sent
from streaming.rtc.line import Line
from streaming.rtc.losses import Losses
from streaming.rtc.playout import PlayoutDelay
from streaming.rtc.round_trip import RoundTrip

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY_URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"

REPORT_INTERVALS_S = (0.0, 0.1, 0.3)  # the first reports come early: a browser syncs only after two
REPORT_INTERVAL_S = 1.0
RTP_HEADER = 12 + 4  # bytes, with that of the extensions
EXTENSIONS = 16  # about as many
LOST_OFTEN = 0.03  # where more is lost, a picture has two parities; below, losing one parity more would cost more than it mends
KEY_WITHIN = 9_000
"""Where parities are sent, a key frame is made before so many sequence numbers have passed since the last one. Chromium takes
parities for padding; with the first of them that is 10,000 beyond an H.264 key frame it begins to count from there, and drops
pictures before it that were waiting for a lost packet. It then shows nothing for 3 s."""
PACE = 2.5  # times its rate is what a thin line is sent a picture at, as libwebrtc does


@dataclass(slots=True)
class SenderStats:
    """Counts since the stream began, and what the viewer reported last about it."""

    packets: int = 0
    octets: int = 0
    sent_bps: float = 0.0  # payload, repetitions too; the lower of the last two seconds: a key frame is no rate
    parities: int = 0
    retransmitted: int = 0
    repeated_octets: int = 0
    key_requests: int = 0
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    fraction_lost: float = 0.0  # of the last second
    jitter_s: float = 0.0
    allowed_bps: int | None = None  # the viewer's estimate of what its line bears (REMB)


class MediaSender:
    """Sends one kind of medium of a session to one viewer, over `line`, which its other medium shares.

    `clock` tells which wall-clock time a media instant stands for; `on_ready`
    is called when packets may flow, `on_feedback` after the viewer has reported
    how it fares, asked for a key frame or changed its bitrate estimate.
    """

    def __init__(
        self,
        kind: str,
        transport: RTCDtlsTransport,
        line: Line,
        clock: MediaClock,
        on_ready: Callable[["MediaSender"], None],
        on_feedback: Callable[["MediaSender"], None],
        playout_delay_ms: tuple[int, int] | None = None,
    ) -> None:
        self.kind = kind
        self.track = None  # aiortc asks; there is none, packets come from the broadcast
        self.transport = transport
        self.stats = SenderStats()
        self.wants_key = False  # a key frame was asked for and has not left yet
        self.started = kind == "audio"  # a picture decoder can only start on a key frame
        self.line = line
        self.codec_name = ""
        self._clock = clock
        self._on_ready, self._on_feedback = on_ready, on_feedback
        self._playout = PlayoutDelay(*playout_delay_ms) if playout_delay_ms else None
        self._playout_id = self._number_id = 0
        self._ssrc, self._rtx_ssrc = random32(), random32()
        self._stream_id, self._track_id = str(uuid.uuid4()), str(uuid.uuid4())
        self._enabled = True
        self._cname = ""
        self._clock_rate_hz = 0
        self._payload_type = 0
        self._rtx_payload_types: dict[int, int] = {}  # of what is repeated -> of its repetition
        self._protection: tuple[int, int] | None = None  # payload types of RED and ULPFEC
        self._static_extensions: list[tuple[int, bytes]] = []
        self._send_time_id = 0
        # in the lower half: a sequence number that wraps before the receiver's first packet breaks SRTP
        self._sequence, self._rtx_sequence = random16() % 32768, random16() % 32768
        self._numbers_since_key = 0
        self._origin = 0
        self._last_timestamp: int | None = None
        self._history = History()
        self._losses = Losses()
        self._reported: dict[int, float] = {}  # middle 32 bits of a report's NTP time -> when it left
        self._reports: asyncio.Task[None] | None = None
        self._first_packet = asyncio.Event()
        self._probing: asyncio.Task[None] | None = None
        self._stopped = False

    # what RTCPeerConnection and RTCRtpTransceiver call

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802 (aiortc's name)
        """Use another transport, when media are bundled."""
        self.transport = transport

    def replaceTrack(self, track: object) -> None:  # noqa: N802 (aiortc's name)
        """There is no track to replace."""

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Begin: the transport is connected and the parameters are negotiated."""
        if self._reports is not None or self._stopped:
            return
        codec = parameters.codecs[0]
        assert codec.payloadType is not None
        self.codec_name = codec.name.upper()
        self._payload_type, self._clock_rate_hz = codec.payloadType, codec.clockRate
        self._origin = self._clock.begin(codec.clockRate)
        self._cname = parameters.rtcp.cname or ""
        self._negotiate_repetition(parameters)
        self._negotiate_extensions(parameters)
        self.transport._register_rtp_sender(self, parameters)
        self._reports = asyncio.create_task(self._send_reports())
        self._on_ready(self)

    async def stop(self) -> None:
        """End the stream for good."""
        self._stopped = True
        if self._reports is not None:
            self.transport._unregister_rtp_sender(self)
            for task in filter(None, (self._reports, self._probing)):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self._send_rtcp(bytes(rtp.RtcpByePacket(sources=[self._ssrc])))

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 (aiortc's name)
        """Of the transport only; the stream's own are in `stats`."""
        report = RTCStatsReport()
        report.update(self.transport._get_stats())
        return report

    # what a Broadcast calls

    async def transmit(self, payloads: Sequence[bytes], timestamp: int, *, key: bool = False) -> None:
        """Send the payloads of one frame; `timestamp` counts the media clock in the codec's units from 0.

        A thin line is given them one by one, so that sound gets through between them. What was sent before a key
        picture is not repeated any more.
        """
        if self._stopped or not self._enabled:
            return
        if key:
            self._history.begin(self._sequence)
            self._numbers_since_key = 0
        wire_timestamp = (self._origin + timestamp) & 0xFFFFFFFF
        last = len(payloads) - 1
        red = self._protection[0] if self._protection is not None and self._is_protecting() else None
        self._history.reach = ROOM if red is None else MENDED_MOST
        self.wants_key = self.wants_key or (red is not None and self._numbers_since_key > KEY_WITHIN)
        mendable: list[bytes] = []
        try:
            for i, payload in enumerate(payloads):
                marker = self.kind == "video" and i == last
                packet = self._new_packet(wire_timestamp, self._payload_type, payload, red, marker=marker)
                if red is not None:
                    mendable.append(self._packed(packet, self._payload_type, packet.sequence, self._ssrc, payload, 0, 0))
                await self._send_first(packet)
                if i < last and self.line.is_thin:
                    await asyncio.sleep(8 * len(payload) / (PACE * self.line.picture_bps))
            await self._send_parities(mendable, wire_timestamp)
        except ConnectionError:
            return  # the connection's own state tells its peer
        self._last_timestamp = timestamp
        self._first_packet.set()
        self._probe()

    def begin_anew(self) -> None:
        """What is under way to the viewer comes too late: nothing until the line has drained, then a key picture."""
        self.started = self.wants_key = False
        self._history.begin(self._sequence)
        asyncio.get_running_loop().call_later(self.line.drained_at - now(), self._ask_key)

    # what RTCDtlsTransport calls

    async def _handle_rtcp_packet(self, packet: rtp.AnyRtcpPacket) -> None:
        if isinstance(packet, rtp.RtcpRrPacket | rtp.RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self._take_report(report)
                    self._on_feedback(self)
        elif isinstance(packet, rtp.RtcpRtpfbPacket) and packet.fmt == rtp.RTCP_RTPFB_NACK:
            await self._repeat_lost(packet.lost)
        elif isinstance(packet, rtp.RtcpPsfbPacket):
            self._take_feedback(packet)

    # private

    def _negotiate_repetition(self, parameters: RTCRtpSendParameters) -> None:
        for codec in parameters.codecs:
            repeated, payload_type = codec.parameters.get("apt"), codec.payloadType
            if is_rtx(codec) and isinstance(repeated, int) and payload_type is not None and payload_type < 128:
                self._rtx_payload_types[repeated] = payload_type
        named = {codec.name.lower(): codec.payloadType for codec in parameters.codecs}
        red, parity = named.get(RED), named.get(ULPFEC)
        if red is not None and parity is not None and red in self._rtx_payload_types:  # a lost parity leaves a hole, too
            self._protection = red, parity

    def _is_protecting(self) -> bool:
        """Parity costs a tenth and more, so only where packets are lost; a thin line's pictures are of one packet."""
        return self._playout is not None and self._playout.loses(now()) and not self.line.is_thin

    @property
    def _loses_often(self) -> bool:
        return self._playout is not None and self._playout.lost > LOST_OFTEN

    def _new_packet(self, timestamp: int, payload_type: int, payload: bytes, red: int | None, *, marker: bool) -> Sent:
        """The next packet; what is protected, and parities, are carried in RED."""
        if red is not None:
            payload, payload_type = bytes((payload_type,)) + payload, red
        at = now()
        playout = self._playout.encoded(at) if self._playout is not None else b""
        packet = Sent(self._sequence, timestamp, marker, payload_type, payload, at, at, playout)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._numbers_since_key += 1
        return packet

    async def _send_first(self, packet: Sent) -> None:
        self._history.keep(packet)
        await self.transport._send_rtp(
            self._serialised(packet, packet.payload_type, packet.sequence, self._ssrc, packet.payload)
        )
        self.stats.packets += 1
        self.stats.octets += len(packet.payload)

    async def _send_parities(self, mendable: Sequence[bytes], timestamp: int) -> None:
        if self._protection is None or self._playout is None:
            return
        red, parity_type = self._protection
        for parity in parities(mendable, 2 if self._loses_often else 1):
            await self._send_first(self._new_packet(timestamp, parity_type, parity, red, marker=False))
            self.stats.parities += 1

    def _negotiate_extensions(self, parameters: RTCRtpSendParameters) -> None:
        ids = {extension.uri: extension.id for extension in parameters.headerExtensions}
        if parameters.muxId and MID_URI in ids:
            self._static_extensions.append((ids[MID_URI], parameters.muxId.encode()))
        self._playout_id = ids.get(PLAYOUT_DELAY_URI, 0)
        self._send_time_id = ids.get(SEND_TIME_URI, 0)
        self._number_id = ids.get(TRANSPORT_URI, 0)

    def _ask_key(self) -> None:
        self.wants_key = not self.started

    def _serialised(
        self, packet: Sent, payload_type: int, sequence: int, ssrc: int, payload: bytes, *, probe: bool = False
    ) -> bytes:
        send_time = ntp(time.time()) >> 14 & 0xFFFFFF  # 6.18 fixed point
        number = self.line.number(RTP_HEADER + EXTENSIONS + len(payload), now(), probe=probe) if self._number_id else 0
        return self._packed(packet, payload_type, sequence, ssrc, payload, send_time, number)

    def _packed(
        self, packet: Sent, payload_type: int, sequence: int, ssrc: int, payload: bytes, send_time: int, number: int
    ) -> bytes:
        extensions = list(self._static_extensions)
        if self._playout_id and packet.playout:
            extensions.append((self._playout_id, packet.playout))
        if self._send_time_id:
            extensions.append((self._send_time_id, send_time.to_bytes(3, "big")))
        if self._number_id:
            extensions.append((self._number_id, number.to_bytes(2, "big")))
        profile, value = rtp.pack_header_extensions(extensions)
        first = 0x90 if value else 0x80
        header = struct.pack("!BBHLL", first, packet.marker << 7 | payload_type, sequence, packet.timestamp, ssrc)
        if value:
            header += struct.pack("!HH", profile, len(value) >> 2) + value
        return header + payload

    async def _repeat_lost(self, sequences: Sequence[int]) -> None:
        """Send again what a viewer misses, twice unless the line is thin: one more round trip would be a freeze."""
        packets = [packet for packet in map(self._to_repeat, sequences) if packet is not None]
        self.stats.retransmitted += len(packets)
        for packet in packets * (1 if self.line.is_thin else 2):
            await self._repeat(packet)

    def _to_repeat(self, sequence: int) -> Sent | None:
        at, round_trip_s = now(), self.stats.round_trip.smoothed_s or 0.0
        packet = self._history.again(sequence, at, round_trip_s, self.line.thin_bps)
        if packet is None:
            self.wants_key = self.wants_key or (self.started and self._history.is_past(sequence, at))
            return None
        if self._playout is not None:  # what waits on a line that fell is no reason to go on waiting
            way_s = max(0.0, round_trip_s - self.stats.round_trip.queued_s)
            self._playout.lose(at, way_s, mended=self._protection is not None)
        return packet

    async def _repeat(self, packet: Sent, *, probe: bool = False) -> None:
        self.stats.repeated_octets += len(packet.payload)
        rtx = self._rtx_payload_types.get(packet.payload_type)
        if rtx is None:
            data = self._serialised(packet, packet.payload_type, packet.sequence, self._ssrc, packet.payload)
        else:
            payload = struct.pack("!H", packet.sequence) + packet.payload
            data = self._serialised(packet, rtx, self._rtx_sequence, self._rtx_ssrc, payload, probe=probe)
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        with contextlib.suppress(ConnectionError):
            await self.transport._send_rtp(data)

    def _probe(self) -> None:
        """See whether the line bears more, when it is time, with packets that were sent before: a viewer knows them already."""
        if not self._rtx_payload_types or (bps := self.line.probe(now())) is None:
            return
        packets = self._history.largest(PROBE_PACKETS)
        self._probing = asyncio.create_task(self._probe_with(packets, bps))

    async def _probe_with(self, packets: Sequence[Sent], bps: float) -> None:
        due = now()
        for packet in packets:
            await self._repeat(packet, probe=True)
            due += 8 * len(packet.payload) / bps
            await asyncio.sleep(max(0.0, due - now()))

    def _take_report(self, report: rtp.RtcpReceiverInfo) -> None:
        at = now()
        self.stats.jitter_s = report.jitter / self._clock_rate_hz
        left_at = self._reported.get(report.lsr)
        if left_at is not None:
            self.stats.round_trip.add(max(0.0, at - left_at - report.dlsr / 65536), at)
        lost = self._losses.hear(report.packets_lost, report.highest_sequence, at)
        if lost is not None:
            self.stats.fraction_lost = lost
            if self._playout is not None:
                self._playout.report(lost)
            self._tell_line()

    def _tell_line(self) -> None:
        if self.kind == "video":
            stats = self.stats
            report = LineReport(stats.allowed_bps, stats.sent_bps, stats.fraction_lost, stats.round_trip.queued_s)
            self.line.report(report, now())

    def _take_feedback(self, packet: rtp.RtcpPsfbPacket) -> None:
        if packet.fmt in (rtp.RTCP_PSFB_PLI, rtp.RTCP_PSFB_FIR):
            self.stats.key_requests += 1
            self.wants_key = self.wants_key or now() >= self.line.drained_at
        elif packet.fmt == rtp.RTCP_PSFB_APP:
            try:
                bitrate, sources = rtp.unpack_remb_fci(packet.fci)
            except (ValueError, IndexError, struct.error):  # it says of more sources than it names
                return
            if self._ssrc in sources:
                self.stats.allowed_bps = bitrate
                self._tell_line()
        else:
            return
        self._on_feedback(self)

    async def _send_reports(self) -> None:
        await self._first_packet.wait()
        for interval in REPORT_INTERVALS_S:
            await asyncio.sleep(interval)
            await self._send_report()
        octets, at, before_bps = self._octets, now(), math.inf
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            await self._send_report()
            sent_bps = 8 * (self._octets - octets) / (now() - at)
            self.stats.sent_bps = min(before_bps, sent_bps)
            octets, at, before_bps = self._octets, now(), sent_bps

    @property
    def _octets(self) -> int:
        return self.stats.octets + self.stats.repeated_octets

    async def _send_report(self) -> None:
        assert self._last_timestamp is not None
        depicted = self._clock.ntp(self._last_timestamp / self._clock_rate_hz)
        if depicted is None:
            return
        report = rtp.RtcpSrPacket(
            ssrc=self._ssrc,
            sender_info=rtp.RtcpSenderInfo(
                ntp_timestamp=depicted,
                rtp_timestamp=(self._origin + self._last_timestamp) & 0xFFFFFFFF,
                packet_count=self.stats.packets & 0xFFFFFFFF,
                octet_count=self.stats.octets & 0xFFFFFFFF,
            ),
        )
        name = rtp.RtcpSourceInfo(ssrc=self._ssrc, items=[(1, self._cname.encode())])
        self._reported[depicted >> 16 & 0xFFFFFFFF] = now()
        while len(self._reported) > 16:
            del self._reported[next(iter(self._reported))]
        await self._send_rtcp(bytes(report) + bytes(rtp.RtcpSdesPacket(chunks=[name])))

    async def _send_rtcp(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self.transport._send_rtp(data)
