"""What the handlers share: the parts that the application was built of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from streaming.config import ServerConfig
from streaming.desk import Desk, Feed
from streaming.guard.gate import Gate
from streaming.metrics import Metrics
from streaming.posters import Posters


class Listed(Protocol):
    """What the page shows of a portrait."""

    @property
    def id(self) -> str:
        """The name it is addressed by."""
        ...

    @property
    def name(self) -> str:
        """What its owner calls it."""
        ...

    @property
    def label(self) -> str:
        """What one sees, for who cannot see it."""
        ...

    @property
    def builtin(self) -> bool:
        """Whether it came with mien and cannot be deleted."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What this face cannot do well, a line each."""
        ...


class Library(Protocol):
    """The portraits of this server: the built-in ones and the user's own."""

    def all(self) -> Sequence[Listed]:
        """Every portrait, the user's own first."""
        ...

    def thumbnail(self, portrait_id: str) -> tuple[bytes, str]:
        """A small picture and its media type; `PortraitError` if there is no such portrait."""
        ...

    async def prepare(self) -> None:
        """Have a process ready for a photo that will probably come; what is missing is said when it comes."""
        ...

    async def enrol(self, photo: bytes, name: str, consent: str, progress: Callable[[str], None]) -> Listed:
        """Make a portrait of a photo in a process of its own; `PortraitError` and `MissingDependency` say why not."""
        ...

    def remove(self, portrait_id: str) -> None:
        """Delete one of the user's own; `PortraitError` if there is none, or it is built in."""
        ...

    async def close(self) -> None:
        """End what enrolling may have left running."""
        ...


@dataclass(slots=True)
class House:
    """The parts of a server.

    Attributes:
        samples: voices for who has no microphone, mono float32 at 48 kHz.
        feeds: this machine's own sources, "microphone" and "file".
        enrolments: what is being done with the photo of each ticket.
        failure: why the workers never became ready, if they did not: one line.
        draining: whether the server ends as soon as its sessions do.
    """

    config: ServerConfig
    desk: Desk
    gate: Gate
    library: Library
    samples: Mapping[str, NDArray[np.float32]]
    feeds: Mapping[str, Feed]
    posters: Posters
    metrics: Metrics
    enrolments: dict[str, str] = field(default_factory=dict[str, str])
    failure: str | None = None
    draining: bool = False

    async def drain(self, seconds: float) -> None:
        """Open no more sessions, and tell those that live how long they may."""
        self.draining = True
        await self.desk.tell_all({"error": f"this server is about to end; sessions end in {seconds:.0f} s"})

    @property
    def empty(self) -> bool:
        """Whether there is no session."""
        return not self.desk.all()


HOUSE = web.AppKey("house", House)
