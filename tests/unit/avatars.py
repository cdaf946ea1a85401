"""A made-up avatar of about a thousand triangles: a dome with holes for eyes and mouth in front of a sheet."""

import numpy as np
from numpy.typing import NDArray

from engine.contract import Motion
from engine.rig import controls
from engine.rig.avatar import CAMERA, FRAME, Avatar, Eye, Overlay

SHAPES = tuple(sorted(controls._shape_weights(Motion.of())))  # pyright: ignore[reportPrivateUsage]
"""All that motion may ask for; most of them move nothing here."""
MOUTH, LEFT_EYE, RIGHT_EYE = (256.0, 320.0), (300.0, 220.0), (212.0, 220.0)
COLUMNS, ROWS = 24, 26
FACE_BOX = (150, 120, 362, 390)  # x0, y0, x1, y1


def photo() -> NDArray[np.uint8]:
    """uint8[512, 512, 3]: the picture that the made-up avatar shows in its neutral pose, background included."""
    y, x = np.mgrid[0:FRAME, 0:FRAME]
    waves = [120 + 90 * np.sin(x / 17 + k) * np.cos(y / (13 + 3 * k) + k) for k in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def synthetic_avatar() -> Avatar:
    """See the module; equal for every call."""
    face = _grid(FACE_BOX, COLUMNS, ROWS)
    x, y = (face[:, 0] - 256) / 120, (face[:, 1] - 255) / 150
    face_z = 70 * (1 - x**2 - y**2)
    cells = _cells(COLUMNS, ROWS)
    middle = face[cells].mean(axis=1)
    holes = [_ellipse(middle, at, size) for at, size in ((MOUTH, (40, 12)), (LEFT_EYE, (20, 10)), (RIGHT_EYE, (20, 10)))]
    cells = cells[~np.any(holes, axis=0)]
    sheet = _grid((70, 70, 442, 505), 14, 15)
    weight = np.clip((440 - sheet[:, 1]) / 80, 0, 1)
    patches = [_grid((x - 34, y - 20, x + 34, y + 20), 5, 5) for x, y in (LEFT_EYE, RIGHT_EYE, MOUTH)]
    depths = [20.0, 20.0, 5.0]
    places = np.concatenate([face, sheet, *patches])
    z = np.concatenate([face_z, np.full(len(sheet), -40.0), *(np.full(25, depth) for depth in depths)])
    starts = np.cumsum([0, len(face), len(sheet), 25, 25, 25])
    parts = [cells, *(_cells(c, r) + s for c, r, s in zip((14, 5, 5, 5), (15, 5, 5, 5), starts[1:5], strict=True))]
    count = len(places)
    deltas = np.zeros((len(SHAPES), count, 3), np.float32)
    deltas[SHAPES.index("jawOpen"), : len(face), 1] = 26 * np.clip((face[:, 1] - 316) / 20, 0, 1)
    near_lid = np.exp(-(((face - LEFT_EYE) / (26, 16)) ** 2).sum(axis=1))
    deltas[SHAPES.index("eyeBlinkLeft"), : len(face), 1] = 9 * near_lid * np.sign(LEFT_EYE[1] - face[:, 1])
    lid_mask = np.zeros(count, np.float32)
    lid_mask[: len(face)] = near_lid > 0.1
    spread = (CAMERA - z) / CAMERA
    picture = np.dstack([photo(), _opacity()])
    white = Overlay(
        np.full((8, 8, 4), 255, np.uint8), np.full((count, 2), 4, np.float32), lid_mask, control="eyeBlinkLeft", full_at=0.5
    )
    return Avatar(
        vertices=np.stack([(places[:, 0] - 256) * spread, (places[:, 1] - 256) * spread, z], axis=1).astype(np.float32),
        shapes=SHAPES,
        deltas=deltas,
        uv=places.astype(np.float32),
        shade=np.ones((count, 3), np.float32),
        triangles=np.concatenate(parts).astype(np.int32),
        part=np.repeat(np.arange(1, 6), [len(p) for p in parts]).astype(np.uint8),
        head_weight=np.concatenate([np.ones(len(face)), weight, np.ones(75)]).astype(np.float32),
        pivot=np.array([0, 120, -40], np.float32),
        eyes={
            "Left": Eye(np.array([44, -36, -10], np.float32), int(starts[2]), int(starts[3])),
            "Right": Eye(np.array([-44, -36, -10], np.float32), int(starts[3]), int(starts[4])),
        },
        texture=picture,
        overlays=(white,),
        background=photo(),
        landmarks=np.concatenate([np.c_[face, face_z][:468], np.tile([(*RIGHT_EYE, 20.0)], (5, 1)),
                                  np.tile([(*LEFT_EYE, 20.0)], (5, 1))]).astype(np.float32),
        eye_distance=120.0,
        rotation_limit_deg=(25.0, 20.0, 20.0),
    )  # fmt: skip


def _grid(box: tuple[float, float, float, float], columns: int, rows: int) -> NDArray[np.float64]:
    x, y = np.meshgrid(np.linspace(box[0], box[2], columns), np.linspace(box[1], box[3], rows))
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _cells(columns: int, rows: int) -> NDArray[np.intp]:
    q = np.arange(columns * rows).reshape(rows, columns)
    corners = [q[:-1, :-1], q[:-1, 1:], q[1:, 1:], q[1:, :-1]]
    a, b, c, d = (corner.ravel() for corner in corners)
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _ellipse(points: NDArray[np.float64], centre: tuple[float, float], size: tuple[float, float]) -> NDArray[np.bool_]:
    return (((points - centre) / size) ** 2).sum(axis=1) < 1


def _opacity() -> NDArray[np.uint8]:
    """A soft-edged disc that holds the face, and the shoulders below it."""
    y, x = np.mgrid[0:FRAME, 0:FRAME]
    disc = np.clip(180 - np.hypot(x - 256, y - 255), 0, 4) / 4
    body = np.clip(120 - np.abs(x - 256), 0, 4) / 4 * (y > 255)
    return (255 * np.maximum(disc, body)).astype(np.uint8)
