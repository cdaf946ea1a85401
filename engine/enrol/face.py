# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""The face itself: the mesh of landmarks, refined, with its texture coordinates and expressions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.enrol.contours import lip_line
from engine.rig.mesh import Floats, Ints, boundary_loops, laplacian, nearest_loop, subdivide, thinned
from engine.rig.shapes import Rig
from engine.rig.topology import LID_LOWER, LID_UPPER, LIP_LOWER, LIP_UPPER, SIDES, Side

LEVELS = 2
"""Subdivisions of the landmarks' mesh."""
SMOOTHINGS = 2
FINE_ENOUGH_PX2 = 10.0
"""Triangles of the last but one subdivision that are smaller than this stay whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The refined face; its first 468 vertices are the landmarks.

    Attributes:
        points: float64[N, 3], image x, y and depth.
        triangles: intp[T, 3].
        uv: float64[N, 2] px of the crop.
        shapes: float64[N, 3] px by name.
        outline, mouth: vertices along the face's outer border and around the mouth's opening.
        eyes: vertices around each eye's opening.
        closed: the photo shows the lips closed.
    """

    points: Floats
    triangles: Ints
    uv: Floats
    shapes: dict[str, Floats]
    outline: Ints
    mouth: Ints
    eyes: dict[Side, Ints]
    closed: bool


def build_face(crop: NDArray[np.uint8], points: Floats, depth: Floats, triangles: Ints, rig: Rig, *, closed: bool) -> Face:
    """Refine the landmarks' mesh: borders keep their exact shape, depth and expressions are smoothed inside.

    Args:
        crop: uint8[FRAME, FRAME, 3] RGB.
        points: float64[468, 3] as the rig knows them.
        depth: float64[468], the depth to draw with.
        triangles: of the 468 points.
        rig: the face's expressions.
        closed: the photo shows the lips closed.
    """
    shapes, uv = dict(rig.shapes), points[:, :2].copy()
    shapes["lipSeal"] = _seal(crop, points, uv) if closed else np.zeros_like(points)
    names = list(shapes)
    packed = np.concatenate([points[:, :2], depth[:, None], uv, *(shapes[n] for n in names)], 1)
    smoothed = np.array([2, *range(5, packed.shape[1])])
    for _ in range(LEVELS):
        triangles, parents = subdivide(triangles)
        packed = np.concatenate([packed, packed[parents].mean(1)])
        free = np.ones(len(packed), bool)
        free[np.concatenate(boundary_loops(triangles))] = False
        lap = laplacian(triangles, len(packed))
        half = 0.5 / np.asarray(lap.diagonal())[:, None]
        for _ in range(SMOOTHINGS):
            step = packed - half * (lap @ packed)
            inner = np.ix_(np.flatnonzero(free), smoothed)
            packed[inner] = step[inner]
    triangles, packed = _thin(triangles, packed)
    loops = boundary_loops(triangles)
    outline = max(loops, key=lambda loop: float(np.ptp(packed[loop, 0])))
    holes = [loop for loop in loops if loop is not outline]
    return Face(
        points=packed[:, :3],
        triangles=triangles,
        uv=packed[:, 3:5],
        shapes={n: packed[:, 5 + 3 * i : 8 + 3 * i] for i, n in enumerate(names)},
        outline=outline,
        mouth=nearest_loop(holes, packed, points[[13, 14], :2].mean(0)),
        eyes={s: nearest_loop(holes, packed, points[[*LID_UPPER[s], *LID_LOWER[s]], :2].mean(0)) for s in SIDES},
        closed=closed,
    )


def _thin(triangles: Ints, packed: Floats) -> tuple[Ints, Floats]:
    """Leave out the last refinement where the mesh was fine enough before it, as around eyes and lips."""
    before = triangles[: len(triangles) // 4 * 3, 0].reshape(3, -1)
    (ax, ay), (bx, by), (cx, cy) = packed[before, :2].transpose(0, 2, 1)
    area = 0.5 * np.abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
    triangles = thinned(triangles, area > FINE_ENOUGH_PX2)
    used, renamed = np.unique(triangles, return_inverse=True)
    return renamed.reshape(-1, 3), packed[used]


def _seal(crop: NDArray[np.uint8], points: Floats, uv: Floats) -> Floats:
    """Let each lip's texture end on the photo's lip line; return what joins both rims there, half a px past each other."""
    seal = np.zeros_like(points)
    x, y = lip_line(crop, points)
    order = np.argsort(points[list(LIP_UPPER), 0])
    depth = (points[list(LIP_UPPER), 2] + points[list(LIP_LOWER), 2])[order] / 2
    depth_x = points[list(LIP_UPPER), 0][order]
    for contour, past in ((LIP_UPPER, 0.5), (LIP_LOWER, -0.5)):
        rim = np.array(contour[1:-1])
        line = np.interp(points[rim, 0], x, y)
        seal[rim, 1] = line + past - points[rim, 1]
        seal[rim, 2] = np.interp(points[rim, 0], depth_x, depth) - points[rim, 2]
        uv[rim, 1] = line
    return seal
