"""Everywhere that mien reaches into aiortc and aioice, in one place.

aiortc has no public way to bring one's own sender and receiver, to choose the
addresses of ICE or to let a browser be found by its own checks. Each function
here touches one private name and says which; `check` fails loudly when the
installed version is not the one these names were read in.
"""
# pyright: reportPrivateUsage=false

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import aioice.ice
import aioice.stun
import aiortc
from aiortc import RTCIceServer, RTCPeerConnection, RTCRtpTransceiver, rtp
from aiortc.codecs import is_rtx
from aiortc.rtcicetransport import connection_kwargs
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from aiortc.sdp import SessionDescription

from streaming.rtc.camera import CameraReceiver
from streaming.rtc.feedback import FEEDBACK, Feedback, split
from streaming.rtc.receiver import VoiceReceiver
from streaming.rtc.sender import MediaSender

AIORTC_VERSION = "1.16"
CONSENT_INTERVAL_S = 1.0  # x 0.8..1.2, plus half a second's wait for the answer
CONSENT_FAILURES = 8  # a vanished peer is noticed after 9..14 s, not 32, and a hole of 8 s ends nobody
CONNECTION = (
    "_closing", "_early_checks", "_event_waiter", "_nominated", "_query_consent_task", "_queue", "_remote_candidates",
    "connect", "get_component_candidates",
)  # fmt: skip
PAYLOAD_TYPES = frozenset((*range(35, 64), *range(96, 128)))  # what may be given out (RFC 3551, 5761)
STUN = range(4)  # a datagram's first byte (RFC 7983)
_CHECK_POLL_S = 0.005
_parse_stun = aioice.stun.parse_message
_datagram_received = aioice.ice.StunProtocol.datagram_received
_read_extensions = rtp.HeaderExtensionsMap.get


def check() -> None:
    """Make sure that the private names used here are there.

    Raises:
        RuntimeError: if aiortc is of another version or its internals moved.
    """
    if not aiortc.__version__.startswith(AIORTC_VERSION):
        raise RuntimeError(f"aiortc {AIORTC_VERSION} is needed, {aiortc.__version__} is installed: ./mien serve reinstalls it")
    connection = aioice.ice.Connection(ice_controlling=False)
    for owner, names in (
        (RTCRtpTransceiver("audio", None, None), ("_RTCRtpTransceiver__sender", "_RTCRtpTransceiver__receiver")),  # type: ignore[arg-type]
        (connection, CONNECTION),
        (aioice.ice, ("CONSENT_INTERVAL", "CONSENT_FAILURES", "get_host_addresses")),
        (aioice.stun, ("parse_message",)),
        (aioice.ice.StunProtocol, ("datagram_received",)),
        (rtp.HeaderExtensionsMap, ("get",)),
    ):
        missing = [name for name in names if not hasattr(owner, name)]
        if missing:
            raise RuntimeError(f"aiortc's internals moved: {missing[0]} is gone")


def tune() -> None:
    """Notice a vanished peer sooner, and take a stranger's datagrams for what they are; all of it is of the module.

    Of mutated STUN messages 3 % make aioice's parser raise `struct.error`,
    which it does not expect: a stranger could fill the log. And whatever else
    comes to a socket it hands on, from whomever: an empty datagram ended the connection. So did an RTP header
    extension of an unexpected length, if a peer sent it.
    """
    aioice.ice.CONSENT_INTERVAL = CONSENT_INTERVAL_S  # type: ignore[assignment]
    aioice.ice.CONSENT_FAILURES = CONSENT_FAILURES
    aioice.stun.parse_message = parse_stun
    aioice.ice.StunProtocol.datagram_received = take_datagram  # type: ignore[method-assign]
    rtp.HeaderExtensionsMap.get = read_extensions  # type: ignore[method-assign]


def take_datagram(protocol: aioice.ice.StunProtocol, data: bytes | str, address: tuple[Any, ...]) -> None:
    """A datagram has come: STUN is for everybody, the rest for who has proved by STUN that it belongs to the peer."""
    assert isinstance(data, bytes), "asyncio gives bytes"
    peer = protocol.receiver.remote_candidates
    if data and (data[0] in STUN or any((one.host, one.port) == address[:2] for one in peer)):
        _datagram_received(protocol, data, address)


def parse_stun(data: bytes) -> aioice.stun.Message:
    """See `aioice.stun.parse_message`.

    Raises:
        ValueError: for anything that is not a STUN message.
    """
    try:
        return _parse_stun(data)
    except struct.error as error:
        raise ValueError("STUN message is truncated") from error


def read_extensions(names: rtp.HeaderExtensionsMap, profile: int, value: bytes) -> rtp.HeaderExtensions:
    """See `aiortc.rtp.HeaderExtensionsMap.get`.

    Raises:
        ValueError: for extensions that are not as their names say.
    """
    try:
        return _read_extensions(names, profile, value)
    except struct.error as error:
        raise ValueError("RTP header extension is of an unexpected length") from error


def use_sender(transceiver: RTCRtpTransceiver, sender: MediaSender) -> None:
    """Let a transceiver send through `sender`."""
    before = transceiver.sender
    sender._stream_id = before._stream_id
    transceiver._RTCRtpTransceiver__sender = sender  # type: ignore[attr-defined]
    transceiver.receiver._set_rtcp_ssrc(sender._ssrc)


def use_receiver(transceiver: RTCRtpTransceiver, receiver: VoiceReceiver | CameraReceiver) -> None:
    """Let a transceiver receive through `receiver`."""
    receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    transceiver._RTCRtpTransceiver__receiver = receiver  # type: ignore[attr-defined]


def accept_extension(pc: RTCPeerConnection, transceiver: RTCRtpTransceiver, uri: str) -> bool:
    """Accept a header extension that aiortc does not know, if it is offered; call it between offer and answer."""
    for media in SessionDescription.parse(pc.remoteDescription.sdp).media:
        if media.rtp.muxId == transceiver.mid:
            for extension in media.rtp.headerExtensions:
                if extension.uri == uri:
                    accepted = RTCRtpHeaderExtensionParameters(id=extension.id, uri=uri)
                    transceiver._headerExtensions = [*transceiver._headerExtensions, accepted]
                    return True
    return False


def accept_codecs(pc: RTCPeerConnection, transceiver: RTCRtpTransceiver, names: Sequence[str]) -> None:
    """Accept codecs that aiortc does not know, and their repetition, if offered; call it between offer and answer."""
    for media in SessionDescription.parse(pc.remoteDescription.sdp).media:
        if media.rtp.muxId == transceiver.mid:
            valid = [codec for codec in media.rtp.codecs if codec.payloadType in PAYLOAD_TYPES]
            offered = [codec for codec in valid if codec.name.lower() in names]
            types = {codec.payloadType for codec in offered}
            repeated = [codec for codec in valid if is_rtx(codec) and codec.parameters.get("apt") in types]
            transceiver._codecs = [*transceiver._codecs, *offered, *repeated]


def accept_feedback(transceiver: RTCRtpTransceiver) -> None:
    """Ask for reports about each packet (`streaming.rtc.feedback`); call it between offer and answer."""
    for codec in transceiver._codecs:
        if not is_rtx(codec):
            codec.rtcpFeedback = [*codec.rtcpFeedback, RTCRtcpFeedback(FEEDBACK)]


def hear_feedback(transceiver: RTCRtpTransceiver, hear: Callable[[Feedback], None]) -> None:
    """Give reports about each packet to `hear`, and the rest to aiortc, of all that comes over a transceiver's bundle."""
    transport = transceiver.sender.transport
    handle = transport._handle_rtcp_data

    async def take(data: bytes) -> None:
        reports, rest = split(data)
        for report in reports:
            hear(report)
        if rest:
            await handle(rest)

    transport._handle_rtcp_data = take  # type: ignore[method-assign]


def ask_for_error_correction(transceiver: RTCRtpTransceiver) -> None:
    """Ask the far Opus encoder for in-band error correction; call it between offer and answer."""
    for codec in transceiver._codecs:
        if codec.name.lower() == "opus":
            codec.parameters = {"minptime": 10, "useinbandfec": 1}


def ice_of(transceiver: RTCRtpTransceiver) -> aioice.ice.Connection:
    """What carries a transceiver's bundle now; another one after `hand_over`."""
    return transceiver.receiver.transport.transport._connection


def use_addresses(connection: aioice.ice.Connection, addresses: Sequence[str], timeout_s: float) -> None:
    """Gather ICE candidates on these local addresses only, and wait so long at most for STUN and TURN servers."""
    gather = connection.get_component_candidates

    async def on_addresses(component: int, addresses: Sequence[str] = addresses, timeout: float = timeout_s, **_: object):
        return await gather(component=component, addresses=list(chosen), timeout=timeout_s)  # type: ignore[arg-type]

    chosen = tuple(addresses)
    connection.get_component_candidates = on_addresses  # type: ignore[method-assign]


def await_checks(connection: aioice.ice.Connection, timeout_s: float) -> None:
    """Let ICE start with the first check or candidate that comes, when the offer names no usable address.

    aioice fails at once when it has no candidate to check. A browser that
    hides its addresses behind `.local` names, or that did not wait for its own
    gathering, finds us by the answer's candidates and is learned from its check.
    """
    connect = connection.connect

    async def after_first_check() -> None:
        deadline = time.monotonic() + timeout_s
        while not (connection._remote_candidates or connection._early_checks or connection._closing):
            if time.monotonic() > deadline:
                raise ConnectionError("no check came")
            await asyncio.sleep(_CHECK_POLL_S)
        if connection._closing:
            raise ConnectionError("closed before a check came")
        await connect()

    connection.connect = after_first_check  # type: ignore[method-assign]


def successor(servers: list[RTCIceServer]) -> aioice.ice.Connection:
    """A new ICE side for a peer, with credentials of its own: aioice cannot restart the one it has.

    The far side made the first offer and stays in control (RFC 8445, section 7.3.1.1).
    """
    return aioice.ice.Connection(ice_controlling=False, **connection_kwargs(servers))


def hand_over(transceiver: RTCRtpTransceiver, fresh: aioice.ice.Connection) -> aioice.ice.Connection:
    """Let a connected successor carry the bundle from now on; return the former side, which is then the caller's to close.

    The DTLS association goes on as it is (RFC 9725, section 4.3.3): it reads
    from the queue that both sides fill until the former is closed, and its
    transport's monitor waits for the end of the successor.
    """
    transport = transceiver.receiver.transport.transport
    former = transport._connection
    if former._query_consent_task is not None:
        former._query_consent_task.cancel()
    while not fresh._queue.empty():
        former._queue.put_nowait(fresh._queue.get_nowait())
    fresh._queue = former._queue
    fresh._event_waiter, former._event_waiter = former._event_waiter, None
    former._nominated.clear()  # so that the loss of its sockets is nothing
    transport._connection = transport.iceGatherer._connection = fresh
    transport._recv, transport._send = fresh.recv, fresh.send
    return former


async def close_apart(connection: aioice.ice.Connection) -> None:
    """Close an ICE side that carries nothing, without a word to who reads from its queue."""
    connection._queue = asyncio.Queue()
    await connection.close()


def host_addresses(*, loopback: bool) -> list[str]:
    """Addresses of this machine on which peers may reach us, without link-local ones; at most eight."""
    found = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    usable = [address for address in found if not address.startswith("169.254.")]
    return (["127.0.0.1", *usable] if loopback else usable)[:8]
