"""One session inside a worker: sound in, frames out, on the deadlines it is given."""

import math
import time
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract import Renderer
from engine.face.reader import Reading
from engine.media import Emission
from engine.render.badge import burn
from engine.render.colour import to_i420
from streaming.contract import Stamps
from streaming.worker.arena import SLOTS, Arena
from streaming.worker.inlet import Inlet
from streaming.worker.messages import Frame, Look, Open
from streaming.worker.options import BEHIND_MOST_S
from streaming.worker.pcm import to_int16
from streaming.worker.studio import Clock, Performance

REPEATS_MOST: Final = 4
"""Pictures repeated in a row for being late; then one is drawn however late, so that a slow face is slow and not still."""


class WorkerSession:
    """Ticks a performance. `clock` is only read to stamp what was done when; deadlines are the caller's."""

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
        self._lead = performance.session.lead
        self._taken: deque[tuple[int, float]] = deque(maxlen=16)  # (samples taken so far, when)
        self._costs: deque[float] = deque(maxlen=256)
        self._repeats = 0
        self._drawn = 0
        self._shown = 0  # px, of the last picture
        self._pad()

    @property
    def due(self) -> float:
        """When the next frame is to be made."""
        return self.anchor + self.index * self.period

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
        session = self.performance.session
        ago = (self.due - look.arrived) / self.period * self._samples
        self.performance.look(Reading(look.values, look.confidence), session.live - round(ago))

    def interrupt(self) -> None:
        """Barge-in: sound, motion and renderer forget, at once."""
        self._inlet.clear()
        self.performance.session.interrupt()
        self._pad()

    def show(self, renderer: Renderer) -> None:
        """Draw with another renderer from the next frame on."""
        self.performance.watch.renderer = renderer

    def resume(self, instant: float) -> None:
        """Go on with the first frame that is due at `instant` or later; frames that are past are left out."""
        self.index = max(self.index, math.ceil((instant - self.anchor) / self.period))

    def tick(self, stall_s: float = 0.0) -> Frame:
        """Make the frame that is due; `stall_s` holds its drawing up (see `WorkerOptions.inject_stall_ms`)."""
        begin, cpu_begin = self._clock(), self._cpu_clock()
        if begin - self.due > BEHIND_MOST_S:
            self.resume(begin - self.period)
        due = self.due
        self.performance.watch.stall_s = stall_s
        sound, missing = self._inlet.pull(self._samples, due)
        self._taken.append((self._inlet.pulled, begin))
        self.performance.session.push(sound)
        late = begin + self.typical_cost() > due + self.period and self._repeats < REPEATS_MOST
        emission = self.performance.session.tick(late=late)
        stamps = self._stamps(emission, begin, due, self._show(emission))
        slot, audio = self._drawn % SLOTS, to_int16(sound)
        frame = Frame(self.key, self.index, missing, slot, self._shown, self._repeats, emission.fresh, False, stamps, audio)
        if emission.fresh:
            self._costs.append(self._cpu_clock() - cpu_begin)
        self.index += 1
        return frame

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

    def _stamps(self, emission: Emission, begin: float, due: float, colour: float) -> Stamps:
        """Of the sound that the picture shows, which waited for the look-ahead."""
        newest = self._inlet.pulled - self._lead - 1
        taken = next((at for end, at in self._taken if end > newest), begin)
        watch = self.performance.watch
        asked, drawn = (watch.asked, watch.drawn) if emission.fresh else (begin, begin)
        return Stamps(due, self._inlet.arrived(newest), taken, asked, asked, drawn, colour, begin)
