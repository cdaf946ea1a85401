"""Pictures to judge a portrait by: does it look like a person when it turns, speaks, blinks?

    python -m benchmarks.sheets PORTRAIT.mien ... --out DIR [--size 512]

For each portrait, PNG files in DIR: `NAME-sheet.png` (poses and expressions),
`NAME-shapes.png` (each of ARKit's coefficients at 1, close up), `NAME-strip.png`
(consecutive frames of talking, turning and blinking) and `NAME-edges.png`
(outlines enlarged four times). Nothing is measured; a person looks.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract import ARKIT, Motion
from engine.contract.motion import gaze_controls
from engine.render.mesh import MeshRenderer
from engine.rig.archive import load
from engine.rig.avatar import FRAME, Avatar

Picture = NDArray[np.uint8]
Controls = Mapping[str, float]

TILE = 300  # px
_LABEL = (250, 250, 250)


def both(**controls: float) -> dict[str, float]:
    """The same for the left and the right side."""
    return {f"{name}{side}": value for name, value in controls.items() for side in ("Left", "Right")}


VISEMES: Mapping[str, Controls] = {
    "aa": {"jawOpen": 0.7, **both(mouthLowerDown=0.25, mouthUpperUp=0.15)},
    "ee": {"jawOpen": 0.15, **both(mouthStretch=0.6, mouthSmile=0.25, mouthLowerDown=0.35, mouthUpperUp=0.2)},
    "oo": {"jawOpen": 0.2, "mouthPucker": 0.85, "mouthFunnel": 0.3},
    "oh": {"jawOpen": 0.45, "mouthFunnel": 0.7, "mouthPucker": 0.25},
    "mm": {"mouthClose": 0.05, "jawOpen": 0.05, **both(mouthPress=0.5)},
    "ff": {"jawOpen": 0.1, "mouthRollLower": 0.6, **both(mouthUpperUp=0.25)},
}
EXPRESSIONS: Mapping[str, Controls] = {
    "smile": both(mouthSmile=0.8, cheekSquint=0.4),
    "open smile": {"jawOpen": 0.12, **both(mouthSmile=0.9, mouthUpperUp=0.35, cheekSquint=0.5)},
    "frown": both(mouthFrown=0.8, browDown=0.6),
    "surprise": {"jawOpen": 0.4, "browInnerUp": 0.9, **both(browOuterUp=0.8, eyeWide=0.7)},
    "blink": both(eyeBlink=1.0),
    "half blink": both(eyeBlink=0.5),
    "wink": {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.6},
    "gaze left": gaze_controls(20, 0),
    "gaze right": gaze_controls(-20, 0),
    "gaze up": gaze_controls(0, 15),
    "gaze down": gaze_controls(0, -15),
}
TURNS: Mapping[str, Controls] = {
    f"{name} {angle:+d}": {name: float(angle)} for name in ("yaw", "pitch") for angle in (-20, -15, -10, -5, 5, 10, 15, 20)
} | {"roll -10": {"roll": -10.0}, "roll +10": {"roll": 10.0}}


def drawn(renderer: MeshRenderer, controls: Controls) -> Picture:
    """A copy of the frame for named channels."""
    renderer.prepare(Motion.of(0, controls))
    return np.array(renderer.finish(None).rgb)


def face_box(avatar: Avatar, size: int, reach: float = 0.75) -> tuple[slice, slice]:
    """Rows and columns of a square around the face, `reach` face heights to each side, inside a picture of `size`."""
    points = avatar.landmarks[:, :2] * size / FRAME
    low, high = points.min(axis=0), points.max(axis=0)
    half = min(reach * float((high - low).max()), size / 2)
    x, y = np.clip((low + high) / 2, half, size - half)
    return slice(int(y - half), int(y + half)), slice(int(x - half), int(x + half))


def tiled(pictures: Sequence[tuple[str, Picture]], columns: int, tile: int = TILE) -> Picture:
    """Labelled pictures in rows of `columns`, each brought to `tile` px."""
    cells: list[Picture] = []
    for label, picture in pictures:
        how = cv2.INTER_AREA if picture.shape[0] > tile else cv2.INTER_CUBIC
        cell = np.array(cv2.resize(picture, (tile, tile), interpolation=how), np.uint8)
        cell[:18] //= 3
        cv2.putText(cell, label, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _LABEL, 1, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.full((tile, tile, 3), 40, np.uint8)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def contact_sheet(avatar: Avatar, size: int) -> Picture:
    """Turns as whole pictures; visemes and expressions as close-ups."""
    renderer, box = MeshRenderer(avatar, size), face_box(avatar, size)
    tiles = [("neutral", drawn(renderer, {})), ("neutral", drawn(renderer, {})[box])]
    tiles += [(name, drawn(renderer, controls)[box]) for name, controls in {**VISEMES, **EXPRESSIONS}.items()]
    tiles += [(name, drawn(renderer, controls)) for name, controls in TURNS.items()]
    return tiled(tiles, 7)


def shape_table(avatar: Avatar, size: int) -> Picture:
    """Each of ARKit's coefficients at 1, close up."""
    renderer, box = MeshRenderer(avatar, size), face_box(avatar, size, 0.62)
    return tiled([(name, drawn(renderer, {name: 1.0})[box]) for name in ARKIT], 9, 220)


def talk(frame: int, fps: int = 25) -> dict[str, float]:
    """A made-up motion: a mouth that opens and rounds, a head that turns, a blink, at `frame`."""
    t = frame / fps
    blink = max(0.0, 1 - abs(t % 2.0 - 0.5) / 0.12)
    return {
        "yaw": 14 * np.sin(1.7 * t), "pitch": 5 * np.sin(2.3 * t + 1), "roll": 3 * np.sin(1.1 * t + 2),
        "jawOpen": 0.3 + 0.3 * np.sin(13 * t), "mouthPucker": max(0.0, 0.7 * np.sin(5 * t)),
        "eyeBlinkLeft": blink, "eyeBlinkRight": blink, **both(mouthSmile=0.2 + 0.2 * np.sin(0.9 * t)),
    }  # fmt: skip


def motion_strip(avatar: Avatar, size: int, frames: int = 28) -> Picture:
    """Consecutive frames at 25 fps, close up."""
    renderer, box = MeshRenderer(avatar, size), face_box(avatar, size)
    return tiled([(str(i), drawn(renderer, talk(i))[box]) for i in range(frames)], 7)


def edges(avatar: Avatar, size: int) -> Picture:
    """Jaw, mouth and eyes of some poses, enlarged four times without smoothing."""
    renderer = MeshRenderer(avatar, size)
    tiles: list[tuple[str, Picture]] = []
    for name, controls in {"yaw +15": TURNS["yaw +15"], "aa": VISEMES["aa"], "half blink": EXPRESSIONS["half blink"]}.items():
        picture, points = drawn(renderer, controls), renderer.landmarks()
        for place, index in (("left jaw", 361), ("right jaw", 132), ("mouth", 13), ("left eye", 386)):
            x, y = (int(np.clip(v, 38, size - 38)) for v in points[index, :2])
            part = picture[y - 38 : y + 37, x - 38 : x + 37]
            tiles.append((f"{name}: {place}", np.repeat(np.repeat(part, 4, axis=0), 4, axis=1)))
    return tiled(tiles, 4)


SHEETS: Mapping[str, Callable[[Avatar, int], Picture]] = {
    "sheet": contact_sheet,
    "shapes": shape_table,
    "strip": motion_strip,
    "edges": edges,
}


def write_sheets(avatar: Avatar, name: str, out: Path, size: int, kinds: Sequence[str] = tuple(SHEETS)) -> list[Path]:
    """PNG files of some kinds of sheets in `out`; returns where they are."""
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for kind in kinds:
        path = out / f"{name}-{kind}.png"
        cv2.imwrite(str(path), SHEETS[kind](avatar, size)[..., ::-1])
        written.append(path)
    return written


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Contact sheets of enrolled portraits.")
    parser.add_argument("portraits", nargs="+", type=Path, metavar="PORTRAIT.mien")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--only", nargs="+", choices=list(SHEETS), default=list(SHEETS))
    options = parser.parse_args()
    for portrait in options.portraits:
        for path in write_sheets(load(portrait), portrait.stem, options.out, options.size, options.only):
            print(path)


if __name__ == "__main__":
    main()
