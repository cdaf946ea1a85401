"""One session on its way to all who watch it: one encode per codec, however many viewers."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field

from engine.latency import StageTimes
from engine.timeline import SAMPLE_RATE_HZ, Timeline
from streaming.contract import LiveSession, Outgoing, OutgoingSound, now
from streaming.rtc.clock import MediaClock
from streaming.rtc.encoder import VOICE_PACKET, EncodedVoice, H264Encoder, PictureEncoder, VoiceEncoder, Vp8Encoder
from streaming.rtc.hold import PictureHold
from streaming.rtc.lane import Lane, LaneStats
from streaming.rtc.sender import MediaSender

log = logging.getLogger(__name__)

ENCODERS: dict[str, Callable[[int, int], PictureEncoder]] = {"H264": H264Encoder, "VP8": Vp8Encoder}
VOICE_ROOM = 40  # packets waiting to leave, 800 ms: a hold, and what an understudy leads over with; the oldest gives way
VOICE_BEGINS_S = 0.4  # after the connection: what a browser gets before its output runs stays in its buffer as delay
STAGES = ("encode", "send")  # what the session is told; "voice" and "residence" are kept here


@dataclass(slots=True)
class BroadcastStats:
    """What one session's encoders and senders did, since its first viewer; milliseconds in `times`.

    `encode` is T6 to T7, `send` T7 (or the end of the hold) to T8, `residence`
    T1 to T8 without the hold, `voice` from when a voice packet is to leave until
    it has left.
    """

    emissions: int = 0
    lanes: dict[str, LaneStats] = field(default_factory=dict[str, LaneStats])
    times: StageTimes = field(default_factory=lambda: StageTimes((*STAGES, "voice", "residence")))


class Broadcast:
    """Takes the sound and the pictures of one session, encodes them once and hands them to every viewer's senders.

    The voice leaves as it is taken, packets of 20 ms evenly; a picture follows
    as soon as it is encoded. `hold`, which follows what a receiver reports,
    makes one of the two wait when they would not be seen and heard together.
    It runs from its first viewer to its last and ends with the session.
    """

    def __init__(self, session: LiveSession, pool: Executor, on_end: Callable[[], None]) -> None:
        self.session = session
        self.clock = MediaClock()
        self.stats = BroadcastStats()
        self._pool = pool
        self._on_end = on_end
        self._over = False
        self._voice = VoiceEncoder()
        self._listeners: set[MediaSender] = set()
        self._beginning: dict[MediaSender, asyncio.TimerHandle] = {}  # listeners that are about to be sent to
        self._lanes: dict[str, Lane] = {}
        timeline = Timeline(fps=session.settings.fps)
        self._piece = timeline.samples_per_piece
        self._late = VOICE_PACKET - math.gcd(VOICE_PACKET, self._piece)  # samples by which a piece may complete a packet late
        self._early = timeline.samples_per_frame - self._piece - self._late  # by which a frame's first sound leaves before it
        self.hold = PictureHold(session.settings.picture_hold_ms)
        self.picture_held_ms = 0.0
        self._lead_ms = 0.0  # how much later than its sound a picture is there
        self._spoken: asyncio.Queue[tuple[EncodedVoice, float]] = asyncio.Queue(VOICE_ROOM)
        parts = {"pictures": self._show, "voice": self._hear, "speaker": self._speak}
        self._tasks = [
            asyncio.create_task(self._until_it_ends(name, part), name=f"{name} of {session.id}") for name, part in parts.items()
        ]

    def add(self, sender: MediaSender) -> None:
        """Begin to send to a viewer: the next picture, as a key frame, and the voice a moment later."""
        if sender.kind == "audio":
            begin = asyncio.get_running_loop().call_later
            self._beginning[sender] = begin(VOICE_BEGINS_S, self._begin_voice, sender)
            return
        lane = self._lanes.get(sender.codec_name)
        if lane is None:
            lane = self._lanes[sender.codec_name] = self._new_lane(sender.codec_name)
        lane.add(sender)

    def remove(self, sender: MediaSender) -> None:
        """Forget a viewer's sender; the last one of a codec ends its encoder."""
        self._listeners.discard(sender)
        if (beginning := self._beginning.pop(sender, None)) is not None:
            beginning.cancel()
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
        """Bits per second that the picture encoders are set to, all codecs together."""
        return sum(lane.encoder.bitrate for lane in self._lanes.values())

    async def close(self) -> None:
        """End everything that runs for this session."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            lane.close()
        self._lanes.clear()
        for beginning in self._beginning.values():
            beginning.cancel()
        self._beginning.clear()

    def _begin_voice(self, sender: MediaSender) -> None:
        del self._beginning[sender]
        self._listeners.add(sender)

    def _new_lane(self, codec: str) -> Lane:
        settings = self.session.settings
        stats = self.stats.lanes.setdefault(codec, LaneStats())
        encoder = ENCODERS[codec](settings.size, settings.fps)
        return Lane(encoder, self._pool, lambda: self.picture_held_ms / 1000, stats, self._record)

    def _record(self, stage: str, milliseconds: float) -> None:
        self.stats.times.add(stage, milliseconds)
        if stage in STAGES:
            self.session.record(stage, milliseconds)

    async def _until_it_ends(self, name: str, part: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do a part of the broadcast. A viewer that gets only the rest is better off beginning anew."""
        try:
            await part()
        except Exception:  # a session's failure ends that session's broadcast alone
            log.exception("the %s of session %s failed", name, self.session.id)
        if not self._over:
            self._over = True
            self._on_end()

    async def _show(self) -> None:
        async for picture in self.session.subscribe():
            self._offer(picture)

    def _offer(self, picture: Outgoing) -> None:
        taken = now()
        self.clock.anchor(picture.index / self.session.settings.fps, time.time())
        self.stats.emissions += 1
        self.hold.next()
        self.picture_held_ms = self.hold.of_picture(self._lead_ms)
        for lane in self._lanes.values():
            lane.offer(picture, taken)

    async def _hear(self) -> None:
        async for sound in self.session.listen():
            self._lead_ms = 1000 * (sound.ahead + self._early) / SAMPLE_RATE_HZ
            if self._listeners:
                self._encode(sound)

    def _encode(self, sound: OutgoingSound) -> None:
        """Make the packets that a piece of sound completes; each is to leave when it can be had at the latest: evenly."""
        start = sound.start + sound.ahead
        for packet in self._voice.encode(sound.samples, start):
            if self._spoken.full():
                self._spoken.get_nowait()
            due = sound.due + (packet.timestamp - start + self._late) / SAMPLE_RATE_HZ
            self._spoken.put_nowait((packet, due + self.hold.of_sound(self._lead_ms) / 1000))

    async def _speak(self) -> None:
        while True:
            packet, due = await self._spoken.get()
            if (early := due - now()) > 0:
                await asyncio.sleep(early)
            for listener in tuple(self._listeners):
                await listener.transmit((packet.payload,), packet.timestamp)
            self._record("voice", (now() - due) * 1000)
