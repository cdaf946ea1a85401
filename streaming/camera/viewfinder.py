"""What one session sees of cameras: which one it follows, what that sees, and who wants to know."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract import CHANNELS, GROUPS
from streaming.camera.camera import Camera
from streaming.camera.cameras import Cameras
from streaming.camera.messages import Encoded, Found, Manner, Outline
from streaming.contract import CAMERAS, CameraStatus, CodedPicture, now

Look = Callable[[float, NDArray[np.float32], NDArray[np.float32]], None]
"""Told when a picture arrived, and its values float32[58] and confidence float32[5]."""
Draw = Callable[[NDArray[np.float32]], None]
"""Told where the face is, float32[N, 2]."""

Drive = Callable[[float, NDArray[np.float32]], None]
"""Told when a picture arrived, and what the motion encoder says of it, float32[42]."""

_NO_VALUES: Final = np.zeros(len(CHANNELS), np.float32)
_NO_CONFIDENCE: Final = np.zeros(len(GROUPS), np.float32)


class Shared(Protocol):
    """The camera of this machine, which all sessions share."""

    def join(self, viewfinder: "Viewfinder") -> None:
        """Let it see, too."""
        ...

    def leave(self, viewfinder: "Viewfinder") -> None:
        """It need see no more."""
        ...

    def manner(self) -> None:
        """How one of those who see wants the person read has changed."""
        ...

    def take_neutral(self) -> None:
        """The person's face is at rest now."""
        ...

    def status(self) -> CameraStatus:
        """How it is doing."""
        ...


class Viewfinder:
    """Follows the browser's camera or this machine's, as chosen; hands on what is seen.

    Attributes:
        manner: how its person is read.
        draw: told where the face is, while `manner.outline`.
        drive: told what a motion encoder says, if there is one, while `manner.encode`.
    """

    def __init__(self, cameras: Cameras, machine: Shared | None, look: Look) -> None:
        self.manner = Manner()
        self.draw: Draw | None = None
        self.drive: Drive | None = None
        self._cameras = cameras
        self._machine = machine
        self._look = look
        self._source = "browser"
        self._own: Camera | None = None

    @property
    def source(self) -> str:
        """One of `streaming.contract.CAMERAS`."""
        return self._source

    def choose(self, source: str) -> None:
        """Follow another camera.

        Raises:
            ValueError: if there is none of that name, or this machine's is not offered.
        """
        if source not in CAMERAS:
            raise ValueError(f"camera: expected one of {', '.join(CAMERAS)}, got {source!r}")
        if source == "machine" and self._machine is None:
            raise ValueError("this server was started without a camera of its own; start it with --camera")
        if source == self._source:
            return
        self._stop()
        self._source = source
        if source == "machine" and self._machine is not None:
            self._machine.join(self)

    def behave(self, manner: Manner) -> None:
        """Read the person in this manner."""
        self.manner = manner
        if self._own is not None:
            self._own.behave(manner)
        elif self._source == "machine" and self._machine is not None:
            self._machine.manner()

    def outline(self, draw: Draw | None) -> None:
        """Tell where the face is from now on, or no more."""
        self.draw = draw
        self.behave(replace(self.manner, outline=draw is not None))

    def take_neutral(self) -> None:
        """The person's face is at rest now."""
        if self._own is not None:
            self._own.take_neutral()
        elif self._source == "machine" and self._machine is not None:
            self._machine.take_neutral()

    def push(self, picture: CodedPicture) -> bool:
        """See `LiveSession.push_picture`."""
        if self._source != "browser":
            return True  # not wanted now
        if self._own is None:
            self._own = self._cameras.open(self.hear)
            self._own.behave(self.manner)
        return self._own.push(picture)

    def end_pictures(self) -> None:
        """See `LiveSession`."""
        if self._own is not None:
            self._cameras.end(self._own)
            self._own = None
            self.unsee()

    def hear(self, message: Found | Outline | Encoded) -> None:
        """A camera has seen something."""
        if isinstance(message, Found):
            self._look(message.arrived, message.values, message.confidence)
        elif isinstance(message, Encoded):
            if self.drive is not None:
                self.drive(message.arrived, message.latents)
        elif self.draw is not None:
            self.draw(message.points)

    def unsee(self) -> None:
        """Say that there is nothing to see any more."""
        self._look(now(), _NO_VALUES, _NO_CONFIDENCE)
        if self.draw is not None:
            self.draw(np.zeros((0, 2), np.float32))

    def status(self) -> CameraStatus:
        """How its camera is doing."""
        if self._own is not None:
            return self._own.status(self._source)
        if self._source == "machine" and self._machine is not None:
            return self._machine.status()
        return CameraStatus(self._source)

    def close(self) -> None:
        """See nothing more, for good."""
        self._stop()
        self._source = "off"

    def _stop(self) -> None:
        self.end_pictures()
        if self._source == "machine" and self._machine is not None:
            self._machine.leave(self)
            self.unsee()
