"""Eyes are fitted and judged without torch, but by what training is installed with."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from engine.motion.eyes import EyeStyle
from training.eye_events import Eyes, blinks_of, ends_of, near, phrase_ends, saccades_of
from training.eyes import DOUBLE_S, EyesError, find, fit, generate, lognormal

RATE = 50


def eyes_of(lids: np.ndarray, gaze: np.ndarray | None = None) -> Eyes:
    return Eyes("made", np.stack([lids, 0.9 * lids], 1), np.zeros((len(lids), 2)) if gaze is None else gaze)


def blink(close_s: float, hold_s: float, tau_s: float, depth: float = 0.8) -> np.ndarray:
    """One blink after a second of open eyes, a second more after it."""
    time = np.arange(-1.0, 2.0, 1 / RATE)
    part = np.clip(time / close_s, 0, 1)
    late = np.maximum(time - close_s - hold_s, 0) / tau_s
    return depth * part * part * (3 - 2 * part) * np.exp(-(late**1.5))


def test_a_blink_is_found_and_measured() -> None:
    (found,) = blinks_of(eyes_of(blink(0.1, 0.04, 0.08)))
    assert found.begin_s == pytest.approx(1.02, abs=0.02)
    assert found.close_s == pytest.approx(0.514 * 0.1, abs=0.008)
    assert found.open_s == pytest.approx(1.235 * 0.08, abs=0.012)
    assert found.hold_s == pytest.approx(0.04 + 0.243 * 0.1 + 0.298 * 0.08, abs=0.02)
    assert found.evenness == pytest.approx(0.9, abs=0.01)
    assert found.depth == pytest.approx(0.95 * 0.8, abs=0.02)


def test_a_look_down_is_no_blink() -> None:
    time = np.arange(0, 4, 1 / RATE)
    assert blinks_of(eyes_of(0.5 / (1 + np.exp(-8 * (time - 2))))) == []
    assert blinks_of(eyes_of(0.5 * np.exp(-((time - 2) ** 2) / 0.1))) == []


def test_a_saccade_is_found_with_its_size_and_direction() -> None:
    gaze = np.zeros((150, 2))
    gaze[75:] = (9.0, -2.0)
    gaze[74] = gaze[75] / 2
    (found,) = saccades_of(eyes_of(np.zeros(150), gaze))
    assert found.amplitude_deg == pytest.approx(np.hypot(9, 2), abs=0.3)
    assert found.level
    assert not found.blink
    assert saccades_of(eyes_of(np.zeros(150), gaze / 10)) == []


def test_phrases_end_where_a_pause_follows_speech() -> None:
    flags = np.zeros(300, np.bool_)
    flags[50:120] = flags[124:150] = flags[220:225] = True
    np.testing.assert_allclose(ends_of(flags), [3.0])
    rng = np.random.default_rng(0)
    loud = np.repeat(np.where(flags, 3000.0, 10.0), 320)
    np.testing.assert_allclose(phrase_ends((loud * rng.normal(size=len(loud))).astype(np.int16), 16_000), [3.0], atol=0.03)
    assert len(phrase_ends(rng.normal(0, 100, 32_000).astype(np.int16), 16_000)) == 0
    assert near(np.array([3.2]), np.array([3.0, 5.0]), 0.5, 0.5) == 0.5


def test_what_was_generated_is_fitted_again() -> None:
    style = EyeStyle.load()
    found = find([generate(style, seed, 3.0) for seed in range(3)])
    again = fit(found, lift=1.6, minutes=4)
    assert again.interval_s[1] == pytest.approx(style.interval_s[1], rel=0.25)
    assert again.close_s[0] == pytest.approx(style.close_s[0], rel=0.15)
    assert again.open_s[0] == pytest.approx(style.open_s[0], rel=0.15)
    assert again.upright == pytest.approx(style.upright, rel=0.3)
    assert again.double == pytest.approx(style.double, abs=0.06)
    assert again.phrase_end == pytest.approx(1.6 * 17 / 60 - 17 / 120, abs=1e-6)


def test_generated_eyes_differ_by_seed_alone() -> None:
    style = EyeStyle.load()
    np.testing.assert_array_equal(generate(style, 1, 0.5).lids, generate(style, 1, 0.5).lids)
    assert not np.array_equal(generate(style, 1, 0.5).lids, generate(style, 2, 0.5).lids)


def test_too_few_blinks_are_refused() -> None:
    with pytest.raises(EyesError, match="intervals"):
        find([eyes_of(blink(0.1, 0.04, 0.08))])


def test_a_log_normal_is_fitted_by_maximum_likelihood() -> None:
    median, spread = lognormal(np.random.default_rng(0).lognormal(np.log(2), 0.5, 5000))
    assert (median, spread) == (pytest.approx(2, rel=0.03), pytest.approx(0.5, rel=0.03))
    assert DOUBLE_S > 0


def test_the_command_writes_what_serving_reads(tmp_path: Path) -> None:
    from training.__main__ import main

    rows = ["Timecode,BlendshapeCount," + ",".join(COLUMNS)]
    eyes = generate(EyeStyle.load(), 5, 1.0)
    for step in range(60 * 59):
        at = step * RATE // 60
        values = dict.fromkeys(COLUMNS, 0.0) | {"EyeBlinkLeft": eyes.lids[at, 0], "EyeBlinkRight": eyes.lids[at, 1]}
        values |= dict.fromkeys(("LeftEyeYaw", "RightEyeYaw"), -np.radians(eyes.gaze[at, 0]))
        values |= dict.fromkeys(("LeftEyePitch", "RightEyePitch"), -np.radians(eyes.gaze[at, 1]))
        rows.append(f"00:00:{step // 60:02d}:{step % 60:02d}.000,61," + ",".join(f"{values[name]:.5f}" for name in COLUMNS))
    (tmp_path / "one.csv").write_text("\n".join(rows))
    out = tmp_path / "eyes.json"
    assert main(["eyes", "--captures", str(tmp_path), "--out", str(out), "--minutes", "3"]) == 0
    assert EyeStyle.load(out).phrase_end == pytest.approx(17 / 120, abs=1e-3)
    assert json.loads(out.read_text())["fitted_on"]["blinks"] > 5


def _columns() -> list[str]:
    from engine.contract.motion import ARKIT

    angles = ["HeadYaw", "HeadPitch", "HeadRoll"]
    angles += [side + "Eye" + name for side in ("Left", "Right") for name in ("Yaw", "Pitch", "Roll")]
    return [name[0].upper() + name[1:] for name in ARKIT] + angles


COLUMNS = _columns()
