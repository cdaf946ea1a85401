"""A live session as the event loop has it: on a worker, and on its understudy while the worker is away."""

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

import engine.errors
from engine.errors import MienError
from engine.render.pdfgc.driver import PART_OF
from engine.timeline import SAMPLE_RATE_HZ, Timeline
from streaming.camera.messages import Manner
from streaming.camera.viewfinder import Draw, Viewfinder
from streaming.contract import (
    CHOSEN,
    CodedPicture,
    LiveStatus,
    Outgoing,
    OutgoingSound,
    SessionSettings,
    Stamps,
    now,
)
from streaming.metrics import Metrics
from streaming.worker.knobs import checked_controls, remember
from streaming.worker.messages import (
    Closed,
    Control,
    Encoded,
    Frame,
    Interrupt,
    Look,
    Open,
    Opened,
    Refused,
    Sound,
    Speech,
    Stepped,
)
from streaming.worker.meter import Meter
from streaming.worker.options import BEHIND_MOST_S
from streaming.worker.pcm import joined
from streaming.worker.pool import Worker
from streaming.worker.standing import Standing
from streaming.worker.subscription import Subscription
from streaming.worker.understudy import Understudy

log = logging.getLogger(__name__)

PATIENCE_S: Final = 0.15
"""A frame this much overdue is not waited for: the understudy steps in."""
RECENT: Final = 32
"""Packets of sound that an understudy is told when it steps in, so that it goes on where the worker was."""
CAMERA_CONTROLS: Final = frozenset({"camera", "neutral"})
"""Controls that are no matter of the worker."""
HEARING_S: Final = 1.0

LookAt = Callable[[float, NDArray[np.float32], NDArray[np.float32]], None]
"""See `streaming.camera.viewfinder.Look`."""
T = TypeVar("T")

Locate = Callable[[str], Path]
"""From a portrait's id to its file; raises PortraitError when there is none."""


class Remote:
    """A session on a worker. Implements `streaming.contract.LiveSession`."""

    def __init__(
        self,
        session_id: str,
        key: int,
        settings: SessionSettings,
        worker: Worker,
        locate: Locate,
        period: float,
        view: Callable[[LookAt], Viewfinder],
        metrics: Metrics,
    ) -> None:
        self._id = session_id
        self._key = key
        self._settings = settings
        self._worker = worker
        self._locate = locate
        self._period = period
        self._portrait = str(locate(settings.portrait))
        self._controls: dict[str, Any] = {}
        self._timeline = Timeline(fps=settings.fps)
        self._viewings: WeakSet[Subscription[Outgoing]] = WeakSet()
        self._hearings: WeakSet[Subscription[OutgoingSound]] = WeakSet()
        self._anchor = 0.0
        self._lead = 0
        self._last: Outgoing | None = None
        self._spoken: OutgoingSound | None = None  # the last one
        self._stood_in = False  # whether the understudy spoke it
        self._recent: deque[tuple[NDArray[np.float32], float]] = deque(maxlen=RECENT)
        self._understudy: Understudy | None = None
        self._watch: asyncio.Task[None] | None = None
        self._state = "starting"
        self._reason = ""
        self._meter = Meter(settings.fps, metrics)
        self._standing = Standing(session_id, settings, metrics)
        self._viewers = 0
        self._viewfinder = view(self._look)
        self._viewfinder.drive = self._drive
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> str:
        """See `LiveSession`."""
        return self._id

    @property
    def key(self) -> int:
        """See `Tenant`."""
        return self._key

    @property
    def settings(self) -> SessionSettings:
        """See `LiveSession`."""
        return self._settings

    @property
    def watched(self) -> bool:
        """See `Tenant`."""
        return self._viewers > 0

    @property
    def state(self) -> str:
        """As in `LiveStatus`."""
        return self._state

    def push_audio(self, samples: NDArray[np.float32], arrived: float) -> None:
        """See `LiveSession`."""
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"expected float32[N], got {samples.dtype}{list(samples.shape)}")
        if self._state == "closed" or len(samples) == 0:
            return
        self._meter.hear(samples, arrived)
        self._recent.append((samples, arrived))
        if self._understudy is not None:
            self._understudy.push(samples, arrived)
        for start in range(0, len(samples), SAMPLE_RATE_HZ):  # a second at most in one message
            self._worker.send(Sound(self._key, arrived, samples[start : start + SAMPLE_RATE_HZ]))

    def push_picture(self, picture: CodedPicture) -> bool:
        """See `LiveSession`."""
        return self._state == "closed" or self._viewfinder.push(picture)

    def end_pictures(self) -> None:
        """See `LiveSession`."""
        self._viewfinder.end_pictures()

    def draw_outline(self, draw: Draw | None) -> None:
        """See `LiveSession`."""
        self._viewfinder.outline(draw)

    def subscribe(self) -> AsyncIterator[Outgoing]:
        """See `LiveSession`."""
        return self._subscribed(self._viewings, self._settings.fps)

    def listen(self) -> AsyncIterator[OutgoingSound]:
        """See `LiveSession`."""
        return self._subscribed(self._hearings, SAMPLE_RATE_HZ / self._timeline.samples_per_piece)

    def _subscribed(self, all_of_them: WeakSet[Subscription[T]], rate: float) -> Subscription[T]:
        subscription = Subscription[T](rate)
        if self._state == "closed":
            subscription.end()
        all_of_them.add(subscription)
        return subscription

    def control(self, **changes: Any) -> None:
        """See `LiveSession`."""
        checked = checked_controls(changes)
        if (portrait := checked.get("portrait")) is not None:
            self._portrait = checked["portrait"] = str(self._locate(portrait))
        if (source := checked.get("camera")) is not None:
            self._viewfinder.choose(source)
        remember(self._controls, checked)
        if checked.get("neutral"):
            self._viewfinder.take_neutral()
        if "factors" in checked or "eye_contact" in checked:
            self._viewfinder.behave(self._manner())
        if told := {name: value for name, value in checked.items() if name not in CAMERA_CONTROLS}:
            self._worker.send(Control(self._key, told))

    def interrupt(self) -> None:
        """See `LiveSession`."""
        self._recent.clear()
        if self._understudy is not None:
            self._understudy = Understudy()
        self._worker.send(Interrupt(self._key))

    def record(self, stage: str, milliseconds: float) -> None:
        """See `LiveSession`."""
        self._meter.record(stage, milliseconds)

    def watched_by(self, viewers: int) -> None:
        """See `LiveSession`."""
        self._viewers = viewers

    def status(self) -> LiveStatus:
        """See `LiveSession`."""
        meter = self._meter
        return LiveStatus(
            state=self._state,
            fps=meter.fps(now()),
            frames=meter.frames,
            misses=meter.misses,
            stages_ms=meter.stages.summary(),
            look_ahead_held_ms=1000 * meter.lead_s,
            level_dbfs=meter.level_dbfs(now()),
            hearing=now() - meter.heard_at < HEARING_S,
            viewers=self._viewers,
            reason=self._reason,
            camera=self._viewfinder.status(),
            factors=self._factors(),
            eye_contact=bool(self._controls.get("eye_contact")),
            step=self._standing.step,
        )

    async def close(self) -> None:
        """See `LiveSession`."""
        self._end("")

    def opening(self, place: int) -> Open:
        """See `Tenant`."""
        index = self._last.index + 1 if self._last else 0
        return Open(self._key, place, self._anchor, index, self._portrait, self._settings, dict(self._controls))

    def hear(self, message: Opened | Frame | Speech | Stepped | Refused | Closed) -> None:
        """See `Tenant`."""
        if isinstance(message, Frame):
            self._show(message)
        elif isinstance(message, Speech):
            self._say(message)
        elif isinstance(message, Stepped):
            self._standing.take(message.step)
        elif isinstance(message, Opened):
            self._begin(message)
        elif isinstance(message, Refused):
            log.warning("a change of a session was refused", extra={"session": self._id, "reason": message.reason})
        else:
            self._end(message.reason, message.fault)

    def lost(self) -> None:
        """See `Tenant`."""
        if self._state == "live":
            self._step_in()

    def _look(self, arrived: float, values: NDArray[np.float32], confidence: NDArray[np.float32]) -> None:
        """Its camera has seen something."""
        if self._state != "closed":
            self._worker.send(Look(self._key, arrived, values, confidence))

    def _drive(self, arrived: float, latents: NDArray[np.float32]) -> None:
        """A motion encoder says something of what its camera saw."""
        if self._state != "closed":
            self._worker.send(Encoded(self._key, arrived, latents))

    def _factors(self) -> dict[str, str]:
        """From where each factor comes."""
        return {**CHOSEN, **self._controls.get("factors", {})}

    def _manner(self) -> Manner:
        """How the person before the camera is read."""
        factors, eye_contact = self._factors(), bool(self._controls.get("eye_contact"))
        lips_from_voice, encode = factors["lips"] == "voice", any(factors[factor] == "camera" for factor in PART_OF)
        manner = self._viewfinder.manner
        return dataclasses.replace(manner, lips_from_voice=lips_from_voice, eye_contact=eye_contact, encode=encode)

    def _begin(self, opened: Opened) -> None:
        self._anchor, self._lead = opened.anchor, opened.lead
        self._meter.lead_s = opened.lead / SAMPLE_RATE_HZ
        self._standing.begin()
        if self._watch is None:
            self._watch = asyncio.create_task(self._stand_by(), name=f"stand by for {self._id}")
        if not self.opened.done():
            self.opened.set_result(None)

    def _say(self, speech: Speech) -> None:
        if self._state == "recovering" and self._keeps_up(speech):
            self._lead_over(speech)
            self._state, self._understudy = "live", None
        if self._understudy is None and speech.start >= self._heard_up_to:
            sound = OutgoingSound(speech.start, speech.samples, speech.missing, speech.due, self._lead)
            self._deliver_sound(sound, stand_in=False)

    def _lead_over(self, speech: Speech) -> None:
        """Let the understudy say what is still due before a worker's first piece."""
        start = self._heard_up_to
        if 0 < (count := speech.start - start) <= BEHIND_MOST_S * SAMPLE_RATE_HZ:
            due = speech.due - len(speech.samples) / SAMPLE_RATE_HZ
            self._stand_in(start, count, due, speech.due - count / SAMPLE_RATE_HZ)

    def _keeps_up(self, speech: Speech) -> bool:
        """Whether a worker is so far back that all from here on may be its own: in time, and with the sound."""
        last = self._spoken
        is_filled = last is None or speech.missing * len(last.samples) <= last.missing * len(speech.samples)
        return now() - speech.due < PATIENCE_S and is_filled

    @property
    def _heard_up_to(self) -> int:
        """Media sample."""
        return self._spoken.start + len(self._spoken.samples) if self._spoken else 0

    def _deliver_sound(self, sound: OutgoingSound, *, stand_in: bool) -> None:
        if self._spoken is not None and stand_in != self._stood_in:
            sound = dataclasses.replace(sound, samples=joined(self._spoken.samples, sound.samples))
        self._spoken, self._stood_in = sound, stand_in
        for hearing in list(self._hearings):
            hearing.put(sound)

    def _show(self, frame: Frame) -> None:
        if self._last is not None and frame.index <= self._last.index:
            return  # its understudy was quicker
        if self._state == "starting":
            self._state = "live"
        picture = self._worker.picture(self._key, frame.slot, frame.size)
        self._deliver(Outgoing(frame.index, picture, frame.fresh, frame.stamps, frame.spared))

    def _deliver(self, outgoing: Outgoing) -> None:
        self._last = outgoing
        self._meter.show(outgoing)
        for viewing in list(self._viewings):
            viewing.put(outgoing)

    async def _stand_by(self) -> None:
        """Play sound and pictures that the worker does not bring, for as long as it does not."""
        while True:
            if self._last is None:
                await asyncio.sleep(self._period)
                continue
            index = max(self._last.index + 1, int((now() - BEHIND_MOST_S - self._anchor) / self._period))
            due = self._anchor + index * self._period
            wait = due + (0.0 if self._understudy else PATIENCE_S) - now()
            if wait > 0:
                await asyncio.sleep(wait)  # much may have happened meanwhile: look again
                continue
            self._step_in()
            self._play(index, due)
            await asyncio.sleep(0)  # who reads may keep up with a burst

    def _step_in(self) -> None:
        if self._understudy is None and self._last is not None:
            self._state = "recovering"
            self._understudy = Understudy()
            for samples, arrived in self._recent:
                self._understudy.push(samples, arrived)
            picture = self._last.video.copy()  # the shared one may be drawn over
            picture.flags.writeable = False
            self._last = dataclasses.replace(self._last, video=picture)

    def _stand_in(self, start: int, count: int, due: float, began: float) -> None:
        """Have the understudy say `count` samples from `start` on, due from `began` to `due`; what is late leaves at once."""
        assert self._understudy is not None
        samples, missing = self._understudy.play(count, due)
        self._deliver_sound(OutgoingSound(start, samples, missing, began, self._lead), stand_in=True)

    def _play(self, index: int, due: float) -> None:
        assert self._last is not None
        start = max(self._heard_up_to, self._timeline.frame_start(index - 1))  # a worker may have shown that one, without sound
        if (count := self._timeline.frame_start(index + 1) - start) > 0:
            late = max(0, count - self._timeline.samples_per_frame)
            self._stand_in(start, count, due, due - late / SAMPLE_RATE_HZ)
        self._deliver(Outgoing(index, self._last.video, False, Stamps(due=due, colour=now())))

    def _end(self, reason: str, fault: str = "") -> None:
        if self._state == "closed":
            return
        self._state, self._reason = "closed", reason
        self._worker.leave(self._key)
        self._viewfinder.close()
        self._standing.end()
        if self._watch is not None:
            self._watch.cancel()
        for subscription in (*self._viewings, *self._hearings):
            subscription.end()
        if not self.opened.done():
            self.opened.set_exception(_error(fault, reason))
            self.opened.exception()  # whoever opened it may have given up waiting


def _error(fault: str, reason: str) -> MienError:
    """The error that a worker met, as one of our own."""
    kind = getattr(engine.errors, fault, None)
    if isinstance(kind, type) and issubclass(kind, MienError):
        return kind(reason)
    return MienError(reason or "the session was closed while it was being opened")
