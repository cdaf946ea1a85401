# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""The pieces an avatar's mesh is put together from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.rig.camera import unproject
from engine.rig.mesh import Floats, Ints

ATLAS_HEIGHT, ATLAS_WIDTH = 512, 768
WHITE_UV = (662.0, 490.0)  # px in the atlas: a white patch, for parts coloured by their shade alone


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A piece of mesh in image coordinates.

    Attributes:
        points: float64[N, 3], image x, y in px and depth towards the camera.
        triangles: intp[T, 3].
        part: part number of each triangle (or of all), see `Avatar.part`.
        uv: float64[N, 2] px of the atlas.
        shade: float64[N, 3] colour multiplier.
        shapes: displacement float64[N, 3] px by shape name; those not named are 0.
        weight: float64[N] head weight.
    """

    points: Floats
    triangles: Ints
    part: int | NDArray[np.uint8]
    uv: Floats
    shade: Floats
    shapes: dict[str, Floats] = field(default_factory=dict[str, Floats])
    weight: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """All parts in one: arrays as in `Avatar`, and where each part's vertices begin and end."""

    vertices: NDArray[np.float32]
    deltas: NDArray[np.float32]
    uv: NDArray[np.float32]
    shade: NDArray[np.float32]
    triangles: NDArray[np.int32]
    part: NDArray[np.uint8]
    head_weight: NDArray[np.float32]
    ranges: tuple[tuple[int, int], ...]


STILL = 0.04  # px: displacements smaller than this at weight 1 are dropped


def flat_uv(count: int) -> Floats:
    """float64[count, 2]: the white patch."""
    return np.tile(WHITE_UV, (count, 1))


def join(parts: Sequence[Part], names: Sequence[str]) -> Mesh:
    """One mesh in the camera frame from parts in image coordinates."""
    ends = np.cumsum([0, *(len(p.points) for p in parts)])
    deltas = np.zeros((len(names), int(ends[-1]), 3), np.float32)
    for part, first, last in zip(parts, ends, ends[1:], strict=False):
        rest = unproject(part.points)
        for name, moved in part.shapes.items():
            delta = unproject(part.points + moved) - rest
            delta[np.abs(delta).max(1) < STILL] = 0
            deltas[names.index(name), first:last] = delta
    return Mesh(
        vertices=np.concatenate([unproject(p.points) for p in parts]).astype(np.float32),
        deltas=deltas,
        uv=np.concatenate([p.uv for p in parts]).astype(np.float32),
        shade=np.concatenate([p.shade for p in parts]).astype(np.float32),
        triangles=np.concatenate([p.triangles + e for p, e in zip(parts, ends, strict=False)]).astype(np.int32),
        part=np.concatenate([np.broadcast_to(np.asarray(p.part, np.uint8), len(p.triangles)) for p in parts]),
        head_weight=np.concatenate([_weight(p) for p in parts]).astype(np.float32),
        ranges=tuple((int(a), int(b)) for a, b in pairwise(ends)),
    )


def _weight(part: Part) -> Floats:
    return np.ones(len(part.points)) if part.weight is None else part.weight
