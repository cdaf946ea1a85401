"""Writing shards: see `training.tracker.data` for what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.prepare import Clip
from training.data.splits import Split
from training.tracker.data import CROP, FACELESS
from training.tracker.looking import Sights


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was seen in one file, and where it belongs."""

    clip: Clip
    split: Split
    sights: Sights
    still: bool


def put(folder: Path, **arrays: NDArray[np.generic]) -> None:
    """Write each array to `folder`/NAME.npy; a reader sees the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        part = folder / f"{name}.part.npy"
        np.save(part, array, allow_pickle=False)
        part.replace(folder / f"{name}.npy")


def _stack(path: Path, rows: Sequence[NDArray[np.uint8]], shape: tuple[int, ...]) -> None:
    """Write uint8[N, ...] row by row: all of them may not fit into memory twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part.npy")
    array = np.lib.format.open_memmap(part, "w+", np.uint8, (len(rows), *shape))
    for i, row in enumerate(rows):
        array[i] = row
    array.flush()
    del array
    part.replace(path)


def write_shard(folder: Path, sheets: Sequence[Sheet], *, matte: bool) -> None:
    """All faces of some files as one shard; nothing is written if there are none."""
    rows = [(sheet, i) for sheet in sheets for i in range(len(sheet.sights.frame))]
    if not rows:
        return
    _stack(folder / "crops.npy", [s.sights.crops[i] for s, i in rows], (CROP, CROP, 3))
    if matte:
        _stack(folder / "matte.npy", [s.sights.matte[i] for s, i in rows], (CROP, CROP))
    put(
        folder,
        landmarks=np.stack([s.sights.landmarks[i] for s, i in rows]).astype(np.float32),
        score=np.array([s.sights.score[i] for s, i in rows], np.float32),
        people=np.array([s.clip.speaker for s, _ in rows]),
        split=np.array([s.split for s, _ in rows]),
        source=np.array([f"{s.clip.source}/{s.clip.path.name}#{s.sights.frame[i]}" for s, i in rows]),
    )


def write_faceless(folder: Path, sheets: Sequence[Sheet]) -> None:
    """The parts of all stills without a face."""
    rows = [(sheet, part) for sheet in sheets for part in sheet.sights.faceless]
    if rows:
        _stack(folder / "crops.npy", [part for _, part in rows], (FACELESS, FACELESS, 3))
        put(folder, split=np.array([sheet.split for sheet, _ in rows]))


def write_pictures(path: Path, sheets: Sequence[Sheet]) -> None:
    """Where the faces are in the whole pictures."""
    rows = [(sheet, i) for sheet in sheets for i in range(len(sheet.sights.frame))]
    if not rows:
        return
    part = path.with_name(f"{path.stem}.part.npz")
    np.savez(
        part,
        path=np.array([str(s.clip.path.resolve()) for s, _ in rows]),
        frame=np.array([s.sights.frame[i] for s, i in rows], np.int32),
        size=np.array([s.sights.size for s, _ in rows], np.int32),
        landmarks=np.stack([s.sights.whole[i] for s, i in rows]).astype(np.float32),
        split=np.array([s.split for s, _ in rows]),
    )
    part.replace(path)
