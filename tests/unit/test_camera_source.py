"""A camera as a source of motion: newest first, smooth on the grid, gone within half a second and back without a jump."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, GROUPS, Channel, Motion
from engine.face.reader import Reading
from engine.motion.camera import BRIDGE_S, MISSING_S, PREDICT_S, CameraSource
from engine.motion.compositor import JUMP_BOUND, Compositor
from engine.motion.script import ScriptSource
from engine.timeline import MOTION_STEP, SAMPLE_RATE_HZ

YAW, BLINK = Channel["yaw"], Channel["eyeBlinkLeft"]
SECOND = SAMPLE_RATE_HZ


def reading(confidence: float = 1.0, **controls: float) -> Reading:
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in controls.items():
        values[Channel[name]] = value
    return Reading(values, np.full(len(GROUPS), confidence, np.float32))


def fed(source: CameraSource, readings: list[tuple[int, Reading]], until: int, *, delay: int = 0) -> list[Motion]:
    """Ask step by step; each reading is pushed `delay` samples after the instant that it depicts."""
    left, out = list(readings), list[Motion]()
    for now in range(0, until + 1, MOTION_STEP):
        while left and left[0][0] + delay <= now:
            source.push(left[0][1], left.pop(0)[0])
        out += source.advance(now)
    return out


def values_of(motions: list[Motion], name: str) -> NDArray[np.float64]:
    return np.array([motion[name] for motion in motions])


def nodding(fps: float, seconds: float, amplitude: float = 10.0) -> list[tuple[int, Reading]]:
    instants = np.arange(round(seconds * fps)) / fps
    return [(round(t * SECOND), reading(yaw=float(amplitude * np.sin(2 * np.pi * t)))) for t in instants]


@st.composite
def clips(draw: st.DrawFn) -> list[tuple[int, Reading]]:
    gaps = draw(st.lists(st.integers(400, 12_000), min_size=1, max_size=8))
    sure = draw(st.lists(st.sampled_from([0.0, 1.0, 1.0, 0.5]), min_size=len(gaps), max_size=len(gaps)))
    turns = draw(st.lists(st.floats(-30, 30), min_size=len(gaps), max_size=len(gaps)))
    at = np.cumsum(gaps).tolist()
    return [(int(a), reading(c, yaw=t, eyeBlinkLeft=abs(t) / 30)) for a, c, t in zip(at, sure, turns, strict=True)]


@settings(max_examples=15, deadline=None)
@given(clip=clips(), cuts=st.lists(st.integers(1, 9), max_size=40), timed=st.booleans(), ahead=st.integers(0, 20_000))
def test_cutting_changes_nothing(clip: list[tuple[int, Reading]], cuts: list[int], timed: bool, ahead: int) -> None:
    until = clip[-1][0] + SECOND // 2
    whole, cut = CameraSource(timed=timed), CameraSource(timed=timed)
    for sample, seen in clip:
        whole.push(seen, sample)
    expected = whole.advance(until)
    left, out, now = list(clip), list[Motion](), 0
    for steps in [*cuts, until // MOTION_STEP + 1]:
        now = min(now + steps * MOTION_STEP, until)
        while left and left[0][0] <= now + cut.look_ahead + ahead:
            cut.push(left[0][1], left.pop(0)[0])
        out += cut.advance(now)
    assert [motion.sample for motion in out] == list(range(0, until + 1, MOTION_STEP))
    for a, b in zip(expected, out, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.confidence, b.confidence)


@settings(max_examples=10, deadline=None)
@given(clip=clips(), timed=st.booleans(), cut=st.integers(0, 60))
def test_the_future_changes_nothing(clip: list[tuple[int, Reading]], timed: bool, cut: int) -> None:
    now = cut * MOTION_STEP
    all_of_it, first = CameraSource(timed=timed), CameraSource(timed=timed)
    for sample, seen in clip:
        all_of_it.push(seen, sample)
        if sample <= now + first.look_ahead:
            first.push(seen, sample)
    for a, b in zip(all_of_it.advance(now), first.advance(now), strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.confidence, b.confidence)


@pytest.mark.parametrize("timed", [False, True])
def test_reset_equals_new(timed: bool) -> None:
    source = CameraSource(timed=timed)
    for sample, seen in nodding(30, 1):
        source.push(seen, sample)
    first = source.advance(SECOND)
    source.reset()
    for sample, seen in nodding(30, 1):
        source.push(seen, sample)
    for a, b in zip(first, source.advance(SECOND), strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    source.reset(sample=10_000)
    assert source.advance(12_000)[0].sample == 10_560


def test_without_a_reading_it_says_nothing() -> None:
    for source in (CameraSource(), CameraSource(timed=True)):
        motions = source.advance(5 * MOTION_STEP)
        assert len(motions) == 6
        assert all(motion.confidence.max() == 0 for motion in motions)


@pytest.mark.parametrize("fps", [24, 25, 30])
def test_a_file_is_interpolated_at_its_instants(fps: float) -> None:
    source = CameraSource(timed=True)
    for sample, seen in nodding(fps, 2):
        source.push(seen, sample)
    motions = source.advance(round(1.9 * SECOND))
    instants = np.array([motion.sample for motion in motions]) / SECOND
    np.testing.assert_allclose(values_of(motions, "yaw"), 10 * np.sin(2 * np.pi * instants), atol=0.12)
    assert all(motion.confidence.min() == 1 for motion in motions)


@pytest.mark.parametrize("fps", [25, 30])
def test_the_period_of_a_live_camera_does_not_show(fps: float) -> None:
    steady = [(round(i * SECOND / fps), reading(yaw=30 * i / fps)) for i in range(round(fps))]
    yaw = values_of(fed(CameraSource(), steady, round(0.95 * SECOND), delay=2_000), "yaw")[15:]
    steps = np.diff(yaw)
    assert steps.min() > 0.4 * steps.mean()
    assert steps.max() < 1.6 * steps.mean()


def test_the_head_is_predicted_a_little() -> None:
    steady = [(round(i * SECOND / 30), reading(yaw=60 * i / 30)) for i in range(30)]
    motions = fed(CameraSource(), steady, round(0.95 * SECOND), delay=round(0.05 * SECOND))
    behind_s = motions[-1].sample / SECOND - motions[-1]["yaw"] / 60
    assert 0 < behind_s < 0.04, "the camera is 50 to 80 ms late, of which most is made up for"


def test_prediction_stops() -> None:
    source = CameraSource()
    for i in range(10):
        source.push(reading(yaw=3.0 * i), round(i * SECOND / 30))
    motions = source.advance(SECOND)
    assert motions[-1]["yaw"] < 27 + 90 * PREDICT_S + 1


def test_noise_is_not_predicted() -> None:
    rng = np.random.default_rng(0)
    still = [(round(i * SECOND / 30), reading(yaw=float(y))) for i, y in enumerate(rng.normal(0, 0.1, 90))]
    yaw = values_of(fed(CameraSource(), still, 3 * SECOND - MOTION_STEP, delay=2_000), "yaw")[10:]
    assert np.percentile(np.abs(yaw), 95) < 0.25


def test_a_blink_is_shown_in_full_and_not_smeared() -> None:
    shut = [0, 0, 0, 0.6, 1, 1, 0.3, 0, 0, 0, 0]
    blinks = [(round(i * SECOND / 30), reading(eyeBlinkLeft=v)) for i, v in enumerate(shut)]
    shown = values_of(fed(CameraSource(), blinks, round(0.34 * SECOND)), "eyeBlinkLeft")
    assert shown.max() > 0.97
    assert shown[-2:].max() < 0.1


@pytest.mark.parametrize("fps", [25, 30])
def test_a_camera_that_stops_gives_way_within_half_a_second_and_comes_back_without_a_jump(fps: float) -> None:
    camera = CameraSource()
    compositor = Compositor({"camera": camera, "script": ScriptSource()})
    period, gone, back = SECOND / fps, 1.0, 2.0
    shown, left = [], [round(i * period) for i in range(round(3 * fps)) if not gone < i / fps < back]
    for now in range(0, 3 * SECOND, MOTION_STEP):
        while left and left[0] <= now:
            at = left.pop(0)
            camera.push(reading(yaw=12.0 if at < 1.5 * SECOND else -12.0, browInnerUp=0.5), at)
        shown.append(compositor.at(now))
    yaw, last = values_of(shown, "yaw"), round(gone * fps) / fps
    assert yaw[round((last + 0.5) / 0.02)] == pytest.approx(0, abs=0.05)
    assert yaw[-1] == pytest.approx(-12, abs=0.05)
    jump = np.abs(np.diff([motion.values for motion in shown], axis=0))
    assert (jump[5:] < 0.35 * JUMP_BOUND).all()


def test_a_short_gap_is_caught_up_with_softly() -> None:
    seen = [(round(i * SECOND / 30), reading(yaw=0.0 if i < 30 else 15.0)) for i in range(60) if not 20 < i < 30]
    yaw = values_of(fed(CameraSource(), seen, round(1.9 * SECOND)), "yaw")
    assert np.abs(np.diff(yaw)).max() < 3.0
    assert yaw[-1] == pytest.approx(15, abs=0.5)


def test_a_slow_camera_is_no_missing_one() -> None:
    slow = [(round(i * SECOND / 12), reading(yaw=5.0)) for i in range(36)]
    motions = fed(CameraSource(), slow, round(2.9 * SECOND))
    assert all(motion.confidence.min() == 1 for motion in motions[50:])


def test_no_face_is_no_motion() -> None:
    source = CameraSource()
    source.push(reading(yaw=8.0), 0)
    source.push(reading(0.0, yaw=8.0), MOTION_STEP)
    motions = source.advance(3 * MOTION_STEP)
    assert motions[0].confidence.min() == 1
    assert all(motion.confidence.max() == 0 for motion in motions[1:])
    assert motions[-1]["yaw"] == pytest.approx(8.0)


def test_a_long_gap_of_a_file_is_not_bridged() -> None:
    source = CameraSource(timed=True)
    source.push(reading(yaw=0.0), 0)
    source.push(reading(yaw=10.0), SECOND)
    motions = source.advance(SECOND)
    middle = motions[len(motions) // 2]
    assert middle.confidence.max() == 0
    assert motions[round((MISSING_S + 0.02) / 0.02)].confidence.max() == 0
    assert motions[-1].confidence.min() == 1
    assert source.look_ahead == round(BRIDGE_S * SECOND)


def test_what_is_broken_late_or_out_of_range_does_no_harm() -> None:
    source = CameraSource()
    source.push(reading(yaw=500.0, jawOpen=3.0, mouthSmileLeft=-1.0), 960)
    source.push(reading(yaw=float("nan")), 1920)
    source.push(reading(yaw=1.0), 100)
    motion = source.advance(2880)[-1]
    assert motion["yaw"] == 60
    assert motion["jawOpen"] == 1
    assert motion["mouthSmileLeft"] == 0
    assert np.isfinite(motion.values).all()


def test_readings_that_nobody_asks_for_are_bounded() -> None:
    source = CameraSource()
    for i in range(1000):
        source.push(reading(), i * 1600)
    assert len(source._coming) < 70  # pyright: ignore[reportPrivateUsage]
