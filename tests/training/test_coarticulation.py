"""What the mouth does for phones: contacts are kept, pauses are still, neighbours are felt."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import itertools

from engine.contract.motion import CHANNELS, Channel
from training.__main__ import main
from training.data.splits import split_of
from training.speech import calibrate
from training.speech.calibrate import Clip, GapModel
from training.speech.coarticulation import (
    CLOSE,
    JAW,
    LOWER,
    PRESS,
    PUCKER,
    RISE_S,
    ROLL,
    SETTLE_S,
    STEP_S,
    UPPER,
    Articulation,
    articulate,
    calibrated,
    fill,
    loudness_of,
    uncalibrated,
)
from training.speech.errors import SpeechError
from training.speech.phones import CLASS, SIL, Phone

MODELS = pytest.mark.parametrize("model", [uncalibrated(), calibrated()], ids=["uncalibrated", "calibrated"])


def said(words: str, start: float = 0.5, each: float = 0.08) -> list[Phone]:
    return [Phone(start + i * each, start + (i + 1) * each, CLASS[name]) for i, name in enumerate(words.split())]


def at(moved: np.ndarray, phone: Phone) -> np.ndarray:
    return moved[round(phone.middle_s / STEP_S)]


@MODELS
@pytest.mark.parametrize("each", [0.03, 0.05, 0.08, 0.15])
@pytest.mark.parametrize("start", [0.5, 0.507, 0.513])
def test_lips_meet_at_every_bilabial(model: Articulation, each: float, start: float) -> None:
    phones = said("m a p aa b iy m u p", start, each)
    moved = articulate(phones, 120, model)
    for phone in phones:
        if phone.name in "pbm":
            assert at(moved, phone)[CLOSE] == 1
            assert at(moved, phone)[PRESS] >= 0.7
            assert at(moved, phone)[[LOWER, UPPER]].max() == 0


@MODELS
def test_open_vowels_are_open(model: Articulation) -> None:
    phones = said("b a d ae p aa t")
    moved = articulate(phones, 90, model)
    for phone in phones:
        if phone.name in ("a", "ae", "aa"):
            assert at(moved, phone)[CLOSE] < 0.3
            assert at(moved, phone)[JAW] > 0.15


@MODELS
def test_lips_are_round_for_u_and_bitten_for_f(model: Articulation) -> None:
    phones = said("d u t iy f a", each=0.12)
    moved = articulate(phones, 90, model)
    assert at(moved, phones[1])[PUCKER] > 0.12
    assert at(moved, phones[1])[PUCKER] > at(moved, phones[3])[PUCKER] + 0.08
    assert at(moved, phones[4])[ROLL] > 0.4
    assert at(moved, phones[4])[JAW] < 0.12


@MODELS
def test_a_coming_vowel_is_felt_before(model: Articulation) -> None:
    before_u = articulate(said("s u s u", each=0.1), 90, model)
    before_i = articulate(said("s iy s iy", each=0.1), 90, model)
    assert before_u[35, PUCKER] > before_i[35, PUCKER] + 0.02


@MODELS
def test_pauses_are_still(model: Articulation) -> None:
    phones = [*said("m a p a", 0.4), *said("o b u", 1.6)]
    moved = articulate(phones, 140, model)
    times = np.arange(140) * STEP_S
    pause = (times > phones[3].end_s + SETTLE_S) & (times < phones[4].start_s - RISE_S)
    assert pause.sum() > 15
    assert not moved[pause].any()
    assert not moved[times < 0.4 - RISE_S].any()
    assert not moved[times > phones[-1].end_s + SETTLE_S].any()
    assert not articulate([], 20, model).any()


@MODELS
def test_what_comes_out_is_in_range_and_smooth(model: Articulation) -> None:
    rng = np.random.default_rng(0)
    phones = [Phone(0.3 + 0.06 * i, 0.36 + 0.06 * i, int(rng.integers(1, 44))) for i in range(40)]
    moved = articulate(phones, 160, model, rng.uniform(-1, 1, 40).astype(np.float32))
    assert moved.dtype == np.float32
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert np.abs(np.diff(moved[:, JAW])).max() < 0.25


def test_filling_leaves_no_gap() -> None:
    filled = fill([Phone(0.2, 0.3, 5), Phone(0.3, 0.4, SIL), Phone(0.5, 0.6, 6)], 1.0)
    assert [p.index for p in filled] == [SIL, 5, SIL, 6, SIL]
    assert filled[0].start_s == 0
    assert filled[-1].end_s >= 1.0
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(filled))


def test_louder_vowels_open_further() -> None:
    phones = said("d a d a d", each=0.12)
    sound = np.full(32_000, 300, np.int16)
    sound[int(0.86 * 16_000) :] *= 4
    loud = loudness_of(sound, phones)
    assert loud[3] > loud[1]
    moved = articulate(phones, 80, uncalibrated(), loud)
    assert at(moved, phones[3])[JAW] > at(moved, phones[1])[JAW]


def some_clips(count: int) -> list[Clip]:
    """Clips of a mouth that does what the uncalibrated model does, half as far."""
    rng = np.random.default_rng(1)
    clips: list[Clip] = []
    weights = np.zeros(9, np.float32)
    weights[JAW] = 0.3
    gap = GapModel(weights, 0.0)
    for number in range(count):
        order = " ".join(rng.choice(["a", "d", "u", "m", "s", "iy", "o", "k"], 10).tolist())
        phones = said(order, each=0.1)
        measured = 0.5 * articulate(phones, 90, uncalibrated())
        measured[:, CLOSE] *= 2
        measured += rng.normal(0, 0.003, measured.shape).astype(np.float32)
        clips.append(Clip(str(number), phones, np.zeros(10, np.float32), measured, gap(measured), np.ones(90, np.bool_)))
    return clips


def test_calibration_finds_the_scale() -> None:
    clips = some_clips(4)
    gap = GapModel.fit(clips)
    found = calibrate.fit(clips, gap, 40)
    held = some_clips(6)[4:]
    after = calibrate.correlations(found, held, gap)
    assert after["gap"] > 0.9
    ratio = found.targets[CLASS["a"], JAW] / uncalibrated().targets[CLASS["a"], JAW]
    assert 0.35 < ratio < 0.75


def test_articulation_survives_its_file(tmp_path: Path) -> None:
    uncalibrated().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert np.allclose(file["targets"], uncalibrated().targets, atol=1e-3)


def test_articulators_of_controls() -> None:
    controls = np.zeros((2, len(CHANNELS)), np.float32)
    controls[0, Channel["jawOpen"]] = 0.4
    controls[0, Channel["mouthClose"]] = 0.1
    controls[0, Channel["mouthPressLeft"]] = 0.5
    moved = calibrate.articulators_of(controls)
    assert moved[0, JAW] == pytest.approx(0.4)
    assert moved[0, CLOSE] == pytest.approx(0.25)
    assert moved[0, PRESS] == pytest.approx(0.25)
    assert moved[1, CLOSE] == 1


def test_no_clips_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["articulation", "--tracks", str(tmp_path), "--alignments", str(tmp_path)]) == 1
    assert "no clip" in capsys.readouterr().err
    assert split_of("grid_s1", "x") in ("train", "validation", "test")
    with pytest.raises(SpeechError, match="no clip"):
        calibrate.clips(tmp_path, tmp_path, "train")
