"""What landmarks are trained and judged by, in shares of the outer-eye distance."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.face.pose import RIGID, angles, similarity
from engine.rig.topology import (
    BROW,
    LID_LOWER,
    LID_UPPER,
    LIP_LOWER,
    LIP_LOWER_OUTER,
    LIP_UPPER,
    LIP_UPPER_OUTER,
    OVAL,
    SIDES,
)

Floats = NDArray[np.floating]

IRISES: Final = np.arange(468, 478)
OUTER: Final = (33, 263)
"""Outer corners of the eyes."""
LIPS_APART: Final = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))
"""Upper and lower inner lip."""
LIDS_APART: Final = (((159, 145), (158, 153), (160, 144)), ((386, 374), (385, 380), (387, 373)))
"""Upper and lower lid of the right and of the left eye."""
_LIDS: Final = tuple(point for side in SIDES for point in (*LID_UPPER[side], *LID_LOWER[side]))
_LIPS: Final = (*LIP_UPPER, *LIP_LOWER, *LIP_UPPER_OUTER, *LIP_LOWER_OUTER)
RELATIONS: Final = np.array(
    [
        *LIPS_APART,
        *((78, 308), (61, 291), (0, 13), (14, 17)),
        *(pair for eye in LIDS_APART for pair in eye),
        *((66, 133), (105, 33), (105, 133), (107, 133), (296, 362), (334, 263), (334, 362), (336, 362), (107, 336)),
        *((61, 1), (291, 1), (61, 152), (291, 152), (50, 1), (280, 1)),
    ]
)
"""intp[R, 2]: pairs whose distance says more than their place: how far lips and lids are apart, where brows, corners of the
mouth and cheeks have gone. Where irises look is left to the closer look (`training.tracker.eyes`)."""
_SMALL: Final = 0.004  # below this share an error counts by its square


def weights() -> NDArray[np.float32]:
    """float32[478]: how much the error of each landmark counts, 1 on average."""
    weight = np.ones(478, np.float32)
    for points, value in ((OVAL, 1.5), ([p for side in SIDES for p in BROW[side]], 4.0), (_LIPS, 3.0), (_LIDS, 3.0)):
        weight[list(points)] = value
    return weight / weight.mean()


def across(landmarks: Floats) -> NDArray[np.float64]:
    """float64[N]: distance in the picture of the outer eye corners of float[N, 478, 2 or 3]."""
    return np.linalg.norm(landmarks[:, OUTER[0], :2] - landmarks[:, OUTER[1], :2], axis=1).astype(np.float64)


class PointLoss:
    """Distance from the labels in the picture, in depth, and of points that belong together; in shares of u in space."""

    def __init__(self, depth: float = 0.3, relation: float = 1.0) -> None:
        self._weight = torch.from_numpy(weights())
        self._pairs = torch.from_numpy(RELATIONS)
        self._depth, self._relation = depth, relation

    def __call__(self, found: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Total, and its parts before they are weighted: in the picture, depth, relations in space; float32[N, 478, 3] both."""
        u = (wanted[:, OUTER[0]] - wanted[:, OUTER[1]]).norm(dim=1)[:, None, None]
        error = (found - wanted) / u
        flat = (rounded(error[..., :2]) * self._weight).mean()
        depth = (rounded(error[..., 2:]) * self._weight).mean()
        relation = rounded(error[:, self._pairs[:, 0]] - error[:, self._pairs[:, 1]]).mean()
        return flat + self._depth * depth + self._relation * relation, flat, depth, relation


def rounded(error: Tensor) -> Tensor:
    """Length of float[..., D], rounded off at 0 (Charbonnier)."""
    return torch.sqrt((error**2).sum(-1) + _SMALL**2) - _SMALL


def distances(found: Floats, wanted: Floats) -> NDArray[np.float64]:
    """float64[N, 478]: distance in the picture in percent of the outer-eye distance."""
    gap = np.linalg.norm(found[..., :2] - wanted[..., :2], axis=2)
    return 100 * gap / across(wanted)[:, None]


def gap(landmarks: Floats, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """float64[N]: mean distance in space of pairs of landmarks float[N, 478, 3], in shares of the outer-eye distance."""
    one, other = np.array(pairs).T
    far = np.linalg.norm(landmarks[:, one] - landmarks[:, other], axis=2).mean(1)
    return (far / np.linalg.norm(landmarks[:, OUTER[0]] - landmarks[:, OUTER[1]], axis=1)).astype(np.float64)


def correlation(found: Floats, wanted: Floats) -> float:
    """Pearson's r; NaN where either does not vary."""
    if len(found) < 3 or not np.ptp(found) or not np.ptp(wanted):
        return float("nan")
    return float(np.corrcoef(found, wanted)[0, 1])


def turned_apart(found: Floats, wanted: Floats) -> NDArray[np.float64]:
    """float64[N, 3]: yaw, pitch and roll in degrees by which a rigid fit turns `wanted` onto `found`, float[N, 478, 3]."""
    rotations = [similarity(f[None, RIGID], w[RIGID])[0][0] for f, w in zip(found, wanted, strict=True)]
    return angles(np.array(rotations))


def measures(found: Floats, wanted: Floats) -> dict[str, float]:
    """What one looks at: mean errors in percent of u, correlations of lips' and lids' gaps, degrees of pose."""
    error = distances(found, wanted)
    lids = [correlation(gap(found, eye), gap(wanted, eye)) for eye in LIDS_APART]
    return {
        "error": float(error.mean()),
        "iris": float(error[:, IRISES].mean()),
        "lips": float(error[:, list(_LIPS)].mean()),
        "p95": float(np.percentile(error.mean(1), 95)),
        "gap_r": correlation(gap(found, LIPS_APART[:3]), gap(wanted, LIPS_APART[:3])),
        "lid_r": float(np.mean(lids)),
        "pose": float(np.abs(turned_apart(found, wanted)).mean()),
    }
