"""Textures as the rasteriser reads them: one sheet of packed texels, filtered for the picture's size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.render.topology import pieces
from engine.rig.avatar import CAMERA, Avatar, Overlay

_SLACK = 1.15  # a texture is resized if it differs from the picture's resolution by more than this factor
_FINER = 1.4  # texels per pixel of what lies behind openings, where a texture is much finer than the picture
_LEAST_TEXTURE = 3.0  # px
_SKIN = 2  # parts up to this one share the photo's own texture


class Atlas:
    """The avatar's textures, one below the other, at the resolution of the picture.

    First that of the skin, then those of the pieces behind it (eyeballs,
    teeth), then those of the overlays.

    Attributes:
        texels: uint64[H * W], four channels in 16-bit lanes, red lowest; pitch: W.
        uv: float32[V, 2] px in `texels`; overlay_uv: float32[O, V, 2] likewise.
    """

    def __init__(self, avatar: Avatar, scale: float) -> None:
        skin = avatar.triangles[avatar.part <= _SKIN]
        main = _resized(avatar.texture, avatar.uv, scale / density(avatar.vertices, skin, avatar.uv))
        inner = _inner_pieces(avatar)
        behind = [_piece(avatar, triangles, scale) for triangles in inner]
        overlays = [_overlay(avatar, overlay, scale) for overlay in avatar.overlays]
        sheets = [main, *behind, *overlays]
        width = max(image.shape[1] for image, _ in sheets)
        texels = np.zeros((sum(image.shape[0] for image, _ in sheets), width), np.uint64)
        coordinates: list[NDArray[np.float32]] = []
        top = 0
        for image, uv in sheets:
            texels[top : top + image.shape[0], : image.shape[1]] = packed(image)
            inside = np.clip(uv, 0.01, np.array([image.shape[1], image.shape[0]]) - 1.01)
            coordinates.append((inside + np.array([0, top])).astype(np.float32))
            top += image.shape[0]
        self.texels, self.pitch = texels.ravel(), width
        self.uv = coordinates[0]
        for triangles, uv in zip(inner, coordinates[1:], strict=False):
            self.uv[triangles] = uv[triangles]
        shown = coordinates[1 + len(inner) :]
        self.overlay_uv = np.array(shown, np.float32).reshape(len(avatar.overlays), len(avatar.vertices), 2)


def _inner_pieces(avatar: Avatar) -> list[NDArray[np.int32]]:
    """The triangles of each connected piece that shares no vertex with the skin and has a texture, not one colour."""
    label = pieces(np.concatenate([avatar.triangles[:, :2], avatar.triangles[:, 1:]]), len(avatar.vertices))
    of = label[avatar.triangles[:, 0]]
    names = np.setdiff1d(of, of[avatar.part <= _SKIN])
    found = [avatar.triangles[of == name] for name in names]
    return [piece for piece in found if float(np.ptp(avatar.uv[piece].reshape(-1, 2), axis=0).min()) > _LEAST_TEXTURE]


def _piece(avatar: Avatar, triangles: NDArray[np.int32], scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The part of the texture that a piece shows, a little finer than the picture, and all vertices' places in it."""
    corners = avatar.uv[triangles].reshape(-1, 2)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + 2
    image = avatar.texture[low[1] : high[1], low[0] : high[0]]
    coarsest = density(avatar.vertices, triangles, avatar.uv, 15)
    return _resized(image, (avatar.uv - low).astype(np.float32), min(_FINER * scale / coarsest, max(scale, 1.0)))


def _overlay(avatar: Avatar, overlay: Overlay, scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    shown = avatar.triangles[(overlay.mask > 0)[avatar.triangles].all(axis=1)]
    return _resized(overlay.texture, overlay.uv, scale / density(avatar.vertices, shown, overlay.uv))


def density(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], uv: NDArray[np.float32], percentile: float = 50
) -> float:
    """Texels per px of the working frame, a percentile over triangles; 1 if there is none."""
    perspective = (CAMERA / (CAMERA - vertices[:, 2:]))[triangles]
    seen = _areas(vertices[:, :2][triangles] * perspective)
    texels = _areas(uv[triangles])
    usable = (seen > 0.05) & (texels > 0.05)
    if not usable.any():
        return 1.0
    return float(np.sqrt(np.percentile(texels[usable] / seen[usable], percentile)))


def _areas(corners: NDArray[np.floating]) -> NDArray[np.floating]:
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def _resized(image: NDArray[np.uint8], uv: NDArray[np.float32], factor: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A texture near the wanted resolution and its coordinates; unchanged if it is near enough already."""
    if 1 / _SLACK < factor < _SLACK:
        return image, uv
    height, width = max(2, round(image.shape[0] * factor)), max(2, round(image.shape[1] * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    exact = np.array([width / image.shape[1], height / image.shape[0]])
    resized = np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
    return resized, ((uv + 0.5) * exact - 0.5).astype(np.float32)


def packed(image: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint8[H, W, 4] as uint64[H, W] with each channel in 16 bits."""
    lanes = image.astype(np.uint64)
    return lanes[..., 0] | lanes[..., 1] << np.uint64(16) | lanes[..., 2] << np.uint64(32) | lanes[..., 3] << np.uint64(48)
