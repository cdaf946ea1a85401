"""How a session's connections are doing, for status pages and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streaming.rtc.peer import Peer, Peers
from streaming.rtc.pictures import PictureStats
from streaming.rtc.sender import SenderStats
from streaming.rtc.voice import VoiceStats


@dataclass(frozen=True, slots=True)
class PeerStats:
    """One connection: what it was sent, or what was heard and seen of it."""

    watches: bool
    connected: bool
    sent: Mapping[str, SenderStats] = field(default_factory=dict[str, SenderStats])  # by kind of medium
    heard: VoiceStats | None = None
    seen: PictureStats | None = None

    @property
    def round_trip_ms(self) -> float | None:
        """The latest round trip, from the viewer's reports."""
        times = [seconds for stats in self.sent.values() if (seconds := stats.round_trip.smoothed_s) is not None]
        return 1000 * min(times) if times else None


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """One session: its connections and what carries them.

    `pictures` and `keys` count by codec; `stages_ms` has encode, send, voice
    and residence as `StageTimes.summary` gives them.
    """

    peers: tuple[PeerStats, ...]
    bitrate_bps: int = 0  # what the picture encoders are set to
    pictures: Mapping[str, int] = field(default_factory=dict[str, int])
    keys: Mapping[str, int] = field(default_factory=dict[str, int])
    skipped: int = 0
    stages_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])

    @property
    def viewers(self) -> int:
        """How many watch now."""
        return sum(peer.watches and peer.connected for peer in self.peers)

    @property
    def key_requests(self) -> int:
        """How often a viewer asked for a key frame (PLI, FIR)."""
        return sum(stats.key_requests for peer in self.peers for stats in peer.sent.values())


def peer_stats(peers: Peers, session_id: str) -> ConnectionStats:
    """The state of a session's connections now."""
    each = tuple(_of_peer(peer) for peer in peers.peers(session_id))
    broadcast = peers.broadcast(session_id)
    if broadcast is None:
        return ConnectionStats(each)
    lanes = broadcast.stats.lanes
    return ConnectionStats(
        peers=each,
        bitrate_bps=broadcast.bitrate,
        pictures={codec: lane.pictures for codec, lane in lanes.items()},
        keys={codec: lane.keys for codec, lane in lanes.items()},
        skipped=sum(lane.skipped for lane in lanes.values()),
        stages_ms=broadcast.stats.times.summary(),
    )


def _of_peer(peer: Peer) -> PeerStats:
    heard = peer.receiver.stream.stats if peer.receiver is not None else None
    seen = peer.camera.stream.stats if peer.camera is not None else None
    return PeerStats(peer.watches, peer.connected, {sender.kind: sender.stats for sender in peer.senders}, heard, seen)
