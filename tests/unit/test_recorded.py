import numpy as np
import pytest

from engine.contract.motion import CHANNELS, GROUPS, Channel
from engine.face import recorded
from engine.face.reader import Reading
from engine.face.recorded import readings_of
from engine.face.stream import Seen
from engine.face.tracker import Face

FPS = 25.0


class FakeReader:
    """Smile and jaw are the first two numbers of the landmarks; trust is won over 0.2 s, as the real reader does."""

    times: list[float]

    def __init__(self) -> None:
        FakeReader.times = []

    def calibrate(self, landmarks: np.ndarray, width: int, height: int, *, neutral: np.ndarray | None = None) -> None:
        assert len(landmarks) <= recorded.PICTURES_MOST

    def read(self, seen: Seen, width: int, height: int) -> Reading:
        FakeReader.times.append(seen.time_s)
        values = np.zeros(len(CHANNELS), np.float32)
        trust = min((seen.time_s - FakeReader.times[0]) / 0.2, 1.0) if seen.face else 0.0
        if seen.face:
            values[Channel["mouthSmileLeft"]], values[Channel["jawOpen"]] = seen.face.landmarks[0, :2]
        return Reading(values, np.full(len(GROUPS), trust, np.float32))


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "FaceReader", FakeReader)


def clip(smile: np.ndarray, jaw: np.ndarray, lost: range = range(0)) -> list[Seen]:
    seen = []
    for k, (a, b) in enumerate(zip(smile, jaw, strict=True)):
        landmarks = np.zeros((478, 3), np.float32)
        landmarks[0, :2] = a, b
        seen.append(Seen(k / FPS, None if k in lost else Face(landmarks, 1.0)))
    return seen


def smiles(seen: list[Seen], *, speaks: bool) -> np.ndarray:
    return np.array([r.values[Channel["mouthSmileLeft"]] for r in readings_of(seen, 64, 48, speaks=speaks)])


TIME = np.arange(100) / FPS
TALK = 0.3 + 0.3 * np.sin(2 * np.pi * 4 * TIME)
STEP = np.where(TIME > 2, 0.8, 0.0)


def test_a_smile_while_talking_comes_at_its_instant() -> None:
    shown = smiles(clip(STEP, TALK), speaks=False)
    half = int(np.argmax(shown > 0.4))
    assert TIME[half] == pytest.approx(2.0, abs=0.08)
    assert shown[-1] == pytest.approx(0.8, abs=0.01)


def test_what_comes_and_goes_with_syllables_is_left_out() -> None:
    wave = 0.3 + 0.25 * np.sin(2 * np.pi * 4 * TIME + 1)
    assert smiles(clip(wave, TALK), speaks=False)[10:-10].std() < 0.25 * wave.std()
    np.testing.assert_allclose(smiles(clip(wave, TALK), speaks=True), wave, atol=1e-6)


def test_a_smile_of_one_who_is_silent_is_left_alone() -> None:
    wave = 0.3 + 0.25 * np.sin(2 * np.pi * 2 * TIME)
    np.testing.assert_allclose(smiles(clip(wave, np.zeros(100)), speaks=False), wave, atol=1e-6)


def test_the_first_picture_is_trusted_and_time_only_grows() -> None:
    first = readings_of(clip(STEP, TALK), 64, 48, speaks=True)[0]
    assert first.confidence.min() == 1
    assert (np.diff(FakeReader.times) > 0).all()


def test_pictures_without_a_face_keep_no_confidence() -> None:
    readings = readings_of(clip(STEP, TALK, lost=range(30, 50)), 64, 48, speaks=False)
    assert [k for k, reading in enumerate(readings) if not reading.confidence.any()] == list(range(30, 50))
    assert np.isfinite([reading.values for reading in readings]).all()
