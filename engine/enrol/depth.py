# pyright: basic
"""The depth that a face is drawn with.

One frontal photo has hardly any texture for the sides of a face. Drawn with
its true depth, the last pixels beside jaw and ears smear over the whole side
as soon as the head turns. So the depth is kept from falling faster than
`STEEPEST`; that alone would make a turn look smaller than it is, and the
head's round shape is deepened by `ROUNDNESS` in return. Nose, lips and brow
keep their own relief.
"""

import numpy as np

from engine.rig.mesh import Floats, smoothstep
from engine.rig.topology import OVAL

ROUNDNESS = 1.47
RELIEF = 1.08
STEEPEST = 2.0  # px of depth per px of picture
NOSE = (
    *(1, 2, 4, 5, 19, 44, 45, 48, 64, 94, 97, 98, 115, 125, 195, 220, 218, 237),
    *(274, 275, 278, 294, 326, 327, 344, 354, 440, 438, 457),
)


def drawn_depth(points: Floats) -> Floats:
    """float64[468] px towards the camera, from the mesh points float64[468, 3] of a tracker."""
    outline = points[list(OVAL), :2]
    centre = outline.mean(0)
    scale = float(np.median(np.linalg.norm(outline - centre, axis=1)))
    place = (points[:, :2] - centre) / scale
    reach = np.linalg.norm(place, axis=1)
    x, y = place.T
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1)
    used = np.ones(len(points), bool)
    used[list(NOSE)] = False
    shape = terms @ np.linalg.lstsq(terms[used], points[used, 2], rcond=None)[0]
    depth = ROUNDNESS * shape + RELIEF * (points[:, 2] - shape)
    distance = np.linalg.norm(points[:, None, :2] - points[None, :, :2], axis=2)
    gentle = (depth[None, :] - STEEPEST * distance).max(1)
    outer = smoothstep(0.45, 0.7, reach)
    return depth * (1 - outer) + gentle * outer
