# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""How alike two films of one face are: pictures in the same frame, and one tracker's landmarks of both.

Landmarks are float32[T, 478, 3] in px, MediaPipe's numbering, x right, y down, z towards the camera.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.pose import RIGID, angles, deposed, frontal, similarity
from training.evaluate.face import LIPS
from training.evaluate.metrics import correlation, mouth_distance

Floats = NDArray[np.float64]
Landmarks = NDArray[np.float32]
Image = NDArray[np.uint8]

LAG_S: Final = 0.4
SKIN: Final = np.arange(468)
_EYES: Final = (33, 263)
_LIDS: Final = ((386, 374, 362, 263), (159, 145, 133, 33))  # left, right: upper, lower, corners
_IRIS: Final = (473, 468)
_CORNERS: Final = (61, 291)
_BROWS: Final = (105, 334)

SIGNALS: Final = ("yaw", "pitch", "roll", "gaze x", "gaze y", "lids", "brows", "corners", "gap")
"""Turns in degrees; gaze: the iris away from the middle of the eye, in its widths, > 0 towards image right and up; lids:
opening over width; brows: height above the eyes; corners: distance of those of the mouth; gap: of the inner lips; in u."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How one signal of the driven film follows the real one.

    Attributes:
        correlation: Pearson's, at no lag; NaN where the real one does not move.
        gain: slope of the driven signal over the real one, at no lag.
        lag_ms: of the best correlation, > 0 when the driven film is late; NaN without any.
        jump: largest change from frame to frame of the driven film over that of the real one.
    """

    correlation: float
    gain: float
    lag_ms: float
    jump: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of a driven film to the real one.

    Attributes:
        lmd: mean distance of the 468 landmarks of the skin, centroids removed, share of the outer-eye distance (u).
        lmd_m: the same of the 40 landmarks of the lips about their own centroid.
        ard: mean absolute difference of yaw, pitch and roll, degrees.
        l1: mean absolute difference of RGB in 0..1.
        ssim: see `ssim`; mean.
        frames: that were compared.
        unseen: frames in which the judge saw no face in the one or the other film; left out of what landmarks tell.
    """

    lmd: float
    lmd_m: float
    ard: float
    l1: float
    ssim: float
    frames: int
    unseen: int


def distances(driven: Landmarks, real: Landmarks, u: float) -> tuple[float, float, float]:
    """LMD and LMD_m in shares of `u` px, and ARD in degrees, of frames with faces."""
    flat = [landmarks[:, :, :2] / u for landmarks in (driven, real)]
    face = frontal(real[0])
    turns = [turned(landmarks, face) for landmarks in (driven, real)]
    return (
        mouth_distance(flat[0][:, SKIN], flat[1][:, SKIN]),
        mouth_distance(flat[0][:, LIPS], flat[1][:, LIPS]),
        float(np.abs(turns[0] - turns[1]).mean()),
    )


def eye_distance(landmarks: Landmarks) -> float:
    """Distance of the outer corners of the eyes in px, median over a film: one u."""
    return float(np.median(np.linalg.norm(landmarks[:, _EYES[0], :2] - landmarks[:, _EYES[1], :2], axis=1)))


def turned(landmarks: Landmarks, face: Floats) -> Floats:
    """float64[T, 3]: yaw, pitch, roll in degrees, away from a face that looks straight ahead."""
    return angles(similarity(landmarks[:, RIGID], face[RIGID])[0])


def signals(landmarks: Landmarks, face: Floats) -> dict[str, Floats]:
    """float64[T] each: `SIGNALS` of a film; the head's turn is taken out of all but the first three."""
    rotation, scale, shift = similarity(landmarks[:, RIGID], face[RIGID])
    own = deposed(landmarks, rotation, scale, shift)
    lids, gazes = [], []
    for (upper, lower, one, other), iris in zip(_LIDS, _IRIS, strict=True):
        across = own[:, max(one, other)] - own[:, min(one, other)]
        width = np.linalg.norm(across[:, :2], axis=1)
        lids.append((own[:, lower, 1] - own[:, upper, 1]) / width)
        gazes.append((own[:, iris, :2] - (own[:, one, :2] + own[:, other, :2]) / 2) / width[:, None])
    gaze = np.mean(gazes, 0)
    eyes = (own[:, 33, 1] + own[:, 133, 1] + own[:, 263, 1] + own[:, 362, 1]) / 4
    rest = {
        "gaze x": gaze[:, 0],
        "gaze y": -gaze[:, 1],
        "lids": np.mean(lids, 0),
        "brows": eyes - own[:, _BROWS, 1].mean(1),
        "corners": np.linalg.norm(own[:, _CORNERS[0]] - own[:, _CORNERS[1]], axis=1),
        "gap": own[:, 14, 1] - own[:, 13, 1],
    }
    return dict(zip(("yaw", "pitch", "roll"), angles(rotation).T, strict=True)) | rest


def followed(driven: Mapping[str, Floats], real: Mapping[str, Floats], fps: float) -> dict[str, Followed]:
    """How each signal follows; both films at the same frames."""
    return {name: _followed(driven[name], real[name], fps) for name in SIGNALS}


def _followed(driven: Floats, real: Floats, fps: float) -> Followed:
    most = round(LAG_S * fps)
    n = len(real)
    by_lag = np.array(
        [correlation(driven[max(k, 0) : n + min(k, 0)], real[max(-k, 0) : n - max(k, 0)]) for k in range(-most, most + 1)]
    )
    away = real - real.mean()
    gain = float(away @ driven / max(away @ away, 1e-12))
    fastest = float(np.abs(np.diff(real)).max())
    jump = float(np.abs(np.diff(driven)).max()) / max(fastest, 1e-9)
    return Followed(correlation(driven, real), gain, _peak_ms(by_lag, fps), jump)


def _peak_ms(by_lag: Floats, fps: float) -> float:
    """Place of the highest correlation, refined by a parabola; NaN without a clear one or at the end of the range."""
    if not np.isfinite(by_lag).all() or by_lag.max() < 0.3:
        return float("nan")
    k = int(np.argmax(by_lag))
    if k in (0, len(by_lag) - 1):
        return float("nan")
    before, at, after = by_lag[k - 1 : k + 2]
    bend = before - 2 * at + after
    return float((k - len(by_lag) // 2 + (0.5 * (before - after) / bend if bend < 0 else 0.0)) * 1000 / fps)


def l1(driven: Image, real: Image) -> float:
    """Mean absolute difference of uint8[H, W, 3], in 0..1."""
    return float(np.abs(driven.astype(np.float32) - real).mean() / 255)


def ssim(driven: Image, real: Image) -> float:
    """Structural similarity of uint8[H, W, 3], mean over the channels.

    Wang et al. 2004: Gaussian window of 11 px and sigma 1.5, C1 = (0.01 L)^2, C2 = (0.03 L)^2.
    """
    a, b = driven.astype(np.float64), real.astype(np.float64)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    index = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(index[5:-5, 5:-5].mean())


def _blurred(picture: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (11, 11), 1.5), np.float64)
