from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.motion import ARKIT, Motion, gaze_controls
from engine.rig.avatar import Avatar
from engine.rig.controls import CUES, drive, ease_to_limit
from engine.rig.topology import LID_LOWER, LID_UPPER
from tests.unit.posing import PEOPLE, lip_gap, person, place, posed

SMILE = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}
PRESS = {"mouthPressLeft": 0.8, "mouthPressRight": 0.8}


@pytest.mark.parametrize("name", PEOPLE)
def test_a_neutral_motion_gives_the_photo(name: str) -> None:
    avatar = person(name)
    now, face = posed(avatar), avatar.landmarks[:468, :2]
    off = np.linalg.norm(now[:468] - face, axis=1)
    from_lips = np.linalg.norm(face - face[[13, 14]].mean(0), axis=1) / avatar.eye_distance
    assert off[from_lips > 0.4].max() < 0.05
    assert off.max() < 0.03 * avatar.eye_distance  # the rims meet on the photo's lip line


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize(
    "controls",
    [
        {},
        SMILE,
        PRESS,
        {"jawOpen": 0.6, "mouthClose": 0.6},
        {"jawOpen": 0.3, **PRESS},
        {"jawOpen": 0.2, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3, "mouthFunnel": 0.4, **PRESS},
        {"mouthRollUpper": 0.8, "mouthRollLower": 0.8, "jawOpen": 0.1},
        {"mouthPucker": 0.7},
        {"mouthClose": 1.0},
        {"jawForward": 1.0},
        {"cheekPuff": 1.0},
        {"mouthShrugLower": 1.0},
    ],
)
def test_lips_meet_without_a_hairline(name: str, controls: dict[str, float]) -> None:
    avatar = person(name)
    for pose in ({}, {"yaw": 15.0}, {"pitch": 10.0}, {"roll": -12.0}):
        assert lip_gap(posed(avatar, **controls, **pose)) < 0.35


@pytest.mark.parametrize("name", PEOPLE)
def test_the_jaw_opens_the_mouth(name: str) -> None:
    avatar = person(name)
    gaps = [lip_gap(posed(avatar, jawOpen=x)) / avatar.eye_distance for x in (0.0, 0.1, 0.25, 0.5, 1.0)]
    assert all(a < b for a, b in pairwise(gaps))
    assert 0.2 < gaps[-1] < 0.45


def test_each_half_of_the_face_moves_by_itself() -> None:
    avatar = person("samuel")
    rest = posed(avatar)
    for name in (n for n in ARKIT if n.endswith("Left") and not n.startswith(("eyeLook", "jaw")) and n != "mouthLeft"):
        moved = np.linalg.norm(posed(avatar, **{name: 1.0})[:468] - rest[:468], axis=1)
        mirrored = np.linalg.norm(posed(avatar, **{name.replace("Left", "Right"): 1.0})[:468] - rest[:468], axis=1)
        left, right = rest[:468, 0] > rest[1, 0], rest[:468, 0] < rest[1, 0]  # the person's left is image right
        assert moved[left].sum() > 4 * moved[right].sum(), name
        assert mirrored[right].sum() > 4 * mirrored[left].sum(), name
        assert 0.5 < moved.max() / mirrored.max() < 2, name


def everything(avatar: Avatar, **controls: float) -> NDArray[np.float64]:
    return place(avatar, drive(avatar, Motion.of(0, controls)))


def test_every_coefficient_acts() -> None:
    avatar = person("mei")
    rest = everything(avatar)
    for name in ARKIT:
        controls = {name: 1.0} | ({"jawOpen": 1.0} if name == "mouthClose" else {})
        other = everything(avatar, jawOpen=1.0) if name == "mouthClose" else rest
        assert np.abs(everything(avatar, **controls) - other).max() > 1.0, name


@pytest.mark.parametrize("name", [*ARKIT, "yaw", "pitch", "roll", "tx", "ty", "tz"])
def test_nothing_jumps(name: str) -> None:
    avatar = person("marco")
    full = 30.0 if name in ("yaw", "pitch", "roll") else 1.0
    sweep = [posed(avatar, **{name: full * x}) for x in np.linspace(0, 1, 41)]
    steps = np.array([np.abs(b - a).max() for a, b in pairwise(sweep)])
    assert steps.max() < 3.5 * steps.mean() + 0.3


def test_a_blink_closes_the_eye() -> None:
    for name in PEOPLE:
        avatar = person(name)
        closed = posed(avatar, eyeBlinkLeft=1.0)
        aperture = closed[list(LID_LOWER["Left"][1:8]), 1] - closed[list(LID_UPPER["Left"][1:8]), 1]
        assert aperture.max() < 0.3


def test_the_upper_lid_follows_the_gaze() -> None:
    avatar = person("amara")
    rim = [LID_UPPER[side][4] for side in ("Left", "Right")]
    rest = posed(avatar)[rim, 1]
    assert (posed(avatar, **gaze_controls(0, -20))[rim, 1] > rest + 1).all()
    assert (posed(avatar, **gaze_controls(0, 20))[rim, 1] < rest).all()


def test_turns_are_followed_then_eased_to_the_limit() -> None:
    turns = np.array([ease_to_limit(x, 25.0) for x in np.linspace(-90, 90, 721)])
    assert ease_to_limit(15.0, 25.0) == 15.0
    assert np.abs(turns).max() < 25.0
    assert (np.diff(turns) >= 0).all()
    assert np.diff(turns).max() < 0.26
    assert ease_to_limit(5.0, 0.0) == 0.0


def test_eyes_turn_by_the_angle_asked() -> None:
    asked = drive(person("ravi"), Motion.of(0, gaze_controls(12, 0)))
    assert np.degrees(np.arccos(asked.left_eye[0, 0])) == pytest.approx(12, abs=0.01)
    assert asked.left_eye[0, 2] > 0  # towards image right


def test_the_signs_are_those_of_the_contract() -> None:
    avatar = person("samuel")
    rest = posed(avatar)
    nose, u = 1, avatar.eye_distance
    assert posed(avatar, yaw=10)[nose, 0] > rest[nose, 0] + 0.05 * u
    assert posed(avatar, pitch=10)[nose, 1] < rest[nose, 1] - 0.05 * u
    assert posed(avatar, roll=10)[10, 0] > rest[10, 0] + 0.05 * u
    assert posed(avatar, tx=0.1)[nose, 0] == pytest.approx(rest[nose, 0] + 0.1 * u, abs=0.03 * u)
    assert posed(avatar, ty=0.1)[nose, 1] == pytest.approx(rest[nose, 1] - 0.1 * u, abs=0.03 * u)
    assert np.ptp(posed(avatar, tz=0.3)[:468, 0]) > np.ptp(rest[:468, 0])


def test_cues_move_nothing() -> None:
    avatar = person("edith")
    for cue in CUES:
        assert not avatar.deltas[avatar.shapes.index(cue)].any()
