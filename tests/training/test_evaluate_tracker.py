"""Judging the tracker: its statistics, what it shows the tracker, and the command on discs that pass for faces."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.face.finder import Finder
from engine.face.follower import Follower
from engine.face.tracker import Face
from tests.unit.disc_faces import finder, networks, picture, template
from training.__main__ import main
from training.evaluate import tracker
from training.evaluate.tracker_against import Errors, distances, gaze_of, lip_gap, opening
from training.evaluate.tracker_live import camera, lag
from training.evaluate.tracker_wild import SPOILERS, textures, upper_bound

FACE = (180 * template() + [300, 200, 0]).astype(np.float32)


def test_upper_bounds_are_those_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59), abs=1e-6)
    assert upper_bound(3, 100) == pytest.approx(0.0757, abs=2e-4)
    assert upper_bound(0, 0) == upper_bound(5, 5) == 1.0


def test_a_late_copy_is_late_by_what_it_was_delayed() -> None:
    t = np.arange(150) / 30
    wave = np.sin(4 * t) + 0.3 * np.sin(11 * t)
    late, r = lag(wave, np.interp(t - 1.5 / 30, t, wave))
    assert late == pytest.approx(1.5, abs=0.15)
    assert r > 0.98
    assert lag(wave, wave)[0] == pytest.approx(0, abs=0.02)


def test_errors_are_shares_of_the_outer_eye_distance() -> None:
    across = float(np.linalg.norm(FACE[33, :2] - FACE[263, :2]))
    moved = FACE + np.array([0.03 * across, 0, 7], np.float32)
    assert distances(moved, FACE) == pytest.approx(0.03, abs=1e-5)
    errors = Errors()
    assert errors.add("a", FACE, [Face(moved, 1.0), Face(FACE + 500, 1.0)]) == pytest.approx(0.03, abs=1e-5)
    assert errors.add("b", FACE, [Face(FACE + 500, 1.0)]) is None
    assert errors.add("c", FACE, []) is None
    assert (errors.expected, errors.missed, len(errors.iris)) == (3, ["b", "c"], 1)


def test_lips_and_lids_that_open_are_seen_to() -> None:
    wide = FACE.copy()
    wide[[14, 87, 317], 1] += 20
    wide[[159, 158, 160], 1] -= 5
    both = np.stack([FACE, wide])
    assert np.diff(lip_gap(both))[0] > 0.1
    right, left = np.diff(opening(both), axis=0)[0]
    assert right > 0.05
    assert left == pytest.approx(0, abs=1e-6)


def test_gaze_to_the_left_and_up_is_positive() -> None:
    from engine.contract.motion import Motion, gaze_controls

    controls = np.stack([Motion.of(0, gaze_controls(12, -6)).values])
    assert gaze_of(controls)[0] == pytest.approx([12, -6], abs=1e-4)


@pytest.mark.parametrize("name", SPOILERS)
def test_spoilers_move_landmarks_with_the_picture(name: str) -> None:
    rgb = np.full((500, 600, 3), 90, np.uint8)
    cv2.circle(rgb, tuple(int(v) for v in FACE[1, :2]), 14, (250, 250, 250), -1)
    before = rgb.copy()
    spoilt, points = SPOILERS[name](rgb, FACE, np.random.default_rng(0))
    assert np.array_equal(rgb, before)
    assert spoilt.dtype == np.uint8
    if "covered" not in name and "pencil" not in name:
        x, y = (int(v) for v in points[1, :2])
        assert spoilt[y, x].mean() > 1.3 * np.median(spoilt[:20, :20])


def test_textures_repeat_and_differ() -> None:
    one, other = list(textures(8, seed=1)), list(textures(8, seed=1))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert one[0].shape == (240, 320, 3)
    assert not np.array_equal(one[0], one[7])


def test_a_camera_shows_the_face_as_wide_as_asked() -> None:
    shot = camera(picture((300, 200, 90)), FACE, 100)
    red = (shot[..., 0] > 180) & (shot[..., 1] < 90)
    assert shot.shape == (480, 640, 3)
    assert np.ptp(np.nonzero(red)[1]) == pytest.approx(180 * 100 / np.ptp(FACE[:468, 0]), abs=4)


def test_the_command_judges_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(Finder, "load", finder)
    monkeypatch.setattr(Follower, "load", lambda: Follower(*networks()))
    cv2.imwrite(str(tmp_path / "disc.png"), picture((300, 200, 90))[..., ::-1])
    np.savez(
        tmp_path / "pictures.npz",
        path=np.array([str(tmp_path / "disc.png")]),
        frame=np.array([-1], np.int32),
        size=np.array([[640, 480]], np.int32),
        landmarks=FACE[None],
        split=np.array(["test"]),
    )
    out = tmp_path / "out"
    for part in ("stills", "faceless", "spoilt"):
        status = main(["evaluate", "tracker", "--faces", str(tmp_path), "--out", str(out), "--only", part, "--textures", "7"])
        assert status == 0
    told = capsys.readouterr().out
    assert "stills: misses of faces >= 80 px" in told
    assert "95 % upper bound" in told
    assert "cartoon" in told
    assert (out / "stills.png").exists()
    spoilt = json.loads((out / "tracker.json").read_text())["spoilt"]
    assert [spoilt[name]["found"] for name in ("as it is", "160 px in 640x480", "noise 20", "grey")] == [1, 1, 1, 0]
    assert tracker.still_rows("x", Errors())[0].met is None
