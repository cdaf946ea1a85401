# pyright: basic
# cv2 types its images as unions
"""The tracker against its teacher on people it was not trained on, and against renders whose truth is known."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import GAZE_RANGE_DEG, Channel
from engine.face.finder import Finder
from engine.face.follower import Follower
from engine.face.pose import RIGID, angles, mean_face, similarity
from engine.face.tracker import Face
from engine.rig.camera import rotation
from training.data.media import pictures
from training.tracker.data import Pictures, Shard

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]

LEAST_PX: Final = 80.0
"""A face that the teacher finds so large may not be missed."""
ELSEWHERE: Final = 0.25
"""In outer-eye distances: landmarks so far off on average are on something else than the face."""
IRISES: Final = slice(468, 478)
_GAPS: Final = ((13, 14), (82, 87), (312, 317))
_LIDS: Final = {"Right": ((159, 145), (158, 153), (160, 144)), "Left": ((386, 374), (385, 380), (387, 373))}
_CORNERS: Final = {"Right": (33, 133), "Left": (362, 263)}
_IRIS: Final = {"Right": 468, "Left": 473}


@dataclass(slots=True)
class Errors:
    """Distances from the truth in shares of the outer-eye distance.

    Attributes:
        all: mean over the 478 landmarks, per face.
        iris: mean over the ten of the irises, per face.
        expected: faces that were to be found.
        missed: those that were not, by source.
    """

    all: list[float] = field(default_factory=list)
    iris: list[float] = field(default_factory=list)
    expected: int = 0
    missed: list[str] = field(default_factory=list)

    def add(self, source: str, truth: Floats, faces: Sequence[Face]) -> float | None:
        """Compare the nearest of the faces found; its error, or None if there is none."""
        large = float(np.ptp(truth[:468, :2], axis=0).max()) >= LEAST_PX
        self.expected += large
        face = nearest(truth, faces)
        error = None if face is None else distances(face.landmarks, truth)
        if error is None or error.mean() > ELSEWHERE:
            if large:
                self.missed.append(source)
            return None
        self.all.append(float(error.mean()))
        self.iris.append(float(error[IRISES].mean()))
        return self.all[-1]


def nearest(truth: Floats, faces: Sequence[Face]) -> Face | None:
    """The face whose middle is nearest to that of landmarks."""
    middle = (truth[:, :2].min(0) + truth[:, :2].max(0)) / 2
    return min(faces, key=lambda face: float(np.hypot(*(middle - face.centre))), default=None)


def distances(found: Floats, truth: Floats) -> NDArray[np.float64]:
    """float64[478]: distances in the picture, in shares of the outer-eye distance."""
    across = np.linalg.norm(truth[33, :2] - truth[263, :2])
    return (np.linalg.norm(found[:, :2] - truth[:, :2], axis=1) / across).astype(np.float64)


def read(path: str | Path) -> Image:
    """uint8[H, W, 3] RGB of a photo."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert bgr is not None, path
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def test_stills(seen: Pictures, most: int) -> Iterator[tuple[str, Image, NDArray[np.float32]]]:
    """Name, picture and the teacher's landmarks of held-out people's photos, spread over the folders."""
    rows = np.flatnonzero((seen.split == "test") & (seen.frame < 0))
    for row in rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)] if len(rows) else rows:
        yield Path(str(seen.path[row])).name, read(str(seen.path[row])), seen.landmarks[row]


def on_stills(seen: Pictures, finder: Finder, most: int) -> Errors:
    """The finder on held-out people's photos."""
    errors = Errors()
    for name, rgb, truth in test_stills(seen, most):
        errors.add(name, truth, finder.detect(rgb))
    return errors


def on_clips(seen: Pictures, follower: Follower, longest_s: float) -> tuple[Errors, dict[str, float]]:
    """The follower on held-out people's clips as a camera would show them, where the teacher looked; and each clip's mean."""
    errors, means = Errors(), {}
    rows = np.flatnonzero((seen.split == "test") & (seen.frame >= 0))
    by_path: dict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        by_path[str(seen.path[row])][int(seen.frame[row])] = int(row)
    for path, frames in sorted(by_path.items()):
        follower.reset()
        own: list[float] = []
        for number, (time_s, rgb) in enumerate(pictures(Path(path))):
            if time_s > longest_s:
                break
            look = follower.follow(rgb, time_s)
            if number in frames and number > 2:
                found = errors.add(
                    f"{Path(path).stem}#{number}", seen.landmarks[frames[number]], [look.face] if look.face else []
                )
                own += [] if found is None else [found]
        means[Path(path).stem] = float(np.mean(own)) if own else float("nan")
    return errors, means


@dataclass(slots=True)
class Exact:
    """How far the tracker is from what was drawn.

    Attributes:
        landmarks: mean distances in shares of the outer-eye distance, per render.
        pose_deg: float64[N, 3] mistakes of yaw, pitch and roll from the person's own neutral.
        gaze_deg: mistakes of gaze, both eyes' mean, where both are open.
        gap: drawn and found lip gaps in outer-eye distances.
        opening: drawn and found openings of both eyes, over their widths.
        lost: renders in which no face was found.
    """

    landmarks: NDArray[np.float64]
    pose_deg: NDArray[np.float64]
    gaze_deg: NDArray[np.float64]
    gap: NDArray[np.float64]
    opening: NDArray[np.float64]
    lost: int


def on_renders(shard: Shard, finder: Finder, people: int, each: int) -> Exact:
    """The finder on renders of held-out people. Each person's neutral pose and gaze are calibrated, as they are live."""
    assert shard.motion is not None
    rows = shard.rows("test")
    names = np.unique(shard.people[rows])
    names = names[np.linspace(0, len(names) - 1, min(people, len(names))).astype(int)]
    lost, parts = 0, []
    for name in names:
        own = rows[shard.people[rows] == name][:each]
        found = [nearest(shard.landmarks[row], finder.detect(np.ascontiguousarray(shard.crops[row]))) for row in own]
        kept = [i for i, face in enumerate(found) if face is not None]
        lost += len(own) - len(kept)
        if len(kept) >= 4:
            seen = np.stack([found[i].landmarks for i in kept])  # type: ignore[union-attr]
            parts.append(_compared(seen, np.asarray(shard.landmarks[own[kept]]), np.asarray(shard.motion[own[kept]])))
    errors, pose, gaze, gaps, openings = (np.concatenate([part[i] for part in parts]) for i in range(5))
    return Exact(errors, pose, gaze, gaps, openings, lost)


def _compared(seen: Floats, truth: Floats, motion: Floats) -> tuple[NDArray[np.float64], ...]:
    """Of one person's renders: landmarks, pose, gaze, gaps, openings; see `Exact`."""
    errors = np.array([distances(s, t).mean() for s, t in zip(seen, truth, strict=True)])
    pose = pose_of(seen) - drawn_pose(motion)
    pose -= np.median(pose, axis=0)
    gaze = (looks_of(seen) - gaze_of(motion))[opening(truth).min(1) > SHOWS]
    gaze -= np.median(gaze, axis=0)
    gaps = np.stack([lip_gap(truth), lip_gap(seen)], 1)
    openings = np.stack([opening(truth), opening(seen)], 1)
    return errors, pose, np.hypot(*gaze.T), gaps, openings


def drawn_pose(motion: Floats) -> NDArray[np.float64]:
    """float64[N, 3]: yaw, pitch, roll in degrees of controls float[N, 58] as their upright crops show them."""
    heads = np.stack([rotation(*own) for own in motion[:, [Channel[name] for name in ("yaw", "pitch", "roll")]].tolist()])
    across = heads[:, :2, 0] / np.linalg.norm(heads[:, :2, 0], axis=1, keepdims=True)  # from eye to eye: level in a crop
    level = np.tile(np.eye(3), (len(heads), 1, 1))
    level[:, 0, :2] = across
    level[:, 1, :2] = np.stack([-across[:, 1], across[:, 0]], 1)
    return angles(level @ heads)


def pose_of(landmarks: Floats) -> NDArray[np.float64]:
    """float64[N, 3]: yaw, pitch, roll in degrees of one person's landmarks float[N, 478, 3]."""
    face = mean_face(landmarks)
    return angles(similarity(landmarks[:, RIGID], face[RIGID])[0])


def gaze_of(motion: Floats) -> NDArray[np.float64]:
    """float64[N, 2]: degrees to the person's left and up, in the head, mean of both eyes, of controls float[N, 58]."""

    def get(name: str) -> Floats:
        return motion[:, Channel[name]]

    left = (get("eyeLookOutLeft") - get("eyeLookInLeft") + get("eyeLookInRight") - get("eyeLookOutRight")) / 2
    up = (get("eyeLookUpLeft") + get("eyeLookUpRight") - get("eyeLookDownLeft") - get("eyeLookDownRight")) / 2
    return GAZE_RANGE_DEG * np.stack([left, up], -1).astype(np.float64)


def looks_of(landmarks: Floats) -> NDArray[np.float64]:
    """float64[N, 2]: gaze in degrees, up to the person's own zero, by the irises' place between the corners of the eyes."""
    face = mean_face(landmarks)
    rotation, scale, shift = similarity(landmarks[:, RIGID], face[RIGID])
    own = np.einsum("tni,tij->tnj", landmarks - shift[:, None], rotation) / scale[:, None, None]
    steps = []
    for side, (one, other) in _CORNERS.items():
        middle = own[:, [one, other]].mean(1)
        steps.append((own[:, _IRIS[side]] - middle)[:, :2] * [1, -1])
    return np.degrees(np.arcsin(np.clip(np.mean(steps, axis=0) / EYEBALL, -0.9, 0.9)))


SHOWS: Final = 0.12
"""Opening over width of an eye from which its iris tells where it looks."""

EYEBALL: Final = 0.135
"""Radius of an eyeball in outer-eye distances (12 mm of 89)."""


def lip_gap(landmarks: Floats) -> NDArray[np.float64]:
    """float64[N]: the inner lips' distance in outer-eye distances, of float[N, 478, 3]."""
    gaps = [np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=1) for a, b in _GAPS]
    return (np.mean(gaps, axis=0) / np.linalg.norm(landmarks[:, 33] - landmarks[:, 263], axis=1)).astype(np.float64)


def opening(landmarks: Floats) -> NDArray[np.float64]:
    """float64[N, 2]: opening over width of the right and of the left eye."""
    both = []
    for side, pairs in _LIDS.items():
        gap = np.mean([np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=1) for a, b in pairs], axis=0)
        one, other = _CORNERS[side]
        both.append(gap / np.linalg.norm(landmarks[:, one] - landmarks[:, other], axis=1))
    return np.stack(both, -1).astype(np.float64)


def correlation(pairs: Floats) -> float:
    """Pearson's r of drawn and found values float[N, 2, ...]."""
    drawn, found = pairs[:, 0].ravel(), pairs[:, 1].ravel()
    return float(np.corrcoef(drawn, found)[0, 1]) if len(drawn) > 2 and drawn.std() and found.std() else float("nan")
