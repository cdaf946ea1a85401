"""One session inside a worker: sound in, sound and frames out, on the deadlines it is given."""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.contract import GraphRequest, Renderer
from engine.face.reader import Reading
from engine.media import Emission
from engine.render.badge import burn
from engine.render.colour import to_i420
from streaming.contract import Stamps, Step
from streaming.worker.arena import SLOTS, Arena
from streaming.worker.batching import Outputs
from streaming.worker.inlet import Inlet
from streaming.worker.ladder import is_drawn
from streaming.worker.messages import Encoded, Frame, Look, Open, Speech
from streaming.worker.options import BEHIND_MOST_S
from streaming.worker.pcm import to_int16
from streaming.worker.studio import Clock, Performance

REPEATS_MOST: Final = 4
"""Pictures repeated in a row for being late; then one is drawn however late, so that a slow face is slow and not still."""


M = TypeVar("M")

Made = Frame | GraphRequest | None
"""What a step of a tick comes to: its frame; what has to be run for it; or nothing, as something is being run already."""


class _Tick(NamedTuple):
    """A frame that has been begun, and when what was done (see `Stamps`)."""

    frame: int
    due: float
    begun: float
    arrived: float
    taken: float
    spared: bool


class WorkerSession:
    """Ticks a performance. `clock` is only read to stamp what was done when; deadlines are the caller's.

    A frame's sound is taken in pieces of 20 ms at most, each when it is due (`listen`), the last one with the frame: it
    goes on its way before the picture is drawn. A tick ends at once, or when `answer` has brought what it asked for, or when
    the next one is due (`overdue`): then the picture is repeated, and the one under way shows with the next frame.
    """

    def __init__(
        self,
        opened: Open,
        performance: Performance,
        arena: Arena,
        anchor: float,
        period: float,
        clock: Clock,
        cpu_clock: Clock = time.thread_time,
    ) -> None:
        self.key = opened.key
        self.anchor = anchor
        self.period = period
        self.index = opened.index
        self.settings = opened.settings
        self.performance = performance
        self._arena = arena
        self._place = opened.place
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._inlet = Inlet()
        self._samples = performance.session.timeline.samples_per_frame
        self._piece = performance.session.timeline.samples_per_piece
        self._heard = 0  # samples of the next frame's sound that have been taken
        self._lead = performance.session.lead
        self._open: _Tick | None = None
        self._asking: GraphRequest | None = None
        self._depicted: _Tick | None = None  # the tick whose motion the newest picture shows
        self._spent = 0.0  # seconds, on the picture under way
        self._taken: deque[tuple[int, float]] = deque(maxlen=32)  # (samples taken so far, when)
        self._costs: deque[float] = deque(maxlen=256)
        self._repeats = 0
        self._drawn = 0
        self._shown = 0  # px, of the last picture
        self.step = Step(self.settings.fps, self.settings.size)
        self._pad()

    @property
    def due(self) -> float:
        """When the next frame is to be begun."""
        return self.anchor + self.index * self.period

    @property
    def listens(self) -> float:
        """When the next piece of sound is to be taken; never while `ticks` says something."""
        left = self._samples - self._heard
        return self.due - self.period * (left - self._piece) / self._samples if left and not self._waits else math.inf

    @property
    def ticks(self) -> float:
        """When the next frame is to be begun; never before all of its sound has been taken."""
        return self.due if self._heard == self._samples and not self._waits else math.inf

    @property
    def wakes(self) -> float:
        """When there is something to do; never while the first picture is waited for."""
        return min(self.listens, self.ticks)

    @property
    def _waits(self) -> bool:
        return self._open is not None and not self.performance.session.drawn

    @property
    def asking(self) -> GraphRequest | None:
        """What it waits for."""
        return self._asking

    def cost(self) -> float:
        """Seconds of one core that a frame takes: the 95th percentile of the last 256, 0.0 before the first."""
        return float(np.percentile(self._costs, 95)) if self._costs else 0.0

    def typical_cost(self) -> float:
        """Seconds of one core that a frame usually takes: the median of the last 15, 0.0 before the first."""
        return float(np.median(list(self._costs)[-15:])) if self._costs else 0.0

    def push(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Take sound of the far clock."""
        self._inlet.push(samples, arrived)

    def look(self, look: Look) -> None:
        """Take what a camera saw.

        The media clock's newest instant is that of the next tick's deadline; a picture is as much older as it arrived before.
        """
        self.performance.look(Reading(look.values, look.confidence), self._depicted_at(look.arrived))

    def drive(self, encoded: Encoded) -> None:
        """Take what a motion encoder says of what a camera saw; dated as `look`."""
        self.performance.drive(encoded.latents, self._depicted_at(encoded.arrived))

    def _depicted_at(self, arrived: float) -> int:
        """The sample of the media clock at which a picture was taken."""
        ago = (self.due - arrived) / self.period * self._samples
        return self.performance.session.live - round(ago)

    def interrupt(self) -> None:
        """Barge-in: sound, motion and renderer forget, at once."""
        self._inlet.clear()
        self.performance.session.interrupt()
        self._stop_asking()
        self._pad()

    def show(self, renderer: Renderer) -> None:
        """Draw with another renderer from the next frame on."""
        if renderer.size != self.performance.watch.size:
            self._costs.clear()
        self.give_up()
        self.performance.watch.renderer = renderer

    def give_up(self) -> None:
        """What is asked for will not come."""
        self.performance.session.abandon()
        self._stop_asking()

    def _stop_asking(self) -> None:
        self._asking = None
        if not self.performance.session.drawn:
            self._open = None

    def take(self, step: Step) -> None:
        """Draw as many pictures as a step says; of another size when a renderer for it is shown."""
        self.step = step
        self.performance.watch.still = step.still

    def resume(self, instant: float) -> None:
        """Go on with the first frame that is due at `instant` or later; frames that are past are left out."""
        self.index = max(self.index, math.ceil((instant - self.anchor) / self.period))

    def listen(self, until: float) -> list[Speech]:
        """Take the sound that is due at the instant `until` or before, of the next frame at most."""
        return self._costed(lambda: self._listen(until))

    def tick(self, stall_s: float = 0.0) -> Made:
        """Begin the frame whose sound has been taken; `stall_s` holds its drawing up (see `WorkerOptions.inject_stall_ms`)."""
        return self._costed(lambda: self._tick(stall_s))

    def answer(self, said: Outputs, cost_s: float) -> Made:
        """Go on with what `asking` brought; this session's part of the run was `cost_s` seconds."""
        self._spent += cost_s
        return self._costed(lambda: self._go_on(said))

    def overdue(self) -> Frame | None:
        """The frame that was begun and whose picture is not there, though the next one is due: with the last picture again."""
        return None if self._open is None else self._costed(self._frame)

    def _listen(self, until: float) -> list[Speech]:
        if until - self.due > BEHIND_MOST_S:
            self.resume(until - self.period)
        taken = list[Speech]()
        while (due := self.listens) <= until:
            sound, missing = self._inlet.pull(self._piece, due)
            self._taken.append((self._inlet.pulled, self._clock()))
            self.performance.session.push(sound)
            start = self.index * self._samples + self._heard
            taken.append(Speech(self.key, start, missing, due, to_int16(sound)))
            self._heard += self._piece
        return taken

    def _tick(self, stall_s: float) -> Made:
        assert self._heard == self._samples, "a frame begins when its sound is there"
        begin, session = self._clock(), self.performance.session
        self.performance.watch.stall_s = stall_s
        self._open = self._begun(begin)
        self._heard = 0
        late = begin + self.typical_cost() > self.due + self.period and self._repeats < REPEATS_MOST
        self.index += 1
        if not session.drawing:
            self._depicted = self._open
            self._asking = session.prepare(late=late or self._open.spared)
            return self._asking or self._frame()
        session.prepare()
        return None

    def _begun(self, begin: float) -> _Tick:
        """The tick; of what its picture shows, which waited for the look-ahead, it knows the times."""
        newest = self._inlet.pulled - self._lead - 1
        taken = next((at for end, at in self._taken if end > newest), begin)
        return _Tick(self.index, self.due, begin, self._inlet.arrived(newest), taken, self._is_spared())

    def _go_on(self, said: Outputs) -> Made:
        self._asking = self.performance.session.answer(said)
        return self._asking or (None if self._open is None else self._frame())

    def _frame(self) -> Frame:
        assert self._open is not None
        tick, self._open = self._open, None
        emission = self.performance.session.finish()
        stamps = self._stamps(tick, emission, self._show(emission))
        slot, fresh = self._drawn % SLOTS, emission.fresh
        return Frame(self.key, tick.frame, slot, self._shown, self._repeats, fresh, tick.spared and not fresh, stamps)

    def _costed(self, work: Callable[[], M]) -> M:
        """Do a step of a tick; what its picture has cost is counted when it shows."""
        begin = self._cpu_clock()
        made = work()
        self._spent += self._cpu_clock() - begin
        if isinstance(made, Frame) and not self.performance.session.drawing:
            if made.fresh:
                self._costs.append(self._spent)
            self._spent = 0.0
        return made

    def _is_spared(self) -> bool:
        """Whether its step has no picture for the next frame; after many late ones there is one."""
        is_slow = self._repeats >= REPEATS_MOST and not self.step.still
        return not is_slow and not is_drawn(self.step, self.index, self.settings.fps)

    def _pad(self) -> None:
        """Silence for the look-ahead goes before the first sound, so that pictures wait for what they look ahead to."""
        self.performance.session.push(np.zeros(self._lead, np.float32))

    def _show(self, emission: Emission) -> float:
        """Put the picture into the next slot; a repeated one stays where it is. Returns when that was done."""
        if not emission.fresh:
            self._repeats += 1
            return self._clock()
        self._repeats = 0
        self._drawn += 1
        self._shown = emission.video.rgb.shape[0]
        picture = self._arena.picture(self._place, self._drawn, self._shown)
        if self.settings.badge:
            burn(emission.video.rgb)
        to_i420(emission.video.rgb, picture)
        return self._clock()

    def _stamps(self, tick: _Tick, emission: Emission, colour: float) -> Stamps:
        """Of the tick that the picture depicts."""
        if not emission.fresh or self._depicted is None:
            begun = tick.begun
            return Stamps(tick.due, tick.arrived, tick.taken, begun, begun, begun, colour, begun)
        of, watch = self._depicted, self.performance.watch
        return Stamps(of.due, of.arrived, of.taken, watch.asked, watch.asked, watch.drawn, colour, of.begun)
