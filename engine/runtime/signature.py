"""A graph's signature as it travels with the network: one line of JSON in the file's metadata."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from engine.contract.graph import GraphSpec, TensorSpec
from engine.errors import ModelError

KEY: Final = "mien.spec"
"""Name of the metadata entry."""

NEXT: Final = "next_"
"""What a state's name begins with among a file's outputs: state `h` goes in as `h` and comes out as `next_h`."""


def encode(spec: GraphSpec) -> str:
    """One line of JSON: {"name", "inputs", "outputs", "states"}, each a list of tensors with the fields of `TensorSpec`."""
    return json.dumps(asdict(spec), separators=(",", ":"))


def decode(text: str) -> GraphSpec:
    """Inverse of `encode`.

    Raises:
        ValueError: if the text is no signature.
    """
    try:
        values = json.loads(text)
        inputs, outputs = _tensors(values["inputs"]), _tensors(values["outputs"])
        return GraphSpec(str(values["name"]), inputs, outputs, _tensors(values["states"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no signature of a graph: {error}") from error


def _tensors(rows: Iterable[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            row["name"],
            tuple(map(int, row["shape"])),
            row["dtype"],
            float(row["low"]),
            float(row["high"]),
            int(row.get("axis", 0)),
        )
        for row in rows
    )


def compare(path: Path, spec: GraphSpec, takes: Mapping[str, tuple[int, ...]], gives: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a file whose tensors (shapes by name, as a runtime found them) are not those of its signature.

    Raises:
        ModelError: in one line.
    """
    states = {tensor.name: tensor.shape for tensor in spec.states}
    wanted_in = {tensor.name: tensor.shape for tensor in spec.inputs} | states
    wanted_out = {tensor.name: tensor.shape for tensor in spec.outputs} | {NEXT + name: shape for name, shape in states.items()}
    for want, found in ((wanted_in, takes), (wanted_out, gives)):
        if found != want:
            raise ModelError(
                f"{path} does not keep to its signature: expected {want}, got {dict(found)}; "
                "install mien anew, or export the network again (./mien export)"
            )
