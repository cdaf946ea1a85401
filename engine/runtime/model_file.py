"""A network's file before any runtime sees it: is it whole, is it the one that was exported, is it of this version?

What export says of a file stands in its metadata (`SPEC`, ...) and in a
manifest beside it (`MANIFEST`), whose SHA-256 every loader compares. An ONNX
file is protobuf (github.com/onnx/onnx, onnx.proto); of it the operator set
(field 8) and the metadata (field 14) are read here, so that neither onnx nor
ONNX Runtime is needed for it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.contract.graph import GraphSpec
from engine.errors import ModelError
from engine.runtime.signature import KEY, decode

OPSET: Final = 17
"""Version of ONNX's operator set that export writes and every runtime here has been tested with."""
MANIFEST: Final = "manifest.json"
"""{"version": 1, "files": {name: {"sha256", "bytes", ...}}}; a folder without one holds files that nobody vouches for."""
VERSION: Final = 1

NETWORK: Final = "mien.network"
"""Metadata: the row of the export table."""
BATCH: Final = "mien.batch"
"""Metadata: how many samples the file takes at once."""
PRECISION: Final = "mien.precision"
"""Metadata: "float32", or "half" where most operators compute in FP16; inputs, outputs and states are float32 in both."""
SOURCE: Final = "mien.source"
"""Metadata: SHA-256 of the weights, the same for all files of one network."""
LICENCE: Final = "mien.licence"
"""Metadata: an SPDX identifier, or words."""

_CURE: Final = "install mien anew, or export the network again (./mien export)"
_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5  # wire types


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile:
    """A file that was read and found in order."""

    path: Path
    data: bytes
    sha256: str
    opset: int
    metadata: Mapping[str, str]
    spec: GraphSpec


def read_model(path: Path) -> ModelFile:
    """The file of a network, checked.

    Raises:
        ModelError: if it is missing, damaged, not the one that its folder's manifest lists, of another operator set, or was
            not exported for mien; one line.
    """
    data, digest = read_listed(path)
    try:
        opset, metadata = _said(data)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path} is damaged: it is no ONNX file ({error}); {_CURE}") from error
    if opset != OPSET:
        raise ModelError(f"{path} uses ONNX operator set {opset}, this mien runs {OPSET}: {_CURE}")
    if KEY not in metadata:
        raise ModelError(f"{path} has no signature ({KEY}), so it was not exported for mien: {_CURE}")
    try:
        spec = decode(metadata[KEY])
    except ValueError as error:
        raise ModelError(f"{path} is of another version: {error}; {_CURE}") from error
    return ModelFile(path, data, digest, opset, metadata, spec)


def read_listed(path: Path) -> tuple[bytes, str]:
    """What any file of a model folder holds, and its SHA-256, compared with the folder's manifest if there is one.

    Raises:
        ModelError: if the file cannot be read, is not listed, or is another one than is listed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"no network can be read at {path} ({error.strerror}): {_CURE}") from error
    digest = hashlib.sha256(data).hexdigest()
    listed = manifest_of(path.parent)
    if listed is None:
        return data, digest
    if path.name not in listed:
        raise ModelError(f"{path} is not listed in {path.parent / MANIFEST}, so nobody vouches for it: {_CURE}")
    if listed[path.name].get("sha256") != digest:
        raise ModelError(f"{path} is damaged, or is not the file that was exported (its SHA-256 is another): {_CURE}")
    return data, digest


def manifest_of(folder: Path) -> Mapping[str, Mapping[str, Any]] | None:
    """What a folder's manifest says of each file; None if the folder has none.

    Raises:
        ModelError: if there is one that cannot be read.
    """
    path = folder / MANIFEST
    try:
        held: Any = json.loads(path.read_text())
        if held["version"] != VERSION:
            raise ModelError(f"{path} is of version {held['version']}, this mien reads {VERSION}: {_CURE}")
        return {str(name): dict(entry) for name, entry in held["files"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read ({type(error).__name__}: {error}): {_CURE}") from error


def file_name(network: str, batch: int = 1, *, half: bool = False) -> str:
    """Name of the file of a network (`GraphSpec.name`) for a batch size and a precision: voice.onnx, voice.b8.half.onnx."""
    return network + (f".b{batch}" if batch > 1 else "") + (".half" if half else "") + ".onnx"


def _said(data: bytes) -> tuple[int, Mapping[str, str]]:
    """Operator set and metadata of a ModelProto."""
    opset, metadata = 0, dict[str, str]()
    for number, value in _fields(data):
        if number == 8 and isinstance(value, bytes):  # OperatorSetIdProto: domain 1, version 2
            held = dict(_fields(value))
            if held.get(1, b"") in (b"", b"ai.onnx"):
                opset = int(held[2]) if isinstance(held.get(2), int) else 0
        elif number == 14 and isinstance(value, bytes):  # StringStringEntryProto: key 1, value 2
            entry = {number: part.decode() for number, part in _fields(value) if isinstance(part, bytes)}
            metadata[entry.get(1, "")] = entry.get(2, "")
    if not opset:
        raise ValueError("it names no operator set")
    return opset, metadata


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields.

    Raises:
        ValueError: if it is no message.
        IndexError: if it is cut short.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, place = _varint(data, place)
        elif kind in (_LONG, _SHORT):
            length = 8 if kind == _LONG else 4
        else:
            raise ValueError(f"a field of kind {kind} at byte {place}")
        if place + length > len(data):
            raise ValueError(f"cut short at byte {len(data)}")
        yield key >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError(f"a number that does not end at byte {place}")
