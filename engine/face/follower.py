"""One face followed through a video by our own networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.face.condition import PictureCheck
from engine.face.crop import face_square
from engine.face.details import Refiner
from engine.face.detector import Detection, Detector
from engine.face.finder import DETECTOR, MESH, PRESENT, closer_looks, first_look
from engine.face.landmarks import PIXELS, REACH, Found, LandmarkNet
from engine.face.smooth import Smoother
from engine.face.stream import Seen, Trouble
from engine.face.tracker import Face
from engine.runtime.ort import OrtGraph

SEARCH_S: Final = 0.1
"""How often a picture without a face is searched."""
COUNT_S: Final = 1.0
"""How often the whole picture is searched for other people while one is followed."""
PATIENCE_S: Final = 1.0
"""How long the one who was followed is waited for before another person in view is."""
TOO_SMALL: Final = 56.0
"""px: a smaller face tells little of lips and lids."""
TURNED_AWAY_DEG: Final = (58.0, 64.0)
"""Yaw at which a face that was turned away is back, and from which it is."""
FAST: Final = 0.12
"""In sizes of the face: who is so far from where they were expected is looked at again, in the right square."""
LEAP: Final = 0.6
"""In sizes of the face: nobody moves so far from picture to picture."""
GROWTH: Final = 1.5
"""Nor grows or shrinks so much."""
SHAPES: Final = (0.25, 1.6)
"""Distance of the outer eye corners over that from forehead to chin, in space: what lies beyond is no face."""
_WHOLE: Final = float("inf")
_WINDOW: Final = 0.6  # of the picture's width and height: where faces are searched for that are small in the whole picture
_CANDIDATES: Final = 3
_EYE_CORNERS, _TOP_CHIN = (33, 263), (10, 152)


@dataclass(slots=True)
class _Followed:
    """The face as it was last seen."""

    face: Face
    time_s: float
    others: int = 0
    counted_s: float = -np.inf


class Follower:
    """Follows one face from picture to picture; see `FaceFollower`. Get one by `load`.

    Between searches a face is looked for only where it is expected, so a
    picture costs one run of the landmark network and one closer look at eyes and mouth.

    Args:
        detector: says where to look.
        mesh: says what is there; may be shared.
        details: refines lids, irises and lips; may be shared.
    """

    def __init__(self, detector: Detector, mesh: LandmarkNet, details: Refiner) -> None:
        self._detector, self._mesh, self._details = detector, mesh, details
        self._check, self._smoother = PictureCheck(), Smoother()
        self.reset()

    @classmethod
    def load(cls) -> "Follower":
        """With the networks that ship.

        Raises:
            ModelError, MissingDependency: if they cannot be loaded.
        """
        return cls(Detector(OrtGraph.load(DETECTOR)), LandmarkNet(OrtGraph.load(MESH)), closer_looks())

    def reset(self) -> None:
        """See `FaceFollower`."""
        self._check.reset()
        self._smoother.reset()
        self._now: _Followed | None = None  # followed
        self._last: _Followed | None = None  # lost, but perhaps back soon
        self._searched_s = -np.inf
        self._searches = 0
        self._away = False

    def follow(self, rgb: NDArray[np.uint8], time_s: float) -> Seen:
        """See `FaceFollower`."""
        condition = self._check.look(rgb, time_s)
        if condition in ("dark", "covered"):
            self._lose()
            return Seen(time_s, None, condition)
        found = self._continued(rgb, time_s)
        if found is None:
            self._lose()
            found = self._searched(rgb, time_s)
        if found is None:
            return Seen(time_s, None, condition or "no face")
        landmarks = self._smoother.smooth(self._details.refine(rgb, found.landmarks), time_s)
        self._keep(Face(landmarks, found.presence), time_s)
        return self._told(rgb, time_s, condition)

    def _told(self, rgb: NDArray[np.uint8], time_s: float, condition: Trouble) -> Seen:
        now = self._now
        assert now is not None
        self._count(rgb, now, time_s)
        away = abs(now.face.yaw_deg)
        self._away = away > TURNED_AWAY_DEG[0 if self._away else 1]
        trouble: Trouble = condition or ("turned away" if self._away else "too small" if now.face.size < TOO_SMALL else "")
        return Seen(time_s, None if trouble else now.face, trouble, 1 + now.others)

    def _continued(self, rgb: NDArray[np.uint8], time_s: float) -> Found | None:
        """The face where it is expected to be by now, if it is there."""
        if self._now is None:
            return None
        expected = self._smoother.expected(time_s)
        expected = self._now.face.landmarks if expected is None else expected
        found = self._mesh.find(rgb, face_square(expected, REACH, PIXELS))
        if found.presence >= PRESENT and _steps(expected, found.landmarks)[0] > FAST:
            found = self._mesh.find(rgb, face_square(found.landmarks, REACH, PIXELS))
        if found.presence < PRESENT or not plausible(found.landmarks):
            return None
        step, growth = _steps(self._now.face.landmarks, found.landmarks)
        return found if step < LEAP and 1 / GROWTH < growth < GROWTH else None

    def _searched(self, rgb: NDArray[np.uint8], time_s: float) -> Found | None:
        """A face that the detector finds somewhere; at most one run of it every `SEARCH_S`."""
        if time_s - self._searched_s < SEARCH_S:
            return None
        self._searched_s = time_s
        left, top, right, bottom = _windows(rgb.shape[1], rgb.shape[0])[self._searches % 10]
        self._searches += 1
        found = [_moved(d, left, top) for d in self._detector.detect(rgb[top:bottom, left:right], _WHOLE)]
        for detection in self._in_turn(found, time_s)[:_CANDIDATES]:
            look = first_look(self._mesh, rgb, detection)
            if look.presence >= PRESENT and plausible(look.landmarks):
                return look
        return None

    def _in_turn(self, found: Sequence[Detection], time_s: float) -> Sequence[Detection]:
        """Detections in the order in which they are to be followed: who was followed, else the largest."""
        last = self._last
        if last is None or time_s - last.time_s > PATIENCE_S:
            return found
        (x, y), size = last.face.centre, last.face.size
        near = [d for d in found if np.hypot(d.x - x, d.y - y) < size and 1 / GROWTH < d.side / size < GROWTH]
        near.sort(key=lambda d: float(np.hypot(d.x - x, d.y - y)))
        return near or ([] if last.others or len(found) > 1 else found)

    def _keep(self, face: Face, time_s: float) -> None:
        if self._now is None:
            self._now, self._last, self._searches = _Followed(face, time_s), None, 0
        self._now.face, self._now.time_s = face, time_s

    def _lose(self) -> None:
        if self._now is not None:
            self._last, self._now, self._searched_s = self._now, None, -np.inf
            self._smoother.reset()
        self._away = False

    def _count(self, rgb: NDArray[np.uint8], now: _Followed, time_s: float) -> None:
        """How many others there are; looked up now and then."""
        if time_s - now.counted_s < COUNT_S:
            return
        now.counted_s = time_s
        (x, y), size = now.face.centre, now.face.size
        away = [d for d in self._detector.detect(rgb, _WHOLE) if np.hypot(d.x - x, d.y - y) > 0.5 * max(d.side, size)]
        now.others = sum(first_look(self._mesh, rgb, d).presence >= PRESENT for d in away[:_CANDIDATES])


def plausible(landmarks: NDArray[np.floating]) -> bool:
    """Whether landmarks float[478, 3] may be those of a face: neither torn nor squashed."""
    across, down = (float(np.linalg.norm(landmarks[a] - landmarks[b])) for a, b in (_EYE_CORNERS, _TOP_CHIN))
    return SHAPES[0] < across / max(down, 1e-6) < SHAPES[1]


def _steps(before: NDArray[np.floating], after: NDArray[np.floating]) -> tuple[float, float]:
    """How far a face moved, in its sizes, and how many times larger it became."""
    boxes = [(flat.min(1), flat.max(1)) for flat in (np.ascontiguousarray(p[:468, :2].T) for p in (before, after))]
    sizes = [max(float((high - low).max()), 1.0) for low, high in boxes]
    move = np.linalg.norm((boxes[1][0] + boxes[1][1] - boxes[0][0] - boxes[0][1]) / 2)
    return float(move) / sizes[0], sizes[1] / sizes[0]


def _windows(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Where to search, in turn: the whole picture, and between that its corners and its middle; left, top, right, bottom."""
    w, h = max(round(_WINDOW * width), 1), max(round(_WINDOW * height), 1)
    whole = (0, 0, width, height)
    places = ((width - w) // 2, (height - h) // 2), (0, 0), (width - w, 0), (0, height - h), (width - w, height - h)
    return [window for x, y in places for window in (whole, (x, y, x + w, y + h))]


def _moved(detection: Detection, left: int, top: int) -> Detection:
    return Detection(detection.x + left, detection.y + top, detection.side, detection.roll, detection.score)
