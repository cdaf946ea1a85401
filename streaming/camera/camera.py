"""One stream of pictures as the event loop has it: pushed in, and what was seen in them."""

import logging
import statistics
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from streaming.camera.messages import Begin, Coded, Encoded, Found, Lost, Manner, Message, Neutral, Outline, Read, Unusable
from streaming.contract import CameraStatus, CodedPicture, PictureCodec, now

log = logging.getLogger(__name__)

GONE_S: Final = 1.0
"""A camera that has sent nothing for this long is gone."""
AGAIN_S: Final = 1.0
"""Pictures that could not be used are tried again after this long."""
RECENT_S: Final = 1.0

Hear = Callable[[Found | Outline | Encoded], None]
"""Told what is seen."""


class Process(Protocol):
    """The camera process, as far as a camera needs it."""

    @property
    def ready(self) -> bool:
        """Whether pictures can be sent."""
        ...

    @property
    def full(self) -> bool:
        """Whether too much waits to be read: pictures are left out then."""
        ...

    def send(self, message: Message) -> None:
        """Send, if there is somebody to read it."""
        ...


class Camera:
    """A camera that is on. Get one by `Cameras.open`, and give it back by `Cameras.end`.

    Attributes:
        key: its number.
        hear: called with every `Found`, and with every `Outline` and `Encoded` that `manner` asks for.
    """

    def __init__(self, key: int, process: Process, hear: Hear) -> None:
        self.key = key
        self.hear = hear
        self._process = process
        self._manner = Manner()
        self._codec: PictureCodec | None = None
        self._begun = False  # whether this process knows of it
        self._needs_key = True
        self._not_before = float("-inf")
        self._pushed_at: float | None = None
        self._found: Found | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=64)  # when, how late in seconds
        self._reason = ""

    @property
    def manner(self) -> Manner:
        """How its person is read."""
        return self._manner

    def behave(self, manner: Manner) -> None:
        """Read its person in this manner."""
        if manner != self._manner:
            self._manner = manner
            if self._begun:
                self._process.send(Read(self.key, manner))

    def take_neutral(self) -> None:
        """The person's face is at rest now."""
        self._process.send(Neutral(self.key))

    def push(self, picture: CodedPicture) -> bool:
        """A picture as it came; false when the next one must be a key frame."""
        self._pushed_at = picture.arrived
        if now() < self._not_before:
            return True
        if not self._process.ready or self._process.full:
            self._needs_key = True
            return False
        if not self._begun or picture.codec != self._codec:
            self._codec, self._begun, self._needs_key = picture.codec, True, True
            self._process.send(Begin(self.key, picture.codec, self._manner))
        if self._needs_key and not picture.key:
            return False
        self._needs_key = False
        self._process.send(Coded(self.key, picture.arrived, picture.key, picture.data))
        return True

    def fall(self) -> None:
        """The process is gone; another one will come."""
        self._begun, self._needs_key = False, True
        self._recent.clear()
        self._found = None

    def take(self, message: Found | Outline | Encoded | Lost | Unusable) -> None:
        """The process has something to say about this camera."""
        if isinstance(message, Lost):
            self._needs_key = True
        elif isinstance(message, Unusable):
            self._begun, self._needs_key, self._not_before = False, True, now() + AGAIN_S
            if message.reason != self._reason:
                log.warning("a camera cannot be used: %s", message.reason)
            self._reason, self._found = message.reason, None
        else:
            if isinstance(message, Found):
                self._found, self._reason = message, ""
                self._recent.append((now(), now() - message.arrived))
            self.hear(message)

    def status(self, source: str) -> CameraStatus:
        """How it is doing."""
        instant, found = now(), self._found
        late = [late for at, late in self._recent if instant - at < RECENT_S]
        return CameraStatus(
            source=source,
            state=self._state(instant),
            fps=float(len(late)) / RECENT_S,
            late_ms=1000 * statistics.median(late) if late else 0.0,
            faces=found.faces if found is not None else 0,
            calibrated=found.calibrated if found is not None else 0.0,
            reason=self._reason,
        )

    def _state(self, instant: float) -> str:
        if self._pushed_at is not None and instant - self._pushed_at > GONE_S:
            return "gone"
        return self._found.state if self._found is not None else "starting"
