"""`python -m training pack-factorial --factorial DIR --out PACK`: a small copy of a factorial set, for another machine.

Pictures are made smaller, landmarks coarser; whole people are taken, in an
order that mixes the splits, until the pack is full. It is read like the set
it was made from.
"""

import argparse
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.synthesis.data import STEPS, Clips, FactorialSet, Stills
from training.synthesis.errors import SynthesisError
from training.synthesis.store import Arrays, assemble, encoded, save_part

_CLIPS: Final = 0.3  # share of a pack that clips may take


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--factorial", type=Path, required=True, metavar="DIR", help="made by prepare-factorial")
    parser.add_argument("--out", type=Path, required=True, metavar="PACK", help="a folder that is not there yet")
    parser.add_argument("--size", type=int, default=112, metavar="PX", help="side of the pictures (default 112)")
    parser.add_argument("--quality", type=int, default=88, metavar="Q", help="of JPEG (default 88)")
    parser.add_argument("--megabytes", type=float, default=60.0, metavar="MIB", help="at most so large (default 60)")


def main(args: argparse.Namespace) -> int:
    """Pack; tells what went in."""
    if args.out.exists():
        raise SynthesisError(f"{args.out} is there already; choose another folder")
    data = FactorialSet.load(args.factorial)
    if args.size > data.stills.images.size:
        raise SynthesisError(f"the pictures are {data.stills.images.size} px; ask for --size {data.stills.images.size} or less")
    report = pack(data, args.out, args.size, args.quality, int(args.megabytes * 2**20))
    print(json.dumps(report, indent=1))
    return 0


def pack(data: FactorialSet, out: Path, size: int, quality: int, limit: int) -> dict[str, int]:
    """Write a pack of at most `limit` bytes; rows of stills and clips, and its size."""
    out.mkdir(parents=True)
    data.pools.save(out / "pools.npz")
    report: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        left = limit - 2**20
        if data.clips is not None:
            report["clips"], used = _filled(out / "clips", Path(scratch), _clips(data.clips, size, quality), int(_CLIPS * left))
            left -= used
        report["stills"], used = _filled(out / "stills", Path(scratch), _stills(data.stills, size, quality), left)
    if not report["stills"]:
        shutil.rmtree(out)
        raise SynthesisError(f"{limit} bytes hold nobody's pictures; allow more --megabytes, or a smaller --size")
    report["bytes"] = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return report


def _filled(folder: Path, scratch: Path, people: Iterator[tuple[list[bytes], Arrays]], room: int) -> tuple[int, int]:
    """Write the shard of as many people as there is room for: the rows, and the bytes."""
    parts: list[Path] = []
    used = 0
    for pictures, arrays in people:
        more = sum(map(len, pictures)) + sum(array.nbytes for array in arrays.values())
        if used + more > room:
            break
        parts.append(scratch / f"{folder.name}-{len(parts)}.npz")
        save_part(parts[-1], pictures, arrays)
        used += more
    return (assemble(folder, parts), used) if parts else (0, 0)


def _stills(stills: Stills, size: int, quality: int) -> Iterator[tuple[list[bytes], Arrays]]:
    for person in _mixed(stills.people):
        rows = np.flatnonzero(stills.people == person)
        place = {int(row): i for i, row in enumerate(rows)}
        arrays: Arrays = {name: getattr(stills, name)[rows] for name in ("motion", "factors", "varied", "people", "split")}
        arrays["base"] = np.array([place.get(int(row), -1) for row in stills.base[rows]], np.int32)
        arrays["landmarks"] = coarse(stills.marks(rows))
        yield [encoded(rgb, quality) for rgb in stills.read(rows, size)], arrays


def _clips(clips: Clips, size: int, quality: int) -> Iterator[tuple[list[bytes], Arrays]]:
    for person in _mixed(clips.people):
        rows = np.flatnonzero(clips.people == person)
        arrays: Arrays = {name: getattr(clips, name)[rows] for name in ("motion", "sound", "people", "split")}
        arrays["landmarks"] = np.stack([coarse(clips.marks(int(row))) for row in rows])
        pictures = [rgb for row in rows for rgb in clips.read(int(row), 0, clips.frames, size)]
        yield [encoded(rgb, quality) for rgb in pictures], arrays


def coarse(marks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8: landmarks in sides of the picture, in steps of 1/256; those outside are at its edge."""
    return np.clip(np.round(marks * STEPS), 0, STEPS - 1).astype(np.uint8)


def _mixed(people: NDArray[np.str_]) -> list[str]:
    return sorted(np.unique(people).tolist(), key=lambda name: zlib.crc32(name[::-1].encode()))
