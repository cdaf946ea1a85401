"""The jaw: a hinge near the ears and a smooth field that says how much of the face follows it."""

from dataclasses import dataclass

import numpy as np

from engine.rig import handles as table
from engine.rig.mesh import Floats, Sparse, biharmonic
from engine.rig.topology import LIP_LOWER, LIP_UPPER, mirror_of

OPEN_DEG = 19.0  # turn of the jaw at jawOpen = 1
SIDE = 0.095  # u at jawLeft = 1
FORWARD = 0.09  # u at jawForward = 1


@dataclass(frozen=True, slots=True, eq=False)
class Jaw:
    """Attributes: `hinge` float64[3]; `axes`, `u` of the head; `follow` float64[468], 1 where the face moves with the bone."""

    hinge: Floats
    axes: Floats
    u: float
    follow: Floats

    def opened(self, points: Floats) -> Floats:
        """float64[N, 3] displacement of points fixed to the jaw when it opens fully."""
        local = (points - self.hinge) @ self.axes
        c, s = np.cos(np.deg2rad(OPEN_DEG)), np.sin(np.deg2rad(OPEN_DEG))
        turned = local.copy()
        turned[:, 1] = c * local[:, 1] + s * local[:, 2]
        turned[:, 2] = -s * local[:, 1] + c * local[:, 2]
        return (turned - local) @ self.axes.T

    def shapes(self, points: Floats) -> dict[str, Floats]:
        """The face's shapes that the jaw makes; jawSide is towards the person's left."""
        along = self.follow[:, None]
        forward = along * (self.axes @ np.array([0, 0, FORWARD]) * self.u)
        forward[list(LIP_UPPER)] = forward[list(LIP_LOWER)]  # the upper lip goes along: a jaw pushed forward does not part lips
        return {
            "jawOpen": along * self.opened(points),
            "jawForward": forward,
            "jawSide": along * (self.axes @ np.array([SIDE, 0, 0]) * self.u),
        }


def jaw_of(points: Floats, axes: Floats, u: float, lap: Sparse) -> Jaw:
    """The jaw of a face."""
    share: dict[int, float] = {}
    mirror = mirror_of()
    upper = [table.JAW_CORNER * (1 - x) for x in table.JAW_LIPS]
    lower = [table.JAW_CORNER + (1 - table.JAW_CORNER) * x for x in table.JAW_LIPS]
    contours = (
        (table.UPPER_INNER, upper), (table.UPPER_OUTER, upper), (table.LOWER_INNER, lower), (table.LOWER_OUTER, lower),
    )  # fmt: skip
    for contour, amounts in contours:
        share |= dict(zip(contour, amounts, strict=True))
    share |= table.JAW
    share |= {int(mirror[p]): v for p, v in share.items()}
    for p in table.HELD:
        share.setdefault(p, 0.0)
    values = np.array(list(share.values()))[:, None]
    follow = biharmonic(lap, np.array(list(share)), values, np.array([], np.intp), rest=1e-4, grip=8.0)[:, 0]
    hinge = points[[93, 323]].mean(0) * 0.5 + points[[234, 454]].mean(0) * 0.5
    return Jaw(hinge, axes, u, np.clip(follow, 0, 1.02))
