"""Where each expression pulls the face: displacements of a few mesh points, written by hand.

Unit: u, the distance between the outer eye corners. x > 0 away from the mid
line, y > 0 down, z > 0 towards the camera, in the head's own frame. Points
are written for the person's right half and mirrored; magnitudes follow what
the muscles do on faces in general.
"""

from typing import Final, cast

import numpy as np

Vector = tuple[float, float, float]
Handles = dict[int, Vector]

# half contours of the lips, corner to middle
UPPER_OUTER: Final = (61, 185, 40, 39, 37, 0)
LOWER_OUTER: Final = (61, 146, 91, 181, 84, 17)
UPPER_INNER: Final = (78, 191, 80, 81, 82, 13)
LOWER_INNER: Final = (78, 95, 88, 178, 87, 14)
ALONG: Final = np.array([0, 0.3, 0.55, 0.75, 0.9, 1.0])
"""How far each point of a half contour lies from the corner (0) to the middle (1)."""

HELD: Final = (
    33, 133, 362, 263, 159, 145, 386, 374, 168, 6, 197, 195, 5, 4, 1, 234, 454, 127, 356, 162, 389, 21, 251, 10,
    151, 9, 70, 300, 105, 334, 107, 336, 67, 297, 103, 332, 54, 284, 98, 327, 2,
)  # fmt: skip
"""Points that stay put unless a handle moves them."""
HELD_UNDER_BROWS: Final = (33, 133, 362, 263, 159, 386, 61, 291, 10, 168, 6, 197, 195, 5, 4, 1, 234, 454, 127, 356)

ZERO: Final[Vector] = (0.0, 0.0, 0.0)


def _profile(corner: Vector, middle: Vector) -> list[Vector]:
    s = np.sin(ALONG[:, None] * np.pi / 2)
    return [(float(a), float(b), float(c)) for a, b, c in np.array(corner) * (1 - s) + np.array(middle) * s]


def _lips(
    upper: tuple[Vector, Vector],
    lower: tuple[Vector, Vector],
    upper_outer: tuple[Vector, Vector] | None = None,
    lower_outer: tuple[Vector, Vector] | None = None,
) -> Handles:
    """Handles of all lip contours from (corner, middle) displacements; outer contours follow the inner ones by default."""
    contours = (
        (UPPER_OUTER, upper_outer or upper),
        (LOWER_OUTER, lower_outer or lower),
        (UPPER_INNER, upper),
        (LOWER_INNER, lower),
    )
    return {p: v for points, ends in contours for p, v in zip(points, _profile(*ends), strict=True)}


def _gathered(narrower: float, upper_y: tuple[float, ...], lower_y: tuple[float, ...]) -> Handles:
    """Lips drawn together to a narrower mouth and pushed forward, thicker as they are narrower.

    `upper_y` and `lower_y` move the rims, corner to middle: the sides stay shut, so that the opening is round.
    """
    half = 0.26  # u, half the width of a mouth
    inwards = -narrower * half * (1 - ALONG)
    forward = 0.045 + 0.06 * ALONG
    swell = 0.030 * np.sin(ALONG * np.pi / 2)
    rows = (
        (UPPER_INNER, np.array(upper_y), forward),
        (LOWER_INNER, np.array(lower_y), forward),
        (UPPER_OUTER, np.array(upper_y) * 0.4 - swell, forward - 0.01),
        (LOWER_OUTER, np.array(lower_y) * 0.4 + swell * 0.8, forward - 0.012),
    )
    return {
        p: (float(x), float(y), float(z)) for points, ys, zs in rows for p, x, y, z in zip(points, inwards, ys, zs, strict=True)
    }


SPLIT: Final[dict[str, Handles]] = {
    "mouthSmile": _lips(
        ((0.085, -0.088, -0.055), (0, -0.008, -0.02)),
        ((0.085, -0.088, -0.055), (0, -0.008, -0.02)),
    )
    | {205: (0.02, -0.055, 0.018), 50: (0.008, -0.04, 0.022), 187: (0.042, -0.045, 0.006), 207: (0.05, -0.055, -0.01)}
    | {212: (0.06, -0.055, -0.02), 117: (0, -0.018, 0.01), 118: (0, -0.022, 0.01), 36: (0.012, -0.035, 0.012)}
    | {129: (0.014, -0.015, 0), 152: ZERO, 200: (0, -0.004, 0)},
    "mouthFrown": _lips(((0.012, 0.052, -0.012), (0, -0.005, 0)), ((0.012, 0.052, -0.012), (0, -0.012, 0)))
    | {200: (0, -0.02, 0.01), 212: (0.01, 0.04, 0), 207: (0, 0.02, 0)},
    "mouthDimple": _lips(((0.028, -0.022, -0.06), (0, 0.004, -0.01)), ((0.028, -0.022, -0.06), (0, -0.004, -0.01)))
    | {187: (0.02, -0.004, 0.028), 205: (0.012, -0.012, 0.03), 212: (-0.005, -0.02, -0.01), 207: (0.01, -0.01, 0.02)},
    "mouthStretch": _lips(((0.072, 0.014, -0.06), (0, -0.006, -0.02)), ((0.072, 0.014, -0.06), (0, 0.008, -0.02)))
    | {207: (0.03, 0, -0.01), 212: (0.048, 0.006, -0.02), 205: (0.01, -0.005, 0)},
    "mouthPress": _lips(
        ((0, -0.006, -0.008), (0, 0.020, -0.030)),
        ((0, -0.006, -0.008), (0, -0.022, -0.030)),
        ((0, -0.006, 0), (0, 0.008, -0.012)),
        ((0, -0.006, 0), (0, -0.012, -0.010)),
    )
    | {200: (0, -0.012, 0.012), 199: (0, -0.008, 0.008)},
    "mouthUpperUp": _lips((ZERO, (0, -0.055, 0)), (ZERO, ZERO), ((0, -0.01, 0), (0, -0.058, 0.002)))
    | {164: (0, -0.028, 0), 98: (0.006, -0.02, 0), 206: (0.006, -0.03, 0.005), 2: (0, -0.006, 0), 36: (0.004, -0.015, 0.006)},
    "mouthLowerDown": _lips((ZERO, ZERO), ((0, 0.006, 0), (0.004, 0.058, -0.006)))
    | {18: (0, 0.035, -0.006), 83: (0, 0.03, -0.006), 200: (0, 0.014, -0.004)},
    "browDown": {107: (-0.016, 0.05, 0.012), 66: (-0.012, 0.05, 0.014), 105: (-0.008, 0.034, 0.012), 63: (0, 0.02, 0.01)}
    | {70: (0, 0.006, 0.005), 55: (-0.02, 0.05, 0.012), 65: (-0.012, 0.046, 0.012), 52: (-0.004, 0.034, 0.01)}
    | {53: (0, 0.018, 0.008), 46: (0, 0.006, 0), 9: (0, 0.028, 0.006), 108: (0, 0.012, 0)},
    "browOuterUp": {107: (0, -0.018, 0), 66: (0, -0.048, 0), 105: (0.012, -0.085, -0.008), 63: (0.012, -0.088, -0.012)}
    | {70: (0.008, -0.066, -0.012), 55: (0, -0.014, 0), 65: (0, -0.04, 0), 52: (0.006, -0.068, -0.004)}
    | {53: (0.006, -0.066, -0.008), 46: (0.004, -0.048, -0.008), 104: (0, -0.042, 0), 69: (0, -0.03, 0), 68: (0, -0.03, 0)},
    "cheekSquint": {
        205: (0.004, -0.045, 0.022),
        50: (-0.004, -0.058, 0.028),
        187: (0.004, -0.05, 0.026),
        36: (0, -0.035, 0.012),
    }
    | {117: (-0.004, -0.045, 0.016), 118: (-0.006, -0.042, 0.016), 119: (0, -0.03, 0.01), 101: (0, -0.045, 0.02)}
    | {111: (-0.004, -0.03, 0.012), 145: (0, -0.014, 0.006), 144: (0, -0.012, 0.006), 153: (0, -0.012, 0.006)},
    "noseSneer": _lips(((0, -0.014, 0), (0, -0.012, 0)), (ZERO, ZERO), ((0, -0.03, 0.004), (0, -0.026, 0.004)))
    | {129: (0, -0.065, 0.02), 98: (0.004, -0.045, 0.012), 64: (0.004, -0.055, 0.016), 36: (-0.004, -0.06, 0.028)}
    | {206: (0, -0.06, 0.012), 205: (-0.004, -0.05, 0.026), 101: (-0.004, -0.04, 0.018), 164: (0, -0.022, 0.002)}
    | {107: (-0.006, 0.022, 0), 55: (-0.006, 0.024, 0), 9: (0, 0.014, 0), 2: (0, -0.012, 0), 1: ZERO},
}
"""Expressions that each half of the face makes by itself; the rig cuts them along the mid line."""

WHOLE: Final = cast(
    "dict[str, Handles]",
    {
        "mouthPucker": _gathered(0.50, (0, 0.012, 0.012, 0.006, 0.002, 0), (0, -0.026, -0.028, -0.016, -0.006, -0.002))
        | {207: (-0.04, -0.004, 0.025), 212: (-0.085, -0.006, 0.035), 43: (-0.09, 0, 0.03), 206: (-0.03, -0.004, 0.02)}
        | {202: (-0.05, 0, 0.02), 216: (-0.06, -0.004, 0.03), 92: (-0.06, -0.01, 0.04)}
        | {164: (0, -0.008, 0.03), 18: (0, 0.012, 0.04), 200: (0, 0.004, 0.01), 205: (-0.012, 0, 0.01)},
        "mouthFunnel": _lips(
            ((-0.075, 0.004, 0.05), (0, -0.040, 0.075)),
            ((-0.075, 0.012, 0.05), (0, 0.052, 0.075)),
            ((-0.055, 0, 0.04), (0, -0.050, 0.075)),
            ((-0.055, 0.010, 0.04), (0, 0.062, 0.06)),
        )
        | {18: (0, 0.05, 0.02), 200: (0, 0.026, 0), 164: (0, -0.02, 0.02), 207: (-0.025, 0, 0.01), 212: (-0.04, -0.004, 0.02)},
        "mouthRollUpper": _lips(
            ((0.006, 0, -0.03), (0, 0.010, -0.085)), (ZERO, ZERO), ((0.006, 0, -0.03), (0, 0.052, -0.05)), (ZERO, ZERO)
        )
        | {164: (0, 0.012, -0.012)},
        "mouthRollLower": _lips(
            (ZERO, ZERO), ((0.004, 0, -0.02), (0, -0.016, -0.085)), (ZERO, ZERO), ((0.004, 0, -0.02), (0, -0.065, -0.04))
        )
        | {18: (0, -0.038, 0), 200: (0, -0.025, 0.02)},
        "mouthShrugUpper": _lips(((0, -0.012, 0), (0, -0.050, 0.006)), (ZERO, ZERO), ((0, -0.014, 0), (0, -0.056, 0.008)))
        | {164: (0, -0.03, 0), 2: (0, -0.012, 0)},
        "mouthShrugLower": _lips(
            ((0, -0.006, 0.006), (0, -0.046, 0.012)),
            ((0, -0.010, 0.012), (0, -0.054, 0.05)),
            ((0, -0.006, 0.006), (0, -0.040, 0.012)),
            ((0, -0.010, 0.012), (0, -0.062, 0.055)),
        )
        | {18: (0, -0.085, 0.045), 200: (0, -0.105, 0.03), 199: (0, -0.07, 0.03), 152: (0, -0.045, 0.02), 164: (0, -0.012, 0)},
        "browInnerUp": {107: (0, -0.075, 0), 66: (0, -0.062, 0), 105: (0, -0.03, 0), 55: (0, -0.068, 0), 65: (0, -0.055, 0)}
        | {
            52: (0, -0.026, 0),
            63: (0, -0.008, 0),
            9: (0, -0.05, 0),
            108: (0, -0.048, 0),
            151: (0, -0.026, 0),
            69: (0, -0.02, 0),
        }
        | {8: (0, -0.028, 0)},
        "cheekPuff": _lips(((-0.022, 0, 0.07), (0, 0.003, 0.03)), ((-0.022, 0, 0.07), (0, -0.003, 0.03)))
        | {
            207: (0.05, 0, 0.09),
            187: (0.055, -0.008, 0.08),
            205: (0.018, -0.012, 0.06),
            212: (0.02, 0, 0.10),
            214: (0.055, 0, 0.08),
        }
        | {
            192: (0.055, 0, 0.06),
            58: (0.035, 0, 0.03),
            172: (0.045, 0, 0.045),
            136: (0.035, 0.006, 0.045),
            206: (0.004, 0, 0.05),
        }
        | {132: (0.02, 0, 0.01), 150: (0.02, 0.006, 0.03), 50: (0, -0.012, 0.02)},
    },
)
"""Expressions of the whole face."""

SIDEWAYS: Final[Handles] = (
    {p: (0.135, -0.012, 0.0) for c in (UPPER_OUTER, LOWER_OUTER, UPPER_INNER, LOWER_INNER) for p in c}
    | {164: (0.08, -0.008, 0), 18: (0.11, 0, 0), 200: (0.06, 0, 0), 2: (0.04, -0.006, 0), 98: (0.03, -0.006, 0)}
    | {207: (0.05, -0.006, 0.01), 212: (0.10, -0.008, 0.01), 206: (0.045, -0.01, 0), 205: (0.03, -0.01, 0.01), 43: (0.1, 0, 0)}
    | {1: (0.012, 0, 0), 152: (0.012, 0, 0)}
)
"""The mouth pushed to the person's left; x is not mirrored."""

JAW_LIPS: Final = tuple(float(x) for x in np.sin(ALONG * np.pi / 2) ** 0.6)
"""How much lip contours follow the jaw between the corner's share and all (lower) or nothing (upper)."""
JAW_CORNER: Final = 0.30
JAW: Final[dict[int, float]] = {
    152: 1, 148: 1, 176: 0.98, 149: 0.95, 150: 0.9, 136: 0.82, 172: 0.68, 58: 0.42, 132: 0.15, 199: 1, 200: 1, 18: 1,
    93: 0, 234: 0, 127: 0, 50: 0, 101: 0, 36: 0, 205: 0.04, 206: 0.03, 164: 0, 2: 0, 98: 0, 117: 0, 118: 0,
    123: 0, 207: 0.22, 187: 0.1, 212: 0.42, 214: 0.5, 202: 0.75, 204: 0.9, 43: 0.6,
}  # fmt: skip
"""How much a point follows the jaw: 1 rigidly, 0 not at all."""
