"""What the device process, the workers and the server tell each other, and how it looks on the sockets between them."""

import dataclasses
import json
import struct
from dataclasses import dataclass
from typing import Final

from streaming.language import BrokenMessage, Language

_ASK: Final = struct.Struct("<IBHd")
_SAID: Final = struct.Struct("<Id")


@dataclass(frozen=True, slots=True)
class Ready:
    """To the server: the networks are loaded."""


@dataclass(frozen=True, slots=True)
class Beat:
    """To the server: the process is alive."""


@dataclass(frozen=True, slots=True)
class Stop:
    """From the server: end."""


@dataclass(frozen=True, slots=True)
class Serves:
    """To a worker that has connected: the signatures of the graphs that can be asked for (`engine.runtime.signature`).

    If there are none, `fault` is the name of the exception's class that says why, and `reason` its line.
    """

    signatures: tuple[str, ...]
    fault: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """From a worker: run graph number `graph` with the inputs at `place` of the shared memory; `deadline` says how urgent."""

    ticket: int
    graph: int
    place: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Said:
    """To a worker: the outputs lie at the place of its request, whose part of the run was `cost_s`; or it failed."""

    ticket: int
    cost_s: float
    fault: str = ""
    reason: str = ""


Message = Ready | Beat | Stop | Serves | Ask | Said  # in this order on the wire
_KINDS: Final = (Ready, Beat, Stop, Serves, Ask, Said)


def encode(message: Message) -> tuple[int, bytes]:
    """The message as its kind and body."""
    if isinstance(message, Ask):
        body = _ASK.pack(message.ticket, message.graph, message.place, message.deadline)
    elif isinstance(message, Said):
        failed = f"{message.fault}\n{message.reason}".encode() if message.fault else b""
        body = _SAID.pack(message.ticket, message.cost_s) + failed
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
        if made is Ask:
            return Ask(*_ASK.unpack(body))
        if made is Said:
            fault, _, reason = bytes(body[_SAID.size :]).decode().partition("\n")
            ticket, cost_s = _SAID.unpack_from(body)
            return Said(ticket, cost_s, fault, reason)
        fields = json.loads(bytes(body))
        return Serves(**fields | {"signatures": tuple(fields["signatures"])}) if made is Serves else made(**fields)
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise BrokenMessage(f"message of kind {kind}, {len(body)} bytes: {error}") from error


LANGUAGE: Final = Language(encode, decode)
