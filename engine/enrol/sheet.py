# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Everything of the person outside the face: hair, ears, neck and torso, one sheet that continues the face's border."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay, KDTree

from engine.enrol.face import Face
from engine.enrol.fill import Plane
from engine.rig.avatar import FRAME
from engine.rig.mesh import Floats, Ints, harmonic, laplacian, smoothstep
from engine.rig.topology import OVAL

GRID = 8  # px between the sheet's vertices
MARGIN = 40  # px by which the sheet passes the picture's border
BORDER = 70  # px over which the sheet is pinned towards the picture's border


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Vertices that follow the face's; `triangles` index both.

    Attributes:
        points: float64[N, 3], image x, y and depth.
        triangles: intp[T, 3], face vertices first.
        weight: float64[N], 1 moves with the head, 0 stands still.
        shapes: float64[N, 3] px by name.
    """

    points: Floats
    triangles: Ints
    weight: Floats
    shapes: dict[str, Floats]


def build_sheet(face: Face, landmarks: Floats, alpha: Plane) -> Sheet:
    """The sheet of a portrait: depth by a prior of heads, weight and expressions fading out from the face's border."""
    grid, triangles = _triangulate(face, alpha)
    n = len(face.points)
    count, free, border = n + len(grid), np.arange(n, n + len(grid)), np.unique(face.outline)
    lap = laplacian(triangles, count)
    width = float(np.ptp(landmarks[list(OVAL), 0]))
    below = _below_chin(grid, landmarks)
    distance, nearest = KDTree(face.points[face.outline, :2]).query(grid)
    rim = face.points[face.outline, 2][nearest]
    prior = _depth_prior(below, distance, rim, width, float(face.points[face.outline, 2].mean()))
    depth = harmonic(lap, free, border, face.points[border, 2], 0.25, prior)
    head = 1 - smoothstep(-0.04, 0.42, below) * smoothstep(0.04 * width, 0.22 * width, distance)
    weight = np.clip(harmonic(lap, free, border, np.ones(len(border)), 0.5, head), 0, 1)
    edge = np.minimum.reduce([grid[:, 0], FRAME - 1 - grid[:, 0], FRAME - 1 - grid[:, 1]])
    weight = np.clip((weight * smoothstep(-5, BORDER, edge) - 0.01) / 0.99, 0, 1)
    names = list(face.shapes)
    stacked = np.concatenate([face.shapes[k][border] for k in names], 1)
    spread = harmonic(lap, free, border, stacked, 0.03, 0.0)
    spread *= smoothstep(0, 0.15, weight)[:, None]  # what stands still for the head does so for the face
    shapes = {k: spread[:, 3 * i : 3 * i + 3] for i, k in enumerate(names)}
    return Sheet(np.concatenate([grid, depth[:, None]], 1), triangles, weight, shapes)


def moving(sheet: Sheet, face: Face) -> Plane:
    """float32[FRAME, FRAME] 0..1: where the picture may move, smoothly; elsewhere the photo itself stands."""
    axis = np.arange(0, FRAME, 8)
    places = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    distance, index = KDTree(np.concatenate([sheet.points[:, :2], face.points[:, :2]])).query(places)
    weight = np.where(distance > 24, 1, np.concatenate([sheet.weight, np.ones(len(face.points))])[index])
    plane = cv2.resize(weight.reshape(len(axis), -1).astype(np.float32), (FRAME, FRAME))
    return smoothstep(0.03, 0.2, cv2.GaussianBlur(plane, (0, 0), 6)).astype(np.float32)


def _below_chin(grid: Floats, landmarks: Floats) -> Floats:
    """Height of each point below the chin, in face heights."""
    axis = landmarks[152, :2] - landmarks[10, :2]
    height = float(np.linalg.norm(axis))
    return (grid - landmarks[152, :2]) @ axis / height**2


def _depth_prior(below: Floats, distance: Floats, rim: Floats, width: float, mean_rim: float) -> Floats:
    z = rim - 0.12 * width * (1 - np.exp(-distance / (0.25 * width)))
    neck = smoothstep(0.06 * width, 0.42 * width, distance) * smoothstep(-0.10, 0.30, below)
    z = z * (1 - neck) + np.minimum(z, mean_rim - 0.16 * width) * neck
    skull = rim - 0.34 * width * (1 - np.sqrt(np.clip(1 - (distance / (0.75 * width)) ** 2, 0, 1)))
    return np.where(below < -0.75, skull, z)


def _triangulate(face: Face, alpha: Plane) -> tuple[Floats, Ints]:
    """A regular grid over the person outside the face, triangulated together with the face's border."""
    outline = face.points[face.outline, :2]
    covered = np.zeros((FRAME, FRAME), np.uint8)
    cv2.fillPoly(covered, [np.round(outline).astype(np.int32)], 255)
    covered = cv2.dilate(covered, np.ones((7, 7), np.uint8))
    axis = np.arange(-MARGIN, FRAME + MARGIN + 1, GRID)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype(np.float64)
    inside = ((grid >= 0) & (grid < FRAME)).all(1)
    at = np.clip(grid.astype(int), 0, FRAME - 1)
    near = cv2.dilate(alpha, np.ones((2 * GRID + 1, 2 * GRID + 1), np.uint8))[at[:, 1], at[:, 0]] > 0.02
    grid = grid[~((covered[at[:, 1], at[:, 0]] > 0) & inside) & near]
    points = np.concatenate([outline, grid])
    triangles = np.asarray(Delaunay(points).simplices, np.intp)
    corners = points[triangles]
    hull = outline.astype(np.float32)[:, None]
    centres = corners.mean(1).tolist()
    in_face = np.array([cv2.pointPolygonTest(hull, (float(x), float(y)), False) > 0 for x, y in centres])
    longest = np.max([np.linalg.norm(corners[:, i] - corners[:, i - 1], axis=1) for i in range(3)], 0)
    triangles = triangles[(~in_face | ((triangles < len(outline)).sum(1) < 3)) & (longest < GRID * 4)]
    (ax, ay), (bx, by), (cx, cy) = points[triangles].transpose(1, 2, 0)
    turned = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0
    triangles[turned] = triangles[turned][:, [0, 2, 1]]
    vertex = np.concatenate([face.outline, np.arange(len(grid)) + len(face.points)])
    return grid, vertex[triangles]
