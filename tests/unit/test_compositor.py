from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import CHANNELS, GROUPS, Motion
from engine.motion.compositor import EASE_STEP, JUMP_BOUND, Compositor
from engine.timeline import MOTION_STEP


class Fake:
    """A source that plays a function of the step; None is a gap, as from a frozen source."""

    look_ahead = 0

    def __init__(self, track=lambda step: {}, confidence=lambda step: 1.0) -> None:
        self._track, self._confidence = track, confidence
        self.reset()

    def reset(self, sample: int = 0) -> None:
        self._next = -(-sample // MOTION_STEP) * MOTION_STEP

    def advance(self, until_sample: int) -> Sequence[Motion]:
        motions = []
        while self._next <= until_sample:
            step = self._next // MOTION_STEP
            controls = self._track(step)
            if controls is not None:
                motions.append(Motion.of(self._next, controls, self._confidence(step)))
            self._next += MOTION_STEP
        return motions


def steps(compositor: Compositor, count: int) -> list[Motion]:
    return [compositor.at(k * MOTION_STEP) for k in range(count)]


def test_lips_come_from_the_voice_while_the_camera_moves_the_rest() -> None:
    voice = Fake(lambda k: {"jawOpen": 0.6})
    camera = Fake(lambda k: {"jawOpen": 0.1, "yaw": 12.0, "eyeBlinkLeft": 0.5})
    motion = Compositor({"voice": voice, "camera": camera}).at(0)
    assert motion["jawOpen"] == pytest.approx(0.6)
    assert motion["yaw"] == pytest.approx(12)
    assert motion["eyeBlinkLeft"] == pytest.approx(0.5)


def test_a_camera_stands_in_for_a_voice_that_has_gone() -> None:
    voice = Fake(lambda k: {"jawOpen": 0.6}, lambda k: 1.0 if k < 3 else 0.0)
    camera = Fake(lambda k: {"jawOpen": 0.1})
    track = [m["jawOpen"] for m in steps(Compositor({"voice": voice, "camera": camera}), 20)]
    assert track[2] == pytest.approx(0.6)
    assert track[-1] == pytest.approx(0.1)
    assert np.abs(np.diff(track)).max() <= EASE_STEP["lips"] * 0.5 + 1e-6


def test_script_and_idle_life_add_up_and_a_camera_hides_both_in_the_pose() -> None:
    sources = {"script": Fake(lambda k: {"yaw": 10.0, "mouthSmileLeft": 0.4}), "idle": Fake(lambda k: {"yaw": 1.0})}
    assert Compositor(sources).at(0)["yaw"] == pytest.approx(11)
    filmed = Compositor(sources | {"camera": Fake(lambda k: {"yaw": -5.0, "mouthSmileLeft": 0.2})})
    filmed.reset()
    shown = filmed.at(0)
    assert shown["yaw"] == pytest.approx(-5)
    assert shown["mouthSmileLeft"] == pytest.approx(0.6)


def test_a_weight_is_eased_in_and_survives_reset() -> None:
    compositor = Compositor({"voice": Fake(lambda k: {"jawOpen": 1.0})})
    compositor.at(0)
    compositor.set_weight("voice", "lips", 0.0)
    track = [m["jawOpen"] for m in steps(compositor, 10)[1:]]
    np.testing.assert_allclose(track[:5], [0.8, 0.6, 0.4, 0.2, 0.0], atol=1e-6)
    compositor.reset(0)
    assert compositor.at(0)["jawOpen"] == 0


def test_motion_is_interpolated_between_steps() -> None:
    compositor = Compositor({"voice": Fake(lambda k: {"jawOpen": 0.1 * k})})
    assert compositor.at(MOTION_STEP * 2)["jawOpen"] == pytest.approx(0.2)
    assert compositor.at(MOTION_STEP * 2 + MOTION_STEP // 4)["jawOpen"] == pytest.approx(0.225)


def test_opposed_gaze_channels_cancel() -> None:
    sources = {"script": Fake(lambda k: {"eyeLookOutLeft": 0.5}), "idle": Fake(lambda k: {"eyeLookInLeft": 0.2})}
    motion = Compositor(sources).at(0)
    assert motion["eyeLookOutLeft"] == pytest.approx(0.3)
    assert motion["eyeLookInLeft"] == 0


def test_a_frozen_source_is_held_and_then_eased_out() -> None:
    voice = Fake(lambda k: {"jawOpen": 0.5} if k < 4 else None)
    track = [m["jawOpen"] for m in steps(Compositor({"voice": voice}), 20)]
    assert track[8] == pytest.approx(0.5)
    assert track[-1] == 0


def test_a_live_source_is_asked_ahead_of_the_sound() -> None:
    sources = {"camera": Fake(lambda k: {"yaw": float(k)}), "voice": Fake(lambda k: {"jawOpen": 0.01 * k})}
    compositor = Compositor(sources)
    motion = compositor.at(0, live=4 * MOTION_STEP)
    assert motion["yaw"] == pytest.approx(4)
    assert motion["jawOpen"] == 0


def test_broken_values_never_reach_the_picture() -> None:
    voice = Fake(lambda k: {"jawOpen": 0.5 if k < 4 else float("nan")})
    track = [m["jawOpen"] for m in steps(Compositor({"voice": voice}), 20)]
    assert np.isfinite(track).all()
    assert track[-1] == 0


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'voice'"):
        Compositor({"voise": Fake()})
    with pytest.raises(ValueError, match="no source 'camera'"):
        Compositor({"voice": Fake()}).set_weight("camera", "lips", 1)


def test_time_runs_forward() -> None:
    compositor = Compositor({"voice": Fake()})
    compositor.at(10 * MOTION_STEP)
    compositor.at(9 * MOTION_STEP)
    with pytest.raises(ValueError, match="order of time"):
        compositor.at(8 * MOTION_STEP)


track = st.lists(
    st.none() | st.tuples(st.sampled_from(CHANNELS), st.floats(-2, 50, width=32), st.sampled_from([0.0, 0.3, 1.0])),
    min_size=12,
    max_size=12,
)


def _played(script: list) -> Fake:
    """Each entry is one step's only channel; None is a gap."""
    return Fake(
        lambda k: {script[k % 12][0]: script[k % 12][1]} if script[k % 12] else None,
        lambda k: script[k % 12][2],
    )


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["voice", "camera", "script", "idle"]), track, min_size=1), st.data())
def test_no_jump_exceeds_the_bound_whatever_the_sources_do(scripts: dict, data: st.DataObject) -> None:
    compositor = Compositor({name: _played(script) for name, script in scripts.items()})
    last = compositor.at(0)
    for k in range(1, 24):
        if data.draw(st.booleans()):
            compositor.set_weight(data.draw(st.sampled_from(sorted(scripts))), data.draw(st.sampled_from(GROUPS)), k % 3 / 2)
        motion = compositor.at(k * MOTION_STEP)
        assert (np.abs(motion.values - last.values) <= JUMP_BOUND + 1e-5).all()
        assert (motion.arkit >= 0).all()
        assert (motion.arkit <= 1).all()
        last = motion


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["voice", "script", "idle"]), track, min_size=1),
    st.lists(st.integers(1, 5000), max_size=30),
)
def test_the_asking_may_be_cut_anywhere(scripts: dict, gaps: list[int]) -> None:
    whole = Compositor({name: _played(script) for name, script in scripts.items()})
    cut = Compositor({name: _played(script) for name, script in scripts.items()})
    end = 0
    for gap in gaps:
        end += gap
        cut.at(end)
    for sample in (end + 300, end + 5000):
        np.testing.assert_array_equal(cut.at(sample).values, whole.at(sample).values)


def test_reset_equals_new() -> None:
    def new() -> Compositor:
        return Compositor({"voice": Fake(lambda k: {"jawOpen": k % 5 / 5}), "idle": Fake(lambda k: {"yaw": k % 7})})

    used = new()
    steps(used, 9)
    used.reset(0)
    for a, b in zip(steps(used, 20), steps(new(), 20), strict=True):
        np.testing.assert_array_equal(a.values, b.values)
