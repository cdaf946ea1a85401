"""The mark that says: this face is synthetic."""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

TEXT: Final = "AI"
_WHITE, _GREY, _PLATE = 235.0, 128, 40.0  # limited range
_PLATE_OPACITY = 0.55


def burn(i420: NDArray[np.uint8]) -> None:
    """Blend the badge into the lower right corner of an I420 picture uint8[size * 3 // 2, size], in place."""
    size = i420.shape[1]
    ink, plate = _stencil(size)
    height, width = plate.shape
    margin = _even(size / 36)
    top, left = size - margin - height, size - margin - width
    luma = i420[top : top + height, left : left + width]
    luma[:] = luma + plate * (_PLATE - luma) * (1 - ink) + ink * (_WHITE - luma)
    half, chroma_plate = size // 2, plate[::2, ::2]
    for plane in i420[size:].reshape(2, half, half):
        chroma = plane[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
        chroma[:] = chroma + chroma_plate * (_GREY - chroma.astype(np.float32))


@lru_cache
def _stencil(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Opacity float32[h, w] of the letters and of the rounded plate behind them, h and w even."""
    height, width = _even(size / 16), _even(size / 10)
    scale = 4
    plate = np.zeros((height * scale, width * scale), np.uint8)
    radius = height * scale // 3
    cv2.rectangle(plate, (radius, 0), (width * scale - radius - 1, height * scale - 1), 255, -1)
    cv2.rectangle(plate, (0, radius), (width * scale - 1, height * scale - radius - 1), 255, -1)
    for x in (radius, width * scale - radius - 1):
        for y in (radius, height * scale - radius - 1):
            cv2.circle(plate, (x, y), radius, 255, -1)
    ink = np.zeros_like(plate)
    font, size_px, weight = cv2.FONT_HERSHEY_SIMPLEX, height * scale / 38, max(1, height * scale // 12)
    (w, h), _ = cv2.getTextSize(TEXT, font, size_px, weight)
    cv2.putText(ink, TEXT, ((width * scale - w) // 2, (height * scale + h) // 2), font, size_px, 255, weight, cv2.LINE_AA)
    return _shrunk(ink, width, height), _shrunk(plate, width, height) * np.float32(_PLATE_OPACITY)


def _shrunk(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)


def _even(length: float) -> int:
    return 2 * round(length / 2)
