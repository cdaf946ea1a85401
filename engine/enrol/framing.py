"""Which face of a photo becomes the avatar, whether it can be animated, and the square about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import NoFace, SeveralFaces, UnusableFace
from engine.face.tracker import Face, FaceTracker
from engine.rig.avatar import FRAME

FACE_SIZE_AT_LEAST: Final = 80.0  # px; smaller faces hold too few pixels for lips and lids
YAW_AT_MOST_DEG: Final = 35.0  # beyond it the far cheek and eye are guesses
OUTSIDE_AT_MOST: Final = 0.08  # share of the landmarks that may lie outside the picture
_RIVAL: Final = 0.6  # a second face of this share of the largest one's size makes the choice unclear
_FRAME_PER_FACE: Final = 2.3  # side of the square in sizes of the face
_FRAME_PER_FACE_AT_LEAST: Final = 1.45  # of a tight photo: what lies outside has to be made up
_FRAME_LIFT: Final = 0.08  # of the square: how far its centre lies above the face's
_EYES_SHUT: Final = 0.09  # opening over width, of the wider eye; laughing and narrow eyes go down to 0.10
_EYES_NARROW: Final = 0.16

_EYE_CORNERS: Final = ((33, 133), (362, 263))
_LIDS: Final = (((160, 159, 158), (144, 145, 153)), ((385, 386, 387), (380, 374, 373)))
_FEATURES: Final = (33, 133, 362, 263, 1, 61, 291, 152)  # eyes, nose, mouth, chin: none may be outside the picture


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """A face in the working frame, its roll undone.

    Attributes:
        crop: uint8[FRAME, FRAME, 3] sRGB; what lies outside the photo repeats its edge.
        landmarks: float32[478, 3] px of the crop, z towards the camera.
        matte: float32[FRAME, FRAME] 0..1, this person.
        notes: one line each on what will limit the animation.
    """

    crop: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    matte: NDArray[np.float32]
    notes: tuple[str, ...]


def frame_face(rgb: NDArray[np.uint8], tracker: FaceTracker) -> Framed:
    """The one face of a picture uint8[H, W, 3], cut out and made upright.

    Raises:
        NoFace, SeveralFaces, UnusableFace: in one line each.
    """
    face = choose_face(tracker.detect(rgb))
    notes = judge_face(face, rgb.shape[1], rgb.shape[0])
    matrix = upright_square(face, rgb.shape[1], rgb.shape[0])
    crop = _cut(rgb, matrix)
    landmarks = _refine(crop, _moved(face.landmarks, matrix), tracker)
    return Framed(crop, landmarks, one_person(tracker.matte(crop), landmarks), notes)


def choose_face(faces: Sequence[Face]) -> Face:
    """The largest face; much smaller ones in the background do not count.

    Raises:
        NoFace: there is none.
        SeveralFaces: another one is nearly as large.
    """
    if not faces:
        raise NoFace("no face was found; use a photo that shows one person's face from the front, well lit and not covered")
    largest = max(faces, key=lambda face: face.size)
    rivals = sum(face.size >= _RIVAL * largest.size for face in faces)
    if rivals > 1:
        raise SeveralFaces(f"{rivals} faces were found; use a photo of one person, or cut the others off")
    return largest


def judge_face(face: Face, width: int, height: int) -> tuple[str, ...]:
    """What will limit the animation of a face in a picture of `width` by `height` px, one line each.

    Raises:
        UnusableFace: too small, cut off, turned away, or with both eyes shut.
    """
    if face.size < FACE_SIZE_AT_LEAST:
        raise UnusableFace(
            f"the face is only {face.size:.0f} px high, {FACE_SIZE_AT_LEAST:.0f} px are needed; use a larger photo"
        )
    _check_inside(face, width, height)
    yaw, openness = face.yaw_deg, eye_openness(face.landmarks)
    if abs(yaw) > YAW_AT_MOST_DEG:
        raise UnusableFace(f"the face is turned {abs(yaw):.0f} degrees to the side; turn towards the camera")
    if openness < _EYES_SHUT:
        raise UnusableFace("the eyes are shut; open them for the photo")
    return ("eyes nearly shut: gaze will hardly show",) if openness < _EYES_NARROW else ()


def _check_inside(face: Face, width: int, height: int) -> None:
    x, y = face.landmarks[:468, 0], face.landmarks[:468, 1]
    outside = (x < 0) | (y < 0) | (x > width) | (y > height)
    if outside.mean() > OUTSIDE_AT_MOST or outside[list(_FEATURES)].any():
        raise UnusableFace("the face is cut off by the edge of the photo; use a photo that shows all of it")


def yaw_deg(landmarks: NDArray[np.float32]) -> float:
    """How far the face is turned, in degrees, > 0 towards image right; see `Face.yaw_deg`."""
    return Face(landmarks, 0.0).yaw_deg


def eye_openness(landmarks: NDArray[np.float32]) -> float:
    """Opening over width of the eye that is wider open."""
    points = landmarks[:, :2]
    ratios: list[float] = []
    for (outer, inner), (upper, lower) in zip(_EYE_CORNERS, _LIDS, strict=True):
        opening = np.linalg.norm(points[list(upper)] - points[list(lower)], axis=1).mean()
        ratios.append(float(opening / max(np.linalg.norm(points[outer] - points[inner]), 1e-6)))
    return max(ratios)


def upright_square(face: Face, width: int, height: int) -> NDArray[np.float64]:
    """float64[2, 3]: maps a picture of `width` by `height` px to the working frame, the line through the eyes made level.

    The square gives way to the picture's edges: it is moved inside, and made
    smaller where it would not fit, as long as head and shoulders keep room.
    """
    right, left = face.landmarks[33, :2].astype(float), face.landmarks[263, :2].astype(float)
    roll = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    level = face.landmarks[:468, :2] @ turn.T
    low, high = level.min(0), level.max(0)
    size = float((high - low).max())
    girth = abs(np.cos(roll)) + abs(np.sin(roll))  # of the box about the tilted square, in its sides
    side = max(min(_FRAME_PER_FACE * size, max(width, height) / girth), _FRAME_PER_FACE_AT_LEAST * size)
    centre = turn.T @ ((low + high) / 2 - [0, _FRAME_LIFT * side])
    half = side * girth / 2
    for axis, length in enumerate((width, height)):
        if 2 * half <= length:
            centre[axis] = np.clip(centre[axis], half, length - half)
    scale = FRAME / side
    return np.hstack([scale * turn, (FRAME / 2 - scale * (turn @ centre))[:, None]])


def _cut(rgb: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    if scale < 0.75:  # warpAffine samples single pixels: shrink first, to about twice what is needed
        step = min(2 * scale, 1.0)
        rgb = np.asarray(cv2.resize(rgb, None, fx=step, fy=step, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.hstack([matrix[:, :2] / step, matrix[:, 2:]])
    cut = cv2.warpAffine(rgb, matrix, (FRAME, FRAME), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(rgb.shape[:2], np.uint8), matrix, (FRAME, FRAME), flags=cv2.INTER_NEAREST)
    return np.asarray(cut, np.uint8) if inside.all() else _soften_outside(np.asarray(cut, np.uint8), inside)


def _soften_outside(cut: NDArray[np.uint8], inside: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The cut with the streaks that repeat the photo's edge blurred, the more the farther they are from it."""
    distance = np.asarray(cv2.distanceTransform((inside == 0).astype(np.uint8), cv2.DIST_L2, 5), np.float32)[..., None]
    soft: NDArray[np.float32] = cut.astype(np.float32)
    for sigma, begins in ((3, 1.0), (9, 5.0), (27, 16.0)):
        blurred = np.asarray(cv2.GaussianBlur(soft, (0, 0), sigma), np.float32)
        soft += np.clip((distance - begins) / (2 * sigma), 0, 1) * (blurred - soft)
    return np.clip(np.round(soft), 0, 255).astype(np.uint8)


def _moved(landmarks: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    scale = np.hypot(matrix[0, 0], matrix[0, 1])
    flat = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, landmarks[:, 2] * scale]).astype(np.float32)


def _refine(crop: NDArray[np.uint8], moved: NDArray[np.float32], tracker: FaceTracker) -> NDArray[np.float32]:
    """The landmarks as seen in the upright crop, which are more exact; `moved` if the tracker loses the face there."""
    reach = 0.1 * FRAME
    near = [f for f in tracker.detect(crop) if np.abs(f.landmarks[:, :2] - moved[:, :2]).mean() < reach]
    if not near:
        return moved
    return min(near, key=lambda face: float(np.abs(face.landmarks[:, :2] - moved[:, :2]).mean())).landmarks


def one_person(matte: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matte float32[H, W] without people that do not touch the one with these landmarks."""
    _, labels = cv2.connectedComponents((matte > 0.5).astype(np.uint8))
    height, width = matte.shape
    x, y = (np.clip(landmarks[:468, i].astype(int), 0, n - 1) for i, n in ((0, width), (1, height)))
    own = np.bincount(labels[y, x], minlength=2)
    own[0] = 0
    if not own.any():
        return matte
    others = (labels > 0) & (labels != int(own.argmax()))
    soft = cv2.GaussianBlur(cv2.dilate(others.astype(np.float32), np.ones((9, 9), np.uint8)), (0, 0), 2)
    return np.asarray(matte * (1 - soft), np.float32)
