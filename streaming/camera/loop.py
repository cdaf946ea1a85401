"""The camera process's loop: reads what has come, then follows the face in the picture that has waited longest."""

import gc
import logging
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from streaming.camera.messages import (
    Beat,
    Begin,
    Coded,
    End,
    Message,
    Neutral,
    Read,
    Ready,
    Stop,
    Unusable,
)
from streaming.camera.watcher import Watcher
from streaming.language import Wire

if TYPE_CHECKING:
    from streaming.camera.encoding import Encoding

log = logging.getLogger(__name__)

Tracker = Callable[[int], Watcher]
"""From a camera's number to what watches it."""

BEAT_S: Final = 0.25
CAMERAS_MOST: Final = 64
"""Cameras known at once; far more than can be followed."""


class Loop:
    """Follows the faces of all cameras until told to stop or left alone.

    Args:
        wire: to the server.
        tracker: makes what one camera needs: a follower and a reader.
        clock: `streaming.contract.now`.
        encoding: has a motion encoder see what is followed, if a renderer has one.
    """

    def __init__(
        self, wire: Wire[Message], tracker: Tracker, clock: Callable[[], float], encoding: "Encoding | None" = None
    ) -> None:
        self._wire = wire
        self._tracker = tracker
        self._clock = clock
        self._encoding = encoding
        self._watchers: dict[int, Watcher] = {}
        self._beat_at = clock()
        self.stopping = False

    def run(self) -> None:
        """Serve; returns when told to `Stop` or when the other side is gone."""
        gc.collect()
        gc.freeze()
        self._wire.send(Ready())
        while self._wire.open and not self.stopping:
            self._wait()
            for message in self._wire.receive():
                self._obey(message)
            self._look()
            for encoded in self._encoding.take() if self._encoding is not None else ():
                self._wire.send(encoded)
            if self._clock() >= self._beat_at:
                self._beat_at = self._clock() + BEAT_S
                self._wire.send(Beat())

    def _wait(self) -> None:
        waiting = any(watcher.waiting_since is not None for watcher in self._watchers.values())
        pause = 0.0 if waiting else max(0.0, self._beat_at - self._clock())
        writers = [self._wire] if self._wire.waiting else []
        readers = [self._wire] if self._encoding is None else [self._wire, self._encoding]
        _, writable, _ = select.select(readers, writers, [], pause)
        if writable:
            self._wire.flush()

    def _obey(self, message: Message) -> None:
        if isinstance(message, Stop):
            self.stopping = True
        elif isinstance(message, End):
            self._watchers.pop(message.key, None)
        elif isinstance(message, Begin):
            self._guard(message.key, lambda: self._begin(message))
        elif isinstance(message, Coded | Read | Neutral) and message.key in self._watchers:
            self._guard(message.key, lambda: self._tell(self._watchers[message.key], message))

    def _begin(self, message: Begin) -> list[Message]:
        watcher = self._watchers.get(message.key)
        if watcher is None:
            if len(self._watchers) >= CAMERAS_MOST:
                return [Unusable(message.key, "too many cameras are on; switch one off")]
            watcher = self._watchers[message.key] = self._tracker(message.key)
            if self._encoding is not None:
                watcher.encode_by(self._encoding)
        watcher.behave(message.manner)
        return watcher.begin(message.codec)

    def _tell(self, watcher: Watcher, message: Coded | Read | Neutral) -> list[Message]:
        if isinstance(message, Coded):
            return watcher.take(message)
        if isinstance(message, Read):
            watcher.behave(message.manner)
        else:
            watcher.take_neutral()
        return []

    def _look(self) -> None:
        """Follow the face in one picture: that of the camera whose newest one arrived first."""
        since = {key: at for key, watcher in self._watchers.items() if (at := watcher.waiting_since) is not None}
        if since:
            key = min(since, key=lambda key: since[key])
            self._guard(key, lambda: self._watchers[key].look(self._clock))

    def _guard(self, key: int, work: Callable[[], list[Message]]) -> None:
        """Do a camera's work and send what comes of it; what goes wrong ends that camera alone."""
        try:
            messages = work()
        except Exception:
            log.exception("a camera failed", extra={"camera": key})
            self._watchers.pop(key, None)
            messages = [Unusable(key, "a fault inside mien ended the camera; its log tells more")]
        for message in messages:
            self._wire.send(message)
