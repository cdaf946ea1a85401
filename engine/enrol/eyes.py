# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Eyeballs: the visible eye unwrapped onto a sphere, the hidden iris and white made up."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.face import Face
from engine.enrol.fill import Image, fill_smooth
from engine.enrol.parts import Part, flat_uv
from engine.rig.avatar import FRAME
from engine.rig.mesh import Floats, Ints, both_sides, quad_grid, smoothstep
from engine.rig.topology import IRIS, LID_LOWER, LID_UPPER, Side

TEXTURE = 96  # px, side of an eye's texture
SPAN = 1.15  # rad each way that the texture covers
MESH = 25  # vertices along a side of the eyeball's grid


def build_eye(crop: NDArray[np.uint8], landmarks: Floats, face: Face, side: Side, row: int) -> tuple[Part, Part, Floats, Image]:
    """One eyeball, the backing behind its lids, its centre (image x, y, depth) and its texture for atlas row `row`."""
    upper = LID_UPPER[side]
    rim = face.points[face.eyes[side]]
    width = float(np.linalg.norm(landmarks[upper[0]] - landmarks[upper[-1]]))
    radius = 0.47 * width
    corners = landmarks[[upper[0], upper[-1]], :2].mean(0)
    centre = np.array([*(rim[:, :2].mean(0) * 0.5 + corners * 0.5), 0.0])
    reach = np.hypot(*(rim[:, :2] - centre[:2]).T)
    centre[2] = np.percentile(rim[:, 2] - np.sqrt(np.maximum(radius**2 - reach**2, 0)), 10) - 0.12 * radius
    texture = _unwrap(crop, landmarks, side, centre, radius)
    number = 3 if side == "Left" else 4
    a, b = np.meshgrid(np.linspace(-1.45, 1.45, MESH), np.linspace(-1.45, 1.45, MESH))
    sphere = np.stack([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)], -1).reshape(-1, 3)
    u, v = (((q / SPAN + 1) / 2 * (TEXTURE - 1)).clip(1.5, TEXTURE - 2.5) for q in (a, b))
    uv = np.stack([FRAME + u, row + v], -1)
    ball = Part(centre + radius * sphere, quad_grid(MESH, MESH), number, uv.reshape(-1, 2), np.ones((MESH * MESH, 3)))
    dim = np.median(texture[40:56, 8:88].reshape(-1, 3), 0) / 255 * 0.78
    inside = np.rint(rim[:, :2] + 0.18 * (corners - rim[:, :2])).astype(int).clip(0, FRAME - 1)
    corner = crop[inside[:, 1], inside[:, 0]] / 255 * 0.95
    back = backing(face, face.eyes[side], 0.42 * width, corner, dim, number, 1.45)
    return ball, back, centre, texture


def backing(face: Face, loop: Ints, depth: float, rim: Floats, middle: Floats, number: int, widen: float) -> Part:
    """A fan behind an opening, wider than it, so that the background never shows through; it follows the opening.

    `rim` is its colour there, one for all (float64[3]) or one each (float64[N, 3]); `middle` that of its centre.
    """
    count, ring = len(loop), np.arange(len(loop))
    points = np.concatenate([face.points[loop], face.points[loop].mean(0)[None]])
    points[:, 2] -= depth
    points[:-1, :2] = points[-1, :2] + (points[:-1, :2] - points[-1, :2]) * widen
    fan = np.stack([np.full(count, count), ring, (ring + 1) % count], 1)
    shapes = {
        k: np.concatenate([d[loop], d[loop].mean(0)[None]]) for k, d in face.shapes.items() if np.abs(d[loop]).max() > 0.05
    }
    shade = np.concatenate([np.broadcast_to(rim, (count, 3)), middle[None]])
    return Part(points, both_sides(fan), number, flat_uv(count + 1), shade, shapes)


def _unwrap(crop: NDArray[np.uint8], landmarks: Floats, side: Side, centre: Floats, radius: float) -> Image:
    iris = IRIS[side]
    iris_radius = float(np.linalg.norm(landmarks[iris + 1 : iris + 5, :2] - landmarks[iris, :2], axis=1).mean())
    angle = np.linspace(-SPAN, SPAN, TEXTURE)
    tx, ty = np.meshgrid(angle, angle)
    x = (centre[0] + radius * np.sin(tx) * np.cos(ty)).astype(np.float32)
    y = (centre[1] + radius * np.sin(ty)).astype(np.float32)
    seen = cv2.remap(_inside_lids(landmarks, side), x, y, cv2.INTER_LINEAR) > 200
    colour = cv2.remap(crop, x, y, cv2.INTER_CUBIC).astype(np.float32)
    from_iris = np.hypot(x - landmarks[iris, 0], y - landmarks[iris, 1]) / iris_radius
    made_up = _white(colour, seen, from_iris)
    for q in np.arange(0, 1.12, 0.05):  # the iris as rings of the visible part's median
        ring = (from_iris >= q - 0.04) & (from_iris < q + 0.09) & seen
        if ring.sum() > 3:
            made_up[(from_iris >= q) & (from_iris < q + 0.05)] = np.median(colour[ring], 0)
    round_off = 1 - 0.25 * smoothstep(0.45, 1.1, np.hypot(tx, ty))
    made_up = cv2.GaussianBlur(made_up, (0, 0), 1.0) * round_off[..., None].astype(np.float32)
    trust = cv2.GaussianBlur(cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32), (0, 0), 1.4)
    share = np.clip((trust - 0.5) * 2, 0, 1)[..., None]
    return np.clip(colour * share + made_up * (1 - share), 0, 255).astype(np.float32)


def _inside_lids(landmarks: Floats, side: Side) -> NDArray[np.uint8]:
    """uint8[FRAME, FRAME] 0..255: the visible eye without its rim, drawn at four times the size for soft edges."""
    outline = np.concatenate([landmarks[list(LID_UPPER[side]), :2], landmarks[list(LID_LOWER[side])[::-1], :2]])
    mask = np.zeros((FRAME * 4, FRAME * 4), np.uint8)
    cv2.fillPoly(mask, [(outline * 4).astype(np.int32)], 255)
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    return np.asarray(cv2.resize(mask, (FRAME, FRAME), interpolation=cv2.INTER_AREA), np.uint8)


def _white(colour: Image, seen: NDArray[np.bool_], from_iris: Floats) -> Image:
    """The eye's white everywhere, in the tint of what is visible of it."""
    white = np.array([200, 195, 190], np.float32)
    visible = colour[seen & (from_iris > 1.2)]
    if len(visible) > 20:
        bright = visible.sum(1)
        white = np.median(visible[bright > np.percentile(bright, 70)], 0)
    white = np.minimum(white, 215)
    known = (seen & (from_iris > 1.15)).astype(np.float32)
    out = np.empty_like(colour)
    out[:] = white
    if known.sum() > 30:
        out = 0.55 * np.minimum(fill_smooth(colour, known + 1e-6), 230) + 0.45 * white
    return out.astype(np.float32)
