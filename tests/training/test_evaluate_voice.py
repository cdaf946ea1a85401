"""The judge, on people whose marks are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.contract.motion import CHANNELS, Channel
from engine.features.decimate import BLOCK, Decimator
from engine.motion.voice import MODELS, VoiceSource
from engine.runtime.ort import OrtGraph
from tests.training.scenes import syllables, track
from training.__main__ import main
from training.baseline.loudness import loudness_controls, shut_controls
from training.evaluate import report
from training.evaluate.drivers import RigDriver, network_controls, upsampled
from training.evaluate.face import Face
from training.evaluate.judge import judge, offsets_ms, real_marks, rig_marks, row_of
from training.evaluate.noise import mixed
from training.evaluate.scenes import Phones, Scene, filmed_scenes, quiet_spans, scene_of
from training.evaluate.voice import stand_in


def scene(**changes: object) -> Scene:
    made = scene_of(track(), "speakers", None)
    return Scene(**{**{name: getattr(made, name) for name in made.__dataclass_fields__}, **changes})  # type: ignore[arg-type]


def test_lips_meet_when_the_jaw_is_taken_back_and_part_when_it_is_not() -> None:
    controls = np.zeros((3, len(CHANNELS)), np.float32)
    controls[1:, Channel["jawOpen"]] = 0.3
    controls[2, Channel["mouthClose"]] = 0.3
    face = Face(stand_in())
    gap = face.gap(face.lips(controls))
    assert gap[0] == 0
    assert gap[1] > 0.05
    assert gap[2] < 0.002


def test_the_real_mouth_and_its_rig_are_as_good_as_can_be() -> None:
    for marks in (real_marks(scene()), rig_marks(scene())):
        assert marks.frame_correlation > 0.99
        assert marks.lmd < 0.004
    row = row_of("x", 0, "speakers", [real_marks(scene())])
    assert row.lag_ms == pytest.approx(0, abs=8)


def test_a_shut_mouth_does_not_win() -> None:
    spoken = Phones(closing=[(0.2, 0.3)], open_vowels=[(1.2, 1.4)], pauses=[(0.0, 0.7)])
    shut = judge(RigDriver("shut", 0, shut_controls), [scene(phones=spoken)])
    row = row_of("shut", 0, "speakers", shut)
    assert (row.closure_hits, row.false_closures, row.still) == (1, 1, 1)
    assert row.correlation_video == 0
    assert row.lag_ms is None


def test_loudness_moves_the_mouth_at_the_right_time() -> None:
    row = row_of("loudness", 30, "speakers", judge(RigDriver("loudness", 30, loudness_controls), [scene()]))
    assert row.correlation_video is not None
    assert row.correlation_video > 0.6
    assert row.lag_ms == pytest.approx(0, abs=20)


def test_a_film_out_of_step_is_put_into_step_by_those_who_are_not_judged() -> None:
    made = scene()
    shifted = scene(sound=np.roll(made.sound, 1920))  # 120 ms
    drivers = [RigDriver("loudness", 30, loudness_controls), RigDriver("double", 0, lambda s: 2 * loudness_controls(s))]
    marks = [judge(driver, [shifted]) for driver in drivers]
    offsets = offsets_ms(marks)
    assert offsets["a"] == pytest.approx(120, abs=25)
    row = row_of("loudness", 30, "speakers", marks[0], offsets)
    assert row.correlation_in_step is not None
    assert row.correlation_video is not None
    assert row.correlation_in_step > row.correlation_video + 0.2
    assert row.lag_in_step_ms == pytest.approx(0, abs=8)


@pytest.mark.parametrize("look_ahead_ms", [0, 80])
def test_the_network_alone_says_what_the_live_source_says(look_ahead_ms: int) -> None:
    graph = OrtGraph.load(MODELS / "voice.onnx")
    wide = upsampled(syllables(seconds=2)[0])
    decimator = Decimator()
    heard = np.concatenate([decimator.process(block) for block in wide.reshape(-1, BLOCK)])
    source = VoiceSource(look_ahead_ms, graph=graph)
    source.push(np.concatenate((wide, np.zeros(48 * look_ahead_ms, np.float32))))
    live = np.array([motion.values for motion in source.advance(len(wide) - 1)])
    alone = network_controls(graph, look_ahead_ms, heard)
    lips = [Channel[name] for name in ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthPressLeft")]
    assert alone[:-6, lips] == pytest.approx(live[: len(alone) - 6, lips], abs=1e-5)
    assert alone[:, Channel["jawOpen"]].max() > 0.05


def test_noise_has_the_level_that_was_asked_for() -> None:
    sound, _ = syllables()
    noise = np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    added = mixed(sound, noise, 10.0) - sound
    loud = sound[np.abs(sound) > 1e-3]
    assert 10 * np.log10((loud**2).mean() / (added**2).mean()) == pytest.approx(10, abs=3)


def test_pauses_are_found_by_loudness() -> None:
    sound, _ = syllables()
    begin, end = quiet_spans(sound)[0]
    assert begin == 0
    assert end == pytest.approx(0.75, abs=0.1)


def test_clips_in_which_nobody_speaks_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "us_officials").mkdir()
    quiet = track("quiet")
    quiet.sound[:] = np.random.default_rng(0).integers(-20, 20, len(quiet.sound))
    for made in (track("b"), quiet, track("c", "video_silent")):
        made.save(tmp_path / "us_officials" / f"{made.name}.npz")
    assert [found.name for found in filmed_scenes(tmp_path, {})] == ["b"]


def test_bars_say_met_missed_or_not_measured() -> None:
    row = row_of(report.NETWORK.format(80), 80, "speakers", [rig_marks(scene())])
    found = {bar.what: bar for bar in report.bars([row])}
    assert found["the same, held-out speakers, 80 ms"].met is True
    assert found["lip-gap correlation, GRID test, 80 ms"].met is None
    assert "not measured" in report.plain(report.bar_table(list(found.values())))


def test_the_command_prints_and_writes_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    track("b", seconds=2).save(tmp_path / "b.npz")
    out = tmp_path / "out"
    assert main(["evaluate", "voice", "--tracks", str(tmp_path), "--out", str(out), "--only", "loudness", "shut"]) == 0
    printed = capsys.readouterr().out
    assert "held-out speakers" in printed
    assert "not measured" in printed
    content = json.loads((out / "table.json").read_text())
    assert {row["driver"] for row in content["rows"]} >= {"loudness", "shut", report.REAL}
    assert (out / "table.md").read_text().startswith("## ")


def test_an_unknown_subject_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "voise"]) == 1
    assert "did you mean 'voice'?" in capsys.readouterr().err
