"""Pre-training on a factorial set of coloured squares."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from engine.contract.motion import CHANNELS  # noqa: E402
from engine.features.pdfgc import gain_of, mel_of, pictures_of, windows_of  # noqa: E402
from tests.training.pdfgc_fakes import SIZE, TINY, clips, stills  # noqa: E402
from training.networks.pdfgc.discriminator import Discriminator  # noqa: E402
from training.pdfgc.factorial import (  # noqa: E402
    PICTURES,
    STAR,
    FactorialError,
    FactorialSpeech,
    Stars,
    focus,
    in_mirror,
    recoloured,
    window_of,
)
from training.pdfgc.networks import Networks, Parts  # noqa: E402
from training.pdfgc.perceptual import EdgeFeatures  # noqa: E402
from training.pdfgc.pretrain import Pretrain, PretrainDrawing, PretrainMotion, mixed, unsettled  # noqa: E402
from training.pdfgc.trainer import Pace, Trainer  # noqa: E402
from training.run import Run, seed_all  # noqa: E402


def stage(lesson: type[Pretrain] = Pretrain, *, adversarial: bool = False, stars: int = 2) -> Pretrain:
    seed_all(0)
    faces = stills()
    made, held = (Stars(faces, split, SIZE, SIZE) for split in ("train", "validation"))
    speech = FactorialSpeech.of_clips(clips(), "train")
    return lesson(Networks(TINY), made, held, speech, EdgeFeatures(), stars, 1, Discriminator(TINY) if adversarial else None)


def tensors(stage: Pretrain, index: int) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in stage.batch(index, 0, 1).items()}


def test_a_star_shares_each_factor_with_somebody_else() -> None:
    faces = stills(people=9, each=30)
    stars = Stars(faces, "train", SIZE, SIZE)
    rows, away = stars._star(np.random.default_rng(3))
    for factor in range(5):
        other = rows[0 + away[0, factor]]
        assert faces.factors[other, factor] == faces.factors[rows[0], factor]
        assert faces.people[other] != faces.people[rows[0]]
        assert 1 + factor + away[1 + factor, factor] == 0


def test_batches_are_the_same_however_many_processes_draw_them() -> None:
    own = stage()
    whole, first, second = own.batch(5, 0, 1), own.batch(5, 0, 2), own.batch(5, 1, 2)
    assert len(whole["targets"]) == 2 * STAR
    assert all(np.array_equal(whole[name], np.concatenate([first[name], second[name]])) for name in whole)
    assert not np.array_equal(whole["motion"], own.batch(6, 0, 1)["motion"])


def test_factors_come_from_labels_or_from_who_shares_them() -> None:
    said, seen = (
        Parts(*(torch.full((3, n), value) + torch.arange(3.0)[:, None] for n in (500, 30, 6, 6))) for value in (0, 100)
    )
    away = torch.zeros(3, 5, dtype=torch.int64)
    away[0, 0], away[0, 2] = 1, 2  # lips of the next, gaze of the one after that
    told = torch.zeros(3, 5, dtype=torch.bool)
    told[0, 1] = True
    made = mixed(said, seen, away, told)
    assert made.lip[0, 0] == 101
    assert made.eye[0].tolist() == [100, 100, 102, 102, 100, 100]
    assert made.pose[0, 0] == 0
    assert made.expression[2, 0] == 102


def test_focus_is_on_eyes_and_mouth() -> None:
    marks = np.full((478, 2), 0.5, np.float32)
    marks[[33, 133, 159, 145]] = [[0.2, 0.3], [0.3, 0.3], [0.25, 0.25], [0.25, 0.35]]
    mask = focus(marks, 64)
    assert mask[19, 16] > 200
    assert mask[60, 60] == 0


def test_a_person_in_other_colours_is_so_in_both_pictures() -> None:
    faces = stills()
    seeds = np.array([4, 7, 9])
    one, other = (recoloured(faces.read(np.array([0, 0, 0]) + i, SIZE), seeds) for i in (0, 1))
    assert np.array_equal(one[0], faces.read(np.array([0]), SIZE)[0])
    assert not np.array_equal(one[1], one[0])
    assert np.abs(one[1].mean((0, 1)) - other[1].mean((0, 1))).max() < 30


def test_only_what_is_looked_at_is_read() -> None:
    sees, draws = (stage(lesson, stars=1).batch(0, 0, 1) for lesson in (PretrainMotion, PretrainDrawing))
    assert set(sees) & set(PICTURES) == {"drivers"}
    assert set(draws) & set(PICTURES) == {"targets", "identities", "focus"}


def test_in_a_mirror_the_head_turns_the_other_way() -> None:
    star = Stars(stills(), "train", SIZE, SIZE, plain=True).draw(np.random.default_rng(0))
    turned = in_mirror(star)
    yaw = CHANNELS.index("yaw")
    assert np.array_equal(turned["motion"][:, yaw], -1 * np.asarray(star["motion"][:, yaw], np.float32))
    assert np.array_equal(turned["targets"][:, :, 0], star["targets"][:, :, -1])
    assert np.array_equal(turned["away"], star["away"])


def test_a_window_of_sound_is_that_of_the_whole() -> None:
    sound = np.random.default_rng(0).integers(-9000, 9000, 640 * 12).astype(np.int16)
    mel = mel_of(sound / 32768)
    whole = dict(zip(pictures_of(len(mel)), windows_of(mel), strict=True))
    for picture in (2, 3, 6):
        assert window_of(sound, picture, gain_of(sound / 32768)) == pytest.approx(whole[picture], abs=1e-6)


def test_speech_is_drawn_with_its_lips() -> None:
    lips = np.zeros((12, 58), np.float32)
    lips[:, 17] = np.arange(12)
    sound = np.random.default_rng(0).integers(-9000, 9000, 640 * 12).astype(np.int16)
    drawn = FactorialSpeech([sound, sound[:900]], [lips, lips]).draw(np.random.default_rng(1), 20)
    assert drawn["mel"].shape == (20, 1, 80, 20)
    assert set(drawn["spoken"][:, 17]) <= set(range(2, 10))
    with pytest.raises(FactorialError, match="long enough"):
        FactorialSpeech([sound[:900]], [lips])


def test_a_split_without_people_is_refused() -> None:
    with pytest.raises(FactorialError, match="0 people in 'test'"):
        Stars(stills(), "test", SIZE, SIZE)


def test_a_feature_is_settled_with_mean_0_and_deviation_1() -> None:
    feature = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    feature = (feature - feature.mean(0)) / feature.std(0, correction=0)
    assert unsettled(feature).item() == pytest.approx(0, abs=1e-6)
    assert unsettled(feature + 3).item() == pytest.approx(9, rel=1e-4)
    assert unsettled((feature * 3).bfloat16()).item() == pytest.approx(4, rel=1e-2)


def test_losses_fall(tmp_path: Path) -> None:
    own = stage(stars=1)
    trainer = Trainer(own, Pace(1000, rate=3e-3, workers=0), Run(tmp_path, {}), torch.device("cpu"))
    batch = tensors(own, 0)
    figures = [trainer.step(step, batch) for step in range(200, 220)]
    figures = figures[::2]
    for name in ("pixels", "lip", "pose", "heard", "total"):
        assert figures[-1][name] < 0.8 * figures[0][name], name


@pytest.mark.parametrize("lesson", [PretrainMotion, PretrainDrawing])
def test_what_sees_and_what_draws_can_learn_apart(tmp_path: Path, lesson: type[Pretrain]) -> None:
    own = stage(lesson, stars=1)
    networks = own.networks
    trainer = Trainer(own, Pace(10, rate=3e-3, workers=0), Run(tmp_path, {}), torch.device("cpu"))
    before = {name: value.clone() for name, value in networks.named_parameters()}
    figures = trainer.step(1, tensors(own, 0))
    moved = {name.split(".")[0] for name, value in networks.named_parameters() if not torch.equal(value, before[name])}
    sees = lesson is PretrainMotion
    assert moved == ({"motion"} if sees else {"appearance", "generator", "audio"})
    assert ("landmarks" in figures, "pixels" in figures, "heard" in figures) == (sees, not sees, not sees)


@pytest.mark.parametrize("lesson", [Pretrain, PretrainMotion, PretrainDrawing])
def test_samples_are_drawn_of_people_held_out(tmp_path: Path, lesson: type[Pretrain]) -> None:
    own = stage(lesson)
    trainer = Trainer(own, Pace(10, workers=0), Run(tmp_path, {}), torch.device("cpu"))
    trainer.show(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 500
