"""Reading the drawn faces of held-out people: from their exact landmarks, and from the tracker's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Channel
from engine.face.crop import face_square
from engine.face.eyes import EyeNet
from engine.face.landmarks import PIXELS, REACH, LandmarkNet
from engine.face.lips import LipNet
from engine.face.pose import angles
from engine.face.reader import FaceReader
from engine.face.stream import Seen
from engine.face.tracker import Face
from engine.rig.camera import rotation
from engine.rig.topology import LID_LOWER, LID_UPPER, SIDES
from engine.runtime.ort import OrtGraph
from training.data.fit import Person
from training.evaluate.metrics import correlation
from training.tracker.data import Shard

Floats = NDArray[np.float64]
Tracker = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""Landmarks float32[478, 3] of a crop, about where float32[478, 3] are."""

_VIEW_DEG: Final = 16.0
"""Of a crop: a face that fills half of it was some 250 px wide in the renderer's frame."""
_OFF: Final = 0.04
"""How far, as a share of the face, the square given to the network lies from the right one: as from one frame to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A person's pictures, told relative to one of them.

    Attributes:
        true: float32[T, 58], the controls drawn; read: those read.
        turned_deg: float64[T, 2], yaw and pitch drawn; read_deg: read.
        gap: float64[T], between the lips as drawn, in px; lids: float64[T, 2], likewise.
    """

    true: NDArray[np.float32]
    read: NDArray[np.float32]
    turned_deg: Floats
    read_deg: Floats
    gap: Floats
    lids: Floats


def tracker(models: Path) -> Tracker | None:
    """The tracker's networks on a crop, if they are there."""
    if not (models / "face_landmarks.onnx").is_file():
        return None
    net = LandmarkNet(OrtGraph.load(models / "face_landmarks.onnx"))
    closer = EyeNet(OrtGraph.load(models / "face_eyes.onnx")), LipNet(OrtGraph.load(models / "face_lips.onnx"))
    rng = np.random.default_rng(0)

    def track(rgb: NDArray[np.uint8], near: NDArray[np.float32]) -> NDArray[np.float32]:
        moved = near + np.append(rng.normal(0, _OFF * np.ptp(near[:468, 1]), 2), 0).astype(np.float32)
        points = net.find(rgb, face_square(moved, REACH, PIXELS)).landmarks
        for look in closer:
            points = look.refine(rgb, points)
        return points

    return track


def judged(folder: Path, count: int, track: Tracker | None) -> dict[str, float]:
    """Errors over `count` people of the test split of drawn faces; with the tracker's landmarks, or the exact ones."""
    shard = Shard.load(folder)
    assert shard.motion is not None
    people = np.unique(shard.people[shard.split == "test"])
    chosen = people[np.linspace(0, len(people) - 1, min(count, len(people))).astype(int)]
    pairs = [_pair(shard, np.flatnonzero(shard.people == person), track) for person in chosen]
    common = Person.of(shard.landmarks[0].astype(np.float64) / 100)
    return {"people": float(len(chosen)), "pictures": float(sum(map(len, (p.true for p in pairs)))), **_figures(pairs, common)}


def _pair(shard: Shard, rows: NDArray[np.intp], track: Tracker | None) -> Pair:
    """One person's pictures; the calmest counts as neutral."""
    assert shard.motion is not None
    true = np.array(shard.motion[rows])
    landmarks = exact = np.array(shard.landmarks[rows])
    if track is not None:
        landmarks = np.stack([track(np.array(shard.crops[i]), marks) for i, marks in zip(rows, landmarks, strict=True)])
    blinks = true[:, [Channel["eyeBlinkLeft"], Channel["eyeBlinkRight"]]].sum(1)
    calm = int(np.argmin(np.abs(true[:, 52:55]).sum(1) / 20 + true[:, :52].sum(1) + 3 * blinks))
    reader = FaceReader(field_of_view_deg=_VIEW_DEG)
    side = shard.crops.shape[1]
    reader.calibrate(landmarks, side, side, neutral=landmarks[calm])
    read = []
    for i, marks in enumerate(landmarks):  # far apart, so that no picture is steadied by the one before
        reader.read(Seen(2.0 * i, None, "no face"), side, side)
        read.append(reader.read(Seen(2.0 * i + 1, Face(marks, 1.0)), side, side).values)
    values = np.stack(read)
    upright = rotation(0, 0, -float(true[calm, 54])).T @ rotation(*true[calm, 52:55].tolist())
    turned = np.stack([_upright(row) @ upright.T for row in true])
    return Pair(true, values, angles(turned)[:, :2], values[:, 52:54].astype(np.float64), *_parted(exact))


def _upright(values: NDArray[np.float32]) -> Floats:
    """float64[3, 3]: a head's turn in its upright crop."""
    return (rotation(0, 0, -float(values[54])) @ rotation(*values[52:55].tolist())).astype(np.float64)


def _figures(pairs: list[Pair], common: Person) -> dict[str, float]:
    off = np.concatenate([np.abs(p.turned_deg - p.read_deg) for p in pairs])
    out = {"yaw": float(off[:, 0].mean()), "pitch": float(off[:, 1].mean())}
    out["gaze_deg"] = float(np.mean([_gaze_error(p) for p in pairs]))
    made = [_parted(common.posed(_still(p.read))) for p in pairs]  # by person: each one's neutral lips are parted differently
    out["gap_r"] = float(np.nanmean([correlation(gap, p.gap) for p, (gap, _) in zip(pairs, made, strict=True)]))
    lids = [correlation(seen[:, i], p.lids[:, i]) for p, (_, seen) in zip(pairs, made, strict=True) for i in (0, 1)]
    out["eye_r"] = float(np.nanmean(lids))
    both = [np.concatenate([getattr(p, n)[:, :52] for p in pairs]) for n in ("true", "read")]
    out["coefficients"] = float(np.abs(both[0] - both[1]).mean())
    for name in ("mouthSmileLeft", "mouthFrownLeft", "browInnerUp", "browDownLeft", "cheekPuff", "mouthPucker", "jawOpen"):
        out[name] = correlation(*(values[:, Channel[name]].astype(np.float64) for values in both))
    return out


def _still(values: NDArray[np.float32]) -> NDArray[np.float32]:
    out = values.copy()
    out[:, 52:] = 0
    return out


def _parted(face: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """float64[T] between the lips and float64[T, 2] between the lids, of faces float[T, 468 or 478, 3]."""
    lids = [face[:, LID_LOWER[side][4], 1] - face[:, LID_UPPER[side][4], 1] for side in SIDES]
    return (face[:, 14, 1] - face[:, 13, 1]).astype(np.float64), np.stack(lids, 1).astype(np.float64)


def _gaze_error(pair: Pair) -> float:
    """Mean angle in degrees between where open eyes were turned and where they were read to be."""
    true, read = (_gaze(values) for values in (pair.true, pair.read))
    is_open = pair.true[:, [Channel["eyeBlinkLeft"], Channel["eyeBlinkRight"]]].max(1) < 0.4
    off = true[is_open] - read[is_open]
    return float(np.hypot(*(off - np.median(off, 0)).T).mean())


def _gaze(values: NDArray[np.float32]) -> Floats:
    """float64[T, 2]: degrees to the person's left and up, of both eyes."""
    column = {name: values[:, Channel[f"eyeLook{name}"]] for name in ("InLeft", "OutLeft", "InRight", "OutRight")}
    left = (column["OutLeft"] - column["InLeft"] + column["InRight"] - column["OutRight"]) / 2
    up = (values[:, Channel["eyeLookUpLeft"]] + values[:, Channel["eyeLookUpRight"]]) / 2
    down = (values[:, Channel["eyeLookDownLeft"]] + values[:, Channel["eyeLookDownRight"]]) / 2
    return np.stack([left, up - down], 1).astype(np.float64) * 30
