# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Inventing pixels: smooth fills and continuations of what lies beside a hole."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""float32[h, w, 3] RGB 0..255."""
Plane = NDArray[np.float32]
"""float32[h, w]."""


def fill_smooth(image: Image, weight: Plane) -> Image:
    """Keep pixels of weight 1, fill the others smoothly from them (pull-push pyramid)."""
    levels: list[tuple[Image, Plane]] = [(image * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        colour, w = levels[-1]
        size = ((w.shape[1] + 1) // 2, (w.shape[0] + 1) // 2)
        colour, w = cv2.resize(colour, size, interpolation=cv2.INTER_AREA), cv2.resize(w, size, interpolation=cv2.INTER_AREA)
        gain = np.minimum(1, w * 4) / np.maximum(w, 1e-6)
        levels.append((np.asarray(colour * gain[..., None], np.float32), np.asarray(w * gain, np.float32)))
    colour, w = levels[-1]
    current = colour / np.maximum(w, 1e-6)[..., None]
    for colour, w in levels[-2::-1]:
        up = cv2.resize(current, (w.shape[1], w.shape[0]), interpolation=cv2.INTER_LINEAR)
        current = colour + up * (1 - w)[..., None]
    return np.asarray(current, np.float32)


def continue_outwards(image: Image, hole: NDArray[np.bool_], reach: float) -> Image:
    """Fill `hole` with the mirror image of what lies beside it, fading into a smooth fill `reach` px deep.

    Near its rim the hole so has the grain and the structure of its
    surroundings; deep inside, where nothing is known, it is smooth.
    """
    known = (~hole).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(fill_smooth(image, known), (0, 0), 5), np.float32)
    if not hole.any() or hole.all():
        return smooth if hole.any() else image
    depth, found = cv2.distanceTransformWithLabels(hole.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(found, np.intp)
    rows, columns = np.nonzero(~hole)
    place = np.zeros((int(labels.max()) + 1, 2), np.float32)
    place[labels[rows, columns]] = np.stack([columns, rows], 1)
    nearest = np.asarray(cv2.GaussianBlur(place[labels], (0, 0), 2), np.float32)
    y, x = np.mgrid[: hole.shape[0], : hole.shape[1]].astype(np.float32)
    mirrored = cv2.remap(
        image, 2 * nearest[..., 0] - x, 2 * nearest[..., 1] - y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    trusted = cv2.remap(
        known, 2 * nearest[..., 0] - x, 2 * nearest[..., 1] - y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    share = (np.exp(-((depth / reach) ** 2)) * trusted)[..., None]
    filled = mirrored * share + smooth * (1 - share)
    return np.where(hole[..., None], filled, image).astype(np.float32)


def guided(guide: Plane, plane: Plane, radius: int, epsilon: float) -> Plane:
    """`plane` smoothed along the edges of `guide` (He et al., Guided image filtering, eq. 5-8, grey guide)."""
    size = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_p = cv2.blur(guide, size), cv2.blur(plane, size)
    slope = (cv2.blur(guide * plane, size) - mean_g * mean_p) / (cv2.blur(guide * guide, size) - mean_g**2 + epsilon)
    return np.asarray(cv2.blur(slope, size) * guide + cv2.blur(mean_p - slope * mean_g, size), np.float32)
