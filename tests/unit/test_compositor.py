from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import CHANNELS, GROUPS, Motion
from engine.motion.compositor import CHOICES, CHOSEN, EASE_STEP, FACTORS, JUMP_BOUND, Compositor
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


def everybody() -> dict[str, Fake]:
    """Sources that can be told apart by the yaw, blink, smile and jaw that they show."""
    shown = {"voice": 0.2, "camera": 0.4, "idle": 0.1, "script": 0.0}
    return {
        name: Fake(lambda k, v=v: {"yaw": 10 * v, "eyeBlinkLeft": v, "mouthSmileLeft": v, "jawOpen": v, "eyeLookUpLeft": v})
        for name, v in shown.items()
    }


SHOWS = {"pose": "yaw", "gaze": "eyeBlinkLeft", "expression": "mouthSmileLeft", "lips": "jawOpen"}


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("source", CHOICES)
def test_each_factor_comes_from_where_it_was_chosen_and_the_others_stay(factor: str, source: str) -> None:
    compositor = Compositor(everybody())
    before = compositor.at(0)
    compositor.choose(factor, source)
    after = steps(compositor, 40)[-1]
    unit = 10 if factor == "pose" else 1
    alone = 0.2 if factor == "lips" else 0.2 + 0.1  # idle life has nothing to say about the lips of one who speaks
    expected = {"camera": 0.4, "voice": alone, "still": 0.0}[source] * unit
    assert after[SHOWS[factor]] == pytest.approx(expected, abs=1e-6)
    for other in set(FACTORS) - {factor}:
        assert after[SHOWS[other]] == pytest.approx(before[SHOWS[other]])
    assert compositor.chosen == {**CHOSEN, factor: source}
    compositor.reset()
    assert compositor.at(0)[SHOWS[factor]] == pytest.approx(expected, abs=1e-6)


def test_gaze_is_eyeballs_and_lids() -> None:
    compositor = Compositor(everybody())
    compositor.choose("gaze", "still")
    assert compositor.at(0)["eyeBlinkLeft"] == 0
    assert compositor.at(0)["eyeLookUpLeft"] == 0


def test_a_factor_held_still_still_shows_what_a_script_asks_for() -> None:
    compositor = Compositor(everybody() | {"script": Fake(lambda k: {"yaw": 7.0})})
    compositor.choose("pose", "still")
    assert compositor.at(0)["yaw"] == pytest.approx(7)


def test_the_brows_of_a_camera_hide_those_of_the_voice() -> None:
    brow = {"voice": Fake(lambda k: {"browInnerUp": 0.3}), "camera": Fake(lambda k: {"browInnerUp": 0.2})}
    assert Compositor(brow).at(0)["browInnerUp"] == pytest.approx(0.2)


@pytest.mark.parametrize("gone", ["lost", "frozen"])
def test_voice_and_idle_life_take_over_within_half_a_second_and_give_back(gone: str) -> None:
    def there(k: int) -> bool:
        return not 10 <= k < 60

    camera = Fake(lambda k: {"yaw": 20.0} if there(k) or gone == "lost" else None, lambda k: float(there(k)))
    compositor = Compositor({"camera": camera, "voice": Fake(lambda k: {"yaw": -2.0}), "idle": Fake(lambda k: {"yaw": 1.0})})
    yaw = [motion["yaw"] for motion in steps(compositor, 120)]
    assert yaw[9] == pytest.approx(20)
    assert yaw[10 + 25] == pytest.approx(-1)  # 25 steps are half a second
    assert yaw[59] == pytest.approx(-1)
    assert yaw[60 + 25] == pytest.approx(20)
    assert np.abs(np.diff(yaw)).max() <= EASE_STEP["pose"] * 21 + 1e-4


def test_what_cannot_be_chosen_is_refused() -> None:
    compositor = Compositor(everybody())
    with pytest.raises(ValueError, match="there are pose, gaze, expression, lips"):
        compositor.choose("nose", "voice")
    with pytest.raises(ValueError, match="it can from voice, camera, still"):
        compositor.choose("pose", "moon")
    assert compositor.chosen == CHOSEN


def test_a_weight_may_be_that_of_one_channel() -> None:
    compositor = Compositor(everybody())
    compositor.set_weight("camera", "eyeBlinkLeft", 0.0)
    motion = compositor.at(0)
    assert motion["eyeBlinkLeft"] == pytest.approx(0.3)
    assert motion["eyeLookUpLeft"] == pytest.approx(0.4)


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


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["voice", "camera", "script", "idle"]), track, min_size=1),
    st.lists(st.none() | st.tuples(st.sampled_from(sorted(FACTORS)), st.sampled_from(CHOICES)), min_size=1, max_size=30),
)
def test_no_choice_makes_a_jump(scripts: dict, choices: list) -> None:
    compositor = Compositor({name: _played(script) for name, script in scripts.items()})
    last = compositor.at(0)
    for k, choice in enumerate(choices, 1):
        if choice:
            compositor.choose(*choice)
        motion = compositor.at(k * MOTION_STEP)
        assert (np.abs(motion.values - last.values) <= JUMP_BOUND + 1e-5).all()
        assert ((motion.arkit >= 0) & (motion.arkit <= 1)).all()
        assert ((motion.confidence >= 0) & (motion.confidence <= 1)).all()
        last = motion


poses = st.fixed_dictionaries({"voice": st.floats(-30, 30, width=32), "camera": st.floats(-30, 30, width=32)})


@settings(max_examples=40, deadline=None)
@given(poses, st.lists(st.none() | st.sampled_from(CHOICES), min_size=1, max_size=60))
def test_a_head_is_handed_over_no_faster_than_its_ease(yaw: dict, choices: list) -> None:
    compositor = Compositor({name: Fake(lambda k, v=v: {"yaw": v}) for name, v in yaw.items()})
    widest = max(abs(v) for v in yaw.values()) + abs(yaw["voice"] - yaw["camera"])
    last = compositor.at(0)["yaw"]
    for k, choice in enumerate(choices, 1):
        if choice:
            compositor.choose("pose", choice)
        now = compositor.at(k * MOTION_STEP)["yaw"]
        assert abs(now - last) <= EASE_STEP["pose"] * widest + 1e-4
        last = now


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


def test_a_sources_share_is_its_eased_confidence_where_it_is_chosen() -> None:
    sure = [1.0]
    compositor = Compositor({"voice": Fake(), "camera": Fake(lambda k: {"yaw": 5.0}, lambda k: sure[0])})
    shares: dict[str, list[float]] = {group: [] for group in ("pose", "gaze", "expression")}

    def run(first: int, count: int) -> None:
        for k in range(first, first + count):
            compositor.at(k * MOTION_STEP)
            for group, track in shares.items():
                track.append(compositor.share("camera", group))

    run(0, 3)
    assert {track[-1] for track in shares.values()} == {1.0}
    compositor.choose("gaze", "voice")
    compositor.choose("expression", "still")
    run(3, 30)
    assert [track[-1] for track in shares.values()] == [1.0, 0.0, 0.0]
    sure[0] = 0.0
    run(33, 30)
    assert shares["pose"][-1] == 0.0
    for group, track in shares.items():
        assert np.abs(np.diff(track)).max() == pytest.approx(EASE_STEP[group], rel=1e-3)
