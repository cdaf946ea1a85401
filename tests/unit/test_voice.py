from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import inputs
from engine.contract import GROUPS, Channel
from engine.motion.head import BOUND
from engine.motion.mouth import LOOK_AHEADS_MS
from engine.motion.voice import VoiceSource
from engine.timeline import MOTION_STEP
from tests.unit import sounds

MOUTH = [name for name in Channel if name.startswith(("mouth", "jaw"))]
MOUTH_ROWS = [Channel[name] for name in MOUTH]


def track(sound: NDArray[np.float32], source: VoiceSource | None = None) -> NDArray[np.float32]:
    """float32[steps, 58] for every step of the sound, which silence follows."""
    source = source or VoiceSource()
    source.push(sound)
    source.push(sounds.silence(source.look_ahead / sounds.RATE))
    return np.array([motion.values for motion in source.advance(len(sound) - 1)])


def opening(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the jaw is open and not taken back by closed lips."""
    return values[:, Channel["jawOpen"]] - values[:, Channel["mouthClose"]]


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """'ba ee mm oo' with pauses: 4 s."""
    parts = [sounds.silence(0.4), *(sounds.vowel(v, 0.3) for v in ("aa", "mm", "ee", "oo")), sounds.silence(0.3)]
    return np.concatenate([*parts, sounds.syllables(6)])


def test_the_mouth_opens_with_every_syllable_and_in_time() -> None:
    sound = sounds.syllables(20)
    mouth = opening(track(sound))
    loud = sounds.envelope(sound)[: len(mouth)]
    lags = range(-6, 7)
    fits = [np.corrcoef(mouth[8:-8], np.roll(loud, lag)[8:-8])[0, 1] for lag in lags]
    assert max(fits) > 0.8
    assert abs(lags[int(np.argmax(fits))]) <= 1  # 20 ms
    peaks = np.array([mouth[25 + 12 * k : 25 + 12 * k + 12].max() for k in range(1, 19)])
    assert (peaks > 0.25).all()


def test_silence_closes_the_mouth_exactly_and_soon() -> None:
    sound = np.concatenate([sounds.syllables(4, lead_s=0.2), sounds.silence(0.5)])
    last = np.flatnonzero(sound)[-1]
    values = track(sound)[:, MOUTH_ROWS]
    assert values[: last // MOTION_STEP].any()
    assert not values[(last + 2 * sounds.RATE // 5) // MOTION_STEP :].any()
    assert opening(track(sound))[(last + 7200) // MOTION_STEP] < 0.03


@pytest.mark.parametrize(
    "sound",
    [
        sounds.silence(2),
        sounds.noise(4, -20),
        sounds.noise(4, -45),
        sounds.hum(4, -25),
        sounds.hum(4, -25, 50) + sounds.noise(4, -40),
    ],
    ids=["silence", "loud noise", "hiss", "hum", "hum and hiss"],
)
def test_steady_sounds_leave_the_mouth_shut(sound: NDArray[np.float32]) -> None:
    values = track(sound)
    assert not values[50:, MOUTH_ROWS].any()
    assert opening(values).max() < 0.15, "nor is the first second, in which it may be anything, taken for a shout"


def test_a_fan_that_starts_is_soon_taken_for_one() -> None:
    sound = np.concatenate([sounds.silence(1), sounds.noise(5, -30)])
    assert not track(sound)[-100:, MOUTH_ROWS].any()


@pytest.mark.parametrize("gain_db", [-20, 20])
def test_how_loud_the_microphone_is_does_not_matter(speech: NDArray[np.float32], gain_db: int) -> None:
    plain, changed = opening(track(speech)), opening(track(speech * np.float32(10 ** (gain_db / 20))))
    assert np.corrcoef(plain, changed)[0, 1] > 0.94
    assert np.abs(plain - changed).mean() < 0.03


def test_speech_over_noise_still_moves_the_mouth() -> None:
    sound = inputs.voice(inputs.sample())[: 6 * sounds.RATE]
    clean, noisy = opening(track(sound)), opening(track(sound + sounds.noise(len(sound) / sounds.RATE, -40)))
    assert np.corrcoef(clean, noisy)[0, 1] > 0.8


def test_nothing_jitters(speech: NDArray[np.float32]) -> None:
    values = track(speech)
    bound = np.where(np.arange(values.shape[1]) < Channel["yaw"], 0.3, 0.5)
    assert (np.abs(np.diff(values, axis=0)) <= bound).all()


def test_the_head_goes_along_and_comes_to_rest() -> None:
    values = track(np.concatenate([sounds.syllables(12, 3.0), sounds.silence(6)]))
    pose = values[:, Channel["yaw"] :]
    assert np.abs(pose[:250]).max() > 0.3
    assert (np.abs(pose) <= BOUND).all()
    assert np.abs(pose[-1]).max() < 0.05


def test_the_gain_scales_the_mouth_but_not_its_closing(speech: NDArray[np.float32]) -> None:
    plain, wide, shut = (track(speech, VoiceSource(mouth_gain=gain)) for gain in (1.0, 1.5, 0.0))
    np.testing.assert_allclose(wide[:, Channel["jawOpen"]], np.minimum(1.5 * plain[:, Channel["jawOpen"]], 1), atol=1e-5)
    np.testing.assert_array_equal(wide[:, Channel["mouthPressLeft"]], plain[:, Channel["mouthPressLeft"]])
    assert not shut[:, Channel["jawOpen"]].any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4000), max_size=60), st.sampled_from(LOOK_AHEADS_MS))
def test_the_sound_may_be_cut_anywhere(cuts: list[int], look_ahead_ms: float) -> None:
    sound = np.concatenate([sounds.syllables(2, lead_s=0.1), sounds.vowel("ee", 0.2)])
    whole = VoiceSource(look_ahead_ms)
    whole.push(sound)
    end = len(sound) - whole.look_ahead
    expected = whole.advance(end)
    cut, got = VoiceSource(look_ahead_ms), []
    edges = [0, *np.minimum(np.cumsum(cuts, dtype=int), len(sound)).tolist(), len(sound)]
    for a, b in pairwise(edges):
        cut.push(sound[a:b])
        got += cut.advance(b - cut.look_ahead)
    assert [motion.sample for motion in got] == [motion.sample for motion in expected]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.confidence, b.confidence)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 48_000), st.sampled_from(LOOK_AHEADS_MS))
def test_the_future_never_changes_the_past(turn: int, look_ahead_ms: float) -> None:
    sound = sounds.syllables(4, lead_s=0.1)
    other = sound.copy()
    other[turn:] = sounds.noise((len(sound) - turn) / sounds.RATE, -10)
    a, b = VoiceSource(look_ahead_ms), VoiceSource(look_ahead_ms)
    a.push(sound)
    b.push(other)
    until = turn - a.look_ahead
    for one, two in zip(a.advance(until), b.advance(until), strict=True):
        np.testing.assert_array_equal(one.values, two.values)


def test_reset_equals_new(speech: NDArray[np.float32]) -> None:
    used = VoiceSource()
    used.push(sounds.noise(1, -10))
    used.advance(40_000)
    used.reset()
    np.testing.assert_array_equal(track(speech, used), track(speech))


def test_reset_may_start_anywhere() -> None:
    source = VoiceSource()
    source.reset(100_100)
    source.push(sounds.syllables(2))
    motions = source.advance(110_000)
    assert motions[0].sample == 105 * MOTION_STEP
    assert motions[0].confidence[GROUPS.index("lips")] == 1


def test_without_sound_the_source_has_nothing_to_say() -> None:
    source = VoiceSource()
    motions = source.advance(10 * MOTION_STEP)
    assert len(motions) == 11
    assert not any(motion.confidence.any() or motion.values.any() for motion in motions)


def test_sound_that_comes_late_is_caught_up_with() -> None:
    sound = sounds.syllables(6)
    late = VoiceSource()
    late.push(sound[:20_000])
    late.advance(60_000)
    late.push(sound[20_000:])
    tail = [motion.values for motion in late.advance(len(sound) - late.look_ahead)]
    np.testing.assert_array_equal(tail[-1], track(sound)[len(sound[: -late.look_ahead]) // MOTION_STEP])


def test_broken_sound_does_no_lasting_harm() -> None:
    source = VoiceSource()
    bad = sounds.noise(0.5, 0)
    bad[::7] = np.nan
    bad[1::7] = np.inf
    values = track(np.concatenate([bad, sounds.silence(5), sounds.syllables(6)]), source)
    assert np.isfinite(values).all()
    assert opening(values)[-75:].max() > 0.2


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="0, 40, 80, 160 ms"):
        VoiceSource(60)
    with pytest.raises(ValueError, match="gain"):
        VoiceSource(mouth_gain=3)
    with pytest.raises(ValueError, match="float32"):
        VoiceSource().push(np.zeros(4))  # pyright: ignore[reportArgumentType]
