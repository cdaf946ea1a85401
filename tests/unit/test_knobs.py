from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from engine.motion.voice import VoiceSource
from streaming.api.sessions import SessionRequest
from streaming.contract import LOOK_AHEADS_MS, SessionSettings
from streaming.worker.knobs import check_settings, checked_controls, remember


@pytest.mark.parametrize(
    "change", [{"size": 500}, {"fps": 24}, {"look_ahead_ms": -1}, {"look_ahead_ms": 41}, {"picture_hold_ms": 101}]
)
def test_settings_out_of_range_are_refused(change: dict[str, int]) -> None:
    check_settings(SessionSettings("mei"))
    with pytest.raises(ValueError, match=f"{next(iter(change))}: expected"):
        check_settings(replace(SessionSettings("mei"), **change))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chanels": {}}, "did you mean 'channels'"),
        ({"channels": {"jawopen": 1}}, "did you mean 'jawOpen'"),
        ({"channels": {"yaw": float("nan")}}, "finite"),
        ({"preset": "smirk"}, "no preset"),
        ({"mouth_gain": 2.1}, "expected 0..2"),
        ({"head_gain": -1}, "expected 0..2"),
    ],
)
def test_controls_that_make_no_sense_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked_controls(changes)


def test_what_is_none_is_left_alone() -> None:
    assert checked_controls({"preset": None, "idle": False, "channels": {"yaw": None}}) == {
        "idle": False,
        "channels": {"yaw": None},
    }


def test_what_was_changed_adds_up_and_a_preset_lets_go_of_channels_before_it() -> None:
    controls: dict[str, Any] = {}
    remember(controls, {"channels": {"yaw": 3.0}, "idle": False})
    remember(controls, {"channels": {"pitch": 1.0}, "mouth_gain": 1.5})
    assert controls == {"channels": {"yaw": 3.0, "pitch": 1.0}, "idle": False, "mouth_gain": 1.5}
    remember(controls, {"preset": "nod"})
    assert "preset" not in controls
    remember(controls, {"preset": "smile"})
    remember(controls, {"channels": {"roll": 2.0}, "portrait": "/elsewhere"})
    assert controls == {"channels": {"roll": 2.0}, "preset": "smile", "idle": False, "mouth_gain": 1.5}


def test_the_page_may_ask_for_every_look_ahead_and_no_other() -> None:
    for ahead in LOOK_AHEADS_MS:
        check_settings(SessionSettings("mei", look_ahead_ms=ahead))
        assert SessionRequest.model_validate({"portrait": "mei", "look_ahead_ms": ahead}).look_ahead_ms == ahead
        VoiceSource(ahead)
    with pytest.raises(ValidationError, match="look_ahead_ms"):
        SessionRequest.model_validate({"portrait": "mei", "look_ahead_ms": 20})


def test_where_factors_come_from_adds_up_and_the_neutral_face_passes() -> None:
    controls: dict[str, Any] = {}
    remember(controls, checked_controls({"factors": {"pose": "voice", "lips": "camera"}, "neutral": True}))
    remember(controls, checked_controls({"factors": {"pose": "still"}, "eye_contact": True, "camera": "machine"}))
    assert controls == {"factors": {"pose": "still", "lips": "camera"}, "eye_contact": True, "camera": "machine"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"camera": "webcam"}, "camera: expected one of browser, machine, off"),
        ({"factors": {"posture": "voice"}}, "did you mean 'pose'"),
        ({"factors": {"pose": "vioce"}}, "did you mean 'voice'"),
    ],
)
def test_a_camera_or_a_factor_that_is_not_there_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked_controls(changes)
