"""`python -m training judge-faces`: the exported landmark networks on held-out faces, run as the engine runs them.

A face is looked for in its crop of the shard as a follower does it: first in
a square that is off as the augmentation places it, then in the square of what
was found, then at both eyes. The last line is one JSON document.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.crop import face_square
from engine.face.details import Details
from engine.face.eyes import EyeNet
from engine.face.landmarks import PIXELS, REACH, LandmarkNet
from engine.face.lips import LipNet
from engine.runtime.ort import OrtGraph
from training.data.splits import Split
from training.tracker.augment import Augment
from training.tracker.data import Shard
from training.tracker.landmarks import shards_of
from training.tracker.points import IRISES, LIDS_APART, LIPS_APART, correlation, distances, gap, turned_apart

EYEBALL: Final = 0.13
"""Radius of an eyeball over the outer-eye distance in space."""
FRAMES: Final = 40
"""Of a still face, for its jitter."""
NOISE: Final = 3.0
"""Deviation of a camera's noise in grey levels, for jitter."""
_FACE: Final = 256  # px, width of the face that jitter is given for
_TILE, _ACROSS = 240, 6

Points = NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--faces", type=Path, required=True, help="shards (python -m training prepare-faces)")
    parser.add_argument("--models", type=Path, default=Path("engine/models"), help="folder (default: %(default)s)")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--most", type=int, default=400, help="faces of a shard (default: %(default)s)")
    parser.add_argument("--sheets", type=Path, help="folder for pictures of what was found (green) and is wanted (red)")


def main(args: argparse.Namespace) -> int:
    """Print figures, and one JSON document as the last line."""
    cv2.setNumThreads(1)
    look = Look.load(args.models)
    report: dict[str, dict[str, float]] = {}
    for name, shard in shards_of(args.faces).items():
        rows = chosen(shard, args.split, args.most)
        if not len(rows):
            continue
        views = seen(look, shard, rows)
        wanted = shard.landmarks[rows]
        report |= {f"{name}, {label}": figures(found, wanted) for label, found in views.items()}
        report |= by_source(views["refined"], wanted, shard.source[rows], name)
        if args.sheets:
            save_sheet(args.sheets / f"{name}.png", shard, rows, views["refined"])
        if name == "stills":
            report["a still face"] = jitter(look, shard, rows[:10])
    for name, row in report.items():
        print(f"{name:34}" + "".join(f"{key} {value:.3g}  " for key, value in row.items()))
    print(json.dumps(report))
    return 0


@dataclass(frozen=True, slots=True)
class Look:
    """The networks."""

    landmarks: LandmarkNet
    details: Details

    @classmethod
    def load(cls, folder: Path) -> "Look":
        """From their files; what has no file refines nothing."""
        parts = [(EyeNet, folder / "face_eyes.onnx"), (LipNet, folder / "face_lips.onnx")]
        details = Details(*(kind(OrtGraph.load(path)) for kind, path in parts if path.exists()))
        return cls(LandmarkNet(OrtGraph.load(folder / "face_landmarks.onnx")), details)

    def again(self, rgb: NDArray[np.uint8], landmarks: Points) -> Points:
        """The face in the square of what was found before."""
        return self.landmarks.find(rgb, face_square(landmarks, REACH, PIXELS)).landmarks


def chosen(shard: Shard, split: Split, most: int) -> NDArray[np.intp]:
    """intp[N]: rows of a split, all or evenly spread."""
    rows = shard.rows(split)
    return rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(np.intp))] if len(rows) > most else rows


def seen(look: Look, shard: Shard, rows: NDArray[np.intp]) -> dict[str, Points]:
    """float32[N, 478, 3] of each look, px of the shard's crops."""
    augment, views = Augment(7), dict[str, list[Points]](first=[], second=[], refined=[])
    for row in rows:
        rgb = np.asarray(shard.crops[row])
        first = look.landmarks.find(rgb, augment.place(shard.landmarks[row], PIXELS, REACH)).landmarks
        second = look.again(rgb, first)
        for several, found in zip(views.values(), (first, second, look.details.refine(rgb, second)), strict=True):
            several.append(found)
    names = ("first look", "second look", "refined")
    return dict(zip(names, (np.stack(several) for several in views.values()), strict=True))


def figures(found: Points, wanted: Points) -> dict[str, float]:
    """Errors in percent of the outer-eye distance, correlations, degrees."""
    error = distances(found, wanted)
    turn = np.abs(turned_apart(found, wanted)).mean(0)
    lids = [correlation(gap(found, eye), gap(wanted, eye)) for eye in LIDS_APART]
    return {
        "n": float(len(found)),
        "error_%": float(error.mean()),
        "median": float(np.median(error.mean(1))),
        "p95": float(np.percentile(error.mean(1), 95)),
        "iris_%": float(error[:, IRISES].mean()),
        "gap_r": correlation(gap(found, LIPS_APART[:3]), gap(wanted, LIPS_APART[:3])),
        "lid_r": float(np.mean(lids)),
        **{name: float(value) for name, value in zip(("yaw", "pitch", "roll"), turn, strict=True)},
        "gaze": float(np.degrees(np.abs(look_of(found) - look_of(wanted))).mean()),
    }


def look_of(landmarks: Points) -> NDArray[np.float64]:
    """float64[N, 2, 2]: where each iris of float32[N, 478, 3] looks, across and down, radians from its eye's middle."""
    u = np.linalg.norm(landmarks[:, 33] - landmarks[:, 263], axis=1)[:, None]
    eyes = ((468, (33, 133)), (473, (263, 362)))
    away = [(landmarks[:, iris, :2] - landmarks[:, list(corners), :2].mean(1)) / (EYEBALL * u) for iris, corners in eyes]
    return np.stack(away, 1).astype(np.float64)


def by_source(found: Points, wanted: Points, source: NDArray[np.str_], name: str) -> dict[str, dict[str, float]]:
    """Errors of each folder that faces came from."""
    folders = np.array([text.split("/")[0] for text in source])
    error = distances(found, wanted)
    return {
        f"{name} of {folder}": {
            "n": float((folders == folder).sum()),
            "error_%": float(error[folders == folder].mean()),
            "iris_%": float(error[folders == folder][:, IRISES].mean()),
        }
        for folder in np.unique(folders)
        if name != "renders"
    }


def jitter(look: Look, shard: Shard, rows: NDArray[np.intp]) -> dict[str, float]:
    """What a still face moves by from frame to frame of a noisy camera, before any smoothing, px of a face of 256 px."""
    rng, moved, turned = np.random.default_rng(1), list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    for row in rows:
        label = shard.landmarks[row]
        track = np.stack(list(_track(look, np.asarray(shard.crops[row]), label, rng)))[5:]
        width = float(np.ptp(label[:468, 0]))
        moved.append(np.linalg.norm(track[:, :, :2] - track[:, :, :2].mean(0), axis=2).ravel() * _FACE / width)
        turned.append(np.abs(turned_apart(track, np.repeat(track.mean(0)[None], len(track), 0))).ravel())
    off, turn = np.concatenate(moved), np.concatenate(turned)
    return {
        "faces": float(len(rows)),
        "px_p50": float(np.median(off)),
        "px_p95": float(np.percentile(off, 95)),
        "deg_p95": float(np.percentile(turn, 95)),
    }


def _track(look: Look, rgb: NDArray[np.uint8], start: Points, rng: np.random.Generator) -> Iterator[Points]:
    landmarks = start
    for _ in range(FRAMES):
        noisy = np.clip(rgb + rng.normal(0, NOISE, rgb.shape), 0, 255).astype(np.uint8)
        landmarks = look.details.refine(noisy, look.again(noisy, landmarks))
        yield landmarks


def save_sheet(path: Path, shard: Shard, rows: NDArray[np.intp], found: Points, most: int = 24) -> None:
    """A picture of some faces: what is wanted in red, what was found in green."""
    tiles: list[NDArray[np.uint8]] = []
    for i in np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int):
        wanted, scale = shard.landmarks[rows[i]], 2
        view = cv2.resize(np.asarray(shard.crops[rows[i]]), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        for points, colour in ((wanted, (255, 60, 60)), (found[i], (60, 255, 60))):
            for x, y in points[:, :2] * scale:
                cv2.circle(view, (round(float(x)), round(float(y))), 1, colour, -1, cv2.LINE_AA)
        error = float(distances(found[i : i + 1], wanted[None]).mean())
        inner = np.ascontiguousarray(view[80:560, 80:560])
        cv2.putText(inner, f"{error:.1f}", (8, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (255, 255, 0), 3, cv2.LINE_AA)
        tiles.append(np.asarray(cv2.resize(inner, (_TILE * 3 // 2, _TILE * 3 // 2), interpolation=cv2.INTER_AREA), np.uint8))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % _ACROSS)
    sheet = np.vstack([np.hstack(tiles[i : i + _ACROSS]) for i in range(0, len(tiles), _ACROSS)])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cast(NDArray[np.uint8], sheet[:, :, ::-1]))
