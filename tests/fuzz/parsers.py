"""The parsers that take a stranger's bytes: for each, good inputs to damage, and how it is fed.

A feed lets through only what nobody expects: an exception that the parser does not promise.
"""
# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import struct
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final

import numpy as np
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from aioice import stun
from aiortc import rtp
from av import logging as av_logging
from PIL import Image
from pydantic import BaseModel, ValidationError

from engine.enrol.photo import UPLOAD, decode_photo
from engine.errors import MienError
from streaming.api.bodies import login_form, parsed, photo_form, quieten_parser, text_of
from streaming.api.events import Command
from streaming.api.sessions import AdmissionRequest, SessionRequest
from streaming.camera.decoder import Damaged, Decoder, TooLarge, pixels
from streaming.contract import PictureCodec, SessionSettings
from streaming.guard.admission import Admissions, NotAdmitted, Scope
from streaming.guard.hosts import Hosts
from streaming.guard.lease import Leases
from streaming.rtc import aiortc_seam as seam
from streaming.rtc.camera import CameraReceiver
from streaming.rtc.clock import MediaClock
from streaming.rtc.encoder import H264Encoder, VoiceEncoder, Vp8Encoder
from streaming.rtc.feedback import split
from streaming.rtc.fragment import checked_fragment
from streaming.rtc.line import Line
from streaming.rtc.offer import OfferError, checked_offer, cleaned_answer
from streaming.rtc.pictures import H264, VP8, PictureStream
from streaming.rtc.reach import Reach
from streaming.rtc.receiver import VoiceReceiver
from streaming.rtc.sender import MediaSender
from streaming.rtc.voice import OpusStream
from tests.house import FakeSession
from tests.unit.rtc_fakes import VIDEO, Transport, send_parameters
from tests.unit.rtc_offers import CANDIDATES, offer

RATE: Final = 48_000
KEY: Final = b"k" * 32
AT: Final = 1_800_000_000.0


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes:
        seeds: good inputs.
        feed: hands an input over as its real caller does.
    """

    seeds: Callable[[], Sequence[bytes]]
    feed: Callable[[bytes], object]


# -- what is good ------------------------------------------------------------------------------------------------------


@cache
def _voice() -> list[bytes]:
    tone = (0.4 * np.sin(2 * np.pi * 200 * np.arange(RATE // 2) / RATE) * 32767).astype(np.int16)
    return [packet.payload for packet in VoiceEncoder().encode(tone, 0)]


@cache
def _payloads() -> Mapping[PictureCodec, list[Sequence[bytes]]]:
    """Of a few pictures in each codec."""
    rng = np.random.default_rng(0)
    pictures = np.full((4, 96 * 3 // 2, 96), 120, np.uint8)
    for index, picture in enumerate(pictures):
        picture[10 + 8 * index : 30 + 8 * index, 20:60] = rng.integers(16, 235, (20, 40))
    encoders = {H264: H264Encoder(96, 25), VP8: Vp8Encoder(96, 25)}
    coded = {
        codec: [one.encode(p, index, key=index == 0) for index, p in enumerate(pictures)] for codec, one in encoders.items()
    }
    return {codec: [picture.payloads for picture in found if picture is not None] for codec, found in coded.items()}


def _coded(codec: PictureCodec) -> list[bytes]:
    """The same as a decoder gets them."""
    stream, packets = (
        PictureStream(codec),
        [(i, p, n == len(all_) - 1) for i, all_ in enumerate(_payloads()[codec]) for n, p in enumerate(all_)],
    )
    return [got.data for number, (i, p, last) in enumerate(packets) for got in stream.add(number, 3600 * i, last, p, i / 25)]


def _framed(payloads: Sequence[bytes]) -> bytes:
    """Payloads of one stream as one input: each after its length and a marker, see `_unframed`."""
    return b"".join(struct.pack("!HB", len(payload), i == len(payloads) - 1) + payload for i, payload in enumerate(payloads))


def _unframed(data: bytes) -> list[tuple[bool, bytes]]:
    found: list[tuple[bool, bytes]] = []
    while len(data) >= 3 and len(found) < 200:
        length, marker = struct.unpack_from("!HB", data)
        found.append((bool(marker & 1), data[3 : 3 + length]))
        data = data[3 + length :]
    return found


def _photos() -> list[bytes]:
    ramp = np.add.outer(np.arange(240), np.arange(320)).astype(np.uint8)
    picture = Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], -1))
    found: list[bytes] = []
    for kind, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ):
        file = BytesIO()
        picture.save(file, kind, **options)
        found.append(file.getvalue())
    return found


def _offers() -> list[bytes]:
    kinds = ((), ("audio",), ("video", "audio"))
    return [offer(*kind, direction=way).encode() for kind in kinds for way in ("recvonly", "sendrecv", "sendonly")]


def _fragments() -> list[bytes]:
    lines = ["a=ice-ufrag:Qm0X", "a=ice-pwd:DAZRGs2Rw5SerKzZRIzk9Lbr", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", *CANDIDATES]
    return ["\r\n".join([*lines, end, ""]).encode() for end in ("a=end-of-candidates", "")]


def _stun() -> list[bytes]:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes |= {"USERNAME": "abcd:efgh", "PRIORITY": 1, "ICE-CONTROLLING": 7, "USE-CANDIDATE": None}
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
    response.attributes |= {"XOR-MAPPED-ADDRESS": ("192.168.1.7", 5117), "SOFTWARE": "x", "ERROR-CODE": (401, "Unauthorized")}
    for message in (request, response):
        message.add_message_integrity(b"password")
    return [bytes(request), bytes(response)]


def _rtp() -> list[bytes]:
    found: list[bytes] = []
    for kind, payloads in ((111, _voice()[:3]), (96, _payloads()[VP8][0])):
        for number, payload in enumerate(payloads):
            packet = rtp.RtpPacket(kind, 1, 100 + number, 960 * number, 5, payload)
            packet.extensions.mid, packet.extensions.abs_send_time = "0", 777
            found.append(packet.serialize(_extensions()))
    return found


def _extensions() -> rtp.HeaderExtensionsMap:
    extensions = rtp.HeaderExtensionsMap()
    extensions.configure(send_parameters(VIDEO))  # type: ignore[arg-type]
    return extensions


def _rtcp() -> list[bytes]:
    report = rtp.RtcpReceiverInfo(
        ssrc=5, fraction_lost=3, packets_lost=9, highest_sequence=700, jitter=4, lsr=0x11112222, dlsr=65536
    )
    told = rtp.RtcpSenderInfo(ntp_timestamp=1 << 40, rtp_timestamp=3600, packet_count=9, octet_count=900)
    packets = [
        rtp.RtcpRrPacket(1, [report]),
        rtp.RtcpSrPacket(1, told, [report, report]),
        rtp.RtcpRtpfbPacket(rtp.RTCP_RTPFB_NACK, 1, 5, [7, 8, 40, 90]),
        rtp.RtcpPsfbPacket(rtp.RTCP_PSFB_PLI, 1, 5),
        rtp.RtcpPsfbPacket(rtp.RTCP_PSFB_APP, 1, 0, rtp.pack_remb_fci(900_000, [5, 6])),
        rtp.RtcpByePacket([1]),
        rtp.RtcpSdesPacket([rtp.RtcpSourceInfo(1, [(1, b"name")])]),
    ]
    feedback = bytes.fromhex("8fcd0005 00000001 00000005 0001 0002 000010 07 2002 2850 00 00".replace(" ", ""))
    return [bytes(packet) for packet in packets] + [bytes(packets[0]) + bytes(packets[3]), feedback]


def _forms() -> list[bytes]:
    def part(name: str, body: bytes, more: bytes = b"") -> bytes:
        return b'--b\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n' % (name.encode(), more, body)

    photo = part("photo", _photos()[0][:300], b"Content-Type: image/jpeg\r\n")
    return [photo + part("name", b"Zoe") + part("consent", b"yes") + b"--b--\r\n", part("name", b"x" * 50) + b"--b--\r\n"]


_JSON: Final = (
    b'{"portrait": "amara", "size": 512, "fps": 25, "look_ahead_ms": 80, "source": "browser", "camera": "off"}',
    b'{"scopes": ["watch", "control"], "session": "abc", "seconds": 60}',
    b'{"control": {"channels": {"jawOpen": 0.5, "yaw": null}, "preset": "smile", "factors": {"pose": "camera"}}}',
    b'{"interrupt": true, "sample": "hello", "sound_late_ms": 40.5, "outline": false}',
)


def _tokens() -> list[bytes]:
    admissions = Admissions(KEY)
    leases = Leases()
    tokens = [admissions.issue([Scope.WATCH, Scope.CONTROL], "s", at=AT), admissions.issue([Scope.OPEN], None, at=AT, life_s=5)]
    return [token.encode() for token in (*tokens, leases.grant("abc"))]


# -- how they are fed --------------------------------------------------------------------------------------------------


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _ran(work: Coroutine[Any, Any, None]) -> None:
    _loop().run_until_complete(work)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def feed_offer(data: bytes) -> None:
    """`POST /whip`, `POST /whep`."""
    for sends in (False, True):
        with contextlib.suppress(OfferError):
            checked_offer(_text(data), sends=sends, reach=Reach())


def feed_answer(data: bytes) -> None:
    """The answer of a WHIP server to `--publish`."""
    with contextlib.suppress(OfferError):
        cleaned_answer(_text(data), Reach())


def feed_fragment(data: bytes) -> None:
    """`PATCH` of a connection."""
    with contextlib.suppress(OfferError):
        checked_fragment(_text(data), Reach())


def feed_stun(data: bytes) -> None:
    """A datagram before there is a connection."""
    with contextlib.suppress(ValueError):
        seam.parse_stun(data)


def feed_rtp(data: bytes) -> None:
    """A packet of a peer that is connected, as aiortc hands it on."""
    seam.tune()
    try:
        packet = rtp.RtpPacket.parse(data, _extensions())
    except ValueError:
        return
    transport = Transport()
    voice = VoiceReceiver(transport, lambda _samples, _at: None)  # type: ignore[arg-type]
    camera = CameraReceiver(transport, FakeSession("s", SessionSettings("amara")))  # type: ignore[arg-type]
    voice._payload_types = frozenset({111})
    camera._codecs, camera._repairs = {96: VP8, 102: H264}, {97: 96}

    async def handle() -> None:
        for receiver in (voice, camera):
            await receiver._handle_rtp_packet(packet, 0)
            receiver._set_rtcp_ssrc(7)
            await receiver._report()
        if voice._giving_up is not None:
            voice._giving_up.cancel()

    _ran(handle())


def feed_rtcp(data: bytes) -> None:
    """Reports and requests of a viewer, as aiortc hands them on."""
    transport, clock, line = Transport(), MediaClock(), Line(2_000_000)
    reports, rest = split(data)
    for report in reports:
        line.hear(report, 1.0)
    try:
        packets = rtp.RtcpPacket.parse(rest)
    except ValueError:
        return

    async def handle() -> None:
        clock.anchor(0.0, AT)
        sender = MediaSender("video", transport, line, clock, lambda _: None, lambda _: None, (0, 200))  # type: ignore[arg-type]
        receiver = VoiceReceiver(transport, lambda _samples, _at: None)  # type: ignore[arg-type]
        await sender.send(send_parameters(VIDEO))
        await sender.transmit((b"one", b"two"), 3600)
        for packet in packets:
            for report in getattr(packet, "reports", ()):
                report.ssrc = sender._ssrc
            await sender._handle_rtcp_packet(packet)
            await receiver._handle_rtcp_packet(packet)
        await sender.stop()

    _ran(handle())


def feed_voice(data: bytes) -> None:
    """The payloads of a microphone."""
    stream = OpusStream()
    for number, (skip, payload) in enumerate(_unframed(data)):
        stream.add(number + skip & 0xFFFF, 960 * number, payload)
    stream.give_up()


def feed_pictures(data: bytes) -> None:
    """The payloads of a camera."""
    for codec in (VP8, H264):
        stream = PictureStream(codec)
        for number, (marker, payload) in enumerate(_unframed(data)):
            stream.add(number, 3600 * number, marker, payload, number / 25)
        stream.tick(99.0)


def feed_decoder(data: bytes) -> None:
    """Coded pictures, in the camera process."""
    for codec in ("vp8", "h264"):
        with contextlib.suppress(Damaged, TooLarge):
            decoder = Decoder(PictureCodec(codec))
            for _, picture in _unframed(data):
                with contextlib.suppress(Damaged):
                    if (frame := decoder.decode(picture)) is not None:
                        pixels(frame)


def feed_photo(data: bytes) -> None:
    """An uploaded photo, in the enrolling process."""
    with contextlib.suppress(MienError):
        decode_photo(data, UPLOAD)


async def _asked(body: bytes, kind: str) -> web.Request:
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    for at in range(0, len(body), 97):
        content.feed_data(body[at : at + 97])
    content.feed_eof()
    headers = {"Content-Type": kind, "Content-Length": str(len(body))}
    return make_mocked_request("POST", "/", headers, payload=content)


def feed_form(data: bytes) -> None:
    """`POST /api/portraits`, and the login page's form."""

    async def read() -> None:
        quieten_parser()
        with contextlib.suppress(ValueError, web.HTTPRequestEntityTooLarge):
            fields = await photo_form(await _asked(data, "multipart/form-data; boundary=b"))
            text_of(fields, "name")
        with contextlib.suppress(ValueError, web.HTTPRequestEntityTooLarge):
            await login_form(await _asked(data, "application/x-www-form-urlencoded"))

    _ran(read())


def feed_json(data: bytes) -> None:
    """Bodies and messages in JSON."""
    models: tuple[type[BaseModel], ...] = (SessionRequest, AdmissionRequest, Command)

    async def read() -> None:
        for model in models:
            with contextlib.suppress(ValidationError, web.HTTPRequestEntityTooLarge):
                await parsed(await _asked(data, "application/json"), model)

    _ran(read())


def feed_token(data: bytes) -> None:
    """What a stranger shows as its leave."""
    with contextlib.suppress(NotAdmitted):
        Admissions(KEY).redeem(_text(data), Scope.WATCH, "s", at=AT)
    leases = Leases()
    leases.grant("abc")
    leases.session_of(_text(data), at=AT)


def feed_host(data: bytes) -> None:
    """The headers Host and Origin."""
    hosts = Hosts(addresses=True)
    hosts.knows(_text(data))
    hosts.is_own(_text(data), "localhost:8000", None)
    hosts.is_own("https://a.example", _text(data), None)


PARSERS: Final[Mapping[str, Parser]] = {
    "offer": Parser(_offers, feed_offer),
    "answer": Parser(_offers, feed_answer),
    "fragment": Parser(_fragments, feed_fragment),
    "stun": Parser(_stun, feed_stun),
    "rtp": Parser(_rtp, feed_rtp),
    "rtcp": Parser(_rtcp, feed_rtcp),
    "voice": Parser(lambda: [_framed(_voice()[:6]), _framed(_voice()[6:9])], feed_voice),
    "pictures": Parser(
        lambda: [_framed(picture) for pictures in _payloads().values() for picture in pictures],
        feed_pictures,
    ),
    "decoder": Parser(lambda: [_framed(_coded(codec)) for codec in (VP8, H264)], feed_decoder),
    "photo": Parser(_photos, feed_photo),
    "form": Parser(_forms, feed_form),
    "json": Parser(lambda: _JSON, feed_json),
    "token": Parser(_tokens, feed_token),
    "host": Parser(lambda: [b"localhost:8000", b"[::1]:8000", b"https://mien.example:8443", b"192.168.1.7"], feed_host),
}

av_logging.set_level(av_logging.FATAL)
