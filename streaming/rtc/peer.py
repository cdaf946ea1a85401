"""Peers of sessions: browsers and other WebRTC clients that speak into one or watch it."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.rtcrtpsender import RTCRtpSender

from engine.errors import MienError
from streaming.contract import LiveSession, now
from streaming.rtc import aiortc_seam as seam
from streaming.rtc.broadcast import ENCODERS, Broadcast
from streaming.rtc.camera import CameraReceiver
from streaming.rtc.encoder import start_bitrate
from streaming.rtc.fec import RED, ULPFEC
from streaming.rtc.feedback import TRANSPORT_URI, Feedback
from streaming.rtc.ice import IceSide, Means
from streaming.rtc.line import Line
from streaming.rtc.offer import KINDS, Offer, OfferError, checked_offer, cleaned_answer
from streaming.rtc.reach import Reach, this_host
from streaming.rtc.receiver import VoiceReceiver
from streaming.rtc.sender import PLAYOUT_DELAY_URI, MediaSender
from streaming.rtc.servers import IceServers
from streaming.worker.pool import available_cores

log = logging.getLogger(__name__)

CAMERA_CODECS = ("VP8", "H264")  # what a camera may send, the one that browsers code with least delay first
SPEAKERS_MAX = 6  # of one session, connecting ones included; one is heard, one is seen


class Crowded(MienError):
    """A session has as many viewers as it may have."""


@dataclass(frozen=True, slots=True)
class RtcConfig:
    """What an operator may decide about WebRTC."""

    loopback: bool = True  # only this machine reaches the server: peers on loopback and private addresses are welcome
    private: bool = False  # whether to send to private addresses that an offer names, besides this host's own on loopback
    ice_servers: IceServers = field(default_factory=IceServers)  # told to peers; used here too, where others reach the server
    codecs: tuple[str, ...] = ("H264", "VP8")  # in order of preference
    playout_delay_ms: tuple[int, int] | None = (0, 200)  # asked of the viewer's jitter buffer
    viewers_max: int = 16  # of one session
    connect_timeout_s: float = 10.0

    def reach(self) -> Reach:
        """The addresses of an offer that may be sent to; who is on another finds us by its own checks all the same."""
        return Reach(private=self.private, own=this_host() if self.loopback else frozenset())

    def __post_init__(self) -> None:
        unknown = [name for name in self.codecs if name not in ENCODERS]
        if unknown or not self.codecs:
            raise ValueError(f"codecs are {', '.join(ENCODERS)}; got {unknown[0] if unknown else 'none'}")


Role = Literal["speaker", "viewer", "outlet"]
"""A speaker brings a voice, a camera or both; a viewer watches; an outlet is a server elsewhere that we push to."""


@dataclass(slots=True)
class Peer:
    """One connection of one session."""

    id: str
    session_id: str
    role: Role
    connection: RTCPeerConnection
    senders: list[MediaSender] = field(default_factory=list[MediaSender])
    line: Line | None = None  # of who is sent something
    receiver: VoiceReceiver | None = None
    camera: CameraReceiver | None = None
    ice: IceSide | None = None  # from the answer on
    timeout: asyncio.TimerHandle | None = None
    closing: asyncio.Task[None] | None = None
    negotiating: asyncio.Lock = field(default_factory=asyncio.Lock)  # aioice loses its sockets when it is closed meanwhile
    stood: bool = False  # it was connected once
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def watches(self) -> bool:
        """Whether somebody sees the session through it."""
        return self.role == "viewer"

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self.connection.connectionState == "connected"


class Peers:
    """All peers of all sessions of this server."""

    def __init__(self, find_session: Callable[[str], LiveSession | None], config: RtcConfig | None = None) -> None:
        seam.check()
        seam.tune()
        self.config = config or RtcConfig()
        self._find_session = find_session
        self._peers: dict[str, Peer] = {}
        self._broadcasts: dict[str, Broadcast] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="encode")

    async def speak(self, session: LiveSession, sdp: str) -> tuple[Peer, str]:
        """Take a peer's voice, camera or both for a session; once connected it replaces who brought the same before.

        Returns the answer's SDP too.

        Raises:
            OfferError: when the offer cannot be answered.
            Crowded: when too many are about to connect.
        """
        if sum(peer.role == "speaker" for peer in self._of(session.id)) >= SPEAKERS_MAX:
            raise Crowded("too many connections to this session are being made at once: try again in 10 s")
        offer = checked_offer(sdp, sends=True, reach=self.config.reach())
        peer = self._new_peer(session, "speaker")
        async with peer.negotiating:
            return peer, await self._answer(peer, offer, session)

    async def watch(self, session: LiveSession, sdp: str) -> tuple[Peer, str]:
        """Let a peer watch and hear a session. Returns the answer's SDP too.

        Raises:
            OfferError: when the offer cannot be answered.
            Crowded: when the session has enough viewers.
        """
        if sum(peer.watches for peer in self._of(session.id)) >= self.config.viewers_max:
            raise Crowded(f"this session has {self.config.viewers_max} viewers, which is as many as it may have")
        offer = checked_offer(sdp, sends=False, reach=self.config.reach())
        peer = self._new_peer(session, "viewer")
        async with peer.negotiating:
            return peer, await self._answer(peer, offer, session)

    async def publish(self, session: LiveSession) -> tuple[Peer, str]:
        """Offer a session to a server elsewhere. Returns the offer's SDP too; its answer is for `accept`."""
        peer = self._new_peer(session, "outlet")
        offering = asyncio.create_task(self._offer(peer, session))
        try:
            return peer, await asyncio.shield(offering)
        except asyncio.CancelledError:
            await offering  # aioice loses its sockets when it is stopped half-way
            await self.end(peer)
            raise

    async def accept(self, peer: Peer, answer: str) -> None:
        """Take the answer to `publish`; media flow once the peer is connected.

        Raises:
            OfferError: when it is not an answer to our offer.
        """
        sdp, candidates = cleaned_answer(answer, Reach(private=True, own=this_host()))
        assert peer.ice is not None, "it was made with the offer"
        peer.ice.begin("", candidates)
        try:
            await peer.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:  # aiortc's failures on a stranger's answer are of every kind
            raise OfferError("the answer is not one to our offer: no common codec, or not valid SDP") from error
        self._expect(peer)

    def find(self, session_id: str, peer_id: str, *, watches: bool) -> Peer | None:
        """The peer of that id, if it is one of that session and in that role."""
        peer = self._peers.get(peer_id)
        return peer if peer and peer.session_id == session_id and peer.watches == watches else None

    async def end(self, peer: Peer) -> None:
        """End a peer and wait until its resources are free."""
        await self._close(peer)

    async def end_session(self, session_id: str) -> None:
        """End all peers of a session."""
        await asyncio.gather(*(self.end(peer) for peer in self._of(session_id)))

    async def close(self) -> None:
        """End all peers and the encoders' threads."""
        await asyncio.gather(*(self.end(peer) for peer in list(self._peers.values())))
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def viewers(self, session_id: str) -> int:
        """How many peers watch a session now."""
        return sum(peer.watches and peer.connected for peer in self._of(session_id))

    def peers(self, session_id: str) -> list[Peer]:
        """The peers of a session, connected or connecting."""
        return self._of(session_id)

    def broadcast(self, session_id: str) -> Broadcast | None:
        """What carries a session to its viewers; None while it has none."""
        return self._broadcasts.get(session_id)

    # private

    def _of(self, session_id: str) -> list[Peer]:
        return [peer for peer in self._peers.values() if peer.session_id == session_id]

    def _new_peer(self, session: LiveSession, role: Role) -> Peer:
        configuration = RTCConfiguration(iceServers=self._means().servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        connection = RTCPeerConnection(configuration)
        peer = Peer(secrets.token_hex(16), session.id, role, connection)
        self._peers[peer.id] = peer
        return peer

    async def _answer(self, peer: Peer, offer: Offer, session: LiveSession) -> str:
        """The answer to a checked offer.

        Transceivers exist before the offer is applied, in its order: only then
        do codec preferences hold, and only then is the first one's transport
        the one that the bundle uses.
        """
        connection = peer.connection
        connection.on("connectionstatechange", lambda: self._state_changed(peer))
        try:
            transceivers = [self._transceiver(peer, kind, session, offer) for kind in offer.kinds]
            peer.ice = IceSide(transceivers[0], self._means, self.config.connect_timeout_s)
            peer.ice.begin(offer.username, offer.candidates)
            await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            for transceiver in transceivers:
                if peer.watches:
                    self._accept(connection, transceiver)
                elif not peer.watches and transceiver.kind == "audio":
                    seam.ask_for_error_correction(transceiver)
            await connection.setLocalDescription()
            if peer.watches:
                seam.hear_feedback(transceivers[0], lambda feedback: self._packets_reported(peer, feedback))
        except Exception as error:  # aiortc's failures on a stranger's offer are of every kind
            self._close(peer)
            raise OfferError("the offer cannot be answered: no common codec, or not valid SDP") from error
        self._expect(peer)
        return connection.localDescription.sdp

    def _accept(self, connection: RTCPeerConnection, transceiver: RTCRtpTransceiver) -> None:
        """Say yes to what a viewer offers beyond what aiortc knows."""
        if transceiver.kind == "video":
            seam.accept_extension(connection, transceiver, PLAYOUT_DELAY_URI)
            seam.accept_codecs(connection, transceiver, (RED, ULPFEC))
        if seam.accept_extension(connection, transceiver, TRANSPORT_URI):
            seam.accept_feedback(transceiver)

    async def _offer(self, peer: Peer, session: LiveSession) -> str:
        connection = peer.connection
        connection.on("connectionstatechange", lambda: self._state_changed(peer))
        async with peer.negotiating:
            transceivers = [self._sending(peer, kind, session) for kind in KINDS]
            peer.ice = IceSide(transceivers[0], self._means, self.config.connect_timeout_s)
            await connection.setLocalDescription(await connection.createOffer())
        return connection.localDescription.sdp

    def _expect(self, peer: Peer) -> None:
        """Give a peer so long to connect."""
        loop = asyncio.get_running_loop()
        peer.timeout = loop.call_later(self.config.connect_timeout_s, self._give_up, peer)

    def _means(self) -> Means:
        config = self.config
        named = () if config.loopback else config.ice_servers.at(time.time())
        servers = [RTCIceServer(server.url, server.username, server.credential) for server in named]
        return Means(seam.host_addresses(loopback=config.loopback), servers)

    def _transceiver(self, peer: Peer, kind: str, session: LiveSession, offer: Offer) -> RTCRtpTransceiver:
        if peer.watches:
            return self._sending(peer, kind, session)
        return self._listening(peer, kind, session, sent=kind in offer.sent)

    def _sending(self, peer: Peer, kind: str, session: LiveSession) -> RTCRtpTransceiver:
        transceiver = peer.connection.addTransceiver(kind, direction="sendonly")
        transceiver.setCodecPreferences(_preferences(kind, self.config.codecs))
        broadcast = self._broadcast_of(session)
        if peer.line is None:
            peer.line = Line(start_bitrate(session.settings.size, session.settings.fps))
        sender = MediaSender(
            kind,
            transceiver.sender.transport,
            peer.line,
            broadcast.clock,
            on_ready=broadcast.add,
            on_feedback=lambda sender: self._heard_of(peer, sender),
            playout_delay_ms=self.config.playout_delay_ms,
        )
        seam.use_sender(transceiver, sender)
        peer.senders.append(sender)
        return transceiver

    def _listening(self, peer: Peer, kind: str, session: LiveSession, *, sent: bool) -> RTCRtpTransceiver:
        """Receive the voice or the camera; what is offered and would not be sent is declined."""
        transceiver = peer.connection.addTransceiver(kind, direction="recvonly" if sent else "inactive")
        if sent and kind == "audio":
            transceiver.setCodecPreferences(_preferences(kind, ()))
            peer.receiver = VoiceReceiver(transceiver.receiver.transport, session.push_audio)
            seam.use_receiver(transceiver, peer.receiver)
        elif sent:
            transceiver.setCodecPreferences(_preferences(kind, CAMERA_CODECS))
            peer.camera = CameraReceiver(transceiver.receiver.transport, session)
            seam.use_receiver(transceiver, peer.camera)
        return transceiver

    def _broadcast_of(self, session: LiveSession) -> Broadcast:
        broadcast = self._broadcasts.get(session.id)
        if broadcast is None:
            broadcast = Broadcast(session, self._pool, on_end=lambda: self._ended(session.id))
            self._broadcasts[session.id] = broadcast
        return broadcast

    def _state_changed(self, peer: Peer) -> None:
        state = peer.connection.connectionState
        if state == "connected":
            if peer.timeout is not None:
                peer.timeout.cancel()
                peer.timeout = None
            peer.stood = True
            self._tell_viewers(peer.session_id)
            if peer.role == "speaker":
                self._replace_speakers(peer)
        elif state in ("failed", "closed"):
            self._close(peer)

    def _replace_speakers(self, peer: Peer) -> None:
        """One voice and one camera at a time: the newest of each that connected."""
        for other in self._of(peer.session_id):
            if other.role != "speaker" or not other.connected or other is peer:
                continue
            if peer.receiver is not None and other.receiver is not None:
                other.receiver.mute()
                other.receiver = None
            if peer.camera is not None and other.camera is not None:
                other.camera.mute()
                other.camera = None
            if other.receiver is None and other.camera is None:
                self._close(other)

    def _heard_of(self, peer: Peer, sender: MediaSender) -> None:
        if (broadcast := self._broadcasts.get(peer.session_id)) is not None:
            broadcast.feedback(sender)
        if peer.watches:
            self._tell_viewers(peer.session_id)

    def _packets_reported(self, peer: Peer, feedback: Feedback) -> None:
        """A viewer told which packets came, and when."""
        assert peer.line is not None, "it watches"
        worthless = peer.line.hear(feedback, now())
        for sender in peer.senders:
            if sender.kind == "video" and (broadcast := self._broadcasts.get(peer.session_id)) is not None:
                if worthless:
                    sender.begin_anew()
                broadcast.feedback(sender)

    def _tell_viewers(self, session_id: str) -> None:
        session = self._find_session(session_id)
        if session is not None:
            session.watched_by(self.viewers(session_id))

    def _give_up(self, peer: Peer) -> None:
        log.info("a peer of session %s did not connect in time", peer.session_id)
        self._close(peer)

    def _ended(self, session_id: str) -> None:
        """A broadcast is over; who joins from now on begins another, while those who watched this one leave."""
        broadcast = self._broadcasts.pop(session_id)
        for peer in self._of(session_id):
            self._close(peer)
        self._follow(asyncio.create_task(broadcast.close()))

    def _close(self, peer: Peer) -> asyncio.Task[None]:
        if peer.closing is None:
            self._peers.pop(peer.id, None)
            self._tell_viewers(peer.session_id)
            peer.ended.set()
            peer.closing = self._follow(asyncio.create_task(self._closed(peer)))
        return peer.closing

    def _follow(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Keep a task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _closed(self, peer: Peer) -> None:
        async with peer.negotiating:
            if peer.timeout is not None:
                peer.timeout.cancel()
        broadcast = self._broadcasts.get(peer.session_id)
        if broadcast is not None:
            for sender in peer.senders:
                broadcast.remove(sender)
            if not any(other.senders for other in self._of(peer.session_id)):
                del self._broadcasts[peer.session_id]
                await broadcast.close()
        if peer.ice is not None:
            await peer.ice.close()
        await peer.connection.close()


def _preferences(kind: str, codecs: tuple[str, ...]) -> list[RTCRtpCodecCapability]:
    """Aiortc's capabilities in our order; H.264 in constrained baseline first."""
    capabilities = RTCRtpSender.getCapabilities(kind).codecs
    if kind == "audio":
        return [c for c in capabilities if c.name.lower() == "opus"]
    chosen: list[RTCRtpCodecCapability] = []
    for name in codecs:
        same = [c for c in capabilities if c.name.upper() == name]
        chosen += sorted(same, key=lambda c: c.parameters.get("profile-level-id") != "42e01f")
    return [*chosen, *(c for c in capabilities if c.name.lower() == "rtx")]
