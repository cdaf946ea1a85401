"""A network's files: float32 for one sample, beside it other batch sizes and FP16, each proved and vouched for."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError
from engine.runtime.model_file import PRECISION, file_name, manifest_of
from export.bars import Arrays, excess, measured
from export.files import (
    Network,
    about,
    answers,
    by_onnx,
    exactness,
    label,
    list_in_manifest,
    metadata_of,
    model_of,
    onnx,
    save,
    store_in_half,
    unlist,
)
from export.half import halved, rounded, search
from export.probes import Probes, drawn

ISLANDS: Final = "mien.islands"
"""Metadata of FP16 files: JSON list of the nodes that stay in FP32."""
PARITY: Final = "mien.parity"
"""Metadata of FP16 files: JSON, what FP16 costs each output, in the unit of its bar."""
STREAMED: Final = 500
"""Probes of a network with a state: ten seconds of voice."""
STILL: Final = 3
"""Probes of one without."""


def export(
    network: Network,
    folder: Path,
    batches: Sequence[int] = (1,),
    probes: Probes = drawn,
    *,
    half: bool = False,
    stored_in_half: bool = False,
) -> list[Path]:
    """Write a network's files and say so; the one in float32 for one sample is always among them.

    Files of the same network that are there with other weights are removed: a GPU would take them in its place.

    Args:
        network: what to write.
        folder: made if it is not there; what it holds is vouched for in its manifest.
        batches: sizes, of `placement.BATCHES`.
        probes: inputs on which a file is proved equal.
        half: FP16 in the graph for these sizes, instead of float32.
        stored_in_half: keep large weights of float32 files in half: half the size, the same arithmetic.

    Raises:
        ModelError: if a file cannot be written, or differs from its network by more than its bars allow.
    """
    seen = probes(network.spec, count_of(network))
    known = known_islands(network, folder)
    first = _first(network, folder, seen, stored_in_half=stored_in_half)
    ours = (manifest_of(folder) or {})[file_name(network.spec.name)]
    remove_others(folder, ours["network"], ours["source"])
    sizes = sorted(set(batches))
    if half:
        return [first, *_halves(network, folder, sizes, islands_of(network, seen, known))]
    return [first, *_wholes(network, folder, [size for size in sizes if size > 1], stored_in_half=stored_in_half)]


def count_of(network: Network) -> int:
    """How many probes a network is judged on."""
    return STREAMED if network.spec.states else STILL


def proved(network: Network, model: Any, probes: Sequence[Arrays]) -> str:
    """That a float32 model equals its network, in words.

    Raises:
        ModelError: if it does not.
    """
    errors = exactness(network, model, probes)
    worst = max(errors, key=lambda name: errors[name])
    if network.exact.excess(errors[worst]) > 1:
        raise ModelError(
            f"{network.spec.name}: {worst} of the file is {errors[worst]:.2g} away from PyTorch's; {network.exact} is allowed"
        )
    return f"equal to {errors[worst]:.1g}"


def islands_of(network: Network, probes: Sequence[Arrays], known: Sequence[str] = ()) -> tuple[list[str], dict[str, float]]:
    """The nodes that stay in FP32, and what FP16 in all others costs each output."""
    model = model_of(network)
    wanted = answers(by_onnx(model), network.spec, probes)

    def errors_of(typed: Any) -> dict[str, float]:
        return measured(network.bars, answers(by_onnx(typed, optimised=False), network.spec, probes), wanted)

    islands = list(search(model, lambda typed: excess(network.bars, errors_of(typed)), known))
    return islands, errors_of(rounded(model, islands))


def known_islands(network: Network, folder: Path) -> list[str]:
    """Those found before for the same network, as its files in a folder say: with these weights, or with others."""
    for path in sorted(folder.glob(f"{network.spec.name}*.half.onnx")):
        return json.loads(metadata_of(onnx.load(str(path))).get(ISLANDS, "[]"))
    return []


def said(network: Network, errors: dict[str, float]) -> str:
    """Errors in the units of their bars."""
    return ", ".join(f"{name} {errors[name]:.3g} ({bar})" for name, bar in network.bars.items())


def _first(network: Network, folder: Path, probes: Sequence[Arrays], *, stored_in_half: bool) -> Path:
    """The float32 file for one sample, proved equal to its network."""
    model = model_of(network)
    words = [proved(network, model, probes)]
    if stored_in_half:
        whole, model = by_onnx(model), store_in_half(model)
        words.append(_kept_by(network, whole, by_onnx(model), probes, "stored in half"))
    return _put(model, folder / file_name(network.spec.name), words)


def _wholes(network: Network, folder: Path, sizes: Sequence[int], *, stored_in_half: bool) -> Iterator[Path]:
    """The float32 files for several samples."""
    for size in sizes:
        model = model_of(network, size)
        yield _put(store_in_half(model) if stored_in_half else model, folder / file_name(network.spec.name, size), ())


def _halves(network: Network, folder: Path, sizes: Sequence[int], found: tuple[list[str], dict[str, float]]) -> Iterator[Path]:
    """The FP16 files, with the islands that were found and what the rest costs."""
    islands, errors = found
    for size in sizes:
        model = halved(model_of(network, size), islands)
        label(model, {PRECISION: "half", ISLANDS: json.dumps(islands), PARITY: json.dumps(errors)})
        words = [f"FP16 but for {len(islands)} of {len(model.graph.node)} nodes", said(network, errors)]
        yield _put(model, folder / file_name(network.spec.name, size, half=True), words)


def remove_others(folder: Path, network: str, source: str = "") -> None:
    """Remove a network's files whose weights are not those of the digest `source`, and say so; without one, all of them."""
    others = [
        name
        for name, entry in (manifest_of(folder) or {}).items()
        if entry.get("network") == network and entry["source"] != source and (folder / name).exists()
    ]
    for name in others:
        (folder / name).unlink()
        sys.stdout.write(f"{folder / name}  removed: it belonged to other weights\n")
    if others:
        unlist(folder, others)


def _kept_by(network: Network, whole: Any, other: Any, probes: Sequence[Arrays], what: str) -> str:
    errors = measured(network.bars, answers(other, network.spec, probes), answers(whole, network.spec, probes))
    if excess(network.bars, errors) > 1:
        raise ModelError(f"{network.spec.name} {what} misses its bars: {said(network, errors)}")
    return f"{what}: {said(network, errors)}"


def _put(model: Any, path: Path, words: Sequence[str]) -> Path:
    save(model, path)
    list_in_manifest(path, about(model))
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB" + "".join(f", {word}" for word in words) + "\n")
    sys.stdout.flush()
    return path
