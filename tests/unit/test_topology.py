import numpy as np

from engine.rig.mesh import boundary_loops
from engine.rig.topology import (
    LID_LOWER,
    LID_UPPER,
    LIP_LOWER,
    LIP_UPPER,
    OVAL,
    POINTS,
    SIDES,
    face_triangles,
    mirror_of,
)  # fmt: skip


def test_the_mesh_is_one_sheet_with_three_holes() -> None:
    triangles = face_triangles()
    assert triangles.shape == (852, 3)
    assert set(triangles.ravel().tolist()) == set(range(POINTS))
    loops = [set(loop.tolist()) for loop in boundary_loops(triangles)]
    holes = [set(OVAL), {*LIP_UPPER, *LIP_LOWER}, *({*LID_UPPER[s], *LID_LOWER[s]} for s in SIDES)]
    assert sorted(map(sorted, loops)) == sorted(map(sorted, holes))


def test_neighbours_are_oriented_alike() -> None:
    triangles = face_triangles()
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_mirroring_twice_is_nothing() -> None:
    mirror = mirror_of()
    np.testing.assert_array_equal(mirror[mirror], np.arange(POINTS))
    assert mirror[33] == 263
    assert mirror[1] == 1


def test_mirrored_triangles_are_triangles() -> None:
    mirror, triangles = mirror_of(), face_triangles()
    known = {frozenset(t) for t in triangles.tolist()}
    assert np.mean([frozenset(t) in known for t in mirror[triangles].tolist()]) > 0.95
