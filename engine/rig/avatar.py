"""An enrolled identity: the arrays that the mesh renderer draws. Built by `engine.enrol`, stored by `engine.rig.archive`.

Frame of reference. The working frame is `FRAME` px square. Camera frame: x
right, y down, z TOWARDS the camera, origin at the image's centre on the plane
z = 0, unit = one px of the working frame. Perspective: screen = centre +
(x, y) * CAMERA / (CAMERA - z). Neutral vertices reproject exactly to the photo.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME = 512  # px, working frame
CAMERA = 1500.0  # px, distance of the camera from the plane z = 0


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """One eyeball: vertices `first`..`last` turn about `centre` (float32[3], camera frame)."""

    centre: NDArray[np.float32]
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A second texture that fades in over some vertices as a shape is driven (closed lids, creases).

    Attributes:
        texture: uint8[h, w, 4] RGBA.
        uv: float32[V, 2] px in `texture`.
        mask: float32[V] 0..1, where the overlay may show; a triangle shows it only if all its corners do.
        control: the shape whose weight drives it.
        full_at: weight of the shape at which the overlay is fully opaque.
    """

    texture: NDArray[np.uint8]
    uv: NDArray[np.float32]
    mask: NDArray[np.float32]
    control: str
    full_at: float


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Avatar:
    """A portrait made animatable; read-only, shared by all sessions that show it.

    Attributes:
        vertices: float32[V, 3], camera frame, neutral; the first 468 are MediaPipe's face mesh points, in its order.
        shapes: names of the K shapes.
        deltas: float32[K, V, 3] displacement at weight 1, camera frame px.
        uv: float32[V, 2] px in `texture`.
        shade: float32[V, 3] colour multiplier.
        triangles: int32[T, 3], front side counter to the screen's y (as in `part` order of drawing).
        part: uint8[T]: 1 face (two-sided), 2 hair, ears, neck and torso, 3 left eye, 4 right eye, 5 mouth interior.
            A triangle that is to be seen from both sides in another part appears twice, once each way round.
        head_weight: float32[V]: 1 moves with the head, 0 stands still. A vertex with weight 0 and no displacement is
            drawn once and for all; a torso that follows the head a little has a small weight instead.
        pivot: float32[3], the point about which the head turns.
        eyes: "Left" and "Right", the person's own.
        texture: uint8[h, w, 4] RGBA atlas.
        overlays: see `Overlay`.
        background: uint8[FRAME, FRAME, 3] RGB, what is behind the person, filled in.
        landmarks: float32[478, 3] px of the working frame (z towards the camera), MediaPipe's numbering.
        eye_distance: u, px between the outer eye corners: the unit of tx, ty, tz.
        rotation_limit_deg: yaw, pitch and roll that the source pose can bear, each way.
        notes: one line each on what was seen in the photo ("glasses", "open mouth", ...).
    """

    vertices: NDArray[np.float32]
    shapes: tuple[str, ...]
    deltas: NDArray[np.float32]
    uv: NDArray[np.float32]
    shade: NDArray[np.float32]
    triangles: NDArray[np.int32]
    part: NDArray[np.uint8]
    head_weight: NDArray[np.float32]
    pivot: NDArray[np.float32]
    eyes: Mapping[str, Eye]
    texture: NDArray[np.uint8]
    overlays: tuple[Overlay, ...]
    background: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    eye_distance: float
    rotation_limit_deg: tuple[float, float, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """What the controls ask of an avatar's mesh at one instant; made by `engine.rig.controls`, drawn by the renderer.

    Attributes:
        weights: float32[K], one per entry of `Avatar.shapes`; overlays read theirs here too.
        head: float32[3, 3], rotation of the head about `Avatar.pivot`, camera frame.
        shift: float32[3] px, displacement of the head after the rotation, camera frame.
        left_eye: float32[3, 3], rotation of the person's left eyeball about its centre, relative to the head.
        right_eye: the same for the right one.
    """

    weights: NDArray[np.float32]
    head: NDArray[np.float32]
    shift: NDArray[np.float32]
    left_eye: NDArray[np.float32]
    right_eye: NDArray[np.float32]
