# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Cutting a photo into the person and what is behind."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.fill import Image, Plane, continue_outwards, fill_smooth, guided
from engine.rig.avatar import FRAME
from engine.rig.mesh import Floats
from engine.rig.topology import OVAL

MIRROR_REACH = 45.0  # px, how deep the background is continued by its mirror image
GRAIN = 1.05  # grey levels, noise of the smooth part of the background


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Attributes: `person` RGB bled past its edge; `alpha` float32[FRAME, FRAME] 0..1; `background` RGB, person filled in."""

    person: Image
    alpha: Plane
    background: Image


def split_layers(crop: NDArray[np.uint8], matte: Plane, landmarks: Floats) -> Layers:
    """The layers of a crop, given a rough person matte."""
    alpha = _alpha(crop, matte, landmarks)
    image = crop.astype(np.float32)
    hole = cv2.dilate((alpha > 0.04).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17))) > 0
    background = continue_outwards(image, hole, MIRROR_REACH)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    noise = np.random.default_rng(0).normal(0, GRAIN, (FRAME, FRAME, 1)) * np.clip(depth / MIRROR_REACH, 0, 1)[..., None]
    solid = alpha > 0.9
    person = np.where(solid[..., None], image, fill_smooth(image, solid.astype(np.float32)))
    return Layers(person.astype(np.float32), alpha, np.clip(background + noise, 0, 255).astype(np.float32))


def _inside(oval: NDArray[np.uint8], soft: Plane) -> Plane:
    """1 well inside the face, and near its border where the matte does not plainly say otherwise."""
    deep = cv2.erode(oval, np.ones((21, 21), np.uint8)) / 255.0
    near = cv2.erode(oval, np.ones((5, 5), np.uint8)) / 255.0 * np.clip((soft - 0.10) / 0.2, 0, 1)
    return np.maximum(deep, near).astype(np.float32)


def _alpha(crop: NDArray[np.uint8], matte: Plane, landmarks: Floats) -> Plane:
    soft = cv2.GaussianBlur(matte.astype(np.float32), (0, 0), 1.2)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    soft = guided(np.asarray(grey, np.float32), np.asarray(soft, np.float32), 6, 60.0)
    oval = np.zeros((FRAME, FRAME), np.uint8)
    cv2.fillConvexPoly(oval, cv2.convexHull(landmarks[list(OVAL), :2].astype(np.int32)), 255)
    alpha = np.maximum(np.clip((soft - 0.35) / 0.4, 0, 1), _inside(oval, soft))
    _, label = cv2.connectedComponents((alpha > 0.5).astype(np.uint8))
    nose = np.clip(landmarks[1, :2], 0, FRAME - 1).astype(int)
    own = cv2.dilate((label == label[nose[1], nose[0]]).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    alpha = alpha * own
    count, label, stats, _ = cv2.connectedComponentsWithStats((alpha < 0.5).astype(np.uint8))
    for i in range(1, count):  # small holes inside the person belong to the person
        x, y, w, h, area = (int(v) for v in stats[i])
        if x > 0 and y > 0 and x + w < FRAME and y + h < FRAME and area < 3000:
            alpha[label == i] = 1
    return alpha.astype(np.float32)
