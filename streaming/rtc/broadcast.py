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
from streaming.rtc.clock import MediaClock, Pace
from streaming.rtc.encoder import EncodedVoice, H264Encoder, PictureEncoder, VoiceEncoder, Vp8Encoder
from streaming.rtc.hold import PictureHold
from streaming.rtc.lane import Lane, LaneStats
from streaming.rtc.sender import MediaSender

log = logging.getLogger(__name__)

ENCODERS: dict[str, Callable[[int, int], PictureEncoder]] = {"H264": H264Encoder, "VP8": Vp8Encoder}
VOICE_BEGINS_S = 0.4  # after the connection: what a browser gets before its output runs stays in its buffer as delay
VOICE_ROOM = 12  # packets waiting to leave, 240 ms: more than a subscription ever holds
STAGES = ("encode", "send")  # what the session is told; "voice" and "residence" are kept here


@dataclass(slots=True)
class BroadcastStats:
    """What one session's encoders and senders did, since its first viewer; milliseconds in `times`.

    `encode` is T6 to T7, `send` T7 (or the end of the hold) to T8, `residence`
    T1 to T8 without the hold, `voice` from when a voice packet may leave until
    it has left.
    """

    emissions: int = 0
    lanes: dict[str, LaneStats] = field(default_factory=dict[str, LaneStats])
    times: StageTimes = field(default_factory=lambda: StageTimes((*STAGES, "voice", "residence")))


class Broadcast:
    """Takes the emissions of one session, encodes them once and hands them to every viewer's senders.

    The voice leaves first: the first packet of an emission at once, the others
    spread over it. The picture follows as soon as it is encoded. `hold`, which
    follows what a receiver reports, makes one of the two wait when they would
    not be seen and heard together.
    It runs from its first viewer to its last and ends with the session.
    """

    def __init__(self, session: LiveSession, pool: Executor, on_end: Callable[[], None]) -> None:
        self.session = session
        self.clock = MediaClock()
        self.stats = BroadcastStats()
        self._pool = pool
        self._on_end = on_end
        self._voice = VoiceEncoder()
        self._listeners: set[MediaSender] = set()
        self._beginning: dict[MediaSender, asyncio.TimerHandle] = {}  # listeners that are about to be sent to
        self._lanes: dict[str, Lane] = {}
        self._pace = Pace()
        self.hold = PictureHold(session.settings.picture_hold_ms)
        self.picture_held_ms = 0.0
        self._sound_held_s = 0.0
        self._spoken: asyncio.Queue[tuple[EncodedVoice, float]] = asyncio.Queue(VOICE_ROOM)
        self._tasks = [
            asyncio.create_task(self._pump(), name=f"broadcast {session.id}"),
            asyncio.create_task(self._speak(), name=f"voice {session.id}"),
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

    async def _pump(self) -> None:
        try:
            async for emission in self.session.subscribe():
                await self._send(emission)
        except Exception:  # a session's failure ends that session's broadcast alone
            log.exception("the broadcast of session %s failed", self.session.id)
        self._on_end()

    async def _send(self, emission: Outgoing) -> None:
        taken = now()
        fps = self.session.settings.fps
        spoken = emission.index * SAMPLE_RATE_HZ // fps + emission.ahead
        self.clock.anchor(emission.index / fps, time.time())
        self._pace.begin(spoken / SAMPLE_RATE_HZ, taken)
        self._hold_back(1000 * emission.ahead / SAMPLE_RATE_HZ)
        self.stats.emissions += 1
        if self._listeners:
            for packet in self._voice.encode(emission.audio, spoken):
                self._say(packet, taken)
            await asyncio.sleep(0)  # the first packet leaves before the picture is touched
        for lane in self._lanes.values():
            lane.offer(emission, taken)

    def _hold_back(self, ahead_ms: float) -> None:
        """Say how long the picture and the sound of the next emission wait."""
        self.hold.next()
        self.picture_held_ms = self.hold.of_picture(ahead_ms)
        self._sound_held_s = self.hold.of_sound(ahead_ms) / 1000

    def _say(self, packet: EncodedVoice, taken: float) -> None:
        if self._spoken.full():
            self._spoken.get_nowait()
        due = max(taken, self._pace.due(packet.timestamp / SAMPLE_RATE_HZ))
        self._spoken.put_nowait((packet, due + self._sound_held_s))

    async def _speak(self) -> None:
        while True:
            packet, due = await self._spoken.get()
            early = due - now()
            if early > 0:
                await asyncio.sleep(early)
            for listener in tuple(self._listeners):
                await listener.transmit((packet.payload,), packet.timestamp)
            self._record("voice", (now() - due) * 1000)
