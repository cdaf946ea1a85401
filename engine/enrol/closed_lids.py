# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Closed eyelids, painted from the skin around the eye, as overlays that fade in with a blink."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.contours import contour_y, polygon_mask
from engine.enrol.fill import Image, Plane, fill_smooth
from engine.rig.avatar import FRAME, Overlay
from engine.rig.lids import CLOSING
from engine.rig.mesh import Floats, smoothstep
from engine.rig.topology import BROW, LID_LOWER, LID_UPPER, Side

FULL_AT = 0.3  # of a blink


def closed_lid(
    crop: NDArray[np.uint8], landmarks: Floats, uv: Floats, blink: Floats, face_vertices: int, side: Side
) -> Overlay:
    """The overlay of one eye.

    Args:
        crop: uint8[FRAME, FRAME, 3] RGB.
        landmarks: px.
        uv: float64[V, 2] of the whole mesh.
        blink: float64[N, 3] px of the face's first N vertices at a full blink.
        face_vertices: N.
        side: whose eye.
    """
    upper = landmarks[list(LID_UPPER[side]), :2]
    lower = landmarks[list(LID_LOWER[side]), :2]
    centre, width = np.concatenate([upper, lower]).mean(0), float(np.linalg.norm(upper[0] - upper[-1]))
    x0, y0 = np.maximum(0, centre - 1.1 * width).astype(int)
    x1, y1 = np.minimum(FRAME, centre + 1.1 * width).astype(int)
    painted = _paint(crop, landmarks, side, (x0, y0, x1, y1))
    texture = np.dstack([painted.clip(0, 255), np.full(painted.shape[:2], 255)]).astype(np.uint8)
    mask = np.zeros(len(uv), np.float32)
    near = np.linalg.norm(uv[:face_vertices] - centre, axis=1) < 0.95 * width
    mask[:face_vertices] = near
    at = uv.copy()
    at[:face_vertices][near] += blink[near, :2]
    at = (at - [x0, y0]).clip(0.5, [x1 - x0 - 1.6, y1 - y0 - 1.6])
    return Overlay(texture, at.astype(np.float32), mask, f"eyeBlink{side}", FULL_AT)


def _paint(crop: NDArray[np.uint8], landmarks: Floats, side: Side, box: tuple[int, int, int, int]) -> Image:
    x0, y0, x1, y1 = box
    upper, lower = landmarks[list(LID_UPPER[side]), :2], landmarks[list(LID_LOWER[side]), :2]
    width = float(np.linalg.norm(upper[0] - upper[-1]))
    height = max(float((lower[3:6, 1] - upper[3:6, 1]).mean()), 2.0)
    eye = polygon_mask(np.concatenate([upper, lower[::-1]]))
    photo = crop[y0:y1, x0:x1].astype(np.float32)
    replaced = _replaced(photo, eye, width, box)
    brow = cv2.dilate(
        polygon_mask(cv2.convexHull(landmarks[list(BROW[side]), :2].astype(np.float32))[:, 0]), np.ones((7, 7), np.uint8)
    )
    skin = _skin(photo, replaced, brow[y0:y1, x0:x1], width)
    soft = cv2.GaussianBlur(cv2.dilate(replaced.astype(np.float32), np.ones((3, 3), np.uint8)), (0, 0), 0.06 * width + 0.6)[
        ..., None
    ]
    base = photo * (1 - soft) + skin * soft
    yy, xx = np.mgrid[y0:y1, x0:x1].astype(np.float64)
    low, high = (contour_y(landmarks, c[side], xx.ravel()).reshape(xx.shape) for c in (LID_LOWER, LID_UPPER))
    closing = low - CLOSING * (low - high)
    along = (xx - upper[:, 0].min()) / (np.ptp(upper[:, 0]) + 1e-6)
    ends = smoothstep(-0.03, 0.15, along) * (1 - smoothstep(0.86, 1.05, along))
    thick = 0.022 * width + 0.4
    above = (closing - yy) / (height * 0.9 + 1)
    shade = 0.16 * np.exp(-np.maximum(above, 0) * 3) * (yy < closing) + 0.05 * np.exp(-(((above - 1.1) / 0.2) ** 2))
    shade = (
        shade
        + 0.10 * np.exp(-(((yy - closing - 2.2 * thick) / (2 * thick)) ** 2))
        - 0.05 * np.exp(-(((above - 0.55) / 0.25) ** 2))
    )
    line = (np.exp(-(((yy - closing) / thick) ** 2)) * ends * 0.8)[..., None]
    dark = np.percentile(photo[eye[y0:y1, x0:x1] > 0], 6, axis=0) * 0.9
    return (base * (1 - (ends * shade)[..., None]) * (1 - line) + dark * line).astype(np.float32)


def _replaced(photo: Image, eye: NDArray[np.uint8], width: float, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """1 where the photo shows eye, lashes, liner or crease, which a closed lid does not."""
    x0, y0, x1, y1 = box
    r = max(2, round(0.085 * width))
    big = cv2.dilate(eye, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 3, 2 * r + 3)))
    lashes = np.array([[1, 0, 0], [0, 1, -0.05 * width]], np.float32)
    big = (big | cv2.warpAffine(big, lashes, (FRAME, FRAME)))[y0:y1, x0:x1]
    near, wide = (
        cv2.dilate(eye, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(k * width) + 1,) * 2))[y0:y1, x0:x1]
        for k in (0.17, 0.45)
    )
    brightness = photo.sum(2)
    around = brightness[(wide > 0) & (near == 0)]
    threshold = 0.66 * float(np.percentile(around, 60)) if around.size else 0.0
    liner = ((near > 0) & (brightness < threshold)).astype(np.uint8)
    return np.asarray(big | cv2.dilate(liner, np.ones((3, 3), np.uint8)), np.uint8)


def _skin(photo: Image, replaced: NDArray[np.uint8], brow: NDArray[np.uint8], width: float) -> Image:
    """Skin for the lid: filled from the brighter half of the ring around the eye, then tinted to the ring's middle."""
    size = 2 * int(0.16 * width) + 1
    around = cv2.dilate(replaced, np.ones((size, size), np.uint8)) > 0
    ring = around & (replaced == 0) & (brow == 0)
    brightness = photo.sum(2)
    threshold = float(np.percentile(brightness[ring], 50)) if ring.any() else 300.0
    bright = np.where(around, np.clip((brightness - threshold) / 40 + 0.05, 0.004, 1), 0)
    weight: Plane = ((1 - replaced) * (1 - brow) * bright + 1e-7).astype(np.float32)
    skin = cv2.GaussianBlur(fill_smooth(photo, weight), (0, 0), 1.0)
    if ring.any():
        skin = skin * np.clip(np.median(photo[ring], 0) / (np.median(skin[replaced > 0], 0) + 1), 0.70, 1.05)
    return skin.astype(np.float32)


def overlays_of(
    crop: NDArray[np.uint8], landmarks: Floats, uv: Floats, shapes: Mapping[str, Floats], face_vertices: int
) -> tuple[Overlay, ...]:
    """Both eyes' closed lids."""
    return tuple(closed_lid(crop, landmarks, uv, shapes[f"eyeBlink{side}"], face_vertices, side) for side in ("Left", "Right"))
