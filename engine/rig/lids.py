"""Eyelids: both rims meet on one closing line; a look down takes the upper lid along, wide eyes lift it."""

import numpy as np

from engine.rig.mesh import Floats, Sparse, biharmonic
from engine.rig.topology import LID_LOWER, LID_UPPER, Side

CLOSING = 0.22
"""The lids meet this far above the lower lid, as a part of the aperture."""
OVERLAP = (0.5, 0.2)  # px by which the upper and the lower rim pass the closing line, so that no eye shows between them
ABOVE: dict[Side, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "Right": ((247, 30, 29, 27, 28, 56, 190), (113, 225, 224, 223, 222, 221, 189)),
    "Left": ((414, 286, 258, 257, 259, 260, 467), (413, 441, 442, 443, 444, 445, 342)),
}
BELOW: dict[Side, tuple[int, ...]] = {
    "Right": (117, 118, 119, 111),
    "Left": (346, 347, 348, 340),
}


def lid_shapes(lap: Sparse, points: Floats, axes: Floats, side: Side) -> dict[str, Floats]:
    """float64[468, 3] px each: eyeBlink, eyeSquint, eyeWide and lidDown (the upper lid follows a look down) of one eye."""
    upper, lower = np.array(LID_UPPER[side]), np.array(LID_LOWER[side])
    width = float(np.linalg.norm(points[upper[0]] - points[upper[-1]]))
    opening = points[lower] - points[upper]
    height = float(np.linalg.norm(opening[3:6], axis=1).mean())
    near, far = (np.array(ring) for ring in ABOVE[side])
    corners = upper[[0, 8]]
    centre = points[np.concatenate([upper, lower])].mean(0)
    away = np.flatnonzero(np.linalg.norm(points - centre, axis=1) > 0.85 * width)
    inner = slice(1, 8)
    bulge = np.sin(np.pi * np.arange(9) / 8)[inner, None] * axes[:, 2] * 0.03 * width
    down = axes[:, 1]

    def field(up: Floats, low: Floats, ring: float, brow: float, cheek: float = 0.0) -> Floats:
        below = np.array(BELOW[side])
        forward = axes[:, 2] * 0.015 * width * (ring > 0.4)
        index = np.concatenate([corners, upper[inner], lower[inner], near, far, below])
        value = np.concatenate(
            [
                *(np.zeros((2, 3)), up, low),
                np.tile(down * ring * height + forward, (len(near), 1)),
                np.tile(down * brow * height, (len(far), 1)),
                np.tile(down * cheek * height, (len(below), 1)),
            ]
        )
        held = away[~np.isin(away, index)]
        return biharmonic(lap, index, value, held, grip=60.0)

    up, low = opening[inner] * (1 - CLOSING), -opening[inner] * CLOSING
    rims = up + bulge + down * OVERLAP[0], low + bulge * 0.2 - down * OVERLAP[1]
    blink = field(*rims, ring=0.42, brow=0.06)
    blink[upper[inner]], blink[lower[inner]] = rims
    return {
        f"eyeBlink{side}": blink,
        f"eyeSquint{side}": field(up * 0.22, low * 1.1, ring=0.10, brow=0.05, cheek=-0.16),
        f"eyeWide{side}": field(-opening[inner] * 0.17, opening[inner] * 0.03, ring=-0.13, brow=-0.10),
        f"lidDown{side}": field(opening[inner] * 0.48, opening[inner] * 0.10, ring=0.22, brow=0.04),
    }
