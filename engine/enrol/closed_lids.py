# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Closed eyelids, painted from the skin around the eye, as overlays that fade in with a blink.

The tone of a lid is filled in from the skin around the eye; its grain is the
mirror image of the skin above and below; a lash line, a crease and the lid's
roundness are drawn. Lashes are an overlay of their own, shown only when the
eye is as good as closed.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.enrol.contours import contour_y
from engine.enrol.fill import Image, Plane, fill_smooth
from engine.rig.avatar import FRAME, Overlay
from engine.rig.lids import CLOSING
from engine.rig.mesh import Floats, smoothstep
from engine.rig.topology import BROW, LID_LOWER, LID_UPPER, Side

FULL_AT = 0.3  # of a blink
SCALE = 2  # px of the overlay per px of the crop


@dataclass(frozen=True, slots=True, eq=False)
class _Eye:
    """An eye's surroundings, enlarged: the picture, the contours as y(x), and masks uint8 0/1; lengths in enlarged px."""

    photo: Image
    upper: Floats
    lower: Floats
    opening: NDArray[np.uint8]
    brow: NDArray[np.uint8]
    width: float
    height: float
    x: Floats
    y: Floats
    high: Floats
    low: Floats

    @property
    def closing(self) -> Floats:
        """Y of the line on which the lids meet."""
        return self.low - CLOSING * (self.low - self.high)

    @property
    def along(self) -> Floats:
        """0 at the image-left corner, 1 at the right one."""
        return (self.x - self.upper[:, 0].min()) / (np.ptp(self.upper[:, 0]) + 1e-6)


def overlays_of(
    crop: NDArray[np.uint8], landmarks: Floats, uv: Floats, blinks: dict[Side, Floats], reach: float = 0.95
) -> tuple[Overlay, ...]:
    """Closed lids and lashes of both eyes.

    Args:
        crop: uint8[FRAME, FRAME, 3] RGB.
        landmarks: px.
        uv: float64[V, 2] of the whole mesh.
        blinks: float64[N, 3] px of the face's first N vertices at a full blink, by side.
        reach: how far from the eye's centre the overlay shows, in widths of the eye.
    """
    overlays: list[Overlay] = []
    for side, blink in blinks.items():
        eye, box = _eye(crop, landmarks, side)
        x0, y0, x1, y1 = box
        centre = np.concatenate([eye.upper, eye.lower]).mean(0) / SCALE + [x0, y0]
        mask, at = np.zeros(len(uv), np.float32), uv.copy()
        distance = np.linalg.norm(uv[: len(blink)] - centre, axis=1) / (eye.width / SCALE)
        mask[: len(blink)] = 1 - smoothstep(0.8 * reach, reach, distance)
        near = np.flatnonzero(mask > 0)
        at[near] += blink[near, :2]
        at = ((at - [x0, y0]) * SCALE + (SCALE - 1) / 2).clip(0.5, [(x1 - x0) * SCALE - 1.6, (y1 - y0) * SCALE - 1.6])
        place = at.astype(np.float32)
        lid = np.dstack([_lid(eye).clip(0, 255), np.full(eye.x.shape, 255)]).astype(np.uint8)
        overlays.append(Overlay(lid, place, mask, f"eyeBlink{side}", FULL_AT))
        overlays.append(Overlay(_lashes(eye, side), place, mask, f"eyeClosed{side}", 1.0))
    return tuple(overlays)


def _eye(crop: NDArray[np.uint8], landmarks: Floats, side: Side) -> tuple[_Eye, tuple[int, int, int, int]]:
    upper, lower = landmarks[list(LID_UPPER[side]), :2], landmarks[list(LID_LOWER[side]), :2]
    centre, width = np.concatenate([upper, lower]).mean(0), float(np.linalg.norm(upper[0] - upper[-1]))
    x0, y0 = (int(v) for v in np.maximum(0, centre - 1.05 * width))
    x1, y1 = (int(v) for v in np.minimum(FRAME, centre + 1.05 * width))
    size = ((x1 - x0) * SCALE, (y1 - y0) * SCALE)
    photo = cv2.resize(crop[y0:y1, x0:x1], size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    local = (landmarks[:, :2] - [x0, y0]) * SCALE + (SCALE - 1) / 2
    up, low = local[list(LID_UPPER[side])], local[list(LID_LOWER[side])]
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    heights = [contour_y(local, c[side], x[0])[None].repeat(size[1], 0) for c in (LID_UPPER, LID_LOWER)]
    brow = np.asarray(cv2.convexHull(local[list(BROW[side])].astype(np.float32))[:, 0], np.float64)
    eye = _Eye(
        photo=photo,
        upper=up,
        lower=low,
        opening=_polygon(np.concatenate([up, low[::-1]]), size),
        brow=np.asarray(cv2.dilate(_polygon(brow, size), np.ones((4 * SCALE - 1,) * 2, np.uint8)), np.uint8),
        width=width * SCALE,
        height=max(float((low[3:6, 1] - up[3:6, 1]).mean()), 2.0 * SCALE),
        x=x,
        y=y,
        high=heights[0],
        low=heights[1],
    )
    return eye, (x0, y0, x1, y1)


def _polygon(points: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask


def _ellipse(radius: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(radius) + 1,) * 2), np.uint8)


def _lid(eye: _Eye) -> Image:
    """The surroundings of the eye with the eye closed."""
    replaced = _replaced(eye)
    tone = _tone(eye, replaced)
    soft = cv2.GaussianBlur(
        cv2.dilate(replaced.astype(np.float32), np.ones((3, 3), np.uint8)), (0, 0), 0.06 * eye.width + SCALE * 0.6
    )
    painted = (tone + _grain(eye, replaced)) * (1 - _shade(eye)[..., None])
    base = eye.photo * (1 - soft[..., None]) + painted * soft[..., None]
    line = _lash_line(eye)[..., None]
    return (base * (1 - line) + _lash_colour(eye) * line).astype(np.float32)


def _replaced(eye: _Eye) -> NDArray[np.uint8]:
    """1 where the photo shows eye, lashes or liner, which a closed lid does not."""
    big = np.asarray(cv2.dilate(eye.opening, _ellipse(0.085 * eye.width + SCALE)), np.uint8)
    rise = np.array([[1, 0, 0], [0, 1, -0.05 * eye.width]], np.float32)
    big = big | np.asarray(cv2.warpAffine(big, rise, (big.shape[1], big.shape[0])), np.uint8)
    near, wide = (np.asarray(cv2.dilate(eye.opening, _ellipse(k * eye.width))) for k in (0.17, 0.45))
    brightness = eye.photo.sum(2)
    around = brightness[(wide > 0) & (near == 0)]
    threshold = 0.66 * float(np.percentile(around, 60)) if around.size else 0.0
    liner = ((near > 0) & (brightness < threshold)).astype(np.uint8)
    return big | np.asarray(cv2.dilate(liner, np.ones((3, 3), np.uint8)), np.uint8)


def _tone(eye: _Eye, replaced: NDArray[np.uint8]) -> Image:
    """Skin for the lid: filled from the brighter half of the ring around the eye, then tinted to the ring's middle."""
    around = cv2.dilate(replaced, np.ones((2 * int(0.16 * eye.width) + 1,) * 2, np.uint8)) > 0
    ring = around & (replaced == 0) & (eye.brow == 0)
    brightness = eye.photo.sum(2)
    threshold = float(np.percentile(brightness[ring], 50)) if ring.any() else 300.0
    bright = np.where(around, np.clip((brightness - threshold) / 40 + 0.05, 0.004, 1), 0)
    weight: Plane = ((1 - replaced) * (1 - eye.brow) * bright + 1e-7).astype(np.float32)
    tone = cv2.GaussianBlur(fill_smooth(eye.photo, weight), (0, 0), 0.05 * eye.width)
    if ring.any():
        tone = tone * np.clip(np.median(eye.photo[ring], 0) / (np.median(tone[replaced > 0], 0) + 1), 0.70, 1.05)
    return tone.astype(np.float32)


def _grain(eye: _Eye, replaced: NDArray[np.uint8]) -> Image:
    """The fine texture of the skin beside the lid, mirrored onto it."""
    margin = 0.16 * eye.width
    top, bottom = eye.high - margin, eye.low + 0.8 * margin
    above = top - (eye.y - top) * 0.55
    below = bottom + (bottom - eye.y) * 0.8
    from_y = np.where(eye.y < eye.closing, above, below).astype(np.float32)
    mirrored = cv2.remap(eye.photo, eye.x.astype(np.float32), from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    taken = cv2.remap(np.maximum(eye.brow, replaced), eye.x.astype(np.float32), from_y, cv2.INTER_NEAREST)
    fine = np.clip(mirrored - cv2.GaussianBlur(mirrored, (0, 0), 0.045 * eye.width), -14, 14)
    trust = cv2.GaussianBlur((taken == 0).astype(np.float32), (0, 0), 0.04 * eye.width)[..., None]
    beside = smoothstep(-0.12, 0.05, eye.along) * (1 - smoothstep(0.95, 1.12, eye.along))  # contours end at the corners
    return (fine * trust * beside[..., None]).astype(np.float32)


def _shade(eye: _Eye) -> Floats:
    """How much darker the lid is than its tone: round, with a crease and a shadow at the lashes."""
    ends = smoothstep(-0.02, 0.15, eye.along) * (1 - smoothstep(0.86, 1.03, eye.along))
    across = np.clip(1 - np.abs(2 * eye.along - 1), 0, 1)
    above = (eye.closing - eye.y) / (eye.height + 0.08 * eye.width)  # 0 at the lashes, about 1 where the open lid's rim was
    round_off = 0.13 * np.exp(-np.maximum(above, 0) * 5) * (eye.y < eye.closing) - 0.055 * np.exp(
        -(((above - 0.5) / 0.25) ** 2)
    )
    crease = 0.11 * np.exp(-(((above - 1.12 - 0.10 * across) / 0.075) ** 2)) - 0.03 * np.exp(-(((above - 0.97) / 0.07) ** 2))
    under = (eye.y - eye.closing) / (0.022 * eye.width + 0.4 * SCALE)
    return ends * (round_off + crease * (0.35 + 0.65 * across) + 0.09 * np.exp(-(((under - 2.4) / 2) ** 2)))


def _lash_line(eye: _Eye) -> Plane:
    """0..1: the dark line on which the lids meet, thinner towards the corners; it is the upper lid that carries it."""
    taper = np.clip(smoothstep(-0.04, 0.25, eye.along) * (1 - smoothstep(0.80, 1.05, eye.along)), 0, 1)
    thick = (0.35 + 0.65 * taper) * (0.018 * eye.width + 0.30 * SCALE)
    shown = smoothstep(-0.01, 0.04, eye.along) * (1 - smoothstep(0.97, 1.03, eye.along))
    return ((0.55 + 0.3 * _lash_strength(eye)) * shown * np.exp(-(((eye.y - eye.closing) / thick + 0.45) ** 2))).astype(
        np.float32
    )


def _lash_colour(eye: _Eye) -> Floats:
    return np.asarray(np.percentile(eye.photo[eye.opening > 0], 6, axis=0) * 0.8, np.float64)


def _lash_strength(eye: _Eye) -> float:
    """0 for bare rims .. 1 for long dark lashes, by how much darker the open eye's upper rim is than the lid above."""
    band = (
        (eye.y < eye.high + 0.03 * eye.width) & (eye.y > eye.high - 0.06 * eye.width) & (eye.along > 0.15) & (eye.along < 0.85)
    )
    skin = (eye.y < eye.high - 0.18 * eye.width) & (eye.y > eye.high - 0.30 * eye.width) & (eye.brow == 0) & (eye.along > 0)
    if not band.any() or not skin.any():
        return 0.5
    ratio = float(np.median(eye.photo[band].sum(1)) / (np.median(eye.photo[skin].sum(1)) + 1))
    return float(np.clip((0.85 - ratio) / 0.4, 0.25, 1))


def _lashes(eye: _Eye, side: Side) -> NDArray[np.uint8]:
    """RGBA: lashes that hang from the closing line, longer and slanted towards the outer corner."""
    fine = 4
    h, w = eye.x.shape
    canvas = np.zeros((h * fine, w * fine), np.uint8)
    outer_first = side == "Right"  # the person's right eye has its outer corner at image left
    strength = _lash_strength(eye)
    rng = np.random.default_rng(7)
    for t in np.linspace(0.08, 0.94, 24) + rng.normal(0, 0.008, 24):
        x = eye.upper[:, 0].min() + t * np.ptp(eye.upper[:, 0])
        y = float(np.interp(x, eye.x[0], eye.closing[0]))
        outwards = 1 - t if outer_first else t
        length = eye.width * (0.035 + 0.045 * outwards) * rng.uniform(0.8, 1.15) * (0.6 + 0.4 * strength)
        lean = (2 * t - 1) * 0.75 + rng.normal(0, 0.1)
        s = np.linspace(0, 1, 8)
        points = np.stack([x + lean * length * s**1.3, y + length * (s - 0.25 * s**2)], 1) * fine
        for a, b, part in zip(points[:-1], points[1:], s[1:], strict=True):
            shade = int(255 * 0.65 * strength**1.6 * (1 - 0.75 * part))
            cv2.line(canvas, tuple(int(v) for v in a), tuple(int(v) for v in b), shade, max(1, round(fine * 0.9)))
    alpha = cv2.resize(canvas, (w, h), interpolation=cv2.INTER_AREA)
    colour = np.broadcast_to(_lash_colour(eye).clip(0, 255), (h, w, 3))
    return np.dstack([colour, alpha]).astype(np.uint8)
