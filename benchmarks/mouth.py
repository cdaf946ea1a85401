"""The mouth as it is seen: how open it is, from pixels alone, and how far it lags behind the sound.

A clock painted into a picture proves labels, not lips. Here nothing is asked
of the engine but its pictures: within a window around the mouth, an open mouth
shows what lips do not, the dark between them and the teeth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ

_SLOW_S = 1.0  # what changes more slowly than this is light and head motion, not syllables
_SMOOTH_S = 0.04


@dataclass(frozen=True, slots=True)
class Window:
    """Rows `top`..`bottom` and columns `left`..`right` of the picture."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def around(cls, landmarks: NDArray[np.float32], size: int, frame: int) -> "Window":
        """Between the mouth's corners and from the upper lip to half a chin below the lower one.

        Args:
            landmarks: float32[478, 3], MediaPipe's numbering, px of a picture of `frame` px.
            size: of the picture that is measured, px.
            frame: of the landmarks' picture, px.
        """
        points = landmarks[:, :2] * (size / frame)
        corners, upper, lower, chin = points[[61, 291]], points[0], points[17], points[152]
        return cls(
            top=round(float(upper[1])),
            bottom=round(float(lower[1] + 0.5 * (chin[1] - lower[1]))),
            left=round(float(corners[:, 0].min())),
            right=round(float(corners[:, 0].max())),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.bottom - self.top, self.right - self.left

    def cut(self, luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window's part of a luma plane uint8[H, W], a view."""
        return luma[self.top : self.bottom, self.left : self.right]


def opening(windows: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How open the mouth is in each of uint8[N, h, w] windows: float64[N], share of the window that is as dark as no lip is.

    What counts as dark is taken from the pictures themselves: a third of the
    way from the darkest to the usual. The scale is arbitrary; only its course counts.
    """
    pixels = windows.astype(np.float64)
    usual = float(np.median(pixels))
    darkest = float(np.percentile(pixels, 0.5))
    threshold, softness = darkest + 0.4 * (usual - darkest), max(0.1 * (usual - darkest), 1.0)
    return (1 / (1 + np.exp((pixels - threshold) / softness))).mean(axis=(1, 2))


def loudness(sound: NDArray[np.float32], centres: NDArray[np.int64], span: int = SAMPLE_RATE_HZ // 25) -> NDArray[np.float64]:
    """Perceived strength (power to the 0.3) of `span` samples about each of the positions `centres` in `sound`."""
    energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    low = np.clip(centres - span // 2, 0, len(sound))
    high = np.clip(centres + span // 2, 0, len(sound))
    return (np.maximum(energy[high] - energy[low], 0) / span) ** 0.3


@dataclass(frozen=True, slots=True)
class Lag:
    """Of the mouth behind the sound, in ms, where their correlation is largest; and that correlation."""

    milliseconds: float
    correlation: float


def lag_behind(
    sound: NDArray[np.float32], start: int, depicted: NDArray[np.int64], openings: NDArray[np.float64], reach_ms: int = 300
) -> Lag | None:
    """How far the mouth seen in pictures lags behind the sound they were sent with.

    Args:
        sound: float32[N] at 48 kHz, what was sent, beginning at sample `start` of the media clock.
        start: see there.
        depicted: int64[K], the instant of each picture on that clock.
        openings: float64[K], see `opening`.
        reach_ms: the largest lag looked for, each way.

    Returns:
        None when there is too little sound or motion to tell.
    """
    if len(depicted) < 25 or float(np.ptp(openings)) == 0:
        return None
    frame_s = float(np.median(np.diff(depicted))) / SAMPLE_RATE_HZ
    lips = _syllabic(openings, frame_s)
    step_ms = 5
    lags = np.arange(-reach_ms, reach_ms + step_ms, step_ms)
    found = np.zeros(len(lags))
    for i, lag in enumerate(lags.tolist()):
        heard = loudness(sound, depicted - start - round(lag * SAMPLE_RATE_HZ / 1000))
        found[i] = _correlation(_syllabic(heard, frame_s), lips)
    best = int(found.argmax())
    return Lag(float(lags[best]) + step_ms * _vertex(found, best), float(found[best]))


def _vertex(values: NDArray[np.float64], best: int) -> float:
    """Where the parabola through the best value and its neighbours has its top, in steps from the best."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, here, after = (float(values[best + i]) for i in (-1, 0, 1))
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend


def _syllabic(values: NDArray[np.float64], frame_s: float) -> NDArray[np.float64]:
    return _mean_over(values, _SMOOTH_S / frame_s) - _mean_over(values, _SLOW_S / frame_s)


def _mean_over(values: NDArray[np.float64], frames: float) -> NDArray[np.float64]:
    """Mean over an odd number of frames about each, fewer at the ends."""
    half = max(0, round((frames - 1) / 2))
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
