"""A camera's RTP stream: stands in for aiortc's RTCRtpReceiver.

No jitter buffer and no decoder: packets go into a `PictureStream`, and its
pictures, still coded, straight to the session. What is missing is asked for
again (NACK), a key frame when that was in vain (PLI), and the sender is told
how much it may send (REMB), as browsers expect.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV and aiortc are partly untyped.
# pyright: reportPrivateUsage=false
# The underscored names below are aiortc's interface between receiver and transport.

import asyncio
from typing import Final, Protocol

from aiortc import rtp
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters

from streaming.contract import CodedPicture, PictureCodec, now
from streaming.rtc.pictures import H264, REORDER_S, VP8, PictureStream
from streaming.rtc.reception import StreamReceiver

REPORT_INTERVAL_S: Final = 1.0
KEY_AGAIN_S: Final = 0.3
"""A key frame is asked for at most this often."""
KEY_FIRST_S: Final = 0.2
"""A stream begins with a key frame; one is asked for when none has come by then."""
IDLE_S: Final = 2.0
"""A sender that has sent nothing for this long is not asked for anything."""
RATE_BPS: Final = 800_000
"""What a camera may send until more is known: enough for 640x480 at 30 fps to be sharp where it matters."""
RATE_LEAST_BPS, RATE_MOST_BPS = 300_000, 1_200_000
_CLOCK_HZ: Final = 90_000
_CODECS: Final = {"VP8": VP8, "H264": H264}


class Watcher(Protocol):
    """The part of `LiveSession` that a camera needs."""

    def push_picture(self, picture: CodedPicture) -> bool:
        """See `LiveSession`."""
        ...

    def end_pictures(self) -> None:
        """See `LiveSession`."""
        ...


class CameraReceiver(StreamReceiver):
    """Receives one camera and hands its pictures on as they come, coded as they are."""

    def __init__(self, transport: RTCDtlsTransport, session: Watcher) -> None:
        super().__init__(transport, _CLOCK_HZ)
        self.stream = PictureStream(VP8)
        self.seen_at: float | None = None
        self.rate_bps = RATE_BPS
        self.key_requests = 0
        self._session = session
        self._codecs: dict[int, PictureCodec] = {}
        self._repairs: dict[int, int] = {}  # payload type of retransmissions -> that of what they repeat
        self._estimator = RemoteBitrateEstimator()
        self._taken = True  # whether the session could use the last picture
        self._key_asked_at = 0.0
        self._trouble = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin: the transport is connected and the parameters are negotiated."""
        if self._tasks:
            return
        for codec in parameters.codecs:
            if codec.payloadType is None:
                continue
            if codec.name.upper() in _CODECS:
                self._codecs[codec.payloadType] = _CODECS[codec.name.upper()]
            elif codec.name.lower() == "rtx" and isinstance(repeated := codec.parameters.get("apt"), int):
                self._repairs[codec.payloadType] = repeated
        self.transport._register_rtp_receiver(self, parameters)
        self._tasks = [asyncio.create_task(self._send_reports()), asyncio.create_task(self._mend())]

    async def stop(self) -> None:
        """End for good."""
        tasks, self._tasks = self._tasks, []
        if tasks:
            self.mute()
            self.transport._unregister_rtp_receiver(self)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def mute(self) -> None:
        """Hand on nothing more: another camera has taken over, or this one ends."""
        if self._enabled:
            self._enabled = False
            if self.seen_at is not None:
                self._session.end_pictures()

    async def _handle_rtp_packet(self, packet: rtp.RtpPacket, arrival_time_ms: int) -> None:
        arrived = now()
        if not self._enabled:
            return
        await self._estimate(packet, arrival_time_ms)
        if (repeated := self._repairs.get(packet.payload_type)) is not None:
            if self._source is None or len(packet.payload) < 2:
                return  # padding with which a sender probes
            packet = rtp.unwrap_rtx(packet, payload_type=repeated, ssrc=self._source)
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return
        self._reception.count(packet)
        if packet.ssrc != self._source or codec is not self.stream.codec:
            self._begin(packet.ssrc, codec, arrived)
        self.seen_at = arrived
        marker = bool(packet.marker)
        self._give(self.stream.add(packet.sequence_number, packet.timestamp, marker, packet.payload, arrived))
        if self.stream.waiting or self._needs_key:
            self._trouble.set()

    # private

    def _begin(self, source: int, codec: PictureCodec, at: float) -> None:
        self._source, self.stream = source, PictureStream(codec)
        self._key_asked_at = at - KEY_AGAIN_S + KEY_FIRST_S

    @property
    def _needs_key(self) -> bool:
        return self.stream.wants_key or not self._taken

    def _give(self, pictures: list[CodedPicture]) -> None:
        for picture in pictures:
            self._taken = self._session.push_picture(picture)

    async def _mend(self) -> None:
        """Ask for what is missing, for as long as something is and the sender sends."""
        while True:
            await self._trouble.wait()
            self._trouble.clear()
            while (self.stream.waiting or self._needs_key) and self.seen_at is not None and now() - self.seen_at < IDLE_S:
                await asyncio.sleep(REORDER_S if self.stream.waiting else 10 * REORDER_S)
                if not self._enabled:
                    return
                self._give(self.stream.tick(now()))
                await self._ask(now())

    async def _ask(self, at: float) -> None:
        if self._ssrc is None or self._source is None:
            return
        if numbers := self.stream.wanted(at):
            await self._send(rtp.RtcpRtpfbPacket(rtp.RTCP_RTPFB_NACK, self._ssrc, self._source, numbers))
        if self._needs_key and at - self._key_asked_at >= KEY_AGAIN_S:
            self._key_asked_at = at
            self.key_requests += 1
            await self._send(rtp.RtcpPsfbPacket(rtp.RTCP_PSFB_PLI, self._ssrc, self._source))

    async def _estimate(self, packet: rtp.RtpPacket, arrival_time_ms: int) -> None:
        """Follow what the way can carry; tell the sender at once when it is less."""
        sent_at = packet.extensions.abs_send_time
        if sent_at is None:
            return
        size = len(packet.payload) + packet.padding_size
        found = self._estimator.add(arrival_time_ms, sent_at, size, packet.ssrc)
        if found is not None:
            before, self.rate_bps = self.rate_bps, min(max(found[0], RATE_LEAST_BPS), RATE_MOST_BPS)
            if self.rate_bps < 0.95 * before:
                await self._send_rate()

    async def _send_rate(self) -> None:
        if self._ssrc is not None and self._source is not None:
            fci = rtp.pack_remb_fci(self.rate_bps, [self._source])
            await self._send(rtp.RtcpPsfbPacket(rtp.RTCP_PSFB_APP, self._ssrc, 0, fci))

    async def _send_reports(self) -> None:
        first = True
        while True:
            await asyncio.sleep(0.1 if first else REPORT_INTERVAL_S)  # a sender makes its mind up in its first second
            first = self._source is None
            await self._report()
            await self._send_rate()
