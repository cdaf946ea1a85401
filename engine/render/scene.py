"""What a mesh renderer needs to know of an avatar at one picture size: sorted, packed, read-only, shared by sessions."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.render import raster
from engine.render.deform import sparse_shapes
from engine.render.lamp import exposure, lamp_of, rest_brightness
from engine.render.texture import Atlas
from engine.render.topology import component_depth, edges_of, localised, merge_twins, morton, pieces, rim_of
from engine.rig.avatar import CAMERA, FRAME, Avatar

FACE, OUTER, LEFT_EYE, RIGHT_EYE, MOUTH = 1, 2, 3, 4, 5
_ORDER = np.array([9, 0, 3, 1, 2, 4])  # parts from front to back
IRISES = 468  # landmarks from here on are the irises': five of the right eye, five of the left
TWO_SIDED, SHADED = 1, 2  # bits of `Scene.kind`; its clip rectangle's index is above them
CLIP_SHIFT = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Triangles `first`..`opaque` are opaque, `opaque`..`last` partly transparent."""

    first: int
    opaque: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Arrays for the rasteriser; see `engine.render.raster` for their meaning.

    Attributes:
        scale: pixels of the picture per px of the working frame.
        still: the triangles that never move; moving: the others.
        skin: int32[S, 3], the triangles of face, hair and torso; lamp, exposure, rest_brightness: see `engine.render.lamp`.
        rims: for each clip rectangle after the first, the vertices whose bounding box it is.
        eye_vertex: int32[N], vertices of the left eyeball and, from `eye_split` on, of the right one.
        landmark: intp[468], the vertices that are MediaPipe's points.
        iris_corner: intp[10, 3], vertices, and iris_weight: float32[10, 3], that carry the landmarks of the irises.
    """

    size: int
    scale: float
    start: NDArray[np.int32]
    touched: NDArray[np.int32]
    displacement: NDArray[np.float32]
    rest: NDArray[np.float32]
    head_weight: NDArray[np.float32]
    eye_vertex: NDArray[np.int32]
    eye_split: int
    eye_centre: NDArray[np.float32]
    pivot: NDArray[np.float32]
    triangles: NDArray[np.int32]
    kind: NDArray[np.uint8]
    piece: NDArray[np.uint8]
    still: Span
    moving: Span
    edges: NDArray[np.int32]
    sides: NDArray[np.int32]
    rims: tuple[NDArray[np.intp], ...]
    uv: NDArray[np.float32]
    shade: NDArray[np.float32]
    texels: NDArray[np.uint64]
    pitch: int
    overlay_start: NDArray[np.int32]
    overlay_of: NDArray[np.int32]
    overlay_uv: NDArray[np.float32]
    overlay_mask: NDArray[np.float32]
    overlay_shape: NDArray[np.intp]
    overlay_full_at: NDArray[np.float32]
    backdrop: NDArray[np.uint8]
    skin: NDArray[np.int32]
    lamp: NDArray[np.float32]
    exposure: NDArray[np.float32]
    rest_brightness: NDArray[np.float32]
    landmark: NDArray[np.intp]
    iris_corner: NDArray[np.intp]
    iris_weight: NDArray[np.float32]


_scenes: WeakKeyDictionary[Avatar, dict[int, Scene]] = WeakKeyDictionary()


def scene_of(avatar: Avatar, size: int) -> Scene:
    """The scene of an avatar (told apart by identity) at one picture size; made once, then shared while the avatar lives."""
    scenes = _scenes.setdefault(avatar, {})
    if size not in scenes:
        scenes[size] = _scene(avatar, size)
    return scenes[size]


def _scene(original: Avatar, size: int) -> Scene:
    avatar, where = localised(original)
    eyes = [where[eye.first : eye.last] for eye in (original.eyes["Left"], original.eyes["Right"])]
    atlas = Atlas(avatar, size / FRAME)
    triangles, part, two_sided = merge_twins(avatar.triangles, avatar.part)
    opacity = raster.alpha_range(triangles, atlas.uv, atlas.texels, atlas.pitch)
    moves = np.empty(len(where), np.bool_)
    moves[where] = _moves(original)
    moving = _any_corner(moves, triangles)
    soft = opacity[:, 0] < 255
    chosen = opacity[:, 1] > 0
    depth_order = component_depth(avatar, triangles)
    nearby = morton(avatar.vertices[triangles, :2].mean(axis=1))
    keys = (nearby, np.where(soft, depth_order, _ORDER[part]), soft, moving)
    order = np.lexsort(keys)
    order = order[chosen[order]]
    triangles, part, two_sided = triangles[order], part[order], two_sided[order]
    moving, soft = moving[order], soft[order]
    first = int(np.count_nonzero(~moving))
    still_span = Span(0, int(np.count_nonzero(~moving & ~soft)), first)
    moving_span = Span(first, first + int(np.count_nonzero(moving & ~soft)), len(triangles))
    rims, clip_index = _rims(avatar, triangles, part)
    shaded = _any_corner(np.abs(avatar.shade - 1).max(axis=1) > 1e-3, triangles)
    kind = (two_sided | (part == FACE)) * TWO_SIDED + shaded * SHADED + (clip_index << CLIP_SHIFT)
    edges, sides = edges_of(triangles)
    overlay_start, overlay_of = _overlays(avatar, triangles, atlas)
    start, touched, displacement = sparse_shapes(avatar.deltas)
    skin = np.ascontiguousarray(triangles[(part == FACE) | (part == OUTER)], np.int32)
    lamp = lamp_of(avatar)
    count = len(avatar.overlays)
    iris_corner, iris_weight = _irises(original)
    names = {name: i for i, name in enumerate(avatar.shapes)}
    return Scene(
        size=size,
        scale=size / FRAME,
        start=start,
        touched=touched,
        displacement=displacement,
        rest=np.array(avatar.vertices, np.float32),
        head_weight=np.array(avatar.head_weight, np.float32),
        eye_vertex=np.concatenate(eyes).astype(np.int32),
        eye_split=len(eyes[0]),
        eye_centre=np.array([original.eyes[side].centre for side in ("Left", "Right")], np.float32),
        pivot=np.array(avatar.pivot, np.float32),
        triangles=np.ascontiguousarray(triangles, np.int32),
        kind=kind.astype(np.uint8),
        piece=_inner_piece(avatar, triangles, part),
        still=still_span,
        moving=moving_span,
        edges=edges,
        sides=sides,
        rims=rims,
        uv=atlas.uv,
        shade=np.array(avatar.shade, np.float32),
        texels=atlas.texels,
        pitch=atlas.pitch,
        overlay_start=overlay_start,
        overlay_of=overlay_of,
        overlay_uv=atlas.overlay_uv,
        overlay_mask=np.array([o.mask for o in avatar.overlays], np.float32).reshape(count, len(avatar.vertices)),
        overlay_shape=np.array([names[o.control] for o in avatar.overlays], np.intp),
        overlay_full_at=np.array([o.full_at for o in avatar.overlays], np.float32),
        backdrop=_backdrop(avatar, size),
        skin=skin,
        lamp=lamp,
        exposure=exposure(avatar, skin, rim_of(skin)),
        rest_brightness=rest_brightness(avatar, skin, lamp),
        landmark=where[:IRISES],
        iris_corner=where[iris_corner],
        iris_weight=iris_weight,
    )


def _any_corner(marked: NDArray[np.bool_], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool[T]: whether any corner of a triangle is marked, from bool[V]."""
    return marked[triangles[:, 0]] | marked[triangles[:, 1]] | marked[triangles[:, 2]]


def _moves(avatar: Avatar) -> NDArray[np.bool_]:
    """bool[V]: whether anything ever moves a vertex."""
    moves = (avatar.head_weight > 0) | (np.abs(avatar.deltas).max(axis=(0, 2)) >= 0.002)
    for eye in avatar.eyes.values():
        moves[eye.first : eye.last] = True
    return moves


def _inner_piece(avatar: Avatar, triangles: NDArray[np.int32], part: NDArray[np.intp]) -> NDArray[np.uint8]:
    """uint8[T]: a number for each connected piece of surface behind the skin, 0 for the skin."""
    label = pieces(np.concatenate([triangles[:, :2], triangles[:, 1:]]), len(avatar.vertices))[triangles[:, 0]]
    behind = part > OUTER
    number = np.zeros(len(triangles), np.uint8)
    _, which = np.unique(label[behind], return_inverse=True)
    number[behind] = which % 255 + 1
    return number


def _rims(
    avatar: Avatar, triangles: NDArray[np.int32], part: NDArray[np.intp]
) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.intp]]:
    """The rims through which the eyes and the mouth are seen, and for each triangle the rim that bounds it (0: none)."""
    skin = triangles[(part == FACE) | (part == OUTER)]
    index = np.zeros(len(triangles), np.intp)
    if not len(skin):
        return (), index
    rim = rim_of(skin)
    label = pieces(rim, len(avatar.vertices))
    loops = [np.flatnonzero(label == name) for name in np.unique(label[rim[:, 0]])]
    found: list[NDArray[np.intp]] = []
    for inner in (LEFT_EYE, RIGHT_EYE, MOUTH):
        mine = part == inner
        if not mine.any():
            continue
        centre = np.median(avatar.vertices[np.unique(triangles[mine]), :2], axis=0)
        around = [loop for loop in loops if _holds(avatar.vertices[loop, :2], centre)]
        if around:
            found.append(min(around, key=lambda loop: float(np.ptp(avatar.vertices[loop, 0]))))
            index[mine] = len(found)
    return tuple(found), index


def _holds(loop: NDArray[np.float32], point: NDArray[np.floating]) -> bool:
    """Whether a point lies in a loop's bounding box, widened by half its width."""
    low, high = loop.min(axis=0), loop.max(axis=0)
    reach = 0.5 * float(high[0] - low[0])
    return bool(np.all(point >= low - reach) and np.all(point <= high + reach))


def _overlays(avatar: Avatar, triangles: NDArray[np.int32], atlas: Atlas) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each triangle the overlays that may show on it, as (start int32[T + 1], overlay_of int32[N])."""
    shows = np.zeros((len(triangles), len(avatar.overlays)), np.bool_)
    for i, overlay in enumerate(avatar.overlays):
        masked = np.flatnonzero((overlay.mask > 0)[triangles].all(axis=1))
        opacity = raster.alpha_range(triangles[masked], atlas.overlay_uv[i], atlas.texels, atlas.pitch)
        shows[masked[opacity[:, 1] > 0], i] = True
    start = np.concatenate([[0], np.cumsum(shows.sum(axis=1))]).astype(np.int32)
    return start, np.nonzero(shows)[1].astype(np.int32)


def _irises(avatar: Avatar) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Where on the eyeballs the landmarks of the irises lie: corners intp[10, 3] and their weights float32[10, 3]."""
    corners, weights = np.zeros((10, 3), np.intp), np.zeros((10, 3), np.float32)
    seen = avatar.vertices[:, :2] * (CAMERA / (CAMERA - avatar.vertices[:, 2:])) + FRAME / 2
    for n, point in enumerate(avatar.landmarks[IRISES : IRISES + 10, :2]):
        eye = avatar.eyes["Right" if n < 5 else "Left"]
        mine = avatar.triangles[((avatar.triangles >= eye.first) & (avatar.triangles < eye.last)).all(axis=1)]
        a, b, c = seen[mine[:, 0]], seen[mine[:, 1]], seen[mine[:, 2]]
        area = _cross(b - a, c - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.stack([_cross(b - point, c - point), _cross(c - point, a - point), _cross(a - point, b - point)], axis=1)
            w /= area[:, None]
        holding = np.flatnonzero((area > 0) & (w > -1e-4).all(axis=1))
        if len(holding):
            nearest = holding[np.argmax(avatar.vertices[mine[holding], 2].mean(axis=1))]
            corners[n], weights[n] = mine[nearest], w[nearest]
        else:
            corners[n] = eye.first + np.argmin(np.linalg.norm(seen[eye.first : eye.last] - point, axis=1))
            weights[n, 0] = 1
    return corners, weights


def _cross(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _backdrop(avatar: Avatar, size: int) -> NDArray[np.uint8]:
    if size == FRAME:
        return np.array(avatar.background)
    how = cv2.INTER_AREA if size < FRAME else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(avatar.background, (size, size), interpolation=how), np.uint8)
