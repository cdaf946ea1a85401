"""Tiny ONNX files, written byte by byte: the tests of serving need no onnx package.

The format is protobuf (github.com/onnx/onnx, onnx.proto): every field is a key, `number << 3 | kind`, and a value; kind 0
is a varint, kind 2 a length and so many bytes.
"""

from collections.abc import Sequence

from engine.contract import GraphSpec, TensorSpec
from engine.runtime.signature import KEY, NEXT, encode

FLOAT = 1  # TensorProto.FLOAT

ADDER = GraphSpec("adder", (TensorSpec("x", (1, 3)),), (TensorSpec("y", (1, 3)),), (TensorSpec("h", (1, 3)),))
"""y = x + h, and h becomes y: a running sum."""


def adder(spec: GraphSpec = ADDER, metadata: str | None = None) -> bytes:
    """A file that holds `ADDER`; its signature may be made to say something else."""
    return model(
        [("Add", ["x", "h"], ["y"]), ("Identity", ["y"], ["next_h"])], ADDER, encode(spec) if metadata is None else metadata
    )


def model(nodes: Sequence[tuple[str, list[str], list[str]]], spec: GraphSpec, metadata: str) -> bytes:
    """A ModelProto of nodes (operator, inputs, outputs) without weights, IR version 8, operator set 17."""
    graph = b"".join(_field(1, _node(*node)) for node in nodes) + _field(2, spec.name.encode())
    graph += b"".join(_field(11, _value(tensor.name, tensor.shape)) for tensor in (*spec.inputs, *spec.states))
    graph += b"".join(_field(12, _value(tensor.name, tensor.shape)) for tensor in spec.outputs)
    graph += b"".join(_field(12, _value(NEXT + tensor.name, tensor.shape)) for tensor in spec.states)
    entry = _field(1, KEY.encode()) + _field(2, metadata.encode())
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 17)) + (_field(14, entry) if metadata else b"")


def _node(operator: str, inputs: list[str], outputs: list[str]) -> bytes:
    names = b"".join(_field(1, name.encode()) for name in inputs) + b"".join(_field(2, name.encode()) for name in outputs)
    return names + _field(4, operator.encode())


def _value(name: str, shape: Sequence[int]) -> bytes:
    sides = b"".join(_field(1, _number(1, side)) for side in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, FLOAT) + _field(2, sides)))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])
