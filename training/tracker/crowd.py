# pyright: basic
# cv2 types its images as unions
"""Pictures to teach the face detector: any number of people before any background, seen by any camera."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.crop import Floats, face_square, square
from engine.face.detector import HEIGHT, WIDTH
from training.tracker import augment, occluders, wallpaper

Image = NDArray[np.uint8]

Size = tuple[int, int]
"""Width and height in px."""
FULL: Final[Size] = (WIDTH, HEIGHT)

SMALLEST: Final = 20.0  # px: faces that are put into a picture, and
LARGEST: Final = 1.3  # heights of the picture
COUNTS: Final = (0.22, 0.5, 0.16, 0.08, 0.04)  # shares of pictures with 0, 1, ... people
SEEN: Final = 0.5  # share of a face that must lie in the picture for the detector to have to find it
UPRIGHT: Final = 0.6  # share of heads held about upright; the others are turned by anything
ROLL_DEG: Final = (12.0, 80.0)
_RIGHT_EYE, _LEFT_EYE = 33, 263


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Someone to put into a picture.

    Attributes:
        rgb: uint8[H, W, 3].
        landmarks: float32[478, 3] px of it.
        alpha: uint8[H, W], or None: then all of `rgb` is put there, or an oval about the head.
    """

    rgb: Image
    landmarks: NDArray[np.float32]
    alpha: Image | None = None


def target_of(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32[7]: x, y and side of the face's square, and x and y of the outer corners of its right and left eye."""
    matrix = face_square(landmarks, 1.0, 1)
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    centre, side = inverse @ (0.5, 0.5, 1.0), np.hypot(inverse[0, 0], inverse[0, 1])
    return np.array([*centre, side, *landmarks[_RIGHT_EYE, :2], *landmarks[_LEFT_EYE, :2]], np.float32)


def moved(target: NDArray[np.float32], matrix: Floats) -> NDArray[np.float32]:
    """A target as it lies where `matrix` maps it."""
    points = target[[0, 1, 3, 4, 5, 6]].reshape(3, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.array([*points[0], target[2] * np.hypot(matrix[0, 0], matrix[0, 1]), *points[1:].ravel()], np.float32)


def mirrored(target: NDArray[np.float32], width: int = WIDTH) -> NDArray[np.float32]:
    """A target in the mirror image of a picture so wide: the right eye is a left one there."""
    x, y, side, right_x, right_y, left_x, left_y = target
    return np.array([width - x, y, side, width - left_x, left_y, width - right_x, right_y], np.float32)


class Crowd:
    """Draws pictures with the faces in them.

    Args:
        draws: each gives a person at random; all are asked equally often.
        faceless: parts of photos without a face, for backgrounds.
        rng: decides everything.
    """

    def __init__(
        self,
        draws: Sequence[Callable[[np.random.Generator], Person]],
        faceless: Sequence[Image] | Image,
        rng: np.random.Generator,
    ) -> None:
        self._draws = draws
        self._faceless = faceless
        self._rng = rng

    def draw(self, count: int | None = None, size: Size = FULL) -> tuple[Image, NDArray[np.float32]]:
        """A picture uint8[height, width, 3] with `count` people (default: any), and their faces.

        The faces are float32[N, 7], as `target_of` has them.
        """
        rng = self._rng
        picture = backdrop(rng, self._faceless, size)
        count = int(rng.choice(len(COUNTS), p=COUNTS)) if count is None else count
        targets: list[NDArray[np.float32]] = []
        for i in range(count):
            person = self._draws[int(rng.integers(len(self._draws)))](rng)
            matrix = placed(target_of(person.landmarks), rng, size, LARGEST if i == 0 else LARGEST / 2.5)
            target = moved(target_of(person.landmarks), matrix)
            if all(_clear(target, other) for other in targets):
                picture = _join(picture, person, matrix, rng, alone=not targets)
                targets.append(target)
        if rng.random() < 0.5:
            picture, targets = np.ascontiguousarray(picture[:, ::-1]), [mirrored(target, size[0]) for target in targets]
        return disturbed(picture, rng), np.array(targets, np.float32).reshape(-1, 7)


def placed(target: NDArray[np.float32], rng: np.random.Generator, size: Size = FULL, largest: float = LARGEST) -> Floats:
    """float64[2, 3]: maps a person's picture so that the face is of any size, anywhere, and tilted."""
    width, height = size
    side = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(largest * height))))
    roll = rng.normal(0, ROLL_DEG[0]) if rng.random() < UPRIGHT else rng.uniform(-ROLL_DEG[1], ROLL_DEG[1])
    own = np.arctan2(target[6] - target[4], target[5] - target[3])
    margin = 0.3 * side if rng.random() < 0.25 else 0.5 * side  # a quarter may be cut at the edge
    x = rng.uniform(min(margin, width / 2), max(width - margin, width / 2))
    y = rng.uniform(min(margin, height / 2), max(height - margin, height / 2))
    upright = square(float(target[0]), float(target[1]), float(target[2]), 1, float(own))
    turn = np.radians(roll)
    c, s = side * np.cos(turn), side * np.sin(turn)
    back = np.array([[c, -s, x - 0.5 * (c - s)], [s, c, y - 0.5 * (s + c)]])
    return np.hstack([back[:, :2] @ upright[:, :2], back[:, :2] @ upright[:, 2:] + back[:, 2:]])


def _clear(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether neither face lies on the other."""
    return float(np.abs(one[:2] - other[:2]).max()) > 0.75 * float(one[2] + other[2])


def _join(picture: Image, person: Person, matrix: Floats, rng: np.random.Generator, *, alone: bool) -> Image:
    """A person put into a picture."""
    size = (picture.shape[1], picture.shape[0])
    person, matrix = _shrunk(person, matrix)
    if rng.random() < 0.15:
        person = Person(occluders.cover(person.rgb, person.landmarks, rng), person.landmarks, person.alpha)
    alpha = _alpha(person, rng, alone=alone)
    view = cv2.warpAffine(person.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR)
    view = augment.tone(np.asarray(view, np.uint8), rng) if rng.random() < 0.5 else view
    share = np.asarray(mask, np.float32)[..., None] / 255
    return (picture + share * (np.asarray(view, np.float32) - picture)).astype(np.uint8)


def _shrunk(person: Person, matrix: Floats) -> tuple[Person, Floats]:
    """The same with fewer pixels, if many are not needed: warping samples single ones."""
    while min(person.rgb.shape[:2]) >= 32 and np.hypot(matrix[0, 0], matrix[0, 1]) < 0.6:
        size = (person.rgb.shape[1] // 2, person.rgb.shape[0] // 2)
        rgb = np.asarray(cv2.resize(person.rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = (
            None if person.alpha is None else np.asarray(cv2.resize(person.alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
        )
        person = Person(rgb, person.landmarks * np.float32(0.5), alpha)
        matrix = np.hstack([matrix[:, :2] * 2, matrix[:, 2:]])
    return person, matrix


def _alpha(person: Person, rng: np.random.Generator, *, alone: bool) -> Image:
    """uint8[H, W]: what is shown of a person. Only one that is alone may bring along what is behind."""
    height, width = person.rgb.shape[:2]
    if alone and rng.random() < 0.5:
        return np.full((height, width), 255, np.uint8)
    if person.alpha is not None:
        return person.alpha
    target = target_of(person.landmarks)
    roll = float(np.degrees(np.arctan2(target[6] - target[4], target[5] - target[3])))
    axes = (target[2] * rng.uniform(0.55, 0.8), target[2] * rng.uniform(0.62, 0.9))
    oval = np.zeros((height, width), np.uint8)
    cv2.ellipse(oval, (int(target[0]), int(target[1])), (int(axes[0]), int(axes[1])), roll, 0, 360, 255, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(oval, (0, 0), max(0.03 * float(target[2]), 0.5)), np.uint8)


def backdrop(rng: np.random.Generator, faceless: Sequence[Image] | Image, size: Size = FULL) -> Image:
    """uint8[height, width, 3] without a face: photo, texture, or pieces of several."""
    width, height = size
    picture = _backdrop(rng, faceless, size)
    while rng.random() < 0.3:
        other = _backdrop(rng, faceless, size)
        x, y = int(rng.integers(0, width - 24)), int(rng.integers(0, height - 24))
        w, h = int(rng.integers(16, width)), int(rng.integers(16, height))
        picture[y : y + h, x : x + w] = other[y : y + h, x : x + w]
    return picture


def _backdrop(rng: np.random.Generator, faceless: Sequence[Image] | Image, size: Size) -> Image:
    kind = rng.random()
    if len(faceless) and kind < 0.45:
        part = faceless[int(rng.integers(len(faceless)))]
        turned = np.rot90(part, int(rng.choice([0, 0, 0, 1, 2, 3])))
        shown = turned[: int(rng.integers(turned.shape[0] // 3, turned.shape[0] + 1))]
        return np.array(cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if kind < 0.7:
        return wallpaper.draw(rng, *size)
    return np.array(occluders.texture(rng, max(size))[: size[1], : size[0]], np.uint8)


def disturbed(picture: Image, rng: np.random.Generator) -> Image:
    """In another light, by another camera."""
    if rng.random() < 0.7:
        picture = augment.tone(picture, rng)
    if rng.random() < 0.15:
        picture = augment.lit(picture, rng)
    for change, share in CAMERA:
        if rng.random() < share:
            picture = change(picture, rng)
    return picture


CAMERA: Final = (
    (augment.coarse, 0.15), (augment.shaken, 0.08), (augment.unfocused, 0.08), (augment.dim, 0.14), (augment.grainy, 0.3),
    (augment.compressed, 0.2),
)  # fmt: skip
