import numpy as np

from engine.rig.mesh import biharmonic, boundary_loops, harmonic, laplacian, quad_grid, smoothstep, subdivide, thinned


def test_subdividing_keeps_borders_and_quadruples_triangles() -> None:
    grid = quad_grid(4, 3)
    finer, parents = subdivide(grid)
    assert len(finer) == 4 * len(grid)
    assert len(parents) == len(
        np.unique(np.sort(np.concatenate([grid[:, [0, 1]], grid[:, [1, 2]], grid[:, [2, 0]]]), 1), axis=0)
    )
    assert len(boundary_loops(finer)) == 1
    assert len(boundary_loops(finer)[0]) == 2 * len(boundary_loops(grid)[0])


def test_a_harmonic_field_stays_between_its_borders() -> None:
    grid = quad_grid(9, 9)
    rim = boundary_loops(grid)[0]
    inner = np.setdiff1d(np.arange(81), rim)
    values = (rim % 9).astype(float)
    field = harmonic(laplacian(grid, 81), inner, rim, values, 0.0, 0.0)
    assert field.min() > 0
    assert field.max() < 8


def test_a_biharmonic_field_follows_handles_and_rests_where_held() -> None:
    grid = quad_grid(15, 15)
    lap = laplacian(grid, 225)
    handles, held = np.array([112]), boundary_loops(grid)[0]
    field = biharmonic(lap, handles, np.array([[1.0, 0, 0]]), held, grip=200.0)
    assert 0.8 < field[112, 0] <= 1.01
    assert np.abs(field[held]).max() < 0.12
    assert not field[:, 1:].any()


def test_smoothstep_is_flat_at_both_ends() -> None:
    x = np.linspace(0, 1, 1001)
    y = smoothstep(0, 1, x)
    assert y[0] == 0
    assert y[-1] == 1
    assert y[1] < 1e-5
    np.testing.assert_allclose(smoothstep(1, 0, x), 1 - y, atol=1e-12)


def test_taking_back_a_subdivision_leaves_no_gap() -> None:
    coarse = quad_grid(6, 6)
    fine, parents = subdivide(coarse)
    points = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2)
    points = np.concatenate([points, points[parents].mean(1)])
    split = np.random.default_rng(0).random(len(coarse)) < 0.5
    for wanted in (split, ~split, np.zeros(len(coarse), bool), np.ones(len(coarse), bool)):
        triangles = thinned(fine, wanted)
        (ax, ay), (bx, by), (cx, cy) = points[triangles].transpose(1, 2, 0)
        assert np.isclose(((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)).sum() / 2, 25)
        assert len(boundary_loops(triangles)) == 1
        assert len(coarse) <= len(triangles) <= len(fine)
