"""What the event loop and the camera process tell each other.

Cameras are named by a number that is never used twice. Bodies are JSON for
what is rare, a fixed struct and raw numbers for what comes with every picture.
"""

import base64
import dataclasses
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.contract import CHANNELS, GROUPS
from engine.render.pdfgc.latent import DRIVEN
from streaming.contract import PictureCodec
from streaming.language import BrokenMessage, Language

_CODED: Final = struct.Struct("<Id?")
_FOUND: Final = struct.Struct("<IdddBBf")
_OUTLINE: Final = struct.Struct("<I")
_ENCODED: Final = struct.Struct("<Id")
_NUMBERS: Final = len(CHANNELS) + len(GROUPS)

STATES: Final = ("following", "no face", "dark", "covered", "frozen", "turned away", "too small")
"""What a camera sees: a face that is followed, or why none is (`engine.face.stream.Trouble`)."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a person is read; may change at any time."""

    lips_from_voice: bool = True  # what of smile and cheeks comes with syllables is left out
    eye_contact: bool = False  # a look at the screen becomes one into the lens
    outline: bool = False  # say where the face is
    encode: bool = True  # have the motion encoder see it, if there is one


@dataclass(frozen=True, slots=True)
class Begin:
    """Pictures of a camera will come, the first a key frame. A camera that has begun already changes its codec."""

    key: int
    codec: PictureCodec
    manner: Manner


@dataclass(frozen=True, slots=True)
class Read:
    """Read a camera's person in this manner from now on."""

    key: int
    manner: Manner


@dataclass(frozen=True, slots=True)
class Neutral:
    """The face of this camera's person is at rest now."""

    key: int


@dataclass(frozen=True, slots=True)
class End:
    """Forget a camera."""

    key: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process."""


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A picture of a camera, as it came at `arrived`."""

    key: int
    arrived: float
    is_key: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """The process can follow faces."""


@dataclass(frozen=True, slots=True)
class Beat:
    """It is alive."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A camera's decoder cannot go on without a key frame."""

    key: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """A camera's pictures cannot be followed, for a reason in one line; a key frame of another kind may mend it.

    Of camera 0: none can, and the process ends.
    """

    key: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was seen in a picture.

    `values` is float32[58] as `engine.contract.CHANNELS`, `confidence` float32[5] as `GROUPS`.
    """

    key: int
    arrived: float  # as in `Coded`
    begun: float  # when it was decoded and its turn came
    done: float
    state: str  # one of STATES
    faces: int
    calibrated: float
    values: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Where the face is: float32[N, 2], 0..1 of the picture, see `streaming.camera.outline`; empty when there is none."""

    key: int
    points: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the motion encoder says of a picture that was followed: float32[42], see `engine.render.pdfgc.driver`."""

    key: int
    arrived: float  # as in `Coded`
    latents: NDArray[np.float32]


Message = Begin | Read | Neutral | End | Stop | Coded | Ready | Beat | Lost | Unusable | Found | Outline | Encoded
_KINDS: Final = (
    Begin,
    Read,
    Neutral,
    End,
    Stop,
    Coded,
    Ready,
    Beat,
    Lost,
    Unusable,
    Found,
    Outline,
    Encoded,
)  # in this order


def encode(message: Message) -> tuple[int, bytes]:
    """The message as its kind and body."""
    if isinstance(message, Coded):
        body = _CODED.pack(message.key, message.arrived, message.is_key) + message.data
    elif isinstance(message, Found):
        body = _encode_found(message)
    elif isinstance(message, Outline):
        body = _OUTLINE.pack(message.key) + message.points.astype("<f4", copy=False).tobytes()
    elif isinstance(message, Encoded):
        body = _ENCODED.pack(message.key, message.arrived) + message.latents.astype("<f4", copy=False).tobytes()
    else:
        body = json.dumps(dataclasses.asdict(message), default=_text).encode()
    return _KINDS.index(type(message)), body


def decode(kind: int, body: memoryview) -> Message:
    """A message from its kind and body.

    Raises:
        BrokenMessage: if there is no such message.
    """
    try:
        made = _KINDS[kind]
        if made is Coded:
            key, arrived, is_key = _CODED.unpack_from(body)
            return Coded(key, arrived, is_key, bytes(body[_CODED.size :]))
        if made is Found:
            return _decode_found(body)
        if made is Outline:
            (key,) = _OUTLINE.unpack_from(body)
            return Outline(key, np.frombuffer(body[_OUTLINE.size :], "<f4").reshape(-1, 2).astype(np.float32))
        if made is Encoded:
            key, arrived = _ENCODED.unpack_from(body)
            return Encoded(key, arrived, _numbers(body[_ENCODED.size :], DRIVEN))
        return _from_json(made, json.loads(bytes(body)))
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise BrokenMessage(f"message of kind {kind}, {len(body)} bytes: {error}") from error


LANGUAGE: Final = Language(encode, decode)


def _encode_found(found: Found) -> bytes:
    state = STATES.index(found.state)
    numbers = np.concatenate((found.values, found.confidence)).astype("<f4", copy=False)
    times = found.arrived, found.begun, found.done
    return _FOUND.pack(found.key, *times, state, min(found.faces, 255), found.calibrated) + numbers.tobytes()


def _decode_found(body: memoryview) -> Found:
    key, arrived, begun, done, seen, faces, calibrated = _FOUND.unpack_from(body)
    state = STATES[int(seen)]
    numbers = _numbers(body[_FOUND.size :], _NUMBERS)
    values, confidence = numbers[: len(CHANNELS)], numbers[len(CHANNELS) :]
    return Found(key, arrived, begun, done, state, faces, calibrated, values, confidence)


def _numbers(body: memoryview, count: int) -> NDArray[np.float32]:
    numbers = np.frombuffer(body, "<f4").astype(np.float32)
    if len(numbers) != count:
        raise ValueError(f"expected {count} numbers, got {len(numbers)}")
    return numbers


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is in no message")


def _from_json(made: Callable[..., Message], fields: dict[str, Any]) -> Message:
    if "codec" in fields:
        codec = fields["codec"]
        fields["codec"] = PictureCodec(**codec | {"extra": base64.b64decode(codec["extra"], validate=True)})
    if "manner" in fields:
        fields["manner"] = Manner(**fields["manner"])
    return made(**fields)
