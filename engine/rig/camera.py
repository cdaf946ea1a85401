"""The working frame's camera: from image place and depth to the camera frame and back, and rotations in it.

See `engine.rig.avatar` for the frame of reference and `engine.contract.motion` for the signs of the angles.
"""

import numpy as np
from numpy.typing import NDArray

from engine.rig.avatar import CAMERA, FRAME

Floats = NDArray[np.float64]


def unproject(points: Floats) -> Floats:
    """float64[..., 3]: camera frame of points given as image x, y (px) and depth z, so that projecting returns the pixel."""
    scale = (CAMERA - points[..., 2:]) / CAMERA
    return np.concatenate([(points[..., :2] - FRAME / 2) * scale, points[..., 2:]], -1)


def project(points: Floats) -> Floats:
    """float64[..., 2]: image px of points in the camera frame."""
    return FRAME / 2 + points[..., :2] * (CAMERA / (CAMERA - points[..., 2:]))


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float32]:
    """float32[3, 3]: turn by yaw, then pitch, then roll (nose to image right, nose up, clockwise)."""
    y, p, r = np.deg2rad((yaw_deg, pitch_deg, roll_deg))
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)
