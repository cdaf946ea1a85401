"""A small copy of the face tracker's shards, for a machine to which little can be carried, and the shards of such a copy.

Rows are drawn from each shard, pictures become JPEG, landmarks 64ths of a
pixel: 18 KB a face instead of 313. One file, `numpy.load` reads it.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.tracker.data import Shard, ShardError
from training.tracker.shards import put

SHARDS: Final = ("stills", "frames", "renders")
PICTURES: Final = ("crops", "matte")
LABELS: Final = ("people", "split", "source", "score", "motion", "asked")
QUALITY: Final = 88
"""Of the JPEGs: noise of the sort that augmentation adds anyway."""
STEPS: Final = 64.0
"""In a pixel of the landmarks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--faces", type=Path, default=Path("out/faces"), help="shards (default: %(default)s)")
    parser.add_argument("--file", type=Path, required=True, help="the copy: FILE.npz")
    parser.add_argument("--most", type=int, default=1000, metavar="N", help="faces of each shard (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unpack", action="store_true", help="make the shards in --faces of the copy, instead")


def main(args: argparse.Namespace) -> int:
    """Pack or unpack.

    Raises:
        ShardError: if there are no shards, or the file is no copy of any.
    """
    if args.unpack:
        unpack(args.file, args.faces)
        return 0
    count = pack(args.faces, args.file, args.most, args.seed)
    sys.stdout.write(f"{args.file}: {count} faces, {args.file.stat().st_size / 2**20:.1f} MiB\n")
    return 0


def pack(faces: Path, file: Path, most: int, seed: int = 0) -> int:
    """Write a copy of at most so many faces of each shard; return how many there are."""
    rng, held, count = np.random.default_rng(seed), dict[str, NDArray[Any]](), 0
    for name in SHARDS:
        if not (faces / name).is_dir():
            continue
        shard = Shard.load(faces / name)
        drawn = np.flatnonzero(shard.split != "")  # those that are not drawn yet have no split
        rows = np.sort(rng.permutation(drawn)[:most])
        count += len(rows)
        held[f"{name}/landmarks"] = np.round(shard.landmarks[rows] * STEPS).astype(np.int16)
        for label in LABELS:
            if (values := getattr(shard, label)) is not None:
                held[f"{name}/{label}"] = values[rows]
        for kind in PICTURES:
            if (pictures := getattr(shard, kind)) is not None:
                coded = [_coded(pictures[row]) for row in rows]
                held[f"{name}/{kind}"] = np.concatenate(coded)
                held[f"{name}/{kind}_ends"] = np.cumsum([len(code) for code in coded])
    if not held:
        raise ShardError(f"{faces} has no {', '.join(SHARDS)}; make them with: python -m training prepare-faces")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **held)  # pyright: ignore[reportArgumentType] (its stub takes the arrays for options)
    return count


def unpack(file: Path, faces: Path) -> None:
    """Make the shards of a copy."""
    try:
        held = np.load(file)
        names = {key.partition("/")[0] for key in held.files}
        for name in names:
            arrays = {label: held[f"{name}/{label}"] for label in LABELS if f"{name}/{label}" in held}
            arrays["landmarks"] = held[f"{name}/landmarks"].astype(np.float32) / np.float32(STEPS)
            for kind in PICTURES:
                if f"{name}/{kind}" in held:
                    arrays[kind] = np.stack(list(_pictures(held[f"{name}/{kind}"], held[f"{name}/{kind}_ends"])))
            put(faces / name, **arrays)
    except (OSError, ValueError, KeyError) as error:
        raise ShardError(f"{file} is no copy of shards ({error}); make one with: python -m training pack-faces") from error


def _coded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]


def _pictures(codes: NDArray[np.uint8], ends: NDArray[np.int64]) -> Iterable[NDArray[np.uint8]]:
    for code in np.split(codes, ends[:-1]):
        picture: Any = cv2.imdecode(code, cv2.IMREAD_UNCHANGED)
        yield picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
