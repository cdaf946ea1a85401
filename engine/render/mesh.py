"""The mesh renderer: any portrait, no network, one CPU core."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.media import AudioChunk, VideoFrame
from engine.render import raster
from engine.render.badge import burn
from engine.render.deform import deform
from engine.render.lamp import RANGE, illuminate
from engine.render.scene import Scene, Span, scene_of
from engine.rig.avatar import Avatar, Drive
from engine.rig.controls import drive

_LIGHT_BOUNDS = np.array(RANGE, np.float32)
_FAR = np.float32(-1e9)
_RIM_MARGIN = 2.0  # px of the working frame around an opening within which what lies behind it is drawn


class MeshRenderer:
    """Draws an avatar for one session; keeps nothing from one frame to the next but its buffers.

    `badge` burns the mark of synthetic pictures into each frame, for callers that do not do so later on.
    """

    def __init__(self, avatar: Avatar, size: int, *, badge: bool = False) -> None:
        self._avatar, self._badge = avatar, badge
        self._canvas = Canvas(scene_of(avatar, size))
        self._motion: Motion | None = None

    @property
    def size(self) -> int:
        """Height and width of the picture in pixels."""
        return self._canvas.scene.size

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        """Not listened to: the controls say what the lips do."""

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        """Not looked at: the controls say what the face does."""

    def prepare(self, motion: Motion) -> None:
        """Take the motion of the next frame."""
        self._motion = motion

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None = None) -> VideoFrame:
        """The frame for the motion last prepared; its pixels stay valid until the next `finish`."""
        if self._motion is None:
            raise ValueError("finish() without prepare(); give prepare() the motion of the frame first")
        rgb = self._canvas.draw(drive(self._avatar, self._motion))
        if self._badge:
            burn(rgb)
        frame = VideoFrame(self._motion.sample, rgb)
        self._motion = None
        return frame

    def landmarks(self) -> NDArray[np.float32]:
        """float32[478, 3]: where the landmarks are in the last frame, pixels of the picture; z towards the camera."""
        return self._canvas.landmarks()

    def reset(self) -> None:
        """Forget all frames drawn so far."""
        self._motion = None


class Canvas:
    """The buffers of one picture, and the order in which they are filled."""

    def __init__(self, scene: Scene) -> None:
        size, vertices, pixels = scene.size, len(scene.rest), scene.size * scene.size
        self.scene = scene
        self.rgb = np.array(scene.backdrop)
        self._depth = np.full(pixels, _FAR, np.float32)
        self._posed = np.empty((vertices, 3), np.float32)
        self._screen = np.empty((vertices, 3), np.float32)
        self._clip = np.tile(np.array([0, 0, size - 1, size - 1], np.int64), (1 + len(scene.rims), 1))
        self._strength = np.zeros(len(scene.overlay_shape), np.float32)
        self._normal = np.empty((vertices, 3), np.float32)
        self._light = np.ones(vertices, np.float32)
        self._mesh = raster.Mesh(
            np.empty((vertices, 2), np.int32), np.empty(vertices, np.float32),
            scene.triangles, scene.kind, scene.piece, self._clip,
        )  # fmt: skip
        self._look = raster.Look(
            scene.texels, scene.pitch, len(scene.texels) // scene.pitch, scene.uv, scene.shade, self._light,
            scene.overlay_start, scene.overlay_of, scene.overlay_uv, scene.overlay_mask, self._strength,
        )  # fmt: skip
        self._owner = np.zeros(pixels, np.uint8)
        self._facing = np.zeros(len(scene.triangles), np.int8)
        self._bounds = np.empty((len(scene.triangles), 4), np.int16)
        self._slot = np.full(pixels, -1, np.int32)
        tiles = -(-size // raster.TILE)
        self._tiles = np.zeros((tiles, tiles), np.uint8)
        most = max(4096, pixels // 16)
        self._marked = np.empty(most, np.int32)
        self._near = np.empty((most, raster.SAMPLES), np.float32)
        self._seen = np.empty((most, raster.SAMPLES), np.int32)
        self._still_rgb, self._still_depth = np.array(self.rgb), np.array(self._depth)
        self._paint(_at_rest(scene), scene.still)
        self._still_rgb[:], self._still_depth[:] = self.rgb, self._depth

    def draw(self, drive: Drive) -> NDArray[np.uint8]:
        """The picture uint8[size, size, 3] RGB; valid until the next call."""
        self.rgb[:] = self._still_rgb
        self._depth[:] = self._still_depth
        self._paint(drive, self.scene.moving)
        return self.rgb

    def _paint(self, drive: Drive, span: Span) -> None:
        scene, mesh, look, width = self.scene, self._mesh, self._look, self.scene.size
        deform(
            scene.rest, scene.start, scene.touched, scene.displacement, drive.weights,
            scene.eye_vertex, scene.eye_split, scene.eye_centre, np.stack([drive.left_eye, drive.right_eye]),
            scene.head_weight, drive.head, drive.shift, scene.pivot, scene.scale,
            self._posed, self._screen, mesh.grid, mesh.near,
        )  # fmt: skip
        if len(self._strength):
            self._strength[:] = np.clip(drive.weights[scene.overlay_shape] / scene.overlay_full_at, 0, 1)
        illuminate(
            self._posed, scene.skin, scene.lamp, drive.head, scene.head_weight, scene.exposure, scene.rest_brightness,
            _LIGHT_BOUNDS, self._normal, self._light,
        )  # fmt: skip
        self._bound_openings()
        rgb, depth, marked = self.rgb.reshape(-1), self._depth, self._marked
        raster.fill_opaque(
            span.first, span.opaque, span.last, mesh, look, width, rgb, depth, self._owner, self._facing, self._bounds
        )
        count = raster.mark_edges(
            span.first, span.opaque, self._screen, scene.edges, scene.sides, scene.kind, self._facing,
            width, depth, self._slot, marked, self._tiles,
        )  # fmt: skip
        count = raster.mark_crossings(
            count, self._clip, width, self._owner, depth, self._slot, marked, self._tiles
        )  # fmt: skip
        raster.open_edges(count, marked, self._still_depth, self._near, self._seen)
        raster.cover_edges(
            span.first, span.opaque, span.last, mesh, width, self._bounds, self._slot, self._tiles, self._near, self._seen
        )  # fmt: skip
        raster.resolve_edges(count, span.opaque, marked, mesh, look, width, self._seen, self._still_rgb.reshape(-1), rgb)
        raster.blend_soft(span.opaque, span.last, mesh, look, width, self._slot, self._near, rgb, depth)
        raster.close_edges(count, marked, width, self._slot, self._tiles)

    def _bound_openings(self) -> None:
        """Clip what lies behind the lids and lips to the bounding boxes of their rims."""
        margin = _RIM_MARGIN * self.scene.scale
        for i, rim in enumerate(self.scene.rims, start=1):
            corners = self._screen[rim, :2]
            low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
            self._clip[i, :2] = np.maximum(np.floor(low), 0)
            self._clip[i, 2:] = np.minimum(np.ceil(high), self.scene.size - 1)

    def landmarks(self) -> NDArray[np.float32]:
        """See `MeshRenderer.landmarks`."""
        scene = self.scene
        irises = np.einsum("nc,ncd->nd", scene.iris_weight, self._screen[scene.iris_corner])
        return np.concatenate([self._screen[scene.landmark], irises]).astype(np.float32)


def _at_rest(scene: Scene) -> Drive:
    unmoved = np.eye(3, dtype=np.float32)
    return Drive(np.zeros(len(scene.start) - 1, np.float32), unmoved, np.zeros(3, np.float32), unmoved, unmoved)
