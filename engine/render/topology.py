"""Who is next to whom: edges, pieces and neighbourhoods of a mesh, and an avatar sorted by them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.rig.avatar import FRAME, Avatar

_NEAR = 8.0  # px of the working frame, side of the cells that decide what follows what


def localised(avatar: Avatar) -> tuple[Avatar, NDArray[np.intp]]:
    """The avatar with vertices that are near each other in the picture near each other in memory, and each one's new place.

    The ranges of its eyes still say where their vertices were.
    """
    part = np.zeros(len(avatar.vertices), np.uint8)
    part[avatar.triangles] = avatar.part[:, None]
    order = np.lexsort((morton(avatar.vertices[:, :2]), part))
    where = np.empty(len(order), np.intp)
    where[order] = np.arange(len(order))
    overlays = tuple(replace(o, uv=o.uv[order], mask=o.mask[order]) for o in avatar.overlays)
    return replace(
        avatar,
        vertices=avatar.vertices[order],
        deltas=avatar.deltas[:, order],
        uv=avatar.uv[order],
        shade=avatar.shade[order],
        head_weight=avatar.head_weight[order],
        triangles=where[avatar.triangles].astype(np.int32),
        overlays=overlays,
    ), where


def morton(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """int64[N]: a key by which points float[N, 2] near each other sort near each other (Morton order)."""
    key = np.zeros(len(points), np.int64)
    x, y = (np.clip((points[:, axis] + FRAME) / _NEAR, 0, 255).astype(np.int64) for axis in (0, 1))
    for bit in range(8):
        key |= ((x >> bit) & 1) << (2 * bit) | ((y >> bit) & 1) << (2 * bit + 1)
    return key


def merge_twins(
    triangles: NDArray[np.int32], part: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.bool_]]:
    """Triangles without repetition, their parts, and which of them appeared both ways round."""
    low, middle, high = np.sort(triangles.astype(np.int64), axis=1).T
    name = (low << 42) | (middle << 21) | high  # fewer than two million vertices
    _, first, counts = np.unique(name, return_index=True, return_counts=True)
    order = np.argsort(first)
    kept = first[order]
    return triangles[kept], part[kept].astype(np.intp), counts[order] > 1


def component_depth(avatar: Avatar, triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64[T]: mean depth of the connected piece of surface that each triangle belongs to."""
    label = pieces(np.concatenate([triangles[:, :2], triangles[:, 1:]]), len(avatar.vertices))
    total, members = np.bincount(label, avatar.vertices[:, 2]), np.bincount(label)
    mean = total / np.maximum(members, 1)
    return mean[label[triangles[:, 0]]]


def pieces(links: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    """intp[count]: for each vertex the least vertex that links lead to."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[links[:, 0]], label[links[:, 1]])
        joined = label.copy()
        for end in (label[links[:, 0]], label[links[:, 1]], links[:, 0], links[:, 1]):
            np.minimum.at(joined, end, low)
        joined = joined[joined]
        if np.array_equal(joined, label):
            return label
        label = joined


def edges_of(triangles: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """All edges int32[E, 2] and the triangles beside each int32[E, 2], -1 where there is none."""
    ends = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64), axis=1)
    name = (ends[:, 0] << 32) | ends[:, 1]
    order = np.argsort(name, kind="stable")
    name, owner = name[order], order // 3
    new = np.concatenate([[True], name[1:] != name[:-1]])
    begins = np.flatnonzero(new)
    shared = np.concatenate([begins[1:], [len(name)]]) - begins > 1
    sides = np.full((len(begins), 2), -1, np.int32)
    sides[:, 0] = owner[begins]
    sides[shared, 1] = owner[begins[shared] + 1]
    return ends[order[begins]].astype(np.int32), sides


def rim_of(triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32[E, 2]: the edges that only one triangle has."""
    edges, sides = edges_of(triangles)
    return edges[sides[:, 1] < 0]
