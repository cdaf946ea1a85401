# pyright: basic
# scipy has no types
"""Triangle meshes: boundaries, Laplacians, subdivision and fields that are smooth on them."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]
Sparse = Any
"""scipy.sparse.csr_matrix, which has no type stubs."""


def smoothstep(low: float, high: float, x: ArrayLike) -> Floats:
    """0 below `low`, 1 above `high` (or the reverse), with no slope at both."""
    t = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def edges(triangles: Ints) -> Ints:
    """intp[3T, 2]: the directed edges, first those from corner 0 to 1, then 1 to 2, then 2 to 0."""
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def boundary_loops(triangles: Ints) -> list[Ints]:
    """The closed loops of edges that belong to one triangle only, as ordered vertex lists, longest first."""
    all_edges = edges(triangles)
    _, index, count = np.unique(np.sort(all_edges, 1), axis=0, return_index=True, return_counts=True)
    following: dict[int, list[int]] = {}
    for a, b in all_edges[index[count == 1]].tolist():
        following.setdefault(a, []).append(b)
    loops: list[Ints] = []
    while following:
        start = current = next(iter(following))
        loop = [start]
        while current in following:
            step = following[current].pop()
            if not following[current]:
                del following[current]
            if step == start:
                break
            loop.append(step)
            current = step
        loops.append(np.array(loop, np.intp))
    return sorted(loops, key=len, reverse=True)


def laplacian(triangles: Ints, count: int) -> Sparse:
    """The graph Laplacian (degree minus adjacency) of a mesh with `count` vertices."""
    e = np.unique(np.sort(edges(triangles), 1), axis=0)
    half = sp.coo_matrix((np.ones(len(e)), (e[:, 0], e[:, 1])), shape=(count, count))
    adjacency = half + half.T
    return sp.csr_matrix(sp.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency)


def subdivide(triangles: Ints) -> tuple[Ints, Ints]:
    """Split every triangle in four at its edges' middles.

    Returns:
        intp[4T, 3] triangles; intp[M, 2] the two parents of each of the M new vertices, which follow the old ones.
    """
    parents, inverse = np.unique(np.sort(edges(triangles), 1), axis=0, return_inverse=True)
    first_new, t = int(triangles.max()) + 1, len(triangles)
    ab, bc, ca = (inverse.ravel()[i * t : (i + 1) * t] + first_new for i in range(3))
    a, b, c = triangles.T
    corners = [np.stack(q, 1) for q in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    return np.concatenate(corners), parents


def thinned(triangles: Ints, split: Mask) -> Ints:
    """Take back a subdivision where it is not wanted, without leaving a gap beside where it is.

    Args:
        triangles: intp[4T, 3] as `subdivide` returns them.
        split: bool[T], whether each of the T triangles from before stays divided; a neighbour of one
            that does not is cut in two or three.

    Returns:
        intp[M, 3]; vertices that are no longer used keep their numbers.
    """
    t = len(triangles) // 4
    corners = triangles[: 3 * t, 0].reshape(3, t).T
    middles = triangles[: 3 * t, 1].reshape(3, t).T  # of the edge from each corner to the next
    sides = np.bincount(middles.ravel())
    kept = (np.bincount(middles[split].ravel(), minlength=len(sides)) == sides)[middles]
    out = [corners[kept.sum(1) == 0]]
    for turn in range(3):
        (a, b, c), (ab, bc, ca) = (np.roll(q, -turn, 1).T for q in (corners, middles))
        has_ab, has_bc, has_ca = np.roll(kept, -turn, 1).T
        one, two, three = has_ab & ~has_bc & ~has_ca, has_ab & has_bc & ~has_ca, has_ab & has_bc & has_ca
        out += [np.stack(q, 1)[one] for q in ((a, ab, c), (ab, b, c))]
        out += [np.stack(q, 1)[two] for q in ((ab, b, bc), (a, ab, bc), (a, bc, c))]
        out.append(np.stack((a, ab, ca), 1)[three])
        if turn == 0:
            out.append(np.stack((ab, bc, ca), 1)[three])
    return np.concatenate(out)


def quad_grid(columns: int, rows: int) -> Ints:
    """intp[2 (columns-1) (rows-1), 3]: triangles of a row-major grid of vertices."""
    q = np.arange(columns * rows).reshape(rows, columns)
    a, b, c, d = (k.ravel() for k in (q[:-1, :-1], q[:-1, 1:], q[1:, 1:], q[1:, :-1]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def both_sides(triangles: Ints) -> Ints:
    """Each triangle twice, once each way round: seen from both sides where back faces are culled."""
    return np.concatenate([triangles, triangles[:, [0, 2, 1]]])


def harmonic(lap: Sparse, free: Ints, fixed: Ints, values: Floats, pull: float, target: ArrayLike) -> Floats:
    """The fields on `free` minimising |grad f|^2 + pull |f - target|^2 with `values` given on `fixed`."""
    system = (lap[free][:, free] + sp.diags(np.full(len(free), pull))).tocsc()
    return np.asarray(spl.splu(system).solve(np.asarray(-(lap[free][:, fixed] @ values) + pull * np.asarray(target))))


def biharmonic(
    lap: Sparse, handles: Ints, values: Floats, held: Ints, *, rest: float = 0.004, grip: float = 20.0, hold: float = 3.0
) -> Floats:
    """float64[V, C] smooth field that follows `values` at `handles` and stays near 0 at `held`.

    Minimises |lap f|^2 + rest |f|^2 + grip |f - values|^2 on handles + hold |f|^2 on held points.
    """
    n = lap.shape[0]
    weight, target = np.zeros(n), np.zeros((n, values.shape[1]))
    weight[handles] = grip
    weight[held] = np.maximum(weight[held], hold)
    target[handles] = values
    system = (lap.T @ lap + sp.eye(n) * rest + sp.diags(weight)).tocsc()
    return np.asarray(spl.splu(system).solve(weight[:, None] * target))


def nearest_loop(loops: list[Ints], points: Floats, place: Floats) -> Ints:
    """The loop whose centre is nearest to `place` (x, y)."""
    return min(loops, key=lambda loop: float(np.linalg.norm(points[loop, :2].mean(0) - place)))
