"""ARKit captures in our conventions."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from engine.contract.motion import ARKIT, Channel, Motion
from training.data.captures import CaptureError, captures_in, read_capture

ANGLES = tuple(f"{part}{axis}" for part in ("head", "leftEye", "rightEye") for axis in ("Yaw", "Pitch", "Roll"))


def write_capture(path: Path, frames: int, columns: dict[str, float] | None = None, hole: int = 0) -> None:
    """A capture at 60 fps with constant columns and a jaw that opens by 0.01 a frame; after 30 frames `hole` are missing."""
    names = ["Timecode", "BlendshapeCount", *(name[0].upper() + name[1:] for name in (*ARKIT, *ANGLES))]
    lines = [",".join(names)]
    for frame in [*range(30), *range(30 + hole, frames)]:
        values = {**dict.fromkeys((*ARKIT, *ANGLES), 0.0), "jawOpen": 0.01 * frame, **(columns or {})}
        seconds, part = divmod(frame + 59 * 60, 60)  # passes a full minute
        clock = f"10:{59 + seconds // 60 - 1:02d}:{seconds % 60:02d}:{part:02d}.250"
        lines.append(",".join([clock, "61", *(f"{values[name]:.8f}" for name in (*ARKIT, *ANGLES))]))
    text = "\n".join(lines) + "\n"
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write(text)


def test_60_frames_a_second_become_50_steps(tmp_path: Path) -> None:
    write_capture(tmp_path / "a.csv.gz", 61)
    capture = read_capture(tmp_path / "a.csv.gz")
    assert capture.name == "a"
    assert capture.controls.shape == (51, 58)
    assert capture.controls[:, Channel["jawOpen"]] == pytest.approx(np.arange(51) * 0.012, abs=1e-6)
    assert capture.seen.all()
    assert not capture.head


def test_signs_of_eyes_and_head(tmp_path: Path) -> None:
    turned = {f"{side}Eye{axis}": value for side in ("left", "right") for axis, value in (("Yaw", -0.2), ("Pitch", -0.1))}
    write_capture(tmp_path / "a.csv", 60, {"headYaw": -0.3, "headPitch": 0.05, "headRoll": 0.1, **turned})
    capture = read_capture(tmp_path / "a.csv")
    motion = Motion(0, capture.controls[0], np.ones(5, np.float32))
    assert motion.gaze_deg("Left") == pytest.approx((np.degrees(0.2), np.degrees(0.1)), abs=1e-3)  # to the left, up
    assert motion.gaze_deg("Right") == motion.gaze_deg("Left")
    assert motion["yaw"] == pytest.approx(np.degrees(0.3), abs=1e-3)
    assert motion["pitch"] == pytest.approx(np.degrees(-0.05), abs=1e-3)
    assert motion["roll"] == pytest.approx(np.degrees(0.1), abs=1e-3)


def test_a_hole_is_marked(tmp_path: Path) -> None:
    write_capture(tmp_path / "a.csv", 120, hole=30)
    capture = read_capture(tmp_path / "a.csv")
    assert np.flatnonzero(~capture.seen).tolist() == list(range(25, 51))


def test_what_is_no_capture_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Timecode,JawOpen\n1:2:3:4,0.5\n")
    (tmp_path / "b.csv").write_text("")
    (tmp_path / "c.csv.gz").write_bytes(b"not gzip")
    for name in ("a.csv", "b.csv", "c.csv.gz"):
        with pytest.raises(CaptureError, match=r"is no ARKit capture, or damaged"):
            read_capture(tmp_path / name)
    with pytest.raises(CaptureError, match="no captures"):
        next(captures_in(tmp_path / "absent"))
