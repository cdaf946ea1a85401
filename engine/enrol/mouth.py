# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""The inside of the mouth: rows of teeth, tongue, the photo's own teeth, and the dark behind them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.contours import contour_y, polygon_mask
from engine.enrol.face import Face
from engine.enrol.fill import fill_smooth
from engine.enrol.parts import Part, flat_uv
from engine.enrol.teeth import HEIGHT, WIDTH, Dentition, teeth_texture
from engine.rig.avatar import FRAME
from engine.rig.lips import gap_ratio
from engine.rig.mesh import Floats, both_sides, quad_grid, smoothstep
from engine.rig.shapes import Rig
from engine.rig.topology import LIP_LOWER, LIP_UPPER

UPPER_ROW, LOWER_ROW, PLATE_ROW = 200, 270, 340  # rows of the atlas
PART = 5
OPEN, PARTED = 0.09, 0.035  # gap of the lips over the mouth's width: an open mouth; one if teeth are seen in it
HIDDEN = {"mouthPucker": (0.115, 0.10), "mouthFunnel": (0.070, 0.06)}  # u that a row of teeth moves apart and back


@dataclass(frozen=True, slots=True, eq=False)
class _Arch:
    """A row of teeth. Lengths in u: `top` and `bottom` below the lips' line, `back` behind it, `half` its half width."""

    top: float
    bottom: float
    back: float
    half: float
    row: int
    follow: float


def build_mouth(
    crop: NDArray[np.uint8], landmarks: Floats, rig: Rig, face: Face, teeth: Dentition, atlas: NDArray[np.float32]
) -> list[Part]:
    """All parts inside the mouth, their textures drawn into `atlas` (float32 RGBA)."""
    light = _light(crop, landmarks)
    lips = (rig.head.points[13] + rig.head.points[14]) / 2
    forward = np.array([0, 0, float(face.points[[13, 14], 2].mean() - lips[2])])  # the face is drawn rounder than it is
    atlas[UPPER_ROW : UPPER_ROW + HEIGHT, FRAME : FRAME + WIDTH] = teeth_texture(teeth, upper=True)
    atlas[LOWER_ROW : LOWER_ROW + HEIGHT, FRAME : FRAME + WIDTH] = teeth_texture(teeth, upper=False)
    scale = float(np.clip(np.linalg.norm(landmarks[61, :2] - landmarks[291, :2]) / rig.head.u / 0.52, 0.88, 1.10))
    parts: list[Part] = []
    if face.closed or not _shows_teeth(crop, landmarks):
        lift, dim = (0.0, 1.0) if face.closed else (0.035, 0.8)
        upper = _Arch(-0.100 - lift, 0.040 - lift, 0.06, 0.245 * scale, UPPER_ROW, 0)
        parts.append(_teeth(upper, lips, rig, light, lambda v: dim * (0.60 + 0.30 * smoothstep(0.35, 1, v))))
    else:
        parts.append(_plate(crop, landmarks, rig, atlas))
    lower = _Arch(0.082, 0.19, 0.095, 0.215 * scale, LOWER_ROW, 1.0)
    parts.append(_teeth(lower, lips, rig, light, lambda v: np.full_like(v, 0.66)))
    parts.append(_tongue(lips, rig, light))
    rim, middle = np.array([0.13, 0.045, 0.055]) * light, np.array([0.085, 0.025, 0.03]) * light
    parts = [replace(part, points=part.points + forward) for part in parts]
    parts.append(_cavity(face, rig.head.u, rim, middle))
    return parts


def _cavity(face: Face, u: float, rim: Floats, middle: Floats) -> Part:
    """A bag that hangs from the lips' rims: wherever one looks in, it is dark, and nothing behind the head shines through."""
    loop, count = face.mouth, len(face.mouth)
    edge = face.points[loop]
    centre = edge.mean(0)
    rings = [edge]
    for depth, wide, tall in ((0.10, 1.0, 1.12), (0.30, 0.98, 1.30), (0.46, 0.70, 0.90)):
        ring = centre + (edge - centre) * np.array([wide, tall, 1.0])
        ring[:, 1] += (tall - 1.0) * 0.10 * u * np.sign(edge[:, 1] - centre[1])
        ring[:, 2] = edge[:, 2] * 0.5 + centre[2] * 0.5 - depth * u
        rings.append(ring)
    points = np.concatenate([*rings, (centre - [0, 0, 0.5 * u])[None]])
    k = np.arange(count)
    triangles = [
        np.concatenate(
            [np.stack([a + k, a + (k + 1) % count, b + k], 1), np.stack([b + k, a + (k + 1) % count, b + (k + 1) % count], 1)]
        )
        for a, b in zip(range(0, 3 * count, count), range(count, 4 * count, count), strict=True)
    ]
    triangles.append(np.stack([3 * count + k, 3 * count + (k + 1) % count, np.full(count, 4 * count)], 1))
    shapes = {
        name: np.concatenate([*(moved[loop] for _ in rings), moved[loop].mean(0)[None]])
        for name, moved in face.shapes.items()
        if np.abs(moved[loop]).max() > 0.05
    }
    shade = np.concatenate([np.tile(rim * f, (count, 1)) for f in (1.5, 1.1, 0.9, 0.8)] + [middle[None]])
    return Part(points, both_sides(np.concatenate(triangles)), PART, flat_uv(len(points)), shade, shapes)


def _light(crop: NDArray[np.uint8], landmarks: Floats) -> Floats:
    """float64[3]: the light on the face, as a multiplier for things of known colour."""
    places = landmarks[[50, 280, 101, 330, 151], :2].clip(0, FRAME - 1).astype(int)
    skin = np.median(crop[places[:, 1], places[:, 0]], 0) + 1.0
    cheek = float(np.median(crop[places[:4, 1], places[:4, 0]], 0).max()) / 255
    return np.clip(cheek * 1.02, 0.35, 1) * np.clip((skin / skin.max() / np.array([1.0, 0.80, 0.70])) ** 0.7, 0.45, 1.1)


def _teeth(arch: _Arch, lips: Floats, rig: Rig, light: Floats, dim: Callable[[Floats], Floats]) -> Part:
    columns, rows = 25, 5
    across, down = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(0, 1, rows))
    u = rig.head.u
    x = arch.half * np.sin(across * 1.25) / np.sin(1.25)
    y = arch.top + (arch.bottom - arch.top) * down
    z = -0.42 * (1 - np.cos(across * 1.25)) - arch.back
    points = lips + np.stack([x, y, z], -1).reshape(-1, 3) * u @ rig.head.axes.T
    uv = np.stack([FRAME + 1 + (across + 1) / 2 * (WIDTH - 3), arch.row + 0.5 + down * (HEIGHT - 1.5)], -1).reshape(-1, 2)
    lit = dim(down) * (1 - 0.55 * np.abs(across) ** 1.6)
    shapes = _with_jaw(rig, points, arch.follow)
    away = 1 if arch.follow else -1  # rounded lips hide the teeth: the rows draw back and apart
    for name, (y, z) in HIDDEN.items():
        shapes[name] = np.tile(rig.head.axes @ np.array([0, away * y, -z]) * u, (len(points), 1))
    return Part(points, quad_grid(columns, rows), PART, uv, (lit[..., None] * light).reshape(-1, 3), shapes)


def _with_jaw(rig: Rig, points: Floats, follow: float) -> dict[str, Floats]:
    """How things in the mouth move: with the jaw as far as they `follow` it, sideways with the lips that hide them."""
    axes, u = rig.head.axes, rig.head.u
    sideways = np.tile(axes @ np.array([0.10 * u, 0, 0]), (len(points), 1))
    if not follow:
        return {"mouthSide": sideways}
    return {
        "mouthSide": sideways,
        "jawOpen": rig.jaw.opened(points) * follow,
        "jawSide": np.tile(axes @ np.array([0.095 * u, 0, 0]) * follow, (len(points), 1)),
        "jawForward": np.tile(axes @ np.array([0, 0, 0.09]) * u * follow, (len(points), 1)),
    }


def _tongue(lips: Floats, rig: Rig, light: Floats) -> Part:
    columns, rows = 17, 9
    u, axes = rig.head.u, rig.head.axes
    across, out = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(0, 1, rows))
    x = 0.17 * across * np.sqrt(1 - 0.8 * out**6)
    y = 0.06 + 0.05 * across**2 + 0.05 * out - 0.03 * np.sin(out * np.pi)
    z = -0.10 - 0.32 * (1 - out) - 0.06 * across**2
    points = lips + np.stack([x, y, z], -1).reshape(-1, 3) * u @ axes.T
    shade = (0.14 + 0.86 * out**1.4) * (1 - 0.78 * np.abs(across) ** 4) * (1 - 0.18 * np.exp(-((across / 0.08) ** 2)))
    shapes = _with_jaw(rig, points, 0.88)
    rise = -0.15 * out + 0.20 * out**5 - 0.045 * across**2 * out  # over the lower teeth and lip, then down
    stuck = np.stack([-0.03 * across * out, rise, 0.30 * out**1.3], -1).reshape(-1, 3)
    for name, (y, z) in HIDDEN.items():
        shapes[name] = np.tile(axes @ np.array([0, 0.6 * y, -1.2 * z]) * u, (len(points), 1))
    shapes["tongueOut"] = stuck * u @ axes.T
    colour = (shade[..., None] * np.array([0.76, 0.38, 0.40])).reshape(-1, 3) * light
    return Part(points, both_sides(quad_grid(columns, rows)), PART, flat_uv(columns * rows), colour, shapes)


def is_open(crop: NDArray[np.uint8], landmarks: Floats) -> bool:
    """Whether the photo shows the mouth open, rather than lips that meet or nearly do."""
    gap = gap_ratio(landmarks)
    return gap > OPEN or (gap > PARTED and _shows_teeth(crop, landmarks))


def _shows_teeth(crop: NDArray[np.uint8], landmarks: Floats) -> bool:
    """Whether teeth are seen between the lips: enough of the opening is pale and nearly as bright as the cheeks."""
    opening = polygon_mask(landmarks[[*LIP_UPPER, *LIP_LOWER[::-1][1:-1]], :2]) > 0
    inside = crop[opening].astype(np.float64)
    if not len(inside):
        return False
    places = landmarks[[50, 280, 101, 330], :2].clip(0, FRAME - 1).astype(int)
    cheek = float(np.median(crop[places[:, 1], places[:, 0]].max(1)))
    pale = (inside.min(1) > 0.55 * inside.max(1)) & (inside.max(1) > 0.55 * cheek)
    return float(pale.mean()) > 0.25


def _plate(crop: NDArray[np.uint8], landmarks: Floats, rig: Rig, atlas: NDArray[np.float32]) -> Part:
    """The teeth that the photo shows, on a curved plate behind the lips."""
    width = float(np.linalg.norm(landmarks[61, :2] - landmarks[291, :2]))
    outline = landmarks[[*LIP_UPPER, *LIP_LOWER[::-1][1:-1]], :2]
    opening = cv2.erode(polygon_mask(outline), np.ones((3, 3), np.uint8)).astype(np.float32)
    (x0, y0), (x1, y1) = (
        (outline.min(0) - np.array([0.02, 0.12]) * width).clip(0, FRAME - 2).astype(int),
        (outline.max(0) + np.array([0.02, 0.12]) * width).clip(2, FRAME).astype(int),
    )
    picture = fill_smooth(crop[y0:y1, x0:x1].astype(np.float32), opening[y0:y1, x0:x1] + 1e-6)
    scale = min(1, (WIDTH - 4) / picture.shape[1], 128 / picture.shape[0])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = picture.shape[:2]
    patch = atlas[PLATE_ROW : PLATE_ROW + h, FRAME : FRAME + w]
    patch[..., :3] = picture.clip(0, 255)
    below = (
        y0 + np.linspace(0, 1, h)[:, None] * (y1 - y0) - contour_y(landmarks, LIP_LOWER, x0 + np.linspace(0, 1, w) * (x1 - x0))
    )
    patch[..., 3] = 255 * smoothstep(0, -0.03 * width, below - 0.03 * width)
    gx, gy = np.meshgrid(np.linspace(0, 1, 17), np.linspace(0, 1, 9))
    px, py = x0 + gx * (x1 - 1 - x0), y0 + gy * (y1 - 1 - y0)
    points, axes, u = rig.head.points, rig.head.axes, rig.head.u
    across = px - points[[61, 291], 0].mean()
    z = points[[13, 14], 2].mean() - 0.07 * u - 0.16 * u * np.clip(across / (0.5 * width), -1.2, 1.2) ** 2
    z = z + across * axes[2, 0] / max(axes[0, 0], 0.3)
    uv = np.stack([FRAME + gx * (w - 1.01), PLATE_ROW + gy * (h - 1.01)], -1).reshape(-1, 2)
    shapes = {k: np.tile(axes @ np.array([0, -0.7 * y, -z]) * u, (153, 1)) for k, (y, z) in HIDDEN.items()}
    shapes |= _with_jaw(rig, np.zeros((153, 3)), 0)
    return Part(np.stack([px, py, z], -1).reshape(-1, 3), quad_grid(17, 9), PART, uv, np.ones((153, 3)), shapes)
