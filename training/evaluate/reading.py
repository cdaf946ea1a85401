"""Reading faces against exact labels: head, gaze, lids, lips and expression of rendered people whose controls are known."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, CHANNELS, Channel, Motion, gaze_controls
from engine.errors import MienError
from engine.face.pose import angles
from engine.face.reader import FaceReader
from engine.face.stream import Seen
from engine.face.tracker import Face
from engine.rig.archive import load
from engine.rig.avatar import CAMERA, FRAME, Avatar
from engine.rig.controls import drive
from engine.rig.topology import POINTS
from training.data.expressions import PORTRAITS
from training.evaluate import reading_renders
from training.evaluate.metrics import correlation

Floats = NDArray[np.float64]

FPS: Final = 25
SHORTEST_S: Final = 4.0
"""Of a film: the person rests for two seconds first."""
MODELS: Final = Path(__file__).parents[2] / "engine" / "models"
VIEW_DEG: Final = float(2 * np.rad2deg(np.arctan(FRAME / 2 / CAMERA)))
"""Horizontal field of view of the renderer's camera."""
_EXPRESSION: Final = tuple(n for n in ARKIT if n.startswith(("brow", "cheek", "noseSneer", "mouthSmile", "mouthFrown")))


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Known controls and what they look like.

    Attributes:
        avatar: whose face.
        controls: float32[T, 58].
        landmarks: float32[T, 478, 3] px of a picture `FRAME` px square.
    """

    avatar: Avatar
    controls: NDArray[np.float32]
    landmarks: NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.evaluate.command`."""
    parser.add_argument("--portraits", type=Path, default=PORTRAITS, metavar="DIR", help="enrolled people (default: built-in)")
    parser.add_argument("--seconds", type=float, default=24.0, help="of film for each (default 24)")
    parser.add_argument("--noise", type=float, default=0.0, metavar="PX", help="added to landmarks, at a face of 160 px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=Path, metavar="DIR", help="made by prepare-faces: judge its drawn faces, too")
    parser.add_argument("--people", type=int, default=24, metavar="N", help="of them (default 24)")
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="of the tracker (default: those that ship)")


def main(args: argparse.Namespace) -> int:
    """Judge; the last line is one JSON document.

    Raises:
        MienError: if the films would be too short for anything to be acted in them.
    """
    if args.seconds < SHORTEST_S:
        raise MienError(f"{args.seconds:g} s of film hold nothing to read: give --seconds {SHORTEST_S:g} or more")
    rows: dict[str, dict[str, float]] = {}
    for index, path in enumerate(sorted(args.portraits.glob("*.mien"))):
        film = filmed(load(path), acted(args.seconds, np.random.default_rng(args.seed + index)))
        rows[path.stem] = judged(film, read(film, args.noise, np.random.default_rng(index)))
    rows["mean"] = {name: float(np.mean([row[name] for row in rows.values()])) for name in next(iter(rows.values()))}
    print(table(rows))
    drawn = _drawn(args.faces / "renders", args.people, args.models) if args.faces else {}
    if drawn:
        print("\n" + table(drawn))
    frames = round(args.seconds * FPS) * (len(rows) - 1)
    print(json.dumps({"question": "how well are faces read", "films": rows, "n_frames": frames, "drawn": drawn}))
    return 0


def _drawn(folder: Path, people: int, models: Path) -> dict[str, dict[str, float]]:
    """Figures for drawn faces of held-out people, from exact landmarks and from the tracker's."""
    rows = {"exact": reading_renders.judged(folder, people, None)}
    track = reading_renders.tracker(models)
    return rows | {"tracker": reading_renders.judged(folder, people, track)} if track else rows


def filmed(avatar: Avatar, controls: NDArray[np.float32]) -> Film:
    """The film of an avatar under controls float32[T, 58]."""
    return Film(avatar, controls, landmarks_of(avatar, controls))


def landmarks_of(avatar: Avatar, controls: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[T, 478, 3] px of a picture `FRAME` px square, as `MeshRenderer.landmarks`, without drawing.

    A portrait is drawn deeper than a tracker saw it (`engine.enrol.depth`);
    depths are the tracker's (as in `training.tracker.exact`).
    """
    excess = avatar.vertices[:POINTS, 2] - avatar.landmarks[:POINTS, 2]
    skin, skin_shapes = avatar.vertices[:POINTS], avatar.deltas[:, :POINTS]
    irises = _irises(avatar)
    out = np.empty((len(controls), len(skin) + len(irises), 3), np.float32)
    for row, values in zip(out, controls, strict=True):
        asked = drive(avatar, Motion(0, values, np.ones(5, np.float32)))
        row[:POINTS] = skin + np.tensordot(asked.weights, skin_shapes, 1)
        for first, side, turn in ((0, "Right", asked.right_eye), (5, "Left", asked.left_eye)):
            centre = avatar.eyes[side].centre
            row[POINTS + first : POINTS + first + 5] = (irises[first : first + 5] - centre) @ turn.T + centre
        row[:] = (row - avatar.pivot) @ asked.head.T + avatar.pivot + asked.shift
        row[:, :2] = FRAME / 2 + row[:, :2] * (CAMERA / (CAMERA - row[:, 2:]))
        row[:POINTS, 2] -= asked.head[2, 2] * excess
    return out


def _irises(avatar: Avatar) -> Floats:
    """float64[10, 3]: the irises' landmarks at rest, on their eyeballs, in the camera's frame."""
    rays = np.column_stack([avatar.landmarks[POINTS:, :2] - FRAME / 2, np.full(10, -CAMERA)]).astype(np.float64)
    out = np.empty((10, 3))
    for i, ray in enumerate(rays):
        eye = avatar.eyes["Right" if i < 5 else "Left"]
        radius = np.linalg.norm(avatar.vertices[eye.first] - eye.centre)
        ray = ray / np.linalg.norm(ray)
        away = np.array([0, 0, CAMERA]) - eye.centre
        along = -(away @ ray) - np.sqrt((away @ ray) ** 2 - away @ away + radius**2)
        out[i] = np.array([0, 0, CAMERA]) + along * ray
    return out


def read(film: Film, noise_px: float = 0.0, rng: np.random.Generator | None = None, **options: bool) -> NDArray[np.float32]:
    """float32[T, 58]: what the reader makes of a film, learning the person's neutral face while it does."""
    reader = FaceReader(field_of_view_deg=VIEW_DEG, **options)
    landmarks = film.landmarks
    if noise_px and rng is not None:
        size = np.ptp(landmarks[:, :468, 1], axis=1).mean() / 160
        landmarks = landmarks + (rng.standard_normal(landmarks.shape) * noise_px * size).astype(np.float32)
    faces = (Seen(i / FPS, Face(points, 1.0), faces=1) for i, points in enumerate(landmarks))
    return np.stack([reader.read(seen, FRAME, FRAME).values for seen in faces])


def acted(seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[T, 58]: a person who rests for two seconds, then talks, looks around, blinks and shows feelings."""
    count = round(seconds * FPS)
    out = np.zeros((count, len(CHANNELS)), np.float32)
    time = np.arange(count) / FPS
    start = np.clip((time - 2) / 0.5, 0, 1)
    for name, size in (("yaw", 8), ("pitch", 5), ("roll", 5), ("tx", 0.12), ("ty", 0.08), ("tz", 0.1)):
        out[:, Channel[name]] = size * _wander(count, 0.8, rng) * start
    for name in _EXPRESSION:
        side = Channel[name]
        both = "Left" if name.endswith("Right") else ""
        twin = Channel[name.replace("Right", both)] if both else side
        out[:, side] = out[:, twin] * (0.85 + 0.15 * _wander(count, 0.5, rng)) if both else _bumps(count, rng) * start
    talk = np.clip(_wander(count, 0.3, rng) + 0.4, 0, 1) * start
    out[:, Channel["jawOpen"]] = talk * 0.5 * np.abs(_wander(count, 4.5, rng)).clip(0, 1)
    for name, share in (("mouthFunnel", 0.3), ("mouthPucker", 0.4), ("mouthLowerDownLeft", 0.4), ("mouthUpperUpLeft", 0.3)):
        out[:, Channel[name]] = talk * share * np.clip(_wander(count, 3, rng), 0, 1)
    for name in ("mouthLowerDown", "mouthUpperUp"):
        out[:, Channel[f"{name}Right"]] = out[:, Channel[f"{name}Left"]]
    _look(out, start, rng)
    return np.clip(out, np.where(np.arange(58) < 52, 0, -60), np.where(np.arange(58) < 52, 1, 60)).astype(np.float32)


def _look(out: NDArray[np.float32], start: Floats, rng: np.random.Generator) -> None:
    """Glances up to 18 degrees, and blinks of six pictures."""
    at, target = 0, np.zeros(2)
    while at < len(out):
        stay = int(rng.integers(8, 40))
        for name, value in gaze_controls(*(target * start[at]).tolist()).items():
            out[at : at + stay, Channel[name]] = value
        at += stay
        target = rng.normal(0, (8, 5)) * (rng.random() > 0.3)
    shape = np.array([0.5, 1, 1, 0.6, 0.25])
    for at in np.cumsum(rng.integers(20, 120, len(out) // 20)):
        if at + len(shape) < len(out):
            out[at : at + len(shape), [Channel["eyeBlinkLeft"], Channel["eyeBlinkRight"]]] = shape[:, None]
    narrow = 0.7 * _bumps(len(out), rng) * start
    for name in ("eyeSquintLeft", "eyeSquintRight"):
        out[:, Channel[name]] = narrow


def _wander(count: int, rate_hz: float, rng: np.random.Generator) -> Floats:
    """float64[T]: smooth noise of unit variance below a rate."""
    frequency = np.fft.rfftfreq(count, 1 / FPS)
    spectrum = rng.standard_normal((2, len(frequency))) * (frequency < rate_hz) * (frequency > 0.05)
    made = np.fft.irfft(spectrum[0] + 1j * spectrum[1], count)
    return made / made.std()


def _bumps(count: int, rng: np.random.Generator) -> Floats:
    """float64[T] in 0..1: now and then a feeling, for a second or so."""
    return np.clip(_wander(count, 0.5, rng) - 0.8, 0, 1)


def judged(film: Film, values: NDArray[np.float32]) -> dict[str, float]:
    """Errors of controls float32[T, 58] that were read from a film; pictures of the first two seconds are for learning."""
    true, seen = (shown(film.avatar, c[2 * FPS :]) for c in (film.controls, values))
    made = landmarks_of(film.avatar, _unposed(values[2 * FPS :]))
    real = landmarks_of(film.avatar, _unposed(film.controls[2 * FPS :]))
    off = np.abs(true - seen)
    open_eyes = film.controls[2 * FPS :, Channel["eyeBlinkLeft"]] < 0.3
    out = {name: float(off[:, i].mean()) for i, name in enumerate(("yaw", "pitch", "roll", "tx", "ty", "tz"))}
    out["gaze_deg"] = float(np.hypot(off[open_eyes, 6], off[open_eyes, 7]).mean())
    out["gap_r"] = correlation(_gap(made), _gap(real))
    out["eye_r"] = float(np.mean([correlation(_lids(made, s), _lids(real, s)) for s in (0, 1)]))
    real_c, seen_c = film.controls[2 * FPS :], values[2 * FPS :]
    for name in _EXPRESSION:
        if not name.endswith("Right"):
            column = Channel[name]
            out[name.removesuffix("Left")] = correlation(real_c[:, column], seen_c[:, column])
    out["coefficients"] = float(np.abs(real_c[:, :52] - seen_c[:, :52]).mean())
    return out


def shown(avatar: Avatar, controls: NDArray[np.float32]) -> Floats:
    """float64[T, 8]: what an avatar makes of controls: yaw, pitch, roll; tx, ty, tz; gaze to the left and up, degrees."""
    out = np.empty((len(controls), 8))
    for row, values in zip(out, controls, strict=True):
        asked = drive(avatar, Motion(0, values, np.ones(5, np.float32)))
        row[:3] = angles(asked.head)
        row[3:6] = asked.shift / avatar.eye_distance * (1, -1, 1)
        row[6:] = (angles(asked.left_eye)[:2] + angles(asked.right_eye)[:2]) / 2
    return out


def _unposed(controls: NDArray[np.float32]) -> NDArray[np.float32]:
    out = controls.copy()
    out[:, 52:] = 0
    return out


def _gap(landmarks: NDArray[np.float32]) -> Floats:
    return np.linalg.norm(landmarks[:, 13, :2] - landmarks[:, 14, :2], axis=1).astype(np.float64)


def _lids(landmarks: NDArray[np.float32], side: int) -> Floats:
    upper, lower = ((386, 374), (159, 145))[side]
    return (landmarks[:, lower, 1] - landmarks[:, upper, 1]).astype(np.float64)


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """People across, figures down."""
    names: Sequence[str] = list(next(iter(rows.values())))
    lines = [f"{'':14}" + "".join(f"{person[:9]:>10}" for person in rows)]
    lines += [f"{name[:13]:14}" + "".join(f"{row[name]:10.3f}" for row in rows.values()) for name in names]
    return "\n".join(lines)
