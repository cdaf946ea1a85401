"""A face is read: exact landmarks of a built-in person under known controls."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUPS, Channel, gaze_controls
from engine.face.expression import CONTROLS, ExpressionFit, _rows, _shapes_of
from engine.face.fields import fields
from engine.face.gaze import EyeContact
from engine.face.reader import FaceReader, Reading
from engine.face.stream import Seen
from engine.face.tracker import Face
from engine.rig.archive import load
from engine.rig.avatar import FRAME, Avatar
from training.data.expressions import arrays_of
from training.evaluate.metrics import correlation
from training.evaluate.reading import FPS, PORTRAITS, VIEW_DEG, landmarks_of


@cache
def person() -> Avatar:
    return load(PORTRAITS / "mei.mien")


@cache
def at_rest() -> NDArray[np.float32]:
    return landmarks_of(person(), np.zeros((1, len(CHANNELS)), np.float32))


def known(reader: FaceReader | None = None) -> FaceReader:
    """A reader that has learned the person."""
    reader = reader or FaceReader(field_of_view_deg=VIEW_DEG)
    reader.calibrate(at_rest(), FRAME, FRAME)
    return reader


def controls(**tracks: object) -> NDArray[np.float32]:
    """float32[T, 58]: channels as given."""
    count = max(np.size(np.asarray(track)) for track in tracks.values())
    out = np.zeros((count, len(CHANNELS)), np.float32)
    for name, track in tracks.items():
        out[:, Channel[name]] = np.asarray(track, np.float32)
    return out


def follow(
    reader: FaceReader, landmarks: NDArray[np.floating], *, start: int = 0, score: float = 1.0, rate: float = FPS
) -> list[Reading]:
    faces = (Face(points.astype(np.float32), score) for points in landmarks)
    return [reader.read(Seen((start + i) / rate, face, faces=1), FRAME, FRAME) for i, face in enumerate(faces)]


def read(wanted: NDArray[np.float32], reader: FaceReader | None = None) -> NDArray[np.float32]:
    """float32[T, 58]: what is read of a person who is known."""
    return np.stack([r.values for r in follow(known(reader), landmarks_of(person(), wanted))])


def test_rest_reads_as_nothing() -> None:
    values = read(controls(yaw=[0.0]))
    assert np.abs(values[:, :52]).max() < 0.02
    assert np.abs(values[:, 52:]).max() < 0.05


def test_a_person_is_learned_in_two_seconds_of_blinks_words_and_glances() -> None:
    wanted = np.zeros((2 * FPS + 3, len(CHANNELS)), np.float32)
    wanted[10:14, Channel["eyeBlinkLeft"]] = wanted[10:14, Channel["eyeBlinkRight"]] = 1
    wanted[20:35, Channel["jawOpen"]] = 0.5
    wanted[5:9, Channel["yaw"]] = 10
    reader = FaceReader(field_of_view_deg=VIEW_DEG)
    values = np.stack([r.values for r in follow(reader, landmarks_of(person(), wanted))])
    assert reader.calibrated == 1
    assert np.abs(values[-1, :52]).max() < 0.05
    assert np.abs(values[-1, 52:]).max() < 0.1


@pytest.mark.parametrize(("name", "most"), [("yaw", 14.0), ("pitch", 11.0), ("roll", 14.0)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_turned_head(name: str, most: float, sign: int) -> None:
    values = read(controls(**{name: [sign * most]}))
    assert values[0, Channel[name]] == pytest.approx(sign * most, abs=0.8)


@pytest.mark.parametrize("name", ["tx", "ty", "tz"])
def test_a_moved_head(name: str) -> None:
    values = read(controls(**{name: [0.25]}))
    assert values[0, Channel[name]] == pytest.approx(0.25, abs=0.07)
    assert np.abs(values[0, 52:55]).max() < 1.0, "a face at the side of the picture looks turned, but is not"


@pytest.mark.parametrize(("left", "up"), [(12, 0), (-12, 0), (0, 8), (0, -8), (-9, 5)])
def test_gaze(left: float, up: float) -> None:
    values = read(controls(**{name: np.full(8, value) for name, value in gaze_controls(left, up).items()}))
    for name, value in gaze_controls(left, up).items():
        assert values[-1, Channel[name]] == pytest.approx(value, abs=0.06)


def test_gaze_is_relative_to_the_head() -> None:
    values = read(controls(yaw=np.full(8, 12.0), pitch=np.full(8, 6.0)))
    assert values[-1, [Channel[n] for n in gaze_controls(0, 0)]].max() < 0.15  # 4.5 degrees


def test_a_blink_closes_fully_and_does_not_smear() -> None:
    blink = np.array([0, 0, 0.5, 1, 1, 0.5, 0, 0, 0.5, 1, 1, 0.5, 0, 0])
    values = read(controls(eyeBlinkLeft=blink, eyeBlinkRight=blink))[:, Channel["eyeBlinkLeft"]]
    assert (values[blink == 1] > 0.95).all()
    assert (values[blink == 0] < 0.05).all()


def test_a_wink_is_of_one_eye() -> None:
    values = read(controls(eyeBlinkLeft=[0.5, 1, 1]))[-1]
    assert values[Channel["eyeBlinkLeft"]] > 0.95
    assert values[Channel["eyeBlinkRight"]] < 0.05


def test_gaze_is_held_while_the_lids_are_shut() -> None:
    shut = np.concatenate([np.zeros(10), np.ones(5)])
    look = np.concatenate([np.full(10, 0.4), np.zeros(5)])
    wanted = controls(eyeBlinkLeft=shut, eyeBlinkRight=shut, eyeLookOutLeft=look, eyeLookInRight=look)
    readings = follow(known(), landmarks_of(person(), wanted))
    assert readings[-1].values[Channel["eyeLookOutLeft"]] == pytest.approx(0.4, abs=0.08)
    assert readings[-1].confidence[GROUPS.index("gaze")] == pytest.approx(
        readings[9].confidence[GROUPS.index("gaze")], abs=0.05
    )


EXPRESSIONS = ["browInnerUp", "jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthFrownRight", "cheekPuff"]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_is_read_as_itself(name: str) -> None:
    values = read(controls(**{name: np.full(4, 0.6)}))[-1, :52]
    assert values[Channel[name]] == pytest.approx(0.6, abs=0.2)
    assert np.argmax(values) == Channel[name]


def test_the_fit_is_the_least_squares_one() -> None:
    from scipy.optimize import lsq_linear

    face, rng = fields().face, np.random.default_rng(0)
    shapes = _shapes_of(face)
    truth = np.zeros(len(CONTROLS))
    truth[rng.choice(len(truth), 6, replace=False)] = 0.4
    moved = np.tensordot(truth, shapes, 1)
    fit = ExpressionFit(face)
    fitted = [fit.fit(moved) for _ in range(6)][-1]
    design = np.vstack([fit._rows.T, np.eye(len(fit._width)), np.diag(np.zeros(len(fit._width)))])
    # half the linear term, as the normal equations have it
    target = np.concatenate([_rows(moved[None])[0], -fit._few, np.zeros(len(fit._width))])
    best = lsq_linear(design, target, (fit._low, fit._high)).x
    np.testing.assert_allclose(fit._solution * fit._width, best * fit._width, atol=0.03)
    assert fitted.residual < 0.01


def test_a_bad_start_heals_and_a_neutral_face_taken_heals_it_at_once() -> None:
    smile = landmarks_of(person(), controls(mouthSmileLeft=[0.5], mouthSmileRight=[0.5]))[0]
    wrong = [Channel[n] for n in ("mouthFrownLeft", "mouthFrownRight", "mouthPucker", "mouthShrugUpper")]
    reader = FaceReader(field_of_view_deg=VIEW_DEG)
    reader.calibrate(smile[None], FRAME, FRAME)
    values = np.stack([r.values for r in follow(reader, np.repeat(at_rest(), 160, 0), rate=4)])
    assert values[0, wrong].max() > 0.15
    assert values[-1, wrong].max() < 0.6 * values[0, wrong].max()
    assert reader.take_neutral()
    assert follow(reader, at_rest(), start=165, rate=4)[0].values[wrong].max() < 0.03


def test_known_pictures_calibrate_at_once() -> None:
    marks = landmarks_of(person(), controls(yaw=[0.0, 10.0]))
    reader = FaceReader(field_of_view_deg=VIEW_DEG)
    reader.calibrate(marks, FRAME, FRAME, neutral=marks[-1])
    assert reader.calibrated == 1
    turned, ahead = (r.values[Channel["yaw"]] for r in follow(reader, marks[[-1, 0]]))
    assert turned == pytest.approx(0, abs=0.01)
    assert ahead == pytest.approx(-10, abs=0.6)


def test_reset_equals_new() -> None:
    marks = landmarks_of(person(), controls(yaw=np.linspace(0, 12, 20), jawOpen=0.4))
    reader = FaceReader(field_of_view_deg=VIEW_DEG, lips_from_voice=True, eye_contact=True)
    first = follow(reader, marks)
    reader.reset()
    for a, b in zip(first, follow(reader, marks), strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.confidence, b.confidence)


def test_no_face_has_no_say_after_a_moment_and_keeps_its_values() -> None:
    reader = known()
    last = follow(reader, landmarks_of(person(), controls(yaw=np.full(8, 10.0))))[-1]
    end = 7 / FPS
    soon, late = (reader.read(Seen(end + away, None, "no face"), FRAME, FRAME) for away in (0.04, 0.2))
    assert last.confidence.min() > 0.9
    np.testing.assert_array_equal(soon.confidence, last.confidence)
    assert late.confidence.max() == 0
    np.testing.assert_array_equal(late.values, last.values)
    again = follow(reader, landmarks_of(person(), controls(yaw=[10.0]))[-1:], start=30)[0]
    assert 0 < again.confidence.max() < 0.5, "trusted bit by bit"


def test_a_reader_that_saw_nothing_says_nothing() -> None:
    reading = FaceReader().read(Seen(0.0, None, "dark"), 640, 480)
    assert reading.confidence.max() == 0
    assert reading.values.max() == 0
    assert not FaceReader().take_neutral()


def test_small_and_doubtful_faces_count_less() -> None:
    marks = np.repeat(at_rest(), 8, 0)
    sure = follow(known(), marks)[-1].confidence
    doubtful = follow(known(), marks, score=0.5)[-1].confidence
    small = follow(FaceReader(field_of_view_deg=VIEW_DEG), (marks - 256) / 8 + 256)[-1].confidence
    assert (doubtful < 0.7 * sure).all()
    assert (small < 0.7 * sure).all()


def test_syllables_do_not_smile_when_a_voice_has_the_lips() -> None:
    time = np.arange(3 * FPS) / FPS
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1)
    both = {f"{name}{side}": 0.5 * syllables for name in ("mouthSmile",) for side in ("Left", "Right")}
    wanted = controls(jawOpen=0.4 * syllables, **both)
    smile = Channel["mouthSmileLeft"]
    raw = read(wanted)[FPS:, smile]
    kept = read(wanted, FaceReader(field_of_view_deg=VIEW_DEG, lips_from_voice=True))[FPS:, smile]
    assert kept.std() < 0.15 * raw.std()


def test_a_smile_stays_through_speech() -> None:
    time = np.arange(3 * FPS) / FPS
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1)
    wanted = controls(jawOpen=0.4 * syllables, mouthSmileLeft=0.5, mouthSmileRight=0.5)
    kept = read(wanted, FaceReader(field_of_view_deg=VIEW_DEG, lips_from_voice=True))[FPS:, Channel["mouthSmileLeft"]]
    assert kept.min() > 0.35
    assert kept.std() < 0.04


def test_eye_contact_pulls_looks_at_the_screen_to_the_lens_and_leaves_others() -> None:
    contact = EyeContact()
    head = np.array([6.0, 2.0])
    near = [contact.correct(np.full((2, 2), -3.0), head, 0.04, wanted=True) for _ in range(50)][-1]
    np.testing.assert_allclose(near, [[-6, -2], [-6, -2]], atol=0.2)
    far = [contact.correct(np.full((2, 2), 25.0), head, 0.04, wanted=True) for _ in range(50)][-1]
    np.testing.assert_allclose(far, 25, atol=0.2)


def test_the_stored_fields_are_those_of_the_rig() -> None:
    made = arrays_of(sorted(PORTRAITS.glob("*.mien")))
    assert list(made["names"]) == list(fields().shapes)
    stored = np.stack(list(fields().shapes.values()))
    np.testing.assert_allclose(made["fields"].astype(np.float64), stored, atol=1e-3)
    np.testing.assert_allclose(made["face"].astype(np.float64), fields().face, atol=1e-3)


def test_reading_needs_no_scipy() -> None:
    code = "import sys; sys.modules['scipy'] = None; import engine.face.reader, engine.motion.camera"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_noise_does_not_hide_the_lips() -> None:
    rng, time = np.random.default_rng(0), np.arange(3 * FPS) / FPS
    wanted = controls(jawOpen=0.3 + 0.3 * np.sin(2 * np.pi * 2 * time))
    marks = landmarks_of(person(), wanted)
    marks = marks + rng.standard_normal(marks.shape).astype(np.float32) * 0.5
    values = np.stack([r.values for r in follow(known(), marks)])
    opening = (values[:, Channel["jawOpen"]] - values[:, Channel["mouthClose"]]).astype(np.float64)
    assert correlation(opening, wanted[:, Channel["jawOpen"]].astype(np.float64)) > 0.95
