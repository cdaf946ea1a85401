"""Expressions as displacements of the face mesh: handles spread smoothly over it, the jaw as a hinge, lids as curtains."""

from dataclasses import dataclass

import numpy as np

from engine.rig import handles as table
from engine.rig.jaw import Jaw, jaw_of
from engine.rig.lids import lid_shapes
from engine.rig.lips import closing_of_jaw, closing_of_photo
from engine.rig.mesh import Floats, Ints, Sparse, biharmonic, laplacian, smoothstep
from engine.rig.topology import LID_LOWER, LID_UPPER, POINTS, SIDES, mirror_of

SPLIT_WIDTH = 0.16  # u, half the width over which one half's expression fades into the other half


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The head's own frame in the picture.

    Attributes:
        points: float64[468, 3] px: image x, y and depth towards the camera.
        axes: float64[3, 3], columns: to the person's left, down, towards the camera.
        u: px between the outer eye corners.
    """

    points: Floats
    axes: Floats
    u: float


@dataclass(frozen=True, slots=True, eq=False)
class Rig:
    """A face's expressions: `shapes` maps a name to float64[468, 3] px at weight 1; `jaw` moves other things with the jaw."""

    head: Head
    shapes: dict[str, Floats]
    jaw: Jaw


def head_of(points: Floats) -> Head:
    """The frame of a face's mesh points."""
    x = points[[263, 362, 454]].mean(0) - points[[33, 133, 234]].mean(0)
    x /= np.linalg.norm(x)
    down = points[152] - points[10]
    down -= x * (down @ x)
    down /= np.linalg.norm(down)
    front = np.cross(x, down)
    axes = np.stack([x, down, front * np.sign(front[2])], 1)
    return Head(points, axes, float(np.linalg.norm(points[33, :2] - points[263, :2])))


def build_rig(points: Floats, triangles: Ints, *, mouth_open: bool) -> Rig:
    """All shapes of a face from its mesh points (see `Head`); `mouth_open`: the photo shows the lips apart."""
    head, lap, shapes = head_of(points), laplacian(triangles, POINTS), dict[str, Floats]()
    for name, pulled in table.SPLIT.items():
        whole = _spread(lap, head, pulled, _held(name, pulled))
        left = _left_share(head)[:, None]
        shapes[f"{name}Left"], shapes[f"{name}Right"] = whole * left, whole * (1 - left)
    for name, pulled in table.WHOLE.items():
        shapes[name] = _spread(lap, head, pulled, _held(name, pulled))
    shapes["mouthSide"] = _spread(lap, head, table.SIDEWAYS, _held("mouthSide", table.SIDEWAYS), sideways=True)
    jaw = jaw_of(head.points, head.axes, head.u, lap)
    shapes |= jaw.shapes(points)
    shapes["mouthClose"] = closing_of_jaw(lap, shapes["jawOpen"])
    shapes["photoClose"] = closing_of_photo(lap, points, head.axes, head.u) if mouth_open else np.zeros_like(points)
    for side in SIDES:
        shapes |= lid_shapes(lap, points, head.axes, side)
    return Rig(head, shapes, jaw)


def _held(name: str, pulled: table.Handles) -> tuple[int, ...]:
    moved = {q for p in pulled for q in (p, int(mirror_of()[p]))}
    lids = [p for side in SIDES for p in (*LID_UPPER[side], *LID_LOWER[side])]
    base = (*table.HELD_UNDER_BROWS, *lids) if name.startswith("brow") else table.HELD
    return tuple(p for p in base if p not in moved)


def _spread(lap: Sparse, head: Head, pulled: table.Handles, held: tuple[int, ...], *, sideways: bool = False) -> Floats:
    """float64[468, 3] px: handles mirrored to both halves and spread over the face."""
    mirror, values = mirror_of(), dict[int, tuple[float, float, float]]()
    for p, (x, y, z) in pulled.items():
        q = int(mirror[p])
        if sideways:
            values[p] = values[q] = (x, y, z)
        else:
            values[q] = (x, y, z)
            values[p] = (-x, y, z) if p != q else (0.0, y, z)
    field = biharmonic(lap, np.array(list(values)), np.array(list(values.values())) * head.u, np.array(held))
    return field @ head.axes.T


def _left_share(head: Head) -> Floats:
    """float64[468]: 1 on the person's left half, 0 on the right one."""
    middle = head.points[[168, 1, 152]].mean(0)
    return smoothstep(-SPLIT_WIDTH, SPLIT_WIDTH, ((head.points - middle) @ head.axes[:, 0]) / head.u)
