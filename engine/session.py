"""One live face: sound in, emissions out, by a state machine that never waits."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract import GraphRequest, Motion, Renderer
from engine.media import AudioChunk, Emission, VideoFrame
from engine.timeline import MOTION_STEP, Timeline


class Voice(Protocol):
    """The part of a voice-driven motion source that a session feeds."""

    @property
    def look_ahead(self) -> int:
        """Samples beyond an instant that the motion at that instant may depend on."""
        ...

    def push(self, samples: NDArray[np.float32]) -> None:
        """The next sound, float32[N] at 48 kHz."""
        ...

    def reset(self, sample: int = 0) -> None:
        """Forget all sound; the next sample pushed is `sample`."""
        ...


class Mixer(Protocol):
    """What composes the motion of all sources; see `engine.motion.compositor.Compositor`."""

    def at(self, sample: int, live: int | None = None) -> Motion:
        """The composed motion at `sample`, of sources that need not wait at `live`; asked for in order."""
        ...


class Session:
    """Turns sound into emissions, one per frame, on the media clock.

    Sound enters by `push` and leaves by `tick`, delayed by exactly `lead`
    samples plus whatever the caller lets pile up. A tick takes the sound of
    one frame, the motion at its centre and a picture of that motion, and
    moves the media clock on by one frame; sound that is not there is silence
    (the clock never waits), and a late picture is the previous one repeated.

    A tick whose graphs are run by somebody else, together with those of other
    sessions, is made in steps: `prepare`, `answer` for as long as there is a
    request, `finish`. It may be finished before the answer is there: then it
    repeats the last picture, and the one under way belongs to the next tick.

    The session neither sleeps nor reads a clock: when to tick, and whether a
    tick is late, is the caller's to say. The pixels of an emission stay valid
    until the next tick.

    Args:
        timeline: sample rate and frame rate.
        renderer: draws the pictures.
        mixer: composes motion, from `voice` among others.
        voice: told of all sound that is pushed, as is the renderer.
        room_ms: how far pushed sound may run ahead of what the next tick needs.

    Raises:
        ValueError: if `room_ms` is not positive.
    """

    def __init__(
        self,
        timeline: Timeline,
        renderer: Renderer,
        mixer: Mixer,
        voice: Voice,
        room_ms: float = 400.0,
    ) -> None:
        if not room_ms > 0:
            raise ValueError(f"a session needs room for sound, got {room_ms} ms")
        self.timeline = timeline
        self.renderer = renderer
        self._mixer = mixer
        self._voice = voice
        self._lead = _lead(timeline, voice.look_ahead)
        need = timeline.samples_per_frame + self._lead
        self._sound = _SoundBuffer(need + timeline.samples(room_ms))
        self._need = need
        self._frame = 0
        self._tick: _Tick | None = None
        self._picture: VideoFrame | None = None
        self._drawing = False
        self._fresh = False  # whether the picture has not been emitted yet

    @property
    def lead(self) -> int:
        """Samples that must be pushed beyond the end of a frame before its tick: the look-ahead, rounded up to motion steps."""
        return self._lead

    @property
    def frame(self) -> int:
        """Index of the frame that the next tick to begin makes."""
        return self._frame

    @property
    def sample(self) -> int:
        """First sample of the next frame."""
        return self.timeline.frame_start(self._frame)

    @property
    def live(self) -> int:
        """The newest instant that the next tick is about: a camera, which waits for no look-ahead, is shown as it is then."""
        return self.sample + self._need

    @property
    def ready(self) -> bool:
        """Whether all sound that the next tick needs has been pushed."""
        return self._sound.held >= self._need

    @property
    def drawing(self) -> bool:
        """Whether a picture is under way: it waits for an answer."""
        return self._drawing

    @property
    def drawn(self) -> bool:
        """Whether there is a picture, so that a tick can be finished."""
        return self._picture is not None

    @property
    def held_ms(self) -> float:
        """Sound pushed and not yet heard, in milliseconds."""
        return self.timeline.milliseconds(self._sound.held)

    def push(self, samples: NDArray[np.float32]) -> int:
        """Take sound float32[N] at the timeline's rate; return how many samples fitted.

        A full session takes no more (the rest stays the caller's): nothing is dropped here.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"expected float32[N], got {samples.dtype}{list(samples.shape)}")
        taken = samples[: self._sound.free]
        self._take(taken)
        return len(taken)

    def _take(self, samples: NDArray[np.float32]) -> None:
        self.renderer.hear(AudioChunk(self.sample + self._sound.held, samples))
        self._sound.write(samples)
        self._voice.push(samples)

    def end_utterance(self) -> int:
        """Follow the sound by silence, so that all of it can be ticked out; return the number of ticks that takes."""
        frames = -(-max(self._sound.held, 0) // self.timeline.samples_per_frame)
        missing = frames * self.timeline.samples_per_frame + self._lead - self._sound.held
        if missing > 0 and frames:
            self.push(np.zeros(min(missing, self._sound.free), np.float32))
        return frames

    def interrupt(self) -> None:
        """Barge-in: drop all sound not yet heard and what the voice and the renderer remember of it, at once."""
        self._sound.clear()
        self.abandon()
        if self._tick is not None:
            self._tick = self._tick._replace(sound=_silent(self._tick.sound))
        self._voice.reset(self.sample)
        self.renderer.reset()

    def tick(self, *, late: bool = False) -> Emission:
        """Make the next emission; the graphs that the renderer asks for are run here, one after the other."""
        request = self.prepare(late=late)
        while request is not None:
            request = self.answer(request.graph.run(request.inputs))
        return self.finish()

    def prepare(self, *, late: bool = False) -> GraphRequest | None:
        """Begin a tick: take its sound, compose the motion, and let the renderer ask for its graph.

        A late tick asks for nothing and repeats the last picture, unless there is none yet; neither does one that begins
        while the picture of an earlier one is under way, nor a renderer without a graph, which draws here.
        """
        assert self._tick is None, "a tick ends before the next one begins"
        missing = max(0, self._need - self._sound.held)
        if missing:
            self._take(np.zeros(missing, np.float32))
        motion = self._mixer.at(self.timeline.frame_centre(self._frame), self.live)
        sound = AudioChunk(self.sample, self._sound.read(self.timeline.samples_per_frame))
        self._tick = _Tick(self._frame, sound, missing)
        self._frame += 1
        if self._drawing or (late and self.drawn):
            return None
        self._drawing = True
        request = self.renderer.prepare(motion)
        return self.answer(None) if request is None else request

    def answer(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> GraphRequest | None:
        """Go on with the picture under way, given what the graph said that was asked for; what it needs next, None if drawn."""
        assert self._drawing, "there is an answer where something was asked for"
        drawn = self.renderer.finish(outputs)
        if isinstance(drawn, GraphRequest):
            return drawn
        self._picture, self._drawing, self._fresh = drawn, False, True
        return None

    def abandon(self) -> None:
        """Give the picture under way up: no answer follows. A tick without a picture to repeat ends here, without emission."""
        self._drawing = False
        if not self.drawn:
            self._tick = None

    def finish(self) -> Emission:
        """End the tick, with the picture that was drawn since the last one, or the last one again."""
        assert self._tick is not None, "a tick begins before it ends"
        assert self._picture is not None, "there is nothing to repeat before the first picture"
        tick, self._tick = self._tick, None
        fresh, self._fresh = self._fresh, False
        return Emission(tick.frame, self._picture, tick.sound, fresh=fresh, missing=tick.missing)


class _Tick(NamedTuple):
    """A tick that has begun: its frame, its sound, and how many samples were missing."""

    frame: int
    sound: AudioChunk
    missing: int


def _silent(sound: AudioChunk) -> AudioChunk:
    return AudioChunk(sound.start, np.zeros_like(sound.samples))


def _lead(timeline: Timeline, look_ahead: int) -> int:
    # Frame centres repeat their position between motion steps after at most MOTION_STEP frames.
    def lead(frame: int) -> int:
        next_step = -(-timeline.frame_centre(frame) // MOTION_STEP) * MOTION_STEP
        return next_step + look_ahead - timeline.frame_start(frame + 1)

    return max(0, *(lead(frame) for frame in range(MOTION_STEP)))


class _SoundBuffer:
    """float32 samples, first in first out, bounded."""

    def __init__(self, capacity: int) -> None:
        self._room = capacity
        self._data = np.zeros(2 * capacity, np.float32)
        self._first = self._last = 0

    @property
    def held(self) -> int:
        return self._last - self._first

    @property
    def free(self) -> int:
        return self._room - self.held

    def write(self, samples: NDArray[np.float32]) -> None:
        assert len(samples) <= self.free
        if self._last + len(samples) > len(self._data):
            held = self.held
            self._data[:held] = self._data[self._first : self._last]
            self._first, self._last = 0, held
        self._data[self._last : self._last + len(samples)] = samples
        self._last += len(samples)

    def read(self, count: int) -> NDArray[np.float32]:
        samples = self._data[self._first : self._first + count].copy()
        self._first += count
        return samples

    def clear(self) -> None:
        self._first = self._last = 0
