"""A transport that keeps what is sent, instead of a network."""

from typing import Any

from aiortc import rtp
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)

from streaming.rtc.feedback import TRANSPORT_URI
from streaming.rtc.sender import MID_URI, PLAYOUT_DELAY_URI, SEND_TIME_URI

VIDEO = [
    RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=102),
    RTCRtpCodecParameters(mimeType="video/rtx", clockRate=90_000, payloadType=103, parameters={"apt": 102}),
]
PROTECTED = [
    *VIDEO,
    RTCRtpCodecParameters(mimeType="video/red", clockRate=90_000, payloadType=118),
    RTCRtpCodecParameters(mimeType="video/rtx", clockRate=90_000, payloadType=119, parameters={"apt": 118}),
    RTCRtpCodecParameters(mimeType="video/ulpfec", clockRate=90_000, payloadType=120),
]
AUDIO = [RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=111)]
URIS = {4: MID_URI, 2: SEND_TIME_URI, 5: PLAYOUT_DELAY_URI, 6: TRANSPORT_URI}
EXTENSIONS = [RTCRtpHeaderExtensionParameters(number, uri) for number, uri in URIS.items()]


class Transport:
    """The part of RTCDtlsTransport that senders and receivers use."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.registered: set[Any] = set()
        self.broken = False

    async def _send_rtp(self, data: bytes) -> None:
        if self.broken:
            raise ConnectionError
        self.sent.append(data)

    def _register_rtp_sender(self, sender: Any, parameters: Any) -> None:
        self.registered.add(sender)

    def _unregister_rtp_sender(self, sender: Any) -> None:
        self.registered.discard(sender)

    _register_rtp_receiver, _unregister_rtp_receiver = _register_rtp_sender, _unregister_rtp_sender

    def packets(self) -> list[rtp.RtpPacket]:
        return [rtp.RtpPacket.parse(data) for data in self.sent if not rtp.is_rtcp(data)]

    def reports(self) -> list[Any]:
        return [packet for data in self.sent if rtp.is_rtcp(data) for packet in rtp.RtcpPacket.parse(data)]


def send_parameters(codecs: list[RTCRtpCodecParameters]) -> RTCRtpSendParameters:
    rtcp = RTCRtcpParameters(cname="name", mux=True)
    return RTCRtpSendParameters(codecs=codecs, headerExtensions=EXTENSIONS, muxId="1", rtcp=rtcp)


def receive_parameters() -> RTCRtpReceiveParameters:
    return RTCRtpReceiveParameters(codecs=AUDIO, muxId="0")
