"""Where a session's parts are put together: renderer, sources of motion, and the knobs on them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract import GROUPS, GraphRequest, Motion, MotionSource, Renderer
from engine.contract.motion import GROUP_OF
from engine.face.reader import Reading
from engine.media import AudioChunk, VideoFrame
from engine.motion.camera import CameraSource
from engine.motion.compositor import LIVE, Compositor
from engine.motion.idle import IdleSource
from engine.motion.script import ScriptSource
from engine.render.pdfgc.driver import LiveTrack
from engine.render.pdfgc.handover import EASE
from engine.session import Session
from engine.timeline import Timeline
from streaming.contract import SessionSettings

Clock = Callable[[], float]
Sight = Callable[[int], tuple[NDArray[np.float32] | None, Mapping[str, float]]]
"""What a motion encoder says of what is seen at a sample, and how much of it shows; see `Renderer.see`."""


class VoiceMotion(MotionSource, Protocol):
    """A motion source that is fed a voice."""

    @property
    def mouth_gain(self) -> float:
        """How far the mouth opens, 0..2."""
        ...

    @mouth_gain.setter
    def mouth_gain(self, gain: float) -> None: ...

    def push(self, samples: NDArray[np.float32]) -> None:
        """The next sound, float32[N] at 48 kHz."""
        ...


class Stopwatch:
    """A renderer that notes when it was asked and when it had drawn (T3, T4, T5); otherwise the one inside.

    `stall_s` holds every frame up by so much, for benchmarks that prove their own eyes. What is said is kept from it
    while the lips are not to follow the voice (`listens`), or while it is to draw the portrait at rest (`still`). What is
    seen at a sample, and how much of it shows, it is told by `sight`, if there is a camera with a motion encoder.
    """

    def __init__(self, renderer: Renderer, clock: Clock) -> None:
        self.renderer = renderer
        self._clock = clock
        self.asked = self.drawn = 0.0
        self.stall_s = 0.0
        self.listens = True
        self.still = False
        self.sight: Sight | None = None
        self.mouth_gain = 1.0

    @property
    def size(self) -> int:
        """See `Renderer`."""
        return self.renderer.size

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        """See `Renderer`; the session knows no gain, this one does."""
        if self.listens and not self.still:
            self.renderer.hear(sound, mouth_gain * self.mouth_gain)

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        """See `Renderer`."""
        self.renderer.see(latents, shares)

    def prepare(self, motion: Motion) -> GraphRequest | None:
        """See `Renderer`."""
        self.asked = self._clock()
        if self.sight is not None:
            latents, shares = self.sight(motion.sample)
            self.see(None if self.still else latents, shares)
        return self.renderer.prepare(Motion.of(motion.sample) if self.still else motion)

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame | GraphRequest:
        """See `Renderer`."""
        drawn = self.renderer.finish(outputs)
        if isinstance(drawn, VideoFrame):
            if self.stall_s:
                time.sleep(self.stall_s)
            self.drawn = self._clock()
        return drawn

    def reset(self) -> None:
        """See `Renderer`."""
        self.renderer.reset()


class Scaled:
    """A motion source whose groups are turned up or down; 1 leaves them as they are."""

    def __init__(self, source: MotionSource) -> None:
        self._source = source
        self._gain = np.ones(len(GROUPS), np.float32)

    def set_gain(self, group: str, gain: float) -> None:
        """How much of a group shows, 0..2.

        Raises:
            ValueError: if the gain is out of range.
        """
        if not 0 <= gain <= 2:
            raise ValueError(f"a gain lies in 0..2, got {gain}")
        self._gain[GROUPS.index(group)] = gain

    @property
    def look_ahead(self) -> int:
        """See `MotionSource`."""
        return self._source.look_ahead

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`."""
        factor = self._gain[GROUP_OF]
        return [Motion(m.sample, m.values * factor, m.confidence) for m in self._source.advance(until_sample)]

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`."""
        self._source.reset(sample)


class Overheard:
    """A voice's motion, of which idle life is told on its way when the lips move: it blinks where phrases end.

    The compositor asks its sources in their order for the same instant, so this one must come before `idle`.
    """

    def __init__(self, voice: MotionSource, idle: IdleSource) -> None:
        self._voice = voice
        self._idle = idle

    @property
    def look_ahead(self) -> int:
        """See `MotionSource`."""
        return self._voice.look_ahead

    def advance(self, until_sample: int) -> Sequence[Motion]:
        """See `MotionSource`."""
        motions = self._voice.advance(until_sample)
        for motion in motions:
            self._idle.hear(motion.sample, speaking=bool(motion.values[_LIPS].max() > LIPS_MOVE))
        return motions

    def reset(self, sample: int = 0) -> None:
        """See `MotionSource`."""
        self._voice.reset(sample)


LIPS_MOVE: Final = 0.05
_LIPS: Final = np.flatnonzero(GROUPS.index("lips") == GROUP_OF)


class Performance:
    """What plays in one session: the engine's session and its knobs.

    `clip` is motion known beforehand in the place of a camera's, shown at the instant of the sound.
    """

    def __init__(
        self,
        settings: SessionSettings,
        renderer: Renderer,
        voice: VoiceMotion,
        clock: Clock,
        clip: MotionSource | None = None,
    ) -> None:
        self.watch = Stopwatch(renderer, clock)
        self._voice = voice
        self._head = Scaled(voice)
        self._script = ScriptSource()
        idle = IdleSource(settings.seed)
        sources: dict[str, MotionSource] = {"voice": Overheard(self._head, idle), "script": self._script, "idle": idle}
        self._camera = CameraSource()
        self._seen = LiveTrack()
        self._contact = False
        self._gaze = 1.0  # how much of the gaze that is seen shows: none while there is eye contact
        sources["camera"] = clip or self._camera
        self._mixer = Compositor(sources, live=frozenset() if clip else LIVE)
        self.session = Session(Timeline(fps=settings.fps), self.watch, self._mixer, voice)

    def look(self, reading: Reading, sample: int) -> None:
        """A camera saw this in a picture that was taken at `sample` of the media clock."""
        self._camera.push(reading, sample)

    def drive(self, latents: NDArray[np.float32], sample: int) -> None:
        """A motion encoder says this, float32[42], of a camera's picture that was taken at `sample` of the media clock."""
        self._seen.push(latents, sample)
        self.watch.sight = self._sight

    def _sight(self, sample: int) -> tuple[NDArray[np.float32] | None, Mapping[str, float]]:
        self._gaze += float(np.clip((not self._contact) - self._gaze, -EASE, EASE))
        shares = {group: self._mixer.share("camera", group) for group in GROUPS if group != "lips"}
        shares["gaze"] *= self._gaze
        return self._seen.at(sample) if any(shares.values()) else None, shares

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Change controls (all of `Controls` but the portrait).

        Raises:
            ValueError: for an unknown name or a value out of range.
        """
        if (preset := changes.get("preset")) is not None:
            self._script.play(preset, sample=self.session.sample)
        if channels := changes.get("channels"):
            self._script.set({name: 0.0 if value is None else float(value) for name, value in channels.items()})
        if (gain := changes.get("mouth_gain")) is not None:
            self._voice.mouth_gain = self.watch.mouth_gain = float(gain)
        if (gain := changes.get("head_gain")) is not None:
            self._head.set_gain("pose", float(gain))
        if (idle := changes.get("idle")) is not None:
            for group in GROUPS:
                self._mixer.set_weight("idle", group, 1.0 if idle else 0.0)
        if (contact := changes.get("eye_contact")) is not None:
            self._contact = bool(contact)
        factors: Mapping[str, str] = changes.get("factors") or {}
        for factor, source in factors.items():
            self._mixer.choose(factor, source)
        self.watch.listens = self._mixer.chosen["lips"] == "voice"


class Studio(Protocol):
    """Builds performances. All of it may take long and is called in a thread of its own, one call at a time."""

    @property
    def scales(self) -> bool:
        """Whether a smaller picture costs less."""
        ...

    def build(self, settings: SessionSettings, portrait: str, clock: Clock, clip: MotionSource | None = None) -> Performance:
        """A performance from the beginning; for `clip` see `Performance`.

        Raises:
            PortraitError: when the portrait file cannot be used.
            ModelError: when a network cannot be.
        """
        ...

    def renderer(self, settings: SessionSettings, portrait: str) -> Renderer:
        """A renderer of another face for a performance under way."""
        ...
