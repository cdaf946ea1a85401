import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import GROUPS, Channel
from engine.errors import ModelError
from engine.motion.eyes import MODEL, EyeStyle, PhraseEnds
from engine.motion.idle import IdleSource, IdleStyle
from engine.timeline import MOTION_RATE_HZ, MOTION_STEP

MINUTE = 60 * MOTION_RATE_HZ * MOTION_STEP


def track(source: IdleSource, until: int) -> np.ndarray:
    return np.array([motion.values for motion in source.advance(until)])


@pytest.fixture(scope="module")
def life() -> np.ndarray:
    """float32[steps, 58]: two minutes each of four seeds."""
    return np.concatenate([track(IdleSource(seed), 2 * MINUTE - 1) for seed in range(4)])


def blinks(lids: np.ndarray) -> list[tuple[int, int]]:
    """First step above a tenth and first one below it again, of each blink."""
    shut = lids > 0.5
    starts = np.flatnonzero(shut[1:] & ~shut[:-1]) + 1
    spans = []
    for start in starts:
        a, b = start, start
        while a > 0 and lids[a - 1] > 0.1:
            a -= 1
        while b < len(lids) and lids[b] > 0.1:
            b += 1
        spans.append((a, b))
    return spans


def test_blinks_come_and_last_as_they_do_in_people(life: np.ndarray) -> None:
    spans = blinks(life[:, Channel["eyeBlinkLeft"]])
    gaps_s = np.diff([a for a, _ in spans]) / MOTION_RATE_HZ
    assert 2 < np.median(gaps_s) < 5
    assert 10 < len(spans) / 8 < 28  # a minute
    assert 0.04 < (gaps_s < 0.6).mean() < 0.25
    lengths_ms = np.array([b - a for a, b in spans]) * 20
    assert 150 <= np.median(lengths_ms) <= 250


def test_lids_close_faster_than_they_open(life: np.ndarray) -> None:
    lids = life[:, Channel["eyeBlinkLeft"]]
    closing, opening = [], []
    for a, b in blinks(lids):
        peak = a + int(np.argmax(lids[a:b]))
        closing.append(peak - a)
        opening.append(b - peak)
    assert np.median(closing) < 0.75 * np.median(opening)


def test_eyes_rest_on_the_camera_and_turn_fast(life: np.ndarray) -> None:
    left_deg = 30 * (life[:, Channel["eyeLookOutLeft"]] - life[:, Channel["eyeLookInLeft"]])
    assert abs(np.median(left_deg)) < 0.5
    assert (np.abs(left_deg) < 4).mean() > 0.75
    assert np.abs(left_deg).max() > 8
    speed = np.abs(np.diff(left_deg)) * MOTION_RATE_HZ
    assert np.median(speed) < 3
    assert speed.max() > 100


def test_the_head_drifts_smoothly_about_its_rest(life: np.ndarray) -> None:
    pose = life[: 2 * 3000, Channel["yaw"] :]
    assert (np.abs(pose.mean(axis=0)) < [0.6, 0.6, 0.4, 0.003, 0.005, 0.004]).all()
    assert (np.abs(pose) < [8, 5, 4, 0.04, 0.04, 0.05]).all()
    assert (pose.std(axis=0)[:3] > 0.3).all()
    jerk = np.abs(np.diff(pose, n=2, axis=0)).max(axis=0)
    assert (jerk[:3] < 0.05).all()  # degrees per step, per step


def test_the_mouth_is_left_alone(life: np.ndarray) -> None:
    motion = IdleSource().advance(0)[0]
    assert motion.confidence[GROUPS.index("lips")] == 0
    assert not life[:, Channel["jawOpen"]].any()
    assert not life[:, Channel["mouthSmileLeft"]].any()


def test_coefficients_stay_in_range(life: np.ndarray) -> None:
    assert (life[:, :52] >= 0).all()
    assert (life[:, :52] <= 1).all()


def test_equal_seeds_live_alike_and_others_do_not() -> None:
    np.testing.assert_array_equal(track(IdleSource(5), MINUTE), track(IdleSource(5), MINUTE))
    assert not np.array_equal(track(IdleSource(5), MINUTE), track(IdleSource(6), MINUTE))


def test_reset_equals_new() -> None:
    used = IdleSource(3)
    used.advance(MINUTE)
    used.reset()
    np.testing.assert_array_equal(track(used, MINUTE), track(IdleSource(3), MINUTE))


@given(st.lists(st.integers(0, 30_000), max_size=12))
def test_the_asking_may_be_cut_anywhere(gaps: list[int]) -> None:
    whole, cut = IdleSource(1), IdleSource(1)
    ends = np.cumsum([*gaps, 1])
    pieces = [motion for end in ends for motion in cut.advance(int(end))]
    for a, b in zip(whole.advance(int(ends[-1])), pieces, strict=True):
        assert a.sample == b.sample
        np.testing.assert_array_equal(a.values, b.values)


def talk(source: IdleSource, steps: int, *, phrase: int = 100, pause: int = 60) -> np.ndarray:
    """float32[steps, 58]: motion of somebody who speaks for `phrase` steps and pauses for `pause`."""
    motions = []
    for step in range(steps):
        source.hear(step * MOTION_STEP, speaking=step % (phrase + pause) < phrase)
        motions += source.advance(step * MOTION_STEP)
    return np.array([motion.values for motion in motions])


def test_blinks_follow_the_ends_of_phrases() -> None:
    def share(lids: np.ndarray) -> float:
        """Of the ends, those with a blink that begins within half a second."""
        shut = lids > 0.1
        begins = np.flatnonzero(shut[1:] & ~shut[:-1]) + 1
        ends = np.arange(100, len(lids) - 30, 160)
        return float(np.mean([((begins >= end) & (begins < end + 25)).any() for end in ends]))

    seeds, lids = range(3), Channel["eyeBlinkLeft"]
    heard = np.mean([share(talk(IdleSource(seed), 6000)[:, lids]) for seed in seeds])
    deaf = np.mean([share(track(IdleSource(seed), 6000 * MOTION_STEP - 1)[:, lids]) for seed in seeds])
    assert heard > deaf + 0.12


def test_the_hearing_may_be_cut_anywhere() -> None:
    whole, cut = talk(IdleSource(2), 600), IdleSource(2)
    pieces = []
    for step in range(600):
        cut.hear(step * MOTION_STEP, speaking=step % 160 < 100)
        if step % 7 == 0:
            pieces += cut.advance(step * MOTION_STEP)
    pieces += cut.advance(600 * MOTION_STEP - 1)
    np.testing.assert_array_equal(whole, np.array([motion.values for motion in pieces]))


def test_what_is_said_later_changes_nothing_before() -> None:
    a, b = IdleSource(4), IdleSource(4)
    for step in range(500):
        a.hear(step * MOTION_STEP, speaking=step < 300)
        b.hear(step * MOTION_STEP, speaking=True)
    until = 300 * MOTION_STEP - 1
    np.testing.assert_array_equal(track(a, until), track(b, until))


@pytest.mark.parametrize(
    ("spoken", "silent", "over"), [(50, 9, False), (50, 10, True), (15, 30, False)], ids=["a breath", "an end", "a cough"]
)
def test_a_phrase_is_over_when_a_pause_follows_speech(spoken: int, silent: int, *, over: bool) -> None:
    ear = PhraseEnds()
    told = [ear.step(speaking=step < spoken) for step in range(spoken + silent)]
    assert any(told) == over
    assert sum(told) <= 1


def test_the_constants_that_ship_can_be_read() -> None:
    style = EyeStyle.load()
    assert IdleStyle().eyes == style
    assert 1.5 < style.interval_s[0] < 5
    assert 0.05 < style.close_s[0] < 0.12


@pytest.mark.parametrize("damage", ["", "{}", '{"style": {}}', "more", "pair", "negative"])
def test_damaged_constants_are_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    values = json.loads(MODEL.read_text())
    changes = {"more": {"wink": 1.0}, "pair": {"close_s": 0.1}, "negative": {"double": -0.1}}
    path = tmp_path / "eyes.json"
    path.write_text(json.dumps({"style": values["style"] | changes[damage]}) if damage in changes else damage)
    with pytest.raises(ModelError, match="python -m training eyes"):
        EyeStyle.load(path)
    with pytest.raises(ModelError, match="No such file"):
        EyeStyle.load(tmp_path / "none.json")
