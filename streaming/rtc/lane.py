"""One codec of one session: its encoder and all who watch what it makes."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from streaming.contract import Outgoing, now
from streaming.rtc.encoder import EncodedPicture, PictureEncoder
from streaming.rtc.sender import MediaSender

log = logging.getLogger(__name__)

KEY_INTERVAL_S = 0.3  # requests for a key frame are answered at most this often, except a newcomer's
THIN_KEY_INTERVAL_S = 0.5  # on a thin line, which a key frame fills for some of that
REFRESH_S = 0.3  # a picture that repeats is encoded so often: for who lost the last one, and for browsers that wait for it
HOLD_ROOM = 8  # pictures waiting for their time; more than the longest hold at the highest rate

Record = Callable[[str, float], None]
"""Takes a stage's name and its milliseconds."""


@dataclass(slots=True)
class LaneStats:
    """Counts of one codec, since the session's first viewer."""

    pictures: int = 0  # encoded
    keys: int = 0
    skipped: int = 0  # came while the encoder was still busy with the one before
    repeated: int = 0  # not encoded again


@dataclass(frozen=True, slots=True)
class _Waiting:
    picture: EncodedPicture
    arrived: float  # T1 of its sound, 0.0 when none came
    encoded: float  # T7
    due: float  # not to be sent before


class Lane:
    """Encodes each picture once and sends it to every viewer of the codec, not before its time."""

    def __init__(
        self, encoder: PictureEncoder, pool: Executor, hold: Callable[[], float], stats: LaneStats, record: Record
    ) -> None:
        self.encoder = encoder
        self.stats = stats
        self.viewers: set[MediaSender] = set()
        self._pool, self._hold, self._record = pool, hold, record
        self._newcomer = False
        self._key_at = 0.0
        self._offered: tuple[Outgoing, float] | None = None
        self._offered_at = 0.0
        self._wake = asyncio.Event()
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(HOLD_ROOM)
        self._tasks = [asyncio.create_task(self._encode_all()), asyncio.create_task(self._deliver_all())]

    def add(self, sender: MediaSender) -> None:
        """One more viewer; the next picture is a key frame, so that it sees something at once."""
        self.viewers.add(sender)
        self._newcomer = True

    def offer(self, emission: Outgoing, taken: float) -> None:
        """The newest picture; one that still waits for the encoder is dropped in its favour.

        One that repeats the last is worth nothing to a viewer who has it, and is left out, but now and then.
        """
        if not (emission.fresh or self._is_key_due() or taken - self._offered_at >= REFRESH_S):
            self.stats.repeated += 1
            return
        self.stats.skipped += self._offered is not None
        self._offered, self._offered_at = (emission, taken), taken
        self._wake.set()

    def take_feedback(self) -> None:
        """Follow the weakest viewer's line."""
        self.encoder.set_bitrate(min(viewer.line.spent_bps for viewer in self.viewers))

    def close(self) -> None:
        """End the encoder; pictures under way are dropped."""
        for task in self._tasks:
            task.cancel()

    async def _encode_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._offered is not None:
                (emission, taken), self._offered = self._offered, None
                await self._encode(emission, taken)

    async def _encode(self, emission: Outgoing, taken: float) -> None:
        if key := self._is_key_due():
            self._newcomer, self._key_at = False, now()
        encode = self.encoder.encode
        loop = asyncio.get_running_loop()
        try:
            picture = await loop.run_in_executor(self._pool, lambda: encode(emission.video, emission.index, key=key))
        except Exception:  # one picture is lost; the next one starts afresh
            log.exception("a picture could not be encoded")
            self._newcomer = True
            return
        if picture is None:
            return
        encoded = now()
        self.stats.pictures += 1
        self.stats.keys += picture.key
        self._record("encode", (encoded - ((emission.fresh and emission.stamps.colour) or taken)) * 1000)
        if self._waiting.full():
            self._waiting.get_nowait()
            self._newcomer = True  # the chain of pictures is broken
        self._waiting.put_nowait(_Waiting(picture, emission.stamps.arrived, encoded, taken + self._hold()))

    async def _deliver_all(self) -> None:
        while True:
            waiting = await self._waiting.get()
            early = waiting.due - now()
            if early > 0.0005:
                await asyncio.sleep(early)
            await self._deliver(waiting)

    async def _deliver(self, waiting: _Waiting) -> None:
        picture, begun = waiting.picture, now()
        if picture.key:
            for viewer in self.viewers:
                viewer.wants_key, viewer.started = False, True
        started = [viewer for viewer in self.viewers if viewer.started]
        await asyncio.gather(*(viewer.transmit(picture.payloads, picture.timestamp, key=picture.key) for viewer in started))
        sent = now()
        self._record("send", (sent - begun) * 1000)
        if waiting.arrived:
            held = max(0.0, waiting.due - waiting.encoded)
            self._record("residence", (sent - waiting.arrived - held) * 1000)

    def _is_key_due(self) -> bool:
        waiting = [viewer for viewer in self.viewers if viewer.wants_key]
        interval_s = THIN_KEY_INTERVAL_S if any(viewer.line.is_thin for viewer in waiting) else KEY_INTERVAL_S
        return self._newcomer or (bool(waiting) and now() - self._key_at >= interval_s)
