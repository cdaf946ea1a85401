# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""A contact sheet of a track, for a person to look at: pictures, what was measured, what the rig makes of the controls."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, Channel
from engine.rig.topology import BROW, LID_LOWER, LID_UPPER, LIP_LOWER, LIP_LOWER_OUTER, LIP_UPPER, LIP_UPPER_OUTER, OVAL, SIDES
from engine.timeline import MOTION_RATE_HZ
from training.data.fit import Person
from training.data.media import pictures
from training.data.tracks import Track

TILE: Final = 300
COLUMNS: Final = 4
_CONTOURS: Final = (
    LIP_UPPER, LIP_LOWER, LIP_UPPER_OUTER, LIP_LOWER_OUTER, (*OVAL, OVAL[0]),
    *(BROW[side][:5] for side in SIDES), *(LID_UPPER[side] for side in SIDES), *(LID_LOWER[side] for side in SIDES),
)  # fmt: skip
_MEASURED, _MADE = (60, 200, 60), (230, 80, 40)


def write_sheet(video: Path, track_file: Path, picture: Path, frames: int = 8) -> None:
    """Draw `frames` frames, from the smallest to the largest gap, each beside its landmarks (green) and the rig's (red)."""
    track = Track.load(track_file)
    person = Person.of(track.neutral.astype(np.float64))
    at = np.clip(np.round((np.arange(len(track.landmarks)) + 0.5) / track.fps * MOTION_RATE_HZ), 0, len(track.controls) - 1)
    at = at.astype(int)
    order = np.argsort(track.gap[at])
    chosen = set(order[np.linspace(0, len(order) - 1, frames).astype(int)].tolist())
    tiles = []
    for index, (_, rgb) in enumerate(pictures(video)):
        if index in chosen:
            controls = track.controls[at[index]]
            made = person.posed(controls[None])[0]
            tiles.append((track.gap[at[index]], np.hstack([_crop(rgb, track, index), _faces(track, index, made, controls)])))
    tiles = [tile for _, tile in sorted(tiles, key=lambda pair: pair[0])]
    rows = [np.hstack(tiles[i : i + COLUMNS // 2]) for i in range(0, len(tiles) // 2 * 2, COLUMNS // 2)]
    picture.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(picture), np.vstack([*rows, _curves(track, rows[0].shape[1])])[:, :, ::-1])


def _crop(rgb: NDArray[np.uint8], track: Track, index: int) -> NDArray[np.uint8]:
    x, y, side = (float(value) for value in track.crop[index])
    k = TILE / (0.7 * side)
    matrix = np.array([[k, 0, TILE / 2 - k * x], [0, k, TILE / 2 - k * y]])
    return np.asarray(cv2.warpAffine(rgb, matrix, (TILE, TILE), flags=cv2.INTER_AREA, borderMode=1), np.uint8)


def _faces(track: Track, index: int, made: NDArray[np.float64], controls: NDArray[np.float32]) -> NDArray[np.uint8]:
    tile = np.full((TILE, TILE, 3), 245, np.uint8)
    for points, colour in ((track.landmarks[index].astype(np.float64), _MEASURED), (made, _MADE)):
        place = points[:, :2] * TILE * 0.55 + (TILE / 2, TILE * 0.36)
        for contour in _CONTOURS:
            line = np.round(place[list(contour)] * 16).astype(np.int32)
            cv2.polylines(tile, [line], False, colour, 1, cv2.LINE_AA, 4)
    strongest = sorted(ARKIT, key=lambda name: -controls[Channel[name]])[:9]
    shown = [name for name in strongest if not name.endswith("Right")][:6]
    for row, name in enumerate(shown):
        text = f"{name} {controls[Channel[name]]:.2f}"
        cv2.putText(tile, text, (4, TILE - 6 - 12 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (40, 40, 40), 1, cv2.LINE_AA)
    yaw, pitch, roll = track.pose[index][:3]
    text = f"frame {index} yaw {yaw:.0f} pitch {pitch:.0f} roll {roll:.0f}"
    cv2.putText(tile, text, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (40, 40, 40), 1, cv2.LINE_AA)
    return tile


def _curves(track: Track, width: int, height: int = 220) -> NDArray[np.uint8]:
    """Gap, jawOpen, width, left blink and yaw over time, each in its own lane."""
    tile = np.full((height, width, 3), 255, np.uint8)
    controls = track.controls
    lanes = {
        "gap": track.gap, "jawOpen": controls[:, Channel["jawOpen"]], "width": track.width,
        "eyeBlinkLeft": controls[:, Channel["eyeBlinkLeft"]], "yaw": controls[:, Channel["yaw"]],
    }  # fmt: skip
    lane = height / len(lanes)
    for row, (name, values) in enumerate(lanes.items()):
        low, span = float(values.min()), max(float(np.ptp(values)), 1e-6)
        y = (row + 0.92 - 0.84 * (values - low) / span) * lane
        line = np.stack([np.linspace(0, width - 1, len(values)), y], 1)
        cv2.polylines(tile, [np.round(line * 16).astype(np.int32)], False, (40, 90, 200), 1, cv2.LINE_AA, 4)
        text = f"{name} {low:.2f} .. {low + span:.2f}"
        cv2.putText(tile, text, (4, int(row * lane) + 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
