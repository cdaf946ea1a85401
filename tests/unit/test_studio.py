from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract import Channel, Motion
from engine.errors import ModelError
from engine.face.reader import Reading
from engine.media import AudioChunk, VideoFrame
from engine.motion.head import STYLE_SHAPE, save_style
from engine.motion.idle import IdleSource
from streaming.contract import SessionSettings
from streaming.worker.mesh import voice_of
from streaming.worker.studio import Overheard, Performance, Scaled, Stopwatch
from tests.fake_studio import FakeStudio, GreyRenderer, LoudVoice
from tests.unit.sounds import syllables

FRAME = 1920


class Nodding:
    """Nods by 10 degrees and opens the mouth halfway."""

    look_ahead = 960

    def advance(self, until_sample: int) -> list[Motion]:
        return [Motion.of(until_sample, {"pitch": 10.0, "jawOpen": 0.5})]

    def reset(self, sample: int = 0) -> None:
        pass


def clock() -> float:
    return 1.0


def performance() -> Performance:
    return FakeStudio().build(SessionSettings("grey-0", size=256), "grey-0", clock)


def shown(performance: Performance, frames: int, level: float = 0.0) -> int:
    """The grey of the last of some frames of steady sound."""
    grey = 0
    for _ in range(frames):
        performance.session.push(np.full(FRAME, level, np.float32))
        grey = int(performance.session.tick().video.rgb[0, 0, 0])
    return grey


def test_one_group_is_turned_up_and_the_others_are_left() -> None:
    scaled = Scaled(Nodding())
    scaled.set_gain("pose", 0.5)
    (motion,) = scaled.advance(960)
    assert motion["pitch"] == pytest.approx(5)
    assert motion["jawOpen"] == pytest.approx(0.5)
    assert scaled.look_ahead == 960
    with pytest.raises(ValueError, match=r"0\.\.2"):
        scaled.set_gain("pose", 2.5)


def test_idle_life_is_told_when_the_lips_move(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, bool]] = []
    idle = IdleSource()
    monkeypatch.setattr(idle, "hear", lambda sample, *, speaking: heard.append((sample, speaking)))
    nodding = Nodding()
    Overheard(nodding, idle).advance(960)
    monkeypatch.setattr(nodding, "advance", lambda until: [Motion.of(until, {"pitch": 10.0})])
    (motion,) = Overheard(nodding, idle).advance(1920)
    assert heard == [(960, True), (1920, False)]
    assert motion["pitch"] == 10


def test_a_stopwatch_notes_when_it_was_asked_and_had_drawn() -> None:
    times = iter([3.0, 4.5])
    watch = Stopwatch(GreyRenderer(256, Path("grey-7")), lambda: next(times))
    watch.prepare(Motion.of())
    frame = watch.finish(None)
    assert isinstance(frame, VideoFrame)
    assert frame.rgb[0, 0, 0] == 7
    assert (watch.asked, watch.drawn) == (3.0, 4.5)


def test_channels_set_by_hand_show_and_are_let_go_of() -> None:
    played = performance()
    played.apply({"idle": False, "channels": {"jawOpen": 0.4}})
    assert shown(played, 15) == pytest.approx(40, abs=1)
    played.apply({"channels": {"jawOpen": None}})
    assert shown(played, 15) == 0


def test_the_mouths_gain_turns_the_voice_down() -> None:
    played = performance()
    played.apply({"idle": False})
    assert shown(played, 15, level=0.5) == pytest.approx(50, abs=1)
    played.apply({"mouth_gain": 0.5})
    assert shown(played, 15, level=0.5) == pytest.approx(25, abs=1)


def test_a_preset_plays_and_what_makes_no_sense_is_refused() -> None:
    played = performance()
    played.apply({"idle": False, "preset": "surprised"})
    assert shown(played, 25) == pytest.approx(22, abs=1)
    with pytest.raises(ValueError, match="smirk"):
        played.apply({"preset": "smirk"})
    with pytest.raises(ValueError, match="gain"):
        played.apply({"head_gain": 3})


def test_a_head_moves_in_the_style_that_was_chosen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    save_style(tmp_path / "wild.npz", rng.normal(0, 0.4, STYLE_SHAPE).astype(np.float32))
    poses = []
    for style in (None, str(tmp_path / "wild.npz")):
        voice = voice_of(SessionSettings("mei", head_style=style))
        voice.push(syllables(3, 4.0))
        poses.append([motion["yaw"] for motion in voice.advance(96_000)])
    assert np.abs(np.subtract(*poses)).max() > 0.5
    with pytest.raises(ModelError, match="no head style"):
        voice_of(SessionSettings("mei", head_style=str(tmp_path / "none.npz")))


def test_a_renderer_hears_the_voice_only_while_the_lips_follow_it() -> None:
    heard = list[tuple[int, float]]()

    class Listening(GreyRenderer):
        def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
            heard.append((sound.start, mouth_gain))

    played = Performance(SessionSettings("grey-0", size=256), Listening(256, Path("grey-0")), LoudVoice(), clock)
    for lips in ("voice", "still", "camera", "voice"):
        played.apply({"factors": {"lips": lips}})
        played.apply({"factors": {"pose": "still"}, "mouth_gain": 1.5 if heard else 1.0})
        played.session.push(np.zeros(100, np.float32))
    assert heard == [(0, 1.0), (300, 1.5)]


def test_idle_life_can_be_switched_off() -> None:
    motions = list[Motion]()

    class Watching(GreyRenderer):
        def prepare(self, motion: Motion) -> None:
            motions.append(motion)
            super().prepare(motion)

    played = Performance(SessionSettings("grey-0", size=256), Watching(256, Path("grey-0")), LoudVoice(), clock)
    shown(played, 100)
    assert np.ptp([motion["yaw"] for motion in motions]) > 0
    played.apply({"idle": False})
    shown(played, 50)
    still = motions[-20:]
    assert np.ptp([motion["yaw"] for motion in still]) == 0
    assert all(motion.values[Channel["eyeBlinkLeft"]] == 0 for motion in still)


def test_a_renderer_sees_as_much_of_the_camera_as_is_chosen_and_sure() -> None:
    told = list[tuple[bool, Mapping[str, float]]]()

    class Looking(GreyRenderer):
        def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
            told.append((latents is not None, dict(shares)))

    played = Performance(SessionSettings("grey-0", size=256), Looking(256, Path("grey-0")), LoudVoice(), clock)

    def frames(count: int, *, sure: float = 1.0, encoded: bool = True) -> tuple[bool, Mapping[str, float]]:
        for _ in range(count):
            live = played.session.live
            played.look(Reading(np.zeros(58, np.float32), np.full(5, sure, np.float32)), live)
            if encoded:
                played.drive(np.ones(42, np.float32), live)
            shown(played, 1)
        return told[-1] if told else (False, {})

    assert frames(3, encoded=False) == (False, {})
    assert not told
    assert frames(12) == (True, dict.fromkeys(("expression", "lids", "gaze", "pose"), 1.0))
    played.apply({"eye_contact": True})
    assert 0 < frames(2)[1]["gaze"] < 1
    assert frames(4) == (True, {"expression": 1.0, "lids": 1.0, "gaze": 0.0, "pose": 1.0})
    played.apply({"eye_contact": False})
    assert frames(5)[1]["gaze"] == 1
    played.apply({"factors": {"gaze": "voice", "expression": "still"}})
    assert frames(15) == (True, {"expression": 0.0, "lids": 0.0, "gaze": 0.0, "pose": 1.0})
    assert 0 < frames(2, sure=0.0, encoded=False)[1]["pose"] < 1
    assert frames(15, sure=0.0, encoded=False) == (False, dict.fromkeys(("expression", "lids", "gaze", "pose"), 0.0))
    assert frames(15)[0]
    played.watch.still = True
    assert not frames(1)[0]
