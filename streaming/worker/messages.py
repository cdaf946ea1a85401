"""What the event loop and a worker tell each other, and how it looks on the socket between them.

The body of a message is JSON for what is rare, a fixed struct and raw PCM for
what comes with every frame. Sessions are named by a number that is never used
twice.
"""

import dataclasses
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.contract import CHANNELS, GROUPS
from engine.render.pdfgc.latent import DRIVEN
from streaming.contract import SessionSettings, Stamps, Step
from streaming.language import BrokenMessage, Language

_SOUND: Final = struct.Struct("<Id")
_LOOK: Final = struct.Struct("<Id")
_ENCODED: Final = struct.Struct("<Id")
_SPEECH: Final = struct.Struct("<IQId")
_FRAME: Final = struct.Struct("<IIHHHBB8d")


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a session; pictures go to `place` of the arena.

    An `anchor` other than 0.0 continues a session of a worker that is gone:
    frame `index` is due at `anchor + index * period`. Otherwise the worker
    chooses the anchor.
    """

    key: int
    place: int
    anchor: float
    index: int
    portrait: str  # path of the portrait file
    settings: SessionSettings
    controls: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Control:
    """Change what can be changed live, as in `streaming.contract.Controls`; a portrait comes as the path of its file."""

    key: int
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Barge-in."""

    key: int


@dataclass(frozen=True, slots=True)
class Close:
    """End a session."""

    key: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the worker."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Sound for a session, float32[N] at 48 kHz, that arrived at `arrived`."""

    key: int
    arrived: float
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a camera saw of the person, in a picture that arrived at `arrived`.

    `values` is float32[58] as `engine.contract.CHANNELS`, `confidence`
    float32[5] as `GROUPS`: all zero when there is no face to follow.
    """

    key: int
    arrived: float
    values: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the motion encoder says of a picture that arrived at `arrived`: float32[42], see `engine.render.pdfgc.driver`."""

    key: int
    arrived: float
    latents: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker is warm; a frame of `size` px cost `frame_s` seconds."""

    size: int
    frame_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A session has begun; its frame `index` is due at `anchor + index * period`, its sound leaves `lead` samples late."""

    key: int
    anchor: float
    lead: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A session has ended by itself: `fault` is the name of the exception's class, `reason` one line."""

    key: int
    fault: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A change of a session was not possible; it goes on as it was."""

    key: int
    reason: str


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker is alive.

    `costs`: per session key, seconds a frame costs (p95 of the last ones). The others are running totals since its start,
    in seconds: CPU time of its whole process, time in which its loop did not wait, its part of a device process's runs.
    """

    costs: Mapping[str, float]
    cpu_s: float = 0.0
    busy_s: float = 0.0
    device_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Stepped:
    """From now on a session is drawn as its `step` says."""

    key: int
    step: Step


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture lies in `slot` of the session's place."""

    key: int
    index: int
    slot: int
    size: int  # px, of the picture
    repeats: int  # of the same picture, in a row, this one included
    fresh: bool
    spared: bool  # see `Outgoing`
    stamps: Stamps


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A piece of a session's sound, int16[N] at 48 kHz, see `OutgoingSound`."""

    key: int
    start: int  # sample of the media clock
    missing: int
    due: float
    samples: NDArray[np.int16]


Message = (
    Open
    | Control
    | Interrupt
    | Close
    | Stop
    | Sound
    | Ready
    | Opened
    | Closed
    | Refused
    | Beat
    | Frame
    | Look
    | Stepped
    | Speech
    | Encoded
)  # in this order on the wire
_KINDS: Final = (
    Open,
    Control,
    Interrupt,
    Close,
    Stop,
    Sound,
    Ready,
    Opened,
    Closed,
    Refused,
    Beat,
    Frame,
    Look,
    Stepped,
    Speech,
    Encoded,
)


def encode(message: Message) -> tuple[int, bytes]:
    """The message as its kind and body."""
    if isinstance(message, Sound):
        body = _SOUND.pack(message.key, message.arrived) + message.samples.astype("<f4", copy=False).tobytes()
    elif isinstance(message, Frame):
        body = _encode_frame(message)
    elif isinstance(message, Speech):
        head = _SPEECH.pack(message.key, message.start, message.missing, message.due)
        body = head + message.samples.astype("<i2", copy=False).tobytes()
    elif isinstance(message, Look):
        numbers = np.concatenate((message.values, message.confidence)).astype("<f4", copy=False)
        body = _LOOK.pack(message.key, message.arrived) + numbers.tobytes()
    elif isinstance(message, Encoded):
        body = _ENCODED.pack(message.key, message.arrived) + message.latents.astype("<f4", copy=False).tobytes()
    else:
        body = json.dumps(dataclasses.asdict(message)).encode()
    return _KINDS.index(type(message)), body


def decode(kind: int, body: memoryview) -> Message:
    """A message from its kind and body.

    Raises:
        BrokenMessage: if there is no such message.
    """
    try:
        made = _KINDS[kind]
        if made is Sound:
            key, arrived = _SOUND.unpack_from(body)
            return Sound(key, arrived, np.frombuffer(body[_SOUND.size :], "<f4").astype(np.float32))
        if made is Frame:
            return _decode_frame(body)
        if made is Speech:
            key, start, missing, due = _SPEECH.unpack_from(body)
            return Speech(key, start, missing, due, np.frombuffer(body[_SPEECH.size :], "<i2").astype(np.int16))
        if made is Look:
            return _decode_look(body)
        if made is Encoded:
            key, arrived = _ENCODED.unpack_from(body)
            return Encoded(key, arrived, _numbers(body[_ENCODED.size :], DRIVEN))
        return _from_json(made, json.loads(bytes(body)))
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise BrokenMessage(f"message of kind {kind}, {len(body)} bytes: {error}") from error


LANGUAGE: Final = Language(encode, decode)


def _encode_frame(frame: Frame) -> bytes:
    numbers = (frame.key, frame.index, frame.slot, frame.size, frame.repeats, frame.fresh, frame.spared)
    return _FRAME.pack(*numbers, *dataclasses.astuple(frame.stamps))


def _decode_frame(body: memoryview) -> Frame:
    key, index, slot, size, repeats, fresh, spared, *stamps = _FRAME.unpack_from(body)
    return Frame(key, index, slot, size, repeats, bool(fresh), bool(spared), Stamps(*stamps))


def _decode_look(body: memoryview) -> Look:
    key, arrived = _LOOK.unpack_from(body)
    numbers = _numbers(body[_LOOK.size :], len(CHANNELS) + len(GROUPS))
    return Look(key, arrived, numbers[: len(CHANNELS)], numbers[len(CHANNELS) :])


def _numbers(body: memoryview, count: int) -> NDArray[np.float32]:
    numbers = np.frombuffer(body, "<f4").astype(np.float32)
    if len(numbers) != count:
        raise ValueError(f"expected {count} numbers, got {len(numbers)}")
    return numbers


def _from_json(made: Callable[..., Message], fields: dict[str, Any]) -> Message:
    if made is Open:
        fields["settings"] = SessionSettings(**fields["settings"])
    if made is Stepped:
        fields["step"] = Step(**fields["step"])
    return made(**fields)
