"""From RGB to what encoders take."""

import cv2
import numpy as np
from numpy.typing import NDArray


def to_i420(rgb: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Write a picture uint8[H, W, 3] as I420, BT.601 limited range, into `out` uint8[H * 3 // 2, W]; allocates nothing.

    Raises:
        ValueError: if H or W is odd or `out` has another shape.
    """
    height, width = rgb.shape[:2]
    if height % 2 or width % 2 or out.shape != (height * 3 // 2, width) or not out.flags.c_contiguous:
        raise ValueError(f"I420 of {height} x {width} needs even sides and a contiguous [H * 3 // 2, W], got {list(out.shape)}")
    cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420, dst=out)
