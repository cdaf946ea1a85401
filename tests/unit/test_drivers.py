import wave
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.contract.motion import GROUPS
from engine.errors import MienError
from engine.face import recorded
from engine.motion.compositor import FACTORS
from streaming.drivers import Driven, drive, origins
from tests.unit.clips import film
from tests.unit.test_driving import FakeReader, GreyFollower

CLIP = Path("clip.mp4")


def words(**said: str) -> dict[str, str | None]:
    return {factor: said.get(factor) for factor in FACTORS}


def test_a_clip_drives_all_but_the_lips_and_none_drives_nothing() -> None:
    assert origins(CLIP, words()) == {"pose": CLIP, "gaze": CLIP, "expression": CLIP, "lips": None}
    assert origins(None, words()) == dict.fromkeys(FACTORS, "voice")


def test_each_factor_may_come_from_elsewhere() -> None:
    said = words(pose="a.mp4", gaze="still", expression="file", lips="voice")
    assert origins(CLIP, said) == {"pose": Path("a.mp4"), "gaze": "still", "expression": CLIP, "lips": "voice"}


@pytest.mark.parametrize(
    ("driving_clip", "word", "says"),
    [
        (None, "file", "--gaze-from file means the clip of --driving, which was not given"),
        (CLIP, "camera", "--gaze-from camera is for ./mien serve, which is live"),
        (CLIP, "vioce", "--gaze-from: there is no clip vioce; did you mean 'voice'"),
    ],
)
def test_words_that_mean_nothing_are_refused(driving_clip: Path | None, word: str, says: str) -> None:
    with pytest.raises(MienError, match=says):
        origins(driving_clip, words(gaze=word))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Driven]:
    """Drives from three clips: `loud` of 1.2 s with sound, `mute` of 2 s and `long` of 2.4 s without."""
    monkeypatch.setattr(recorded, "FaceReader", FakeReader)
    FakeReader.made = []
    for name, count in (("loud", 30), ("mute", 50), ("long", 60)):
        times, sound = [k / 25 for k in range(count)], 0.0 if name == "loud" else None
        film(tmp_path / f"{name}.mp4", times, (64, 48), sound_at_s=sound, click_s=0.5)

    def make(sound: str | None = None, clip: str | None = None, **said: str) -> Driven:
        places = {factor: str(tmp_path / word) if word.endswith(".mp4") else word for factor, word in said.items()}
        sound_file, driving_clip = (tmp_path / name if name else None for name in (sound, clip))
        return drive(sound_file, driving_clip, words(**places), GreyFollower, lambda name: lambda done, of: None)

    return make


def heard(driven: Driven) -> Mapping[str, bool]:
    """Of which groups the clips of a film say something."""
    assert driven.clip is not None
    return dict(zip(GROUPS, (driven.clip.advance(48_000)[-1].confidence > 0).tolist(), strict=True))


def test_a_clip_moves_the_head_and_its_sound_the_lips(made: Callable[..., Driven]) -> None:
    driven = made(clip="loud.mp4")
    assert driven.factors == {"pose": "camera", "gaze": "camera", "expression": "camera", "lips": "voice"}
    assert heard(driven) == {"lips": False, "expression": True, "lids": True, "gaze": True, "pose": True}
    assert len(driven.sound) == pytest.approx(1.2 * 48_000, abs=400)  # as long as the pictures
    assert int(np.abs(driven.sound).argmax()) / 48_000 == pytest.approx(0.5, abs=0.01)
    assert len(FakeReader.made) == 1


def test_a_clip_without_sound_moves_the_lips_too(made: Callable[..., Driven]) -> None:
    driven = made(clip="mute.mp4")
    assert driven.factors["lips"] == "camera"
    assert heard(driven)["lips"]
    assert len(driven.sound) == pytest.approx(2 * 48_000, abs=400)
    assert not driven.sound.any()
    assert len(FakeReader.made) == 1


def test_sound_that_was_named_is_what_is_heard_and_says_how_long(made: Callable[..., Driven]) -> None:
    driven = made("loud.mp4", "long.mp4", lips="long.mp4")
    assert len(driven.sound) == pytest.approx(48_000, abs=2000)
    assert driven.factors["lips"] == "camera"
    assert driven.notes == ()


def test_factors_may_have_clips_of_their_own_without_a_driving_one(made: Callable[..., Driven]) -> None:
    driven = made(pose="mute.mp4", lips="loud.mp4")
    assert driven.factors == {"pose": "camera", "gaze": "voice", "expression": "voice", "lips": "camera"}
    assert heard(driven) == {"lips": True, "expression": False, "lids": False, "gaze": False, "pose": True}
    assert len(driven.sound) == pytest.approx(1.2 * 48_000, abs=400)  # the lips' own sound
    assert len(FakeReader.made) == 2


def test_a_clip_that_ends_early_is_said(made: Callable[..., Driven], tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\1\0" * 24_000)
    assert made("talk.wav", "long.mp4").notes == (
        "long.mp4 ends after 2.4 s of 3.0 s; then the voice and idle life move the face",
    )


@pytest.mark.parametrize(
    ("clip", "said", "says"),
    [
        (None, {}, "there is nothing to render: give a SOUND"),
        ("mute.mp4", {"lips": "voice"}, "--lips-from voice needs a voice"),
        ("gone.mp4", {}, "there is no clip gone.mp4"),
    ],
)
def test_what_does_not_go_together_is_refused(made: Callable[..., Driven], clip: str, said: dict, says: str) -> None:
    with pytest.raises(MienError, match=says):
        made(clip=clip, **said)


def test_clips_that_move_nothing_are_not_watched(made: Callable[..., Driven]) -> None:
    driven = made(clip="loud.mp4", pose="voice", gaze="still", expression="voice")
    assert driven.clip is None
    assert driven.factors == {"pose": "voice", "gaze": "still", "expression": "voice", "lips": "voice"}
    assert FakeReader.made == []
