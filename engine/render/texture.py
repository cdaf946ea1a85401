"""Textures as the rasteriser reads them: one sheet of packed texels, filtered for the picture's size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.rig.avatar import CAMERA, Avatar

_SLACK = 1.15  # a texture is resized if it differs from the picture's resolution by more than this factor


class Atlas:
    """The avatar's texture and those of its overlays, one below the other, at the resolution of the picture.

    Attributes:
        texels: uint64[H * W], four channels in 16-bit lanes, red lowest; pitch: W.
        uv: float32[V, 2] px in `texels`; overlay_uv: float32[O, V, 2] likewise.
    """

    def __init__(self, avatar: Avatar, scale: float) -> None:
        per_px = density(avatar.vertices, avatar.triangles[avatar.part <= 2], avatar.uv)
        sheets = [_resized(avatar.texture, avatar.uv, scale / per_px)]
        for overlay in avatar.overlays:
            shown = avatar.triangles[(overlay.mask > 0)[avatar.triangles].all(axis=1)]
            sheets.append(_resized(overlay.texture, overlay.uv, scale / density(avatar.vertices, shown, overlay.uv)))
        width = max(image.shape[1] for image, _ in sheets)
        height = sum(image.shape[0] for image, _ in sheets)
        texels = np.zeros((height, width), np.uint64)
        coordinates: list[NDArray[np.float32]] = []
        top = 0
        for image, uv in sheets:
            texels[top : top + image.shape[0], : image.shape[1]] = packed(image)
            inside = np.clip(uv, 0.01, np.array([image.shape[1], image.shape[0]]) - 1.01)
            coordinates.append((inside + np.array([0, top])).astype(np.float32))
            top += image.shape[0]
        self.texels, self.pitch = texels.ravel(), width
        self.uv = coordinates[0]
        self.overlay_uv = np.array(coordinates[1:], np.float32).reshape(len(avatar.overlays), len(avatar.vertices), 2)


def density(vertices: NDArray[np.float32], triangles: NDArray[np.int32], uv: NDArray[np.float32]) -> float:
    """Texels per px of the working frame, as the median over triangles; 1 if there is none."""
    perspective = (CAMERA / (CAMERA - vertices[:, 2:]))[triangles]
    seen = _areas(vertices[:, :2][triangles] * perspective)
    texels = _areas(uv[triangles])
    usable = (seen > 0.05) & (texels > 0.05)
    if not usable.any():
        return 1.0
    return float(np.sqrt(np.median(texels[usable] / seen[usable])))


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
