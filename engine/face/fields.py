"""What each expression does to a mean face: the rig's displacement fields, computed once and stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FILE: Final = Path(__file__).with_name("expressions.npz")
"""Numbers of our own making, written by `python -m training expressions` from `engine.rig`."""


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Displacements in the head's frame (x to the person's left, y down, z to the camera), in u; read-only.

    Attributes:
        shapes: float64[468, 3] at weight 1, by the rig's names of shapes.
        follow: float64[468], how much of the jaw's turn a point makes.
        face: float64[478, 3], the mean face, frontal, between its eyes.
    """

    shapes: Mapping[str, Floats]
    follow: Floats
    face: Floats


@cache
def fields() -> Fields:
    """The stored fields."""
    with np.load(FILE, allow_pickle=False) as data:
        shapes = {str(name): field.astype(np.float64) for name, field in zip(data["names"], data["fields"], strict=True)}
        return Fields(shapes, data["follow"].astype(np.float64), data["face"].astype(np.float64))
