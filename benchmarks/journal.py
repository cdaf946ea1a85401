"""What a session of the bench's server was given to hear and what it brought out, for who asks at the end of a run."""

import asyncio
import io
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.timeline import Timeline
from streaming.contract import OutgoingSound
from streaming.remote import Remote

ROOM_S: Final = 150
"""The last seconds are kept: a server that is soaked must not seem to leak."""
PACKETS_PER_S: Final = 60


class Push(Protocol):
    """`LiveSession.push_audio`."""

    def __call__(self, samples: NDArray[np.float32], arrived: float) -> None:
        """Take sound."""
        ...


class Journal:
    """Notes of one session."""

    def __init__(self, session: Remote) -> None:
        self._samples = Timeline(fps=session.settings.fps).samples_per_piece
        self._pushes: deque[tuple[NDArray[np.int16], float]] = deque(maxlen=ROOM_S * PACKETS_PER_S)
        self._pieces: deque[OutgoingSound] = deque(maxlen=ROOM_S * 48_000 // self._samples)
        session.push_audio = self._noting(session.push_audio)
        self._hearing = asyncio.create_task(self._hear_all(session), name=f"journal of {session.id}")

    def document(self) -> bytes:
        """See `Heard.read`."""
        pushes = list(self._pushes)
        pieces = [piece for piece in self._pieces if len(piece.samples) == self._samples]  # an understudy's may be longer
        index = [piece.start // self._samples for piece in pieces]
        first, count = (index[0], index[-1] - index[0] + 1) if index else (0, 0)
        due, missing = np.full(count, np.nan), np.zeros(count, np.int64)
        sound = np.zeros((count, self._samples), np.int16)
        for number, piece in zip(index, pieces, strict=True):
            at = number - first
            due[at], missing[at], sound[at] = piece.due, piece.missing, piece.samples
        out = io.BytesIO()
        np.savez(
            out,
            source=np.concatenate([samples for samples, _ in pushes]) if pushes else np.zeros(0, np.int16),
            ends=np.cumsum([len(samples) for samples, _ in pushes], dtype=np.int64),
            arrived=np.array([at for _, at in pushes], np.float64),
            due=due,
            missing=missing,
            sound=sound,
            wall=np.float64(time.time() - time.monotonic()),
        )
        return out.getvalue()

    def _noting(self, push: Push) -> Push:
        def push_and_note(samples: NDArray[np.float32], arrived: float) -> None:
            self._pushes.append(((samples * 32767).astype(np.int16), arrived))
            push(samples, arrived)

        return push_and_note

    async def _hear_all(self, session: Remote) -> None:
        async for outgoing in session.listen():
            self._pieces.append(outgoing)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A journal as it is read. Instants are seconds of the server's clock.

    Attributes:
        source: int16[N], the sound that was pushed.
        ends: int64[P], where in it each push ended.
        arrived: float64[P], when its packet had arrived (T1).
        due: float64[F], when each piece of sound was to be taken; NaN for one that was not heard.
        missing: int64[F], samples of it that had not arrived in time.
        sound: int16[F, S], what was given to the model and to the viewers.
        wall: what the time of day was ahead of the server's clock.
    """

    source: NDArray[np.int16]
    ends: NDArray[np.int64]
    arrived: NDArray[np.float64]
    due: NDArray[np.float64]
    missing: NDArray[np.int64]
    sound: NDArray[np.int16]
    wall: float

    @property
    def begin_ms(self) -> float:
        """The time of day from which on it was noted; infinite when nothing was."""
        return float(np.nanmin((self.due + self.wall) * 1000, initial=np.inf))

    @classmethod
    def read(cls, document: bytes) -> "Heard":
        """From `Journal.document`."""
        with np.load(io.BytesIO(document)) as found:
            parts = {name: found[name] for name in ("source", "ends", "arrived", "due", "missing", "sound")}
            return cls(**parts, wall=float(found["wall"]))
