# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""From a cropped photo, its landmarks and a person matte to an avatar."""

import numpy as np
from numpy.typing import NDArray

from engine.enrol.closed_lids import overlays_of
from engine.enrol.creases import creases_of
from engine.enrol.depth import drawn_depth
from engine.enrol.eyes import TEXTURE as EYE_TEXTURE
from engine.enrol.eyes import build_eye
from engine.enrol.face import Face, build_face
from engine.enrol.glasses import wears_glasses
from engine.enrol.layers import split_layers
from engine.enrol.mouth import build_mouth, is_open
from engine.enrol.parts import ATLAS_HEIGHT, ATLAS_WIDTH, Part, join
from engine.enrol.sheet import Sheet, build_sheet, moving
from engine.enrol.teeth import dentition_of
from engine.errors import UnusableFace
from engine.rig.avatar import FRAME, Avatar, Eye
from engine.rig.camera import unproject
from engine.rig.controls import CUES
from engine.rig.mesh import Floats
from engine.rig.shapes import build_rig
from engine.rig.topology import OVAL, POINTS, SIDES, face_triangles

YAW_LIMIT = 26.0  # degrees, of a face that looks straight at the camera
TURNED = 12.0  # degrees from which a turned photo is worth a note
TURNED_AWAY = 40.0  # degrees from which it cannot be used
LIDS, BEHIND_LENSES = 0.95, 0.66  # how far overlays of lids reach, in widths of the eye


def build_avatar(crop_rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], matte: NDArray[np.float32]) -> Avatar:
    """An avatar from a square crop with an upright face.

    Args:
        crop_rgb: uint8[FRAME, FRAME, 3].
        landmarks: float32[478, 3] px of the crop, MediaPipe's numbering; z may point either way, the nose tells.
        matte: float32[FRAME, FRAME], 1 on the person.

    Raises:
        UnusableFace: if the face is turned away too far or lies outside the crop.
    """
    _check(crop_rgb, landmarks, matte)
    marks = _towards_camera(landmarks.astype(np.float64))
    turned = _refuse_unusable(marks)
    glasses = wears_glasses(crop_rgb, marks)
    layers = split_layers(crop_rgb, matte, marks)
    points, triangles = marks[:POINTS], face_triangles()
    mouth_open = is_open(crop_rgb, marks)
    rig = build_rig(points, triangles, mouth_open=mouth_open)
    face = build_face(crop_rgb, points, drawn_depth(points), triangles, rig, closed=not mouth_open)
    sheet = build_sheet(face, marks, layers.alpha)
    still = 1 - moving(sheet, face)[..., None]
    background = layers.background * (1 - still) + crop_rgb * still
    atlas = np.zeros((ATLAS_HEIGHT, ATLAS_WIDTH, 4), np.float32)
    atlas[:, :FRAME, :3], atlas[:, :FRAME, 3], atlas[:, FRAME:, 3] = layers.person, layers.alpha * 255, 255
    atlas[470:, FRAME:, :3] = 255
    parts = [_skin(face, sheet)]
    centres: dict[str, tuple[Floats, int]] = {}
    white = np.full(3, 200.0)
    for i, side in enumerate(SIDES):
        row = i * EYE_TEXTURE
        ball, back, centre, texture = build_eye(crop_rgb, marks, face, side, row)
        atlas[row : row + EYE_TEXTURE, FRAME : FRAME + EYE_TEXTURE, :3] = texture
        white = texture[44:52, 6:20].reshape(-1, 3).mean(0)
        centres[side] = (centre, len(parts))
        parts += [ball, back]
    parts += build_mouth(crop_rgb, marks, rig, face, dentition_of(marks, white), atlas)
    names = tuple(sorted({*face.shapes, "tongueOut", *CUES}))
    mesh = join(parts, names)
    pivot = points[[234, 454]].mean(0) + rig.head.axes @ np.array(
        [0, 0.35 * _height(marks), -0.10 * np.ptp(marks[list(OVAL), 0])]
    )
    uv = mesh.uv.astype(np.float64)
    return Avatar(
        vertices=mesh.vertices,
        shapes=names,
        deltas=mesh.deltas,
        uv=mesh.uv,
        shade=mesh.shade,
        triangles=mesh.triangles,
        part=mesh.part,
        head_weight=mesh.head_weight,
        pivot=unproject(pivot).astype(np.float32),
        eyes={side: Eye(unproject(c).astype(np.float32), *mesh.ranges[k]) for side, (c, k) in centres.items()},
        texture=np.round(atlas).clip(0, 255).astype(np.uint8),
        overlays=(
            *overlays_of(
                crop_rgb, marks, uv, {s: face.shapes[f"eyeBlink{s}"] for s in SIDES}, BEHIND_LENSES if glasses else LIDS
            ),
            *creases_of(crop_rgb, marks, uv, len(face.points), rig.head.u),
        ),
        background=np.round(background).clip(0, 255).astype(np.uint8),
        landmarks=marks.astype(np.float32),
        eye_distance=rig.head.u,
        rotation_limit_deg=(max(YAW_LIMIT - 0.5 * turned, 10.0), 20.0, 25.0),
        notes=_notes(face, glasses=glasses, turned=turned),
    )


def _check(crop: NDArray[np.uint8], landmarks: NDArray[np.float32], matte: NDArray[np.float32]) -> None:
    for name, array, shape in (
        ("crop", crop, (FRAME, FRAME, 3)),
        ("landmarks", landmarks, (478, 3)),
        ("matte", matte, (FRAME, FRAME)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name}: expected {list(shape)}, got {list(array.shape)}")


def _towards_camera(marks: Floats) -> Floats:
    sign = np.sign(marks[1, 2] - marks[list(OVAL), 2].mean())
    return marks * np.array([1, 1, sign])


def _refuse_unusable(marks: Floats) -> float:
    """Degrees by which the photo's face is turned sideways."""
    x = marks[[263, 362, 454]].mean(0) - marks[[33, 133, 234]].mean(0)
    turned = abs(float(np.degrees(np.arctan2(x[2], x[0]))))
    if turned > TURNED_AWAY:
        raise UnusableFace(f"the face is turned {turned:.0f} degrees away; use a photo that looks towards the camera")
    return turned


def _notes(face: Face, *, glasses: bool, turned: float) -> tuple[str, ...]:
    seen = (
        (not face.closed, "the photo shows an open mouth: it closes as far as speech asks"),
        (glasses, "glasses: they stay where they are, lids move behind them"),
        (turned > TURNED, f"the face is turned {turned:.0f} degrees in the photo: it turns less"),
    )
    return tuple(note for holds, note in seen if holds)


def _height(marks: Floats) -> float:
    return float(np.linalg.norm(marks[152, :2] - marks[10, :2]))


def _skin(face: Face, sheet: Sheet) -> Part:
    """Face and sheet as one connected part."""
    grid = sheet.points[:, :2].clip(0.5, FRAME - 1.6)
    kinds = np.concatenate([np.full(len(face.triangles), 1), np.full(len(sheet.triangles), 2)]).astype(np.uint8)
    count = len(face.points) + len(sheet.points)
    return Part(
        points=np.concatenate([face.points, sheet.points]),
        triangles=np.concatenate([face.triangles, sheet.triangles]),
        part=kinds,
        uv=np.concatenate([face.uv, grid]),
        shade=np.ones((count, 3)),
        shapes={k: np.concatenate([d, sheet.shapes[k]]) for k, d in face.shapes.items()},
        weight=np.concatenate([np.ones(len(face.points)), sheet.weight]),
    )
