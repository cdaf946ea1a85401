"""The engine's path as it is served: sound pushed in real time, worker processes, one clock, the shared encoder.

Nothing here is a stand-in but the two ends: the voice comes from memory in
20 ms packets at the instants at which a microphone would bring them, and the
viewer notes what it is sent instead of sending it.
"""

import asyncio
import dataclasses
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import Busy, own_cpu_s, resident_mb
from benchmarks.mouth import Window
from benchmarks.studio import STUDIOS
from engine.timeline import SAMPLE_RATE_HZ
from streaming.config import ServerConfig
from streaming.contract import LOOK_AHEAD_MS, Outgoing, OutgoingSound, SessionSettings, now
from streaming.device.device import Device
from streaming.live import Live
from streaming.remote import Remote
from streaming.rtc.broadcast import Broadcast
from streaming.rtc.encoder import VIDEO_CLOCK_HZ
from streaming.rtc.sender import MediaSender, SenderStats
from streaming.server import device_of, workers_of
from streaming.worker.admission import Admission
from streaming.worker.options import WorkerOptions
from streaming.worker.pool import available_cores

PACKET: Final = SAMPLE_RATE_HZ // 50
"""Samples of a packet: 20 ms, as a browser sends them."""
WARM_S: Final = 3.0
"""Sound that is played before anything counts: the inlet, the encoder and the caches settle."""
READY_S: Final = 180.0
LOOP_STEP_S: Final = 0.02
SPARE_S: Final = 2.0
"""Room beyond the seconds that count."""

Watch = Callable[[float], None]
"""Called twice a second with the seconds that count so far."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What is run. `portrait` is a file, `models` a folder of networks, for a renderer that needs them.

    Without `encode` nobody watches: T7 is then when the picture has reached the event loop.
    """

    portrait: Path
    seconds: float = 20.0
    size: int = 512
    fps: int = 25
    look_ahead_ms: int = LOOK_AHEAD_MS
    sessions: int = 1
    workers: int | None = None
    renderer: str = "mesh"
    models: Path | None = None
    device: str = "cpu"
    encode: bool = True
    codec: str = "H264"
    stall_ms: float = 0.0
    ppm: float = 0.0
    picture_hold_ms: int | None = None  # of the browser suite; None: the product's own

    @property
    def period_s(self) -> float:
        """From one frame to the next on the workers' clock."""
        return 1 / self.fps / (1 + self.ppm * 1e-6)


COLUMNS: Final = (
    "due", "arrived", "taken", "asked", "began", "drawn", "colour", "received", "encoded", "spoken", "fresh", "missing",
)  # fmt: skip


class Take:
    """What one session took in and brought out. Instants are seconds of the server's one clock, NaN where there is none.

    All room is made and touched beforehand, so that measuring for hours does not look like a leak of the measured.

    Attributes:
        voice: float32[N], whole packets, pushed again and again from its beginning.
        pushed: float64[P], when packet i was pushed (T1).
        frames: float64[F, len(COLUMNS)], a row per frame from index `first` on. `due` to `colour` are the engine's
            stamps; `received` is when the picture reached the event loop, `encoded` (T7) and `spoken` when the
            bitstreams of its picture and of its first packet of sound were ready; `missing` are samples of silence.
        sound: int16[F, samples], what is heard while each frame shows.
        windows: uint8[F, h, w], the mouth in each frame; None when nobody asked.
    """

    def __init__(
        self, voice: NDArray[np.float32], settings: PipelineSettings, window: Window | None = None, spare_s: float = SPARE_S
    ) -> None:
        seconds = WARM_S + settings.seconds + spare_s
        rows = math.ceil(seconds * settings.fps)
        self.voice = voice
        self.first = -1
        self.bytes_sent = 0
        self.pushed = np.full(math.ceil(seconds * SAMPLE_RATE_HZ / PACKET), np.nan)
        self.frames = np.full((rows, len(COLUMNS)), np.nan)
        self.sound = np.full((rows, SAMPLE_RATE_HZ // settings.fps), 1, np.int16)
        self.sound[:] = 0
        self.windows = None if window is None else np.zeros((rows, *window.shape), np.uint8)
        self._window = window
        self._fps = settings.fps
        self._encode = settings.encode

    def see(self, outgoing: Outgoing, at: float) -> None:
        """Note a picture that reached the event loop."""
        if (row := self._row(outgoing.index)) is None:
            return
        stamps = outgoing.stamps
        instants = (stamps.due, stamps.arrived, stamps.taken, stamps.features, stamps.inference_start, stamps.inference_end)
        self.frames[row, :6] = [instant or math.nan for instant in instants]
        self.frames[row, 6:8] = stamps.colour or math.nan, at
        self.frames[row, COLUMNS.index("fresh")] = outgoing.fresh
        if not self._encode:
            self.frames[row, COLUMNS.index("encoded")] = at
        if self.windows is not None and self._window is not None:
            self.windows[row] = self._window.cut(outgoing.video[: outgoing.video.shape[1]])

    def hear(self, outgoing: OutgoingSound) -> None:
        """Note a piece of sound that reached the event loop."""
        index, within = divmod(outgoing.start, self.sound.shape[1])
        if (row := self._row(index)) is None:
            return
        begin = row * self.sound.shape[1] + within + outgoing.ahead
        place = self.sound.reshape(-1)[begin : begin + len(outgoing.samples)]
        place[:] = outgoing.samples[: len(place)]
        missing = COLUMNS.index("missing")
        self.frames[row, missing] = np.nan_to_num(self.frames[row, missing]) + outgoing.missing

    def _row(self, index: int) -> int | None:
        """That of a frame; None where there is no room for it."""
        if self.first < 0:
            self.first = index
        row = index - self.first
        return row if 0 <= row < len(self.frames) else None

    def send(self, column: str, media_s: float, size: int) -> None:
        """Note that the bitstream of the picture or sound at a media instant is ready."""
        self.bytes_sent += size
        row = math.floor(media_s * self._fps + 1e-6) - self.first
        place = COLUMNS.index(column)
        if self.first >= 0 and 0 <= row < len(self.frames) and not self.frames[row, place] <= now():
            self.frames[row, place] = now()

    def source(self) -> NDArray[np.float32]:
        """All sound pushed, in order."""
        packets = int(np.isfinite(self.pushed).sum())
        return np.resize(self.voice[: len(self.voice) // PACKET * PACKET], packets * PACKET)


@dataclass(slots=True)
class Run:
    """One run of the pipeline.

    Attributes:
        began: the instant from which on things count; what came before is warm-up.
        ended: the instant up to which they count.
        ready_s: from the start until the workers were warm.
        opened_s: how long each session took to open.
        cpu_s: CPU seconds between began and ended, of this process and the workers.
        spent: the same by who spent them.
        resident_mb: at the end.
        loop_late_s: float64[N], how much too late the event loop woke up, each `LOOP_STEP_S`.
        busy: see `Busy.summary`.
    """

    settings: PipelineSettings
    takes: list[Take]
    began: float = 0.0
    ended: float = 0.0
    ready_s: float = 0.0
    opened_s: list[float] = field(default_factory=list[float])
    cpu_s: float = 0.0
    spent: "Spent" = field(default_factory=lambda: Spent(0.0, 0.0, 0.0))
    resident_mb: float = 0.0
    loop_late_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    busy: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds: of the processes (workers, a GPU's), of the event loop's thread, and of the others beside it (encoders)."""

    workers_s: float
    loop_s: float
    encode_s: float

    @classmethod
    def until_now(cls) -> "Spent":
        """Running totals; to be asked for in the event loop."""
        all_s, loop_s, process_s = own_cpu_s(), time.thread_time(), time.process_time()
        return cls(all_s - process_s, loop_s, process_s - loop_s)

    def since(self, before: "Spent") -> "Spent":
        """What was added."""
        return Spent(self.workers_s - before.workers_s, self.loop_s - before.loop_s, self.encode_s - before.encode_s)


class Viewer:
    """Stands where a peer's `MediaSender` would and notes when it was handed what."""

    def __init__(self, kind: str, codec: str, note: Callable[[int, int], None]) -> None:
        self.kind = kind
        self.codec_name = codec
        self.wants_key = False
        self.started = kind == "audio"
        self.stats = SenderStats()
        self._note = note

    async def transmit(self, payloads: Sequence[bytes], timestamp: int, *, key: bool = False) -> None:
        """Note a picture or a packet of sound."""
        self._note(timestamp, sum(map(len, payloads)))


def server_config(settings: PipelineSettings) -> ServerConfig:
    """A server's that would draw like this."""
    return ServerConfig(
        size=settings.size,
        renderer="mesh" if settings.models is None else "pdfgc",
        models=settings.models,
        device=settings.device,
        workers=settings.workers,
    )


def worker_options(
    settings: PipelineSettings, device: Device | None = None, *, clock: bool = False
) -> tuple[int | None, WorkerOptions]:
    """How many workers a run has and their options, as a server's, with or without a clock in the pictures."""
    workers, options = workers_of(server_config(settings), settings.portrait, device)
    studio = STUDIOS[settings.renderer, clock]
    return workers, dataclasses.replace(options, studio=studio, inject_ppm=settings.ppm, inject_stall_ms=settings.stall_ms)


@asynccontextmanager
async def serving(settings: PipelineSettings, admission: Admission | None = None) -> AsyncGenerator[Live]:
    """Workers, all of them warm.

    Raises:
        TimeoutError: when they do not get ready.
    """
    device = device_of(server_config(settings))
    workers, options = worker_options(settings, device)
    live = Live(lambda _: settings.portrait, workers=workers, options=options, device=device, admission=admission)
    try:
        began = now()
        await live.start()
        while not all(worker.ready for worker in live.pool.workers):
            if now() - began > READY_S:
                raise TimeoutError(f"the workers were not warm after {READY_S:.0f} s")
            await asyncio.sleep(0.05)
        yield live
    finally:
        await live.close()


def wanted(settings: PipelineSettings) -> SessionSettings:
    """What each session is opened with."""
    return SessionSettings("bench", settings.size, settings.fps, settings.look_ahead_ms, picture_hold_ms=0)


async def run(
    settings: PipelineSettings, voice: NDArray[np.float32], window: Window | None = None, watch: Watch | None = None
) -> Run:
    """Play `voice` (looped) to every session in real time for `WARM_S` and `seconds`; what happened.

    Raises:
        CapacityReached: when the workers do not admit as many sessions.
        TimeoutError: when no worker gets ready.
    """
    began = now()
    async with serving(settings) as live:
        ready_s = now() - began
        spare_s = SPARE_S + settings.sessions  # they are opened one after the other
        takes = [Take(voice, settings, None if number else window, spare_s) for number in range(settings.sessions)]
        async with Audience(live, settings) as audience:
            for take in takes:
                await audience.seat(take)
            found = await audience.attend(watch)
    found.ready_s = ready_s
    return found


class Audience:
    """Sessions that are spoken into in real time, from their opening on, and watched; to be used with `async with`."""

    def __init__(self, live: Live, settings: PipelineSettings) -> None:
        self._live = live
        self._settings = settings
        self._encoders = ThreadPoolExecutor(available_cores(), thread_name_prefix="encode")
        self._broadcasts: list[Broadcast] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._found = Run(settings, [])
        self.sessions: list[Remote] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for broadcast in self._broadcasts:
            await broadcast.close()
        for session in self.sessions:
            await session.close()
        await _cancelled(self._tasks)
        self._encoders.shutdown(wait=True, cancel_futures=True)

    async def seat(self, take: Take) -> None:
        """Open one more session.

        Raises:
            CapacityReached: when it is not let in.
        """
        began = now()
        session = await self._live.open(wanted(self._settings))
        self._found.opened_s.append(now() - began)
        self._found.takes.append(take)
        self.sessions.append(session)
        if self._settings.encode:
            session.watched_by(1)
            self._broadcasts.append(_watched(session, self._encoders, take, self._settings))
        self._tasks += [asyncio.create_task(work(session, take)) for work in (_note, _note_sound, _push)]

    async def attend(self, watch: Watch | None = None) -> Run:
        """Wait for `WARM_S`, then note all for `seconds`; what happened.

        Raises:
            RuntimeError: if a session ends meanwhile.
        """
        found, total = self._found, self._settings.seconds
        await asyncio.sleep(WARM_S)
        late = np.zeros(math.ceil((total + SPARE_S) / LOOP_STEP_S))
        measuring = asyncio.create_task(_measure_loop(late))
        busy, found.began, before = Busy(), now(), Spent.until_now()
        while (left := found.began + total - now()) > 0:
            await asyncio.sleep(min(0.5, left))
            if watch:
                watch(now() - found.began)
        found.ended, found.spent = now(), Spent.until_now().since(before)
        found.cpu_s, found.busy = busy.own_cpu_s(), busy.summary()
        found.resident_mb = resident_mb()
        found.loop_late_s = late[late > 0]
        await asyncio.sleep(0.25)  # the last pictures come through the encoder
        await _cancelled([measuring])
        for index, session in enumerate(self.sessions):
            if session.status().state == "closed":
                raise RuntimeError(f"session {index} ended: {session.status().reason}")
        return found


def _watched(session: Remote, pool: ThreadPoolExecutor, take: Take, settings: PipelineSettings) -> Broadcast:
    """Encode a session for one viewer by the broadcast that all viewers share."""

    def picture(timestamp: int, size: int) -> None:
        take.send("encoded", timestamp / VIDEO_CLOCK_HZ, size)

    def sound(timestamp: int, size: int) -> None:
        take.send("spoken", timestamp / SAMPLE_RATE_HZ, size)

    broadcast = Broadcast(session, pool, lambda: None)
    broadcast.add(cast(MediaSender, Viewer("video", settings.codec, picture)))
    broadcast.add(cast(MediaSender, Viewer("audio", "OPUS", sound)))
    return broadcast


async def _push(session: Remote, take: Take) -> None:
    """Packets at the instants at which a microphone brings them: late ones catch up, none is left out."""
    anchor = now()
    for index in range(len(take.pushed)):
        await asyncio.sleep(anchor + (index + 1) * PACKET / SAMPLE_RATE_HZ - now())
        begin = index % (len(take.voice) // PACKET) * PACKET
        instant = now()
        session.push_audio(take.voice[begin : begin + PACKET], instant)
        take.pushed[index] = instant


async def _note(session: Remote, take: Take) -> None:
    async for outgoing in session.subscribe():
        take.see(outgoing, now())


async def _note_sound(session: Remote, take: Take) -> None:
    async for outgoing in session.listen():
        take.hear(outgoing)


async def _measure_loop(late_s: NDArray[np.float64]) -> None:
    """Note how much too late the loop wakes up, in seconds; a step that was on time counts as a nanosecond."""
    for step in range(len(late_s)):
        due = now() + LOOP_STEP_S
        await asyncio.sleep(LOOP_STEP_S)
        late_s[step] = max(now() - due, 1e-9)


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
