"""One session on its way to all who watch it: one encode per codec, however many viewers."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from engine.latency import StageTimes
from engine.timeline import SAMPLE_RATE_HZ
from streaming.contract import LiveSession, Outgoing, now
from streaming.rtc.clock import MediaClock
from streaming.rtc.encoder import EncodedPicture, H264Encoder, PictureEncoder, VoiceEncoder, Vp8Encoder
from streaming.rtc.sender import MediaSender

log = logging.getLogger(__name__)

KEY_INTERVAL_S = 0.3  # requests for a key frame are answered at most this often, except a newcomer's
BITRATE_STEP = 0.1  # estimates that differ by less are noise
BITRATE_HEADROOM = 0.9  # of the viewer's estimate: the rest is for sound and retransmission
BITRATE_GRACE_S = 3.0  # a receiver's first estimates know nothing but the first packets
HOLD_ROOM = 8  # pictures waiting for their time; 8 x 40 ms is far beyond the longest hold

ENCODERS: dict[str, Callable[[int, int], PictureEncoder]] = {"H264": H264Encoder, "VP8": Vp8Encoder}


@dataclass(slots=True)
class BroadcastStats:
    """What one session's encoders and senders did, since its first viewer."""

    emissions: int = 0
    encoded: dict[str, int] = field(default_factory=dict[str, int])  # pictures per codec
    keys: dict[str, int] = field(default_factory=dict[str, int])
    skipped: int = 0  # pictures that came while the encoder was still busy
    times: StageTimes = field(default_factory=lambda: StageTimes(("encode", "voice_encode", "send", "residence")))


class Broadcast:
    """Takes the emissions of one session, encodes them once and hands them to every viewer's senders.

    The voice leaves first and is never held; the picture of the same emission
    follows as soon as it is encoded, and not before `hold_ms` after the voice.
    It runs from its first viewer to its last and ends with the session.
    """

    def __init__(self, session: LiveSession, pool: Executor, hold_ms: float, on_end: Callable[[], None]) -> None:
        self.session = session
        self.clock = MediaClock()
        self.stats = BroadcastStats()
        self._pool = pool
        self._hold_s = hold_ms / 1000
        self._on_end = on_end
        self._voice = VoiceEncoder()
        self._listeners: set[MediaSender] = set()
        self._lanes: dict[str, _Lane] = {}
        self._task = asyncio.create_task(self._pump(), name=f"broadcast-{session.id}")

    def add(self, sender: MediaSender) -> None:
        """Begin to send to a viewer; its first picture is a key frame, the next one to come."""
        if sender.kind == "audio":
            self._listeners.add(sender)
            return
        lane = self._lanes.get(sender.codec_name)
        if lane is None:
            settings = self.session.settings
            encoder = ENCODERS[sender.codec_name](settings.size, settings.fps)
            lane = self._lanes[sender.codec_name] = _Lane(sender.codec_name, encoder, self._pool, self._hold_s, self.stats)
        lane.add(sender)

    def remove(self, sender: MediaSender) -> None:
        """Forget a viewer's sender; the last one of a codec ends its encoder."""
        self._listeners.discard(sender)
        for name, lane in list(self._lanes.items()):
            lane.viewers.discard(sender)
            if not lane.viewers:
                del self._lanes[name]
                lane.close()

    def feedback(self, sender: MediaSender) -> None:
        """A viewer asked for a key frame or changed its bitrate estimate."""
        lane = self._lanes.get(sender.codec_name)
        if lane is not None and sender in lane.viewers:
            lane.take_feedback()

    @property
    def bitrate(self) -> int:
        """Bits per second of the pictures, all codecs together."""
        return sum(lane.encoder.bitrate for lane in self._lanes.values())

    async def close(self) -> None:
        """End everything that runs for this session."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for lane in self._lanes.values():
            lane.close()
        self._lanes.clear()

    async def _pump(self) -> None:
        try:
            async for emission in self.session.subscribe():
                await self._send(emission)
        except Exception:  # a session's failure ends that session's broadcast alone
            log.exception("broadcast of session %s failed", self.session.id)
        self._on_end()

    async def _send(self, emission: Outgoing) -> None:
        taken = now()
        fps = self.session.settings.fps
        self.clock.anchor(emission.index / fps, time.time())
        self.stats.emissions += 1
        for lane in self._lanes.values():
            lane.offer(emission, taken)
        await asyncio.sleep(0)  # let the encoders start in their threads before the voice is encoded here
        if not self._listeners:
            return
        packets = self._voice.encode(emission.audio, emission.index * SAMPLE_RATE_HZ // fps)
        self.stats.times.add("voice_encode", (now() - taken) * 1000)
        for packet in packets:
            for listener in tuple(self._listeners):
                await listener.transmit((packet.payload,), packet.timestamp)


class _Lane:
    """One codec of one session: its encoder and those who watch what it makes."""

    def __init__(self, name: str, encoder: PictureEncoder, pool: Executor, hold_s: float, stats: BroadcastStats) -> None:
        self.name, self.encoder = name, encoder
        self.viewers: set[MediaSender] = set()
        self._pool, self._hold_s, self._stats = pool, hold_s, stats
        self._newcomer = False
        self._key_at = 0.0
        self._opened_at = now()
        self._bitrate_ceiling = encoder.bitrate
        self._offered: tuple[Outgoing, float] | None = None
        self._wake = asyncio.Event()
        self._encoded: asyncio.Queue[tuple[EncodedPicture, Outgoing, float, float]] = asyncio.Queue(HOLD_ROOM)
        self._tasks = [asyncio.create_task(self._encode()), asyncio.create_task(self._deliver())]
        for counts in (stats.encoded, stats.keys):
            counts.setdefault(name, 0)

    def add(self, sender: MediaSender) -> None:
        self.viewers.add(sender)
        self._newcomer = True

    def offer(self, emission: Outgoing, taken: float) -> None:
        """The newest picture; one that still waits for the encoder is dropped in its favour."""
        self._stats.skipped += self._offered is not None
        self._offered = emission, taken
        self._wake.set()

    def take_feedback(self) -> None:
        """Follow the weakest viewer's estimate, but not its first guesses and not its noise."""
        estimates = [sender.stats.allowed_bps for sender in self.viewers if sender.stats.allowed_bps]
        if not estimates or now() - self._opened_at < BITRATE_GRACE_S:
            return
        target = min(int(min(estimates) * BITRATE_HEADROOM), self._bitrate_ceiling)
        current = self.encoder.bitrate
        if abs(target - current) > BITRATE_STEP * current:
            self.encoder.set_bitrate(target)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _encode(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            assert self._offered is not None
            (emission, taken), self._offered = self._offered, None
            key = self._key_due()
            try:
                picture = await loop.run_in_executor(
                    self._pool, lambda e=emission, k=key: self.encoder.encode(e.video, e.index, key=k)
                )
            except Exception:  # one picture is lost; the next one starts afresh
                log.exception("%s encoder failed", self.name)
                self._newcomer = True
                continue
            if picture is None:
                continue
            self._stats.encoded[self.name] += 1
            self._stats.keys[self.name] += picture.key
            self._stats.times.add("encode", (now() - taken) * 1000)
            if self._encoded.full():
                self._encoded.get_nowait()
                self._newcomer = True  # the chain of pictures is broken
            self._encoded.put_nowait((picture, emission, taken, now()))

    async def _deliver(self) -> None:
        while True:
            picture, emission, taken, encoded = await self._encoded.get()
            wait = taken + self._hold_s - now()
            if wait > 0.0005:
                await asyncio.sleep(wait)
            begun = max(encoded, taken + self._hold_s)
            for viewer in tuple(self.viewers):
                if picture.key:
                    viewer.wants_key = False
                    viewer.started = True
                if viewer.started:
                    await viewer.transmit(picture.payloads, picture.timestamp)
            self._stats.times.add("send", (now() - begun) * 1000)
            if emission.stamps.arrived:
                self._stats.times.add("residence", (now() - begun + encoded - emission.stamps.arrived) * 1000)

    def _key_due(self) -> bool:
        wanted = any(viewer.wants_key for viewer in self.viewers)
        due = self._newcomer or (wanted and now() - self._key_at >= KEY_INTERVAL_S)
        if due:
            self._newcomer, self._key_at = False, now()
        return due
