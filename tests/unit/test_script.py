import numpy as np
import pytest

from engine.contract import CHANNELS
from engine.motion.script import PRESETS, ScriptSource
from engine.timeline import MOTION_STEP


def test_a_channel_eases_to_its_value_and_stays() -> None:
    script = ScriptSource()
    script.set({"jawOpen": 0.5}, ease_ms=100)
    track = [motion["jawOpen"] for motion in script.advance(20 * MOTION_STEP)]
    assert (np.diff(track) >= 0).all()
    assert track[0] < 0.2
    assert track[4] == pytest.approx(0.5)
    assert track[-1] == pytest.approx(0.5)


def test_a_command_waits_for_its_instant() -> None:
    script = ScriptSource()
    script.set({"yaw": 10.0}, sample=5 * MOTION_STEP, ease_ms=0)
    track = [motion["yaw"] for motion in script.advance(6 * MOTION_STEP)]
    np.testing.assert_allclose(track, [0, 0, 0, 0, 0, 10, 10])


def test_looking_turns_both_eyes() -> None:
    script = ScriptSource()
    script.look(12, -6)
    motion = script.advance(20 * MOTION_STEP)[-1]
    assert motion.gaze_deg("Left") == pytest.approx((12, -6))
    assert motion.gaze_deg("Right") == pytest.approx((12, -6))


def test_releasing_brings_everything_back_to_rest() -> None:
    script = ScriptSource()
    script.pose(10, 5, -5)
    script.play("happy", sample=MOTION_STEP)
    assert np.any(script.advance(30 * MOTION_STEP)[-1].values)
    script.release()
    assert not np.any(script.advance(80 * MOTION_STEP)[-1].values)


def test_a_gesture_leaves_an_expression_alone() -> None:
    script = ScriptSource()
    script.play("smile")
    script.play("nod", sample=20 * MOTION_STEP)
    motions = script.advance(100 * MOTION_STEP)
    assert min(motion["pitch"] for motion in motions) == pytest.approx(-6)
    assert motions[-1]["pitch"] == pytest.approx(0)
    assert motions[-1]["mouthSmileLeft"] == pytest.approx(0.45)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_plays_within_the_range_of_its_channels(name: str) -> None:
    script = ScriptSource()
    script.play(name)
    for motion in script.advance(100 * MOTION_STEP):
        assert (motion.arkit >= 0).all()
        assert (motion.arkit <= 1).all()
        assert (np.abs(motion.pose) <= 45).all()


def test_values_are_clamped() -> None:
    script = ScriptSource()
    script.set({"jawOpen": 7.0, "yaw": -400.0}, ease_ms=0)
    motion = script.advance(0)[-1]
    assert motion["jawOpen"] == 1
    assert motion["yaw"] == -45


def test_what_makes_no_sense_is_refused() -> None:
    script = ScriptSource()
    with pytest.raises(ValueError, match="did you mean 'jawOpen'"):
        script.set({"jawopen": 1.0})
    with pytest.raises(ValueError, match="finite"):
        script.set({"jawOpen": float("nan")})
    with pytest.raises(ValueError, match="no preset is called 'grin'"):
        script.play("grin")


def test_reset_equals_new() -> None:
    used, new = ScriptSource(), ScriptSource()
    used.play("happy")
    used.advance(9 * MOTION_STEP)
    used.reset(3000)
    motions = used.advance(10 * MOTION_STEP)
    assert motions[0].sample == 4 * MOTION_STEP
    assert all(not np.any(motion.values) for motion in motions)
    assert len(new.advance(0)[0].values) == len(CHANNELS)


def test_the_asking_may_be_cut_anywhere() -> None:
    whole, cut = ScriptSource(), ScriptSource()
    for script in (whole, cut):
        script.play("surprised")
        script.play("nod", sample=7000)
    pieces = [motion for end in (100, 5000, 5001, 30000, 60000) for motion in cut.advance(end)]
    for a, b in zip(whole.advance(60000), pieces, strict=True):
        assert a.sample == b.sample
        np.testing.assert_array_equal(a.values, b.values)
