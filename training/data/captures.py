"""ARKit captures (Live Link Face, CSV at 60 fps) as controls at 50 Hz in our conventions.

Signs. The eyes' angles were compared with the eyeLook* coefficients of the
same captures: their yaw falls by 36 degrees and their pitch by 29 degrees as
the coefficients that look to the person's left and up grow by 1 (r -0.96 and
-0.99). So yaw > 0 is to the person's right, and pitch > 0 down: ARKit's own
frame with x mirrored. A head's yaw and pitch are turned over likewise, and
its roll, by the same mirroring, is to the person's left already; none of the
captures at hand tracked the head (all angles 0), so these three are deduced,
not measured.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, CHANNELS, Channel, gaze_controls
from engine.errors import MienError
from engine.timeline import MOTION_RATE_HZ

Floats = NDArray[np.float64]

TIMECODE_RATE_HZ: Final = 60.0
LONGEST_HOLE_S: Final = 0.1
"""Instants in a longer hole of the capture are marked as not seen."""


class CaptureError(MienError):
    """A capture that cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """One capture of one person, without sound.

    Attributes:
        name: file name without suffixes.
        controls: float32[M, 58] at 50 Hz; gaze from the eyes' angles, the mean of both eyes.
        seen: bool[M], where the face was tracked.
        head: the head was tracked; otherwise the pose channels are 0.
    """

    name: str
    controls: NDArray[np.float32]
    seen: NDArray[np.bool_]
    head: bool

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.controls) / MOTION_RATE_HZ


def read_capture(path: Path) -> Capture:
    """Read a capture, `.csv` or `.csv.gz`.

    Raises:
        CaptureError: if the file is damaged or of another kind.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            table = csv.reader(file)
            names = [name.strip() for name in next(table)]
            rows = [row for row in table if len(row) == len(names)]
        time = np.array([_seconds(row[names.index("Timecode")]) for row in rows])
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows], np.float64)
        column = {name[:1].lower() + name[1:]: values[:, i] for i, name in enumerate(names[1:])}
        controls, head = _controls(column)
    except (OSError, EOFError, ValueError, KeyError, StopIteration) as error:
        raise CaptureError(f"{path} is no ARKit capture, or damaged ({error})") from error
    if len(time) < 2:
        raise CaptureError(f"{path} holds {len(time)} frames; at least 2 are needed")
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    return Capture(name, *_resampled(time, controls), head)


def captures_in(folder: Path) -> Iterator[Capture]:
    """All captures of a folder, in the order of their names.

    Raises:
        CaptureError: if there are none, or one cannot be read.
    """
    paths = sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")])
    if not paths:
        raise CaptureError(f"no captures (*.csv, *.csv.gz) in {folder}")
    yield from map(read_capture, paths)


def _seconds(timecode: str) -> float:
    """Seconds of hours:minutes:seconds:frames, frames of 1/60 s with a fraction."""
    hours, minutes, seconds, frames = timecode.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(frames) / TIMECODE_RATE_HZ


def _controls(column: dict[str, Floats]) -> tuple[Floats, bool]:
    """float64[rows, 58]; whether the head was tracked."""
    out = np.zeros((len(column["jawOpen"]), len(CHANNELS)))
    for name in ARKIT:
        if not name.startswith("eyeLook"):
            out[:, Channel[name]] = column[name]
    left = -np.degrees(column["leftEyeYaw"] + column["rightEyeYaw"]) / 2
    up = -np.degrees(column["leftEyePitch"] + column["rightEyePitch"]) / 2
    for row, (x, y) in enumerate(zip(left.tolist(), up.tolist(), strict=True)):
        for name, value in gaze_controls(x, y).items():
            out[row, Channel[name]] = value
    angles = np.degrees(np.stack([-column["headYaw"], -column["headPitch"], column["headRoll"]], 1))
    out[:, Channel["yaw"] : Channel["roll"] + 1] = angles
    return out, bool(np.ptp(np.nan_to_num(angles), axis=0).max() > 0)


def _resampled(time: Floats, controls: Floats) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Linearly to 50 Hz from the first frame on; which instants lie in no hole."""
    known = np.isfinite(controls).all(1) & np.concatenate([[True], np.diff(time) > 0])
    time, controls = time[known] - time[known][0], controls[known]
    asked = np.arange(int(time[-1] * MOTION_RATE_HZ) + 1) / MOTION_RATE_HZ
    after = np.clip(np.searchsorted(time, asked), 1, len(time) - 1)
    seen = time[after] - time[after - 1] <= LONGEST_HOLE_S
    share = ((asked - time[after - 1]) / (time[after] - time[after - 1]))[:, None]
    mixed = controls[after - 1] + share * (controls[after] - controls[after - 1])
    return mixed.astype(np.float32), seen
