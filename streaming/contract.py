"""The seams inside streaming: what the HTTP application, the WebRTC peers and the workers promise each other.

Four parts meet here. `streaming.worker` runs engine sessions in processes and
hands out `LiveSession`s; `streaming.rtc` feeds them a voice and carries their
emissions to viewers; `streaming.capture` feeds them a sound card or a file;
`streaming.app` opens and closes them for the page. All of it lives in one
event loop; nothing here blocks it.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.motion.compositor import CHOICES as CHOICES
from engine.motion.compositor import CHOSEN as CHOSEN
from engine.motion.compositor import FACTORS as FACTORS
from engine.motion.voice import LOOK_AHEAD_MS as LOOK_AHEAD_MS
from engine.motion.voice import LOOK_AHEADS_MS as LOOK_AHEADS_MS

SESSION_ID = r"^[a-z0-9-]{1,64}$"
CAMERAS = ("browser", "machine", "off")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a session is opened with; everything that can change later is a control."""

    portrait: str  # id in the portrait library
    size: int = 512  # px, 256 / 384 / 512 / 768
    fps: int = 25  # 25 / 30 / 50 / 60
    look_ahead_ms: int = LOOK_AHEAD_MS  # one of LOOK_AHEADS_MS: more is spoken better, and seen later
    picture_hold_ms: int = 80  # 0..100, how much later than its sound a picture leaves, until a receiver reports its lag
    badge: bool = True  # burn the "AI" badge in; only the operator's configuration removes it
    seed: int = 0  # of idle life
    head_style: str | None = None  # file of a style, see streaming.styles; None: the one that ships


@dataclass(frozen=True, slots=True)
class Step:
    """How much of a session is drawn, see `streaming.worker.ladder`: all of it, or less as its worker is too busy."""

    fps: int  # pictures drawn a second; 0: a still portrait, drawn now and then
    size: int  # px

    @property
    def still(self) -> bool:
        """Whether the portrait stands still."""
        return self.fps == 0


@dataclass(frozen=True, slots=True)
class Stamps:
    """Instants of one picture on the monotonic clock of this machine, in seconds (see `now`); 0.0 = not reached.

    The names are those of the measuring guide: `arrived` T1 (the newest sound
    of this frame's own 40 ms reached the server), `taken` T2 (left the audio
    buffer), `features` T3, `inference_start` T4, `inference_end` T5, `colour` T6
    (I420 ready). T7 and T8 are the sender's to add. `due` is the tick's
    deadline, `begun` when the worker got round to it.
    """

    due: float = 0.0
    arrived: float = 0.0
    taken: float = 0.0
    features: float = 0.0
    inference_start: float = 0.0
    inference_end: float = 0.0
    colour: float = 0.0
    begun: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """One picture on its way out.

    `video` is I420 uint8[size * 3 // 2, size] (BT.601, limited range) in memory
    shared with the worker, smaller than was asked for when the worker is too
    busy for that (`Step`): valid until `ring` more pictures have come; who
    keeps it longer copies it.
    `index` counts frames from 0 since the session was opened and never jumps
    back, also when its worker was restarted: the RTP timestamp is
    `index * 90000 // fps`.
    """

    index: int
    video: NDArray[np.uint8]
    fresh: bool  # false: the picture repeats the previous one (late, or the worker is away)
    stamps: Stamps
    spared: bool = False  # not fresh, and not to be: the session's step has no picture for this one

    @property
    def size(self) -> int:
        """Height and width of the picture, px."""
        return self.video.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingSound:
    """A piece of sound on its way out: int16[N] mono at 48 kHz, on the same media clock as the pictures.

    It leaves as soon as it has been taken from the inlet, the newest there is:
    it waits for no frame to be over and for no look-ahead, so it is heard
    `ahead` samples after the picture of its instant. A receiver's sound path
    is slower than its picture path by about as much; `PictureHold` sees to the
    rest. `start` never jumps back; the RTP timestamp is `start + ahead`.
    """

    start: int  # sample of the media clock: frame i begins at i * 48000 // fps
    samples: NDArray[np.int16]
    missing: int  # samples that never arrived, filled with silence
    due: float  # when it was to be taken; the first piece of several
    ahead: int = 0  # samples


@dataclass(frozen=True, slots=True)
class PictureCodec:
    """How a camera's pictures are coded; all but the name only where the pictures do not say it themselves."""

    name: str  # FFmpeg's name of the decoder
    width: int = 0
    height: int = 0
    pixels: str = ""  # FFmpeg's name of the pixel format, of raw pictures
    extra: bytes = b""  # what the container says about all pictures


@dataclass(frozen=True, slots=True, eq=False)
class CodedPicture:
    """One picture of a camera as it came; `arrived` is `now()` at its last byte."""

    codec: PictureCodec
    key: bool  # needs none before it
    data: bytes
    arrived: float


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """What a session's camera sees, for the page's display."""

    source: str = "browser"  # "browser", "machine" or "off"
    state: str = "off"  # "off", "starting", "following", one of engine.face.stream.Trouble, or "gone"
    fps: float = 0.0  # pictures that were followed
    late_ms: float = 0.0  # median, from a picture's arrival until its reading is here
    faces: int = 0
    calibrated: float = 0.0  # 0..1: how much of the person's neutral face has been learned
    reason: str = ""  # why it cannot be used, one line


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """How a session is doing, for the page's display and for metrics."""

    state: str  # "starting" | "live" | "recovering" | "closed"
    fps: float
    frames: int
    misses: int
    stages_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])  # StageTimes.summary()
    look_ahead_held_ms: float = 0.0  # how long sound really waits for the look-ahead, from a frame's end; not in stages_ms
    level_dbfs: float = -120.0  # of the incoming voice
    hearing: bool = False  # sound has arrived within the last second
    viewers: int = 0
    reason: str = ""  # why it was closed, when that was not asked for: one line
    camera: CameraStatus = CameraStatus()
    factors: Mapping[str, str] = field(default_factory=lambda: dict(CHOSEN))
    eye_contact: bool = False
    step: Step | None = None  # how much of it is drawn, when that is not all


class LiveSession(Protocol):
    """A session running in a worker process, seen from the event loop."""

    @property
    def id(self) -> str:
        """The name it is addressed by, see `SESSION_ID`."""
        ...

    @property
    def settings(self) -> SessionSettings:
        """What it was opened with."""
        ...

    def push_audio(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Give it sound as it comes: mono float32 at 48 kHz, any length; `arrived` is `now()` at its last packet.

        The far clock need not be ours: the worker's inlet resamples against
        drift, conceals gaps and keeps a bounded, adaptive 20-60 ms in hand.
        """
        ...

    def push_picture(self, picture: CodedPicture) -> bool:
        """Give it a picture of the browser's camera; false when the next one must be a key frame, because some were lost."""
        ...

    def end_pictures(self) -> None:
        """The browser's camera has been switched off; without a word for 1 s it counts as gone."""
        ...

    def draw_outline(self, draw: Callable[[NDArray[np.float32]], None] | None) -> None:
        """Tell `draw` where the face is that the camera follows, at most ten times a second; None: no more.

        See `streaming.camera.outline`; float32[N, 2] in 0..1 of the picture, N = 0 while there is none.
        """
        ...

    def subscribe(self) -> AsyncIterator[Outgoing]:
        """Pictures as they are made, from now on; each subscriber misses the oldest rather than hold more than 200 ms.

        The iteration ends when the session closes. Dropping the iterator unsubscribes.
        """
        ...

    def listen(self) -> AsyncIterator[OutgoingSound]:
        """Sound as it is taken, from now on, in the same manner as `subscribe`."""
        ...

    def control(self, **changes: Any) -> None:
        """Change what can be changed live, see `Controls`.

        Raises:
            ValueError: for an unknown name or a value out of range.
        """
        ...

    def interrupt(self) -> None:
        """Barge-in: clear sound, motion and model state at once."""
        ...

    def record(self, stage: str, milliseconds: float) -> None:
        """Note how long a stage outside the worker took ("encode", "send"), for `LiveStatus.stages_ms`."""
        ...

    def watched_by(self, viewers: int) -> None:
        """Note how many viewers it has, for `LiveStatus.viewers`; told again whenever one of them is heard of."""
        ...

    def status(self) -> LiveStatus:
        """How it is doing right now; cheap."""
        ...

    async def close(self) -> None:
        """End it: its subscribers' iterations end, its place is free. Closing twice is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class Controls:
    """What `LiveSession.control` takes; None leaves a thing as it is.

    `channels` drives named channels of engine.contract.CHANNELS (and `None`
    releases one to the other sources); `preset` names one of the script
    source's presets.
    """

    channels: Mapping[str, float | None] | None = None
    preset: str | None = None
    mouth_gain: float | None = None  # 0..2
    head_gain: float | None = None  # 0..2, of the motion that follows the voice
    idle: bool | None = None  # blinks, saccades, breathing
    portrait: str | None = None  # change the face while live
    camera: str | None = None  # whose pictures are followed: "browser", "machine" or "off"
    factors: Mapping[str, str] | None = None  # pose, gaze, expression, lips: from "voice", "camera" or "still"
    neutral: bool | None = None  # true: the face as the camera sees it now is at rest
    eye_contact: bool | None = None  # a look at the screen is shown as one into the lens


class CapacityReached(Exception):
    """No worker has room for one more session within its budget."""


class LiveSessions(Protocol):
    """Opens sessions on workers, and refuses what would not fit. `streaming.live.Live` is the implementation."""

    async def open(self, settings: SessionSettings, session_id: str | None = None) -> LiveSession:
        """Open a session on the least loaded worker.

        Raises:
            CapacityReached: when one more would break the budget of those running.
            ValueError: for settings out of range.
            PortraitError: when the portrait does not exist or cannot be loaded.
        """
        ...

    def get(self, session_id: str) -> LiveSession | None:
        """The open session of that id, or None."""
        ...

    def all(self) -> Mapping[str, LiveSession]:
        """All open sessions by id."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a worker is warm, so that `open` answers at once."""
        ...

    async def start(self) -> None:
        """Start the workers; returns when they are being warmed up, not when they are warm."""
        ...

    async def close(self) -> None:
        """Close all sessions and end all workers; returns when no process is left."""
        ...


def now() -> float:
    """The one clock of the server, in seconds: CLOCK_MONOTONIC, equal in all processes of this machine."""
    return time.monotonic()
