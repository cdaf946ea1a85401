"""Closing the mouth: against an open jaw, and for photos that show it open."""

import numpy as np

from engine.rig import handles as table
from engine.rig.mesh import Floats, Sparse, biharmonic
from engine.rig.topology import LIP_LOWER, LIP_LOWER_OUTER, LIP_UPPER, LIP_UPPER_OUTER

UPPER_SHARE = 0.12  # of the way that the upper lip comes down when an open jaw's lips close


def gap_ratio(points: Floats) -> float:
    """The largest gap between the lips over the mouth's width."""
    gap = (points[list(LIP_LOWER), 1] - points[list(LIP_UPPER), 1])[2:-2].max()
    return float(gap / np.linalg.norm(points[61, :2] - points[291, :2]))


def closing_of_jaw(lap: Sparse, jaw_open: Floats) -> Floats:
    """float64[468, 3]: what takes back the parting of the lips by the fully open jaw, exactly, at the lips' rims."""
    upper, lower = np.array(LIP_UPPER[1:-1]), np.array(LIP_LOWER[1:-1])
    parting = jaw_open[lower] - jaw_open[upper]
    outer_up, outer_low = np.array(LIP_UPPER_OUTER[1:-1]), np.array(LIP_LOWER_OUTER[1:-1])
    index = np.concatenate([upper, lower, outer_up, outer_low, [18, 200]])
    value = np.concatenate(
        [
            *(UPPER_SHARE * parting, -(1 - UPPER_SHARE) * parting, UPPER_SHARE * 0.8 * parting, -0.84 * parting),
            *(jaw_open[[18]] * -0.45, jaw_open[[200]] * -0.2),
        ]
    )
    held = np.array([p for p in (*table.HELD, 152, 148, 377, 176, 400, 199) if p not in set(index.tolist())])
    field = biharmonic(lap, index, value, held)
    field[upper], field[lower] = UPPER_SHARE * parting, -(1 - UPPER_SHARE) * parting
    return field


def closing_of_photo(lap: Sparse, points: Floats, axes: Floats, u: float) -> Floats:
    """float64[468, 3]: what closes the mouth of a photo that shows it open."""
    upper, lower = np.array(LIP_UPPER[1:-1]), np.array(LIP_LOWER[1:-1])
    meet = points[upper] * 0.55 + points[lower] * 0.45
    rim_up = meet - points[upper] + axes @ np.array([0, 0.4, 0.01 * u])  # 0.4 px: the rims overlap, no hairline between them
    rim_low = meet - points[lower] - axes @ np.array([0, 0.4, 0])
    between = points[lower] - points[upper]
    chin = np.array([152, 148, 377, 176, 400, 199, 200, 18])
    gap = float(between[2:-2, 1].max())
    index = np.concatenate([upper, lower, LIP_UPPER_OUTER[1:-1], LIP_LOWER_OUTER[1:-1], chin])
    rise = np.tile(axes @ np.array([0, -0.30 * gap, 0]), (len(chin), 1))
    value = np.concatenate([rim_up, rim_low, between * 0.45 * 0.7, -between * 0.55 * 0.8, rise])
    held = np.array([p for p in table.HELD if p not in set(index.tolist())])
    field = biharmonic(lap, index, value, held)
    field[upper], field[lower] = rim_up, rim_low
    return field
