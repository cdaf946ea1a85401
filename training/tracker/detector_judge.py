# pyright: basic
# cv2 types its images as unions
"""`python -m training judge-detector`: how many faces of held-out people are missed, and what is taken for one wrongly."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from engine.contract.graph import Graph
from engine.face.detector import HEIGHT, WIDTH, Detection, Detector
from engine.runtime.ort import OrtGraph
from training.tracker import augment, occluders, wallpaper
from training.tracker.crowd import moved, target_of
from training.tracker.data import Faceless, Pictures
from training.tracker.people import whole_pictures

Image = NDArray[np.uint8]

THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FACE_AT_LEAST: Final = 80.0  # px of the picture
FRAMES: Final = 6  # of each clip
NEAR: Final = 0.35  # sides: a detection so near the teacher's face, and
ALIKE: Final = 1.5  # so much larger or smaller at most, is that face
LOW: Final = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--faces", type=Path, default=Path("out/faces"), help="what `prepare-faces` made")
    parser.add_argument("--model", type=Path, default=Path("engine/models/face_detect.onnx"))
    parser.add_argument("--count", type=int, default=6000, help="pictures without a face (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the figures there too")


def main(args: argparse.Namespace) -> int:
    """Print the figures as JSON."""
    cv2.setNumThreads(1)
    graph = OrtGraph.load(args.model)
    report = {
        "found": found(graph, Pictures.load(args.faces / "pictures.npz")),
        "false": false_faces(graph, Faceless.load(args.faces / "faceless"), args.count),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")
    return 0


def found(graph: Graph, pictures: Pictures) -> dict[str, Any]:
    """Of the teacher's faces on people that were not trained on: the share found at each threshold, and how exactly."""
    detector, rng = Detector(graph, LOW), np.random.default_rng(0)
    scores: dict[str, list[float]] = {}
    errors: list[list[float]] = []
    for kind, rgb, landmarks in _held_out(pictures):
        for name, change in CHANGES.items():
            view, target = change(rgb, target_of(landmarks), rng)
            if target[2] < FACE_AT_LEAST:
                continue
            best = match(detector.detect(view), target)
            scores.setdefault(f"{kind} {name}", []).append(best.score if best else 0.0)
            if best and best.score >= THRESHOLDS[3] and name == "as it is":
                errors.append(_error(best, target))
    off = np.percentile(np.array(errors), (50, 95), axis=0).round(3).tolist()
    rows = {kind: {"n": len(own), **_missed(own)} for kind, own in sorted(scores.items())}
    return {
        "missed": rows,
        "error": {"columns": ["centre in sides", "side in shares", "roll in degrees"], "p50": off[0], "p95": off[1]},
    }


def _held_out(pictures: Pictures) -> Iterator[tuple[str, Image, NDArray[np.float32]]]:
    for split in ("test", "validation"):
        for whole in whole_pictures(pictures, split, FRAMES, np.inf, np.inf):
            if target_of(whole.landmarks)[2] >= FACE_AT_LEAST:
                yield ("still" if pictures.frame[whole.row] < 0 else "frame"), whole.rgb, whole.landmarks


def _missed(scores: Sequence[float]) -> dict[str, int]:
    return {f"{threshold:g}": int(np.sum(np.array(scores) < threshold)) for threshold in THRESHOLDS}


def match(faces: Sequence[Detection], target: NDArray[np.float32]) -> Detection | None:
    """The surest detection that is this face."""
    near = [
        face
        for face in faces
        if np.hypot(face.x - target[0], face.y - target[1]) < NEAR * target[2] and 1 / ALIKE < face.side / target[2] < ALIKE
    ]
    return max(near, key=lambda face: face.score, default=None)


def _error(face: Detection, target: NDArray[np.float32]) -> list[float]:
    roll = np.degrees(face.roll - np.arctan2(target[6] - target[4], target[5] - target[3]))
    centre = np.hypot(face.x - target[0], face.y - target[1]) / target[2]
    return [float(centre), abs(float(face.side / target[2]) - 1), abs(float((roll + 180) % 360 - 180))]


def _same(rgb: Image, target: NDArray[np.float32], rng: np.random.Generator) -> tuple[Image, NDArray[np.float32]]:
    return rgb, target


def _camera(side: float, *, rolled: bool = False) -> Callable[..., tuple[Image, NDArray[np.float32]]]:
    """As in a camera's frame of 640x480, the face `side` px large somewhere in it, what is beyond the picture black."""

    def change(rgb: Image, target: NDArray[np.float32], rng: np.random.Generator) -> tuple[Image, NDArray[np.float32]]:
        scale = min(side / float(target[2]), 1.0)
        small = np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        turn = np.radians(rng.uniform(-60, 60)) if rolled else 0.0
        c, s = np.cos(turn), np.sin(turn)
        linear = np.array([[c, -s], [s, c]])
        at = rng.uniform((0.6 * side, 0.6 * side), (640 - 0.6 * side, 480 - 0.6 * side))
        matrix = np.hstack([linear, (at - linear @ (target[:2] * scale))[:, None]])
        return np.asarray(cv2.warpAffine(small, matrix, (640, 480)), np.uint8), moved(
            target, np.hstack([matrix[:, :2] * scale, matrix[:, 2:]])
        )

    return change


def _dark(rgb: Image, target: NDArray[np.float32], rng: np.random.Generator) -> tuple[Image, NDArray[np.float32]]:
    view, target = _camera(150.0)(rgb, target, rng)
    dark = augment.dim(np.asarray(cv2.resize(view, (320, 240), interpolation=cv2.INTER_AREA), np.uint8), rng)
    return np.asarray(cv2.resize(dark, (640, 480)), np.uint8), target


CHANGES: Final = {
    "as it is": _same,
    "80 px in 640x480": _camera(80.01),
    "250 px in 640x480": _camera(250.0),
    "150 px, rolled by up to 60 degrees": _camera(150.0, rolled=True),
    "150 px, dark and noisy": _dark,
}


def false_faces(graph: Graph, faceless: Faceless, count: int) -> dict[str, Any]:
    """Pictures without a face in which one was seen, at each threshold, with the 95 % upper bound of their share."""
    rng = np.random.default_rng(1)
    detector, parts = Detector(graph, LOW), faceless.crops[np.flatnonzero(faceless.split != "train")]
    kinds: dict[str, Callable[[], Image]] = {
        "textures": lambda: wallpaper.draw(rng, WIDTH, HEIGHT) if rng.random() < 0.5 else occluders.texture(rng, WIDTH),
        "parts of photos": lambda: np.asarray(cv2.resize(parts[int(rng.integers(len(parts)))], (HEIGHT, HEIGHT)), np.uint8),
    }
    scores = {
        kind: np.array([_surest(detector, _seen(draw(), rng)) for _ in range(count // 2)]) for kind, draw in kinds.items()
    }
    return {
        kind: {
            "n": len(own),
            "of": len(parts) if kind != "textures" else len(own),
            **{f"{t:g}": (wrong := int((own >= t).sum()), round(upper_bound(wrong, len(own)), 5)) for t in THRESHOLDS},
        }
        for kind, own in (*scores.items(), ("both", np.concatenate(list(scores.values()))))
    }


def _seen(view: Image, rng: np.random.Generator) -> Image:
    """By some camera, and either way round."""
    for change, share in ((augment.tone, 0.5), (augment.grainy, 0.3), (augment.dim, 0.1), (augment.compressed, 0.2)):
        view = change(view, rng) if rng.random() < share else view
    return np.ascontiguousarray(view[:, ::-1]) if rng.random() < 0.5 else view


def _surest(detector: Detector, view: Image) -> float:
    return max((face.score for face in detector.detect(view)), default=0.0)


def upper_bound(wrong: int, count: int) -> float:
    """The share that is not exceeded with 95 % certainty (Clopper and Pearson); three in `count` when there is none."""
    return float(beta.ppf(0.95, wrong + 1, count - wrong)) if wrong < count else 1.0
