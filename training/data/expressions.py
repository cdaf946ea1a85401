"""`python -m training expressions`: the rig's displacement fields of a mean face, for the reader of followed faces.

`engine.face.fields` loads what this writes; reading faces then needs neither
SciPy nor a solver. Again whenever the rig's handles change.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.face import fields
from engine.face.pose import frontal
from engine.rig.archive import load
from engine.rig.shapes import build_rig
from engine.rig.topology import face_triangles

PORTRAITS: Final = Path(__file__).parents[2] / "engine" / "models" / "portraits"
UNIT_PX: Final = 125.0
"""px per u while a rig is built: its constants are px of the mesh renderer's frame."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--portraits", type=Path, default=PORTRAITS, metavar="DIR", help="whose faces are averaged")
    parser.add_argument("--out", type=Path, default=fields.FILE, metavar="FILE")


def main(args: argparse.Namespace) -> int:
    """Write the file; return the exit status."""
    np.savez_compressed(args.out, allow_pickle=False, **arrays_of(sorted(args.portraits.glob("*.mien"))))
    return 0


def arrays_of(portraits: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """What the file holds: see `engine.face.fields.Fields`."""
    face = np.mean([frontal(load(path).landmarks) for path in portraits], 0)
    rig = build_rig(face[:468] * UNIT_PX, face_triangles(), mouth_open=False)
    names = [name for name in sorted(rig.shapes) if name != "photoClose"]
    return {
        "names": np.array(names),
        "fields": np.stack([rig.shapes[name] / UNIT_PX for name in names]).astype(np.float16),
        "follow": rig.jaw.follow.astype(np.float32),
        "face": face.astype(np.float32),
    }
