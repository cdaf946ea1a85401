from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion
from engine.errors import MienError
from engine.face import recorded
from engine.face.reader import Reading
from engine.face.stream import Seen
from engine.face.tracker import Face
from engine.timeline import MOTION_STEP
from streaming.capture.clip import Clip
from streaming.driving import ClipMotion, Several, Watched, watch
from tests.unit.clips import film, level_of

LOST = Seen(0.0, None, "no face")


class GreyFollower:
    """Sees a face in every picture but those whose grey level is in `lost`; its first landmark is that level."""

    def __init__(self, lost: Sequence[int] = (), faces: int = 1) -> None:
        self._lost, self._faces = lost, faces

    def reset(self) -> None:
        pass

    def follow(self, rgb: NDArray[np.uint8], time_s: float) -> Seen:
        level = round(level_of(rgb) / 20) * 20
        return seen_at(time_s, None if level in self._lost else float(level), self._faces)


def seen_at(time_s: float, level: float | None, faces: int = 1) -> Seen:
    if level is None:
        return Seen(time_s, None, "no face", 0)
    return Seen(time_s, Face(np.full((478, 3), level, np.float32), 1.0), "", faces)


class FakeReader:
    """A yaw of a tenth of the first landmark, and a jaw of a thousandth, less what is neutral."""

    made: Sequence["FakeReader"] = ()

    def __init__(self) -> None:
        self.neutral = 0.0
        FakeReader.made = [*FakeReader.made, self]

    def calibrate(self, landmarks: np.ndarray, width: int, height: int, *, neutral: np.ndarray | None = None) -> None:
        assert landmarks.shape[1:] == (478, 3)
        assert (width, height) == (64, 48)
        self.neutral = 0.0 if neutral is None else float(neutral[0, 0])

    def read(self, seen: Seen, width: int, height: int) -> Reading:
        values = np.zeros(len(CHANNELS), np.float32)
        if seen.face:
            values[Channel["yaw"]] = (seen.face.landmarks[0, 0] - self.neutral) / 10
            values[Channel["jawOpen"]] = (seen.face.landmarks[0, 0] - self.neutral) / 1000
        return Reading(values, np.full(len(GROUPS), bool(seen.face), np.float32))


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeReader.made = []
    monkeypatch.setattr(recorded, "FaceReader", FakeReader)


def watched(seen: Sequence[Seen], length_s: float) -> Watched:
    return Watched("a.mp4", seen, 64, 48, length_s, ())


def track(motion: ClipMotion | Several, seconds: float) -> list[Motion]:
    return list(motion.advance(round(seconds * 48_000)))


def test_a_clip_is_watched_to_its_end_and_tells_how_far_it_is(tmp_path: Path) -> None:
    told = list[tuple[float, float]]()
    clip = Clip(film(tmp_path / "a.mp4", times_s=[k / 25 for k in range(50)], size=(64, 48)))
    one = watch(clip, GreyFollower(), lambda done, of: told.append((done, of)))
    assert len(one.seen) == 50
    assert (one.width, one.height) == (64, 48)
    assert one.length_s == pytest.approx(2.0, abs=1e-2)
    assert one.notes == ()
    assert told[-1] == pytest.approx((1.98, 2.0), abs=1e-2)


@pytest.mark.parametrize(
    ("count", "lost", "says"),
    [
        (20, (), "a driving clip lasts 1 s or more"),
        (50, range(0, 260, 20), "no face was found in a.mp4"),
    ],
)
def test_what_cannot_drive_a_face_is_refused(tmp_path: Path, count: int, lost: Sequence[int], says: str) -> None:
    clip = Clip(film(tmp_path / "a.mp4", times_s=[k / 25 for k in range(count)]))
    with pytest.raises(MienError, match=says) as caught:
        watch(clip, GreyFollower(lost))
    assert "\n" not in str(caught.value)


def test_what_is_odd_about_a_clip_is_said(tmp_path: Path) -> None:
    clip = Clip(film(tmp_path / "a.mp4", times_s=[k / 25 for k in range(50)]))
    lost, crowd = watch(clip, GreyFollower(lost=(20, 40, 60), faces=2)).notes
    assert lost == "a.mp4 shows no face for 0.6 s of 2.0 s; there the face idles"
    assert crowd == "a.mp4 shows 2 people; the one with the largest face drives"


def test_motion_keeps_the_instants_of_a_clip_whatever_its_rate() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.07, 60))
    motion = ClipMotion(watched([seen_at(t, 100 * t) for t in times], float(times[-1])), speaks=True)
    for m in track(motion, times[-1]):
        now = m.sample / 48_000
        if now > times[0] + 0.1:
            assert m["yaw"] == pytest.approx(10 * now, abs=0.05)  # a turn at constant speed arrives without lag
        assert (m.confidence > 0.9).all()


def test_a_face_that_is_missing_has_no_confidence_and_comes_back() -> None:
    seen = [seen_at(k / 25, None if 25 <= k < 50 else 100.0) for k in range(75)]
    by_time = {m.sample / 48_000: m for m in track(ClipMotion(watched(seen, 3.0), speaks=True), 4.0)}
    assert by_time[0.0].confidence.min() > 0.9
    assert by_time[1.3].confidence.max() == 0
    assert by_time[1.9].confidence.max() == 0
    assert by_time[2.4].confidence.min() > 0.9
    assert by_time[3.5].confidence.max() == 0  # the clip is over


def test_reset_begins_the_clip_anew() -> None:
    motion = ClipMotion(watched([seen_at(k / 25, 4.0 * k) for k in range(50)], 2.0), speaks=True)
    first = track(motion, 1.5)
    motion.reset()
    for a, b in zip(first, track(motion, 1.5), strict=True):
        np.testing.assert_array_equal(a.values, b.values)


def test_what_is_neutral_can_be_said() -> None:
    seen = watched([seen_at(k / 25, 100.0) for k in range(50)], 2.0)
    motion = ClipMotion(seen, speaks=False, neutral=np.full((478, 3), 80.0))
    assert track(motion, 1.0)[-1]["yaw"] == pytest.approx(2)


class Constant:
    """All channels at one value."""

    look_ahead = 0

    def __init__(self, value: float, confidence: float = 1.0) -> None:
        self._value, self._confidence = value, confidence
        self.reset()

    def reset(self, sample: int = 0) -> None:
        self._next = sample

    def advance(self, until_sample: int) -> list[Motion]:
        steps = range(self._next, until_sample + 1, MOTION_STEP)
        self._next = steps[-1] + MOTION_STEP if steps else self._next
        values = np.full(len(CHANNELS), self._value, np.float32)
        return [Motion(at, values, np.full(len(GROUPS), self._confidence, np.float32)) for at in steps]


def test_each_group_comes_from_its_own_clip() -> None:
    a, b = Constant(0.1), Constant(0.2, confidence=0.5)
    (motion,) = track(Several({"pose": a, "gaze": b, "lids": b}), 0.0)
    assert motion["yaw"] == pytest.approx(0.1)
    assert motion["eyeLookUpLeft"] == motion["eyeBlinkRight"] == pytest.approx(0.2)
    assert dict(zip(GROUPS, motion.confidence, strict=True)) == {
        "lips": 0,
        "expression": 0,
        "lids": 0.5,
        "gaze": 0.5,
        "pose": 1,
    }


@given(st.lists(st.integers(0, 3000), max_size=20))
def test_the_asking_may_be_cut_anywhere(gaps: list[int]) -> None:
    def new() -> Several:
        return Several({"pose": Constant(1.0), "gaze": Constant(0.5)})

    cut, end = new(), 0
    parts = [cut.advance(0)]
    for gap in gaps:
        end += gap
        parts.append(cut.advance(end))
    assert [m.sample for part in parts for m in part] == [m.sample for m in new().advance(end)]
