"""From examples to a trained mouth network and its file, small."""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.contract.motion import CHANNELS, Channel  # noqa: E402 - torch first
from engine.features.mel import BANDS, FLOOR_VALUE, FRAMES_PER_STEP  # noqa: E402
from engine.motion.mouth import SPEC  # noqa: E402
from engine.motion.visemes import ARTICULATORS  # noqa: E402
from engine.runtime.ort import OrtGraph  # noqa: E402
from export.__main__ import main as export  # noqa: E402
from training import voice  # noqa: E402
from training.augment import disturb, faster, in_room, versions  # noqa: E402
from training.corpus import CLOSE, Example, articulators_of, pairs, real_examples, spoken_examples  # noqa: E402
from training.data.tracks import Track, TrackError  # noqa: E402
from training.evaluate.voice import stand_in  # noqa: E402
from training.noises import Noises, made_up_room  # noqa: E402
from training.speech.phones import CLASS, Phone  # noqa: E402
from training.speech.utterances import Utterance, save  # noqa: E402

STEPS = 100
JAW = ARTICULATORS.index("jaw")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def example(rng: np.random.Generator, kind: str = "real", steps: int = STEPS) -> Example:
    shapes = rng.uniform(0, 0.5, (steps, len(ARTICULATORS))).astype(np.float32)
    sound = rng.normal(0, 0.1, steps * 320).astype(np.float32)
    phones = rng.integers(0, 5, steps).astype(np.int16)
    return Example("some", kind, "train", sound, shapes, np.ones_like(shapes), phones)


def track(folder: Path, name: str, gap: float, rng: np.random.Generator) -> Track:
    """A second of a clip whose lips are `gap` apart."""
    frames, steps = 25, 50
    controls = np.zeros((steps, len(CHANNELS)), np.float32)
    controls[:, Channel["jawOpen"]] = gap * 4
    sound = rng.normal(0, 3000, steps * 320).astype(np.int16)
    made = Track(
        name, "grid_s1", "grid_s1", 25.0, sound, np.zeros((2 * steps, BANDS), np.float16),
        np.zeros((frames, 478, 3), np.float32), np.zeros((frames, 6), np.float32), np.zeros((frames, 3), np.float32),
        np.ones(frames, np.bool_), controls, np.full(steps, gap, np.float32), np.full(steps, 0.6, np.float32),
        np.full((steps, 2), 0.3, np.float32), np.ones(steps, np.bool_), stand_in(),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    made.save(folder / f"{name}.npz")
    return made


def utterance(name: str, source: str, rng: np.random.Generator, split: str = "train") -> Utterance:
    sound = rng.normal(0, 3000, 100 * 320).astype(np.int16)
    phones = (Phone(0.5, 0.6, CLASS["b"]), Phone(0.6, 1.0, CLASS["aa"]))
    return Utterance(name, "en", "x", source, split, sound, phones, np.zeros((100, len(ARTICULATORS)), np.float16))  # pyright: ignore[reportArgumentType]


def test_a_closure_is_told_from_the_gap_where_a_bilabial_is_spoken(tmp_path: Path, rng: np.random.Generator):
    phones = np.full(50, CLASS["aa"], np.int16)
    phones[20:24] = CLASS["b"]
    shut, trusted = articulators_of(track(tmp_path, "a", 0.01, rng), phones)
    assert shut[21, CLOSE] == 1
    assert trusted[21, CLOSE] == 1
    assert trusted[40, CLOSE] == 0, "a vowel with lips that met is not believed"
    open_, trusted = articulators_of(track(tmp_path, "b", 0.08, rng), phones)
    assert not open_[:, CLOSE].any()
    assert trusted[:, CLOSE].all()
    _, trusted = articulators_of(track(tmp_path, "c", 0.03, rng), phones)
    assert not trusted[:, CLOSE].any(), "neither met nor parted"


def test_in_a_pause_the_mouth_is_shut_whatever_the_lips_did(tmp_path: Path, rng: np.random.Generator):
    shapes, trusted = articulators_of(track(tmp_path, "a", 0.05, rng), np.zeros(50, np.int16))
    assert not shapes.any()
    assert trusted[:, JAW].all()


def test_people_who_are_test_only_are_not_trained_on(tmp_path: Path, rng: np.random.Generator):
    track(tmp_path / "t", "a", 0.05, rng)
    names = [e.name for e in real_examples(tmp_path / "t", tmp_path / "none")]
    assert names == ["a"]
    (tmp_path / "s").mkdir()
    save(tmp_path / "s" / "s.npz", [utterance("x", "aligned", rng, "test"), utterance("y", "espeak", rng)])
    assert [e.name for e in spoken_examples(tmp_path / "s")] == ["y"]


def test_nothing_to_train_on_is_said(tmp_path: Path):
    with pytest.raises(TrackError, match="training prepare"):
        list(real_examples(tmp_path, tmp_path))


def test_played_faster_the_lips_keep_up_with_the_sound(rng: np.random.Generator):
    plain = example(rng)
    quick = faster(plain, Fraction(5, 4))
    assert quick.steps == pytest.approx(STEPS / 1.25, abs=1)
    assert quick.shapes[40] == pytest.approx(plain.shapes[50], abs=1e-5)
    assert len(quick.sound) == quick.steps * 320


def test_a_room_leaves_the_direct_sound_in_place(rng: np.random.Generator):
    click = np.zeros(4000, np.float32)
    click[1000] = 1
    assert int(np.abs(in_room(click, made_up_room(rng))).argmax()) == 1000


def test_disturbed_sound_stays_within_what_mel_can_be_and_differs_each_time(rng: np.random.Generator):
    mel = pairs(example(rng).sound)
    noise = np.ones_like(mel)
    one, other = disturb(mel.copy(), noise, rng), disturb(mel.copy(), noise, rng)
    assert one.shape == mel.shape
    assert one.dtype == np.float32
    assert min(one.min(), other.min()) >= FLOOR_VALUE - 1e-6
    assert not np.allclose(one, other)


def test_noises_have_a_power_of_about_one_and_any_length(rng: np.random.Generator):
    noises = Noises(None, [example(rng).sound], rng)
    power = np.stack([noises.power(300, rng) for _ in range(40)])
    assert power.shape == (40, 300, FRAMES_PER_STEP, BANDS)
    assert 0.3 < power.mean() < 1.5


def test_a_run_trains_resumes_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(1)
    for number in range(8):
        track(tmp_path / "tracks" / "grid_s1", f"clip{number}", 0.01 * number, rng)
    (tmp_path / "speech").mkdir()
    save(tmp_path / "speech" / "espeak.npz", [utterance(f"u{i}", "espeak", rng) for i in range(3)])
    parser = argparse.ArgumentParser()
    voice.add_arguments(parser)
    words = ["--tracks", str(tmp_path / "tracks"), "--speech", str(tmp_path / "speech"), "--out", str(tmp_path / "run")]
    words += ["--batch", "2", "--seconds", "1", "--versions", "1", "--threads", "1"]
    assert voice.main(parser.parse_args([*words, "--steps", "2"])) == 0
    assert export(["voice", "--run", str(tmp_path / "run"), "--out", str(tmp_path)]) == 0
    assert "equal to" in capsys.readouterr().out
    assert OrtGraph.load(tmp_path / "voice.onnx").spec == SPEC
    assert len(list(versions([example(rng)], [], 3, rng))) == 3
