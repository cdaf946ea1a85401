"""Stages 1 to 3 on clips of coloured squares."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.training.pdfgc_fakes import SIZE, TINY, clips  # noqa: E402
from training.networks.pdfgc.discriminator import Discriminator  # noqa: E402
from training.pdfgc import expression, fine_grained  # noqa: E402
from training.pdfgc.clips import ClipError, DrawnClips, FilmedClips, clips_of, save_clip  # noqa: E402
from training.pdfgc.expression import ABLATIONS, ExpressionStage  # noqa: E402
from training.pdfgc.fine_grained import FRAMES, FineGrained, group  # noqa: E402
from training.pdfgc.networks import Networks, pictures  # noqa: E402
from training.pdfgc.self_driving import SelfDriving, reconstruction, two_of  # noqa: E402
from training.pdfgc.stage import Stage  # noqa: E402
from training.pdfgc.swap import with_eyes_of  # noqa: E402
from training.pdfgc.teachers import teachers_of  # noqa: E402
from training.pdfgc.trainer import Pace, Trainer  # noqa: E402
from training.run import Run, seed_all  # noqa: E402


def self_driving() -> SelfDriving:
    seed_all(0)
    networks = Networks(TINY, unified=True)
    return SelfDriving(networks, DrawnClips(clips()), teachers_of(None), 4, 1, Discriminator(TINY))


def fine() -> FineGrained:
    seed_all(0)
    return FineGrained(Networks(TINY), DrawnClips(clips()), teachers_of(None), 2 * FRAMES, 1)


def expressed(how: str = "all") -> ExpressionStage:
    seed_all(0)
    networks = Networks(TINY)
    teachers = teachers_of(Networks(TINY).motion)
    return ExpressionStage(networks, DrawnClips(clips()), teachers, ABLATIONS[how], 2, 1, Discriminator(TINY))


@pytest.mark.parametrize(("make", "names"), [(self_driving, ("pixels",)), (fine, ("total", "pose")), (expressed, ("pixels",))])
def test_losses_fall_on_one_batch(make: Callable[[], Stage], names: tuple[str, ...], tmp_path: Path) -> None:
    stage = make()
    loop = Trainer(stage, Pace(1000, rate=3e-3, workers=0), Run(tmp_path, {}), torch.device("cpu"))
    batch = {name: torch.from_numpy(value) for name, value in stage.batch(0, 0, 1).items()}
    figures = [loop.step(step, batch) for step in range(200, 215)]
    for name in names:
        assert figures[-1][name] < 0.85 * figures[0][name], name
    loop.show(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("make", "learns"),
    [
        (self_driving, {"appearance", "motion.model", "generator"}),
        (fine, {"motion.to_mouth", "motion.to_eye", "motion.to_headpose", "audio"}),
        (expressed, {"motion.to_emo", "generator"}),
    ],
)
def test_what_is_frozen_stays(make: Callable[[], Stage], learns: set[str], tmp_path: Path) -> None:
    stage = make()
    loop = Trainer(stage, Pace(10, workers=0), Run(tmp_path, {}), torch.device("cpu"))
    before = {name: value.clone() for name, value in stage.networks.state_dict().items()}
    loop.step(300, {name: torch.from_numpy(value) for name, value in stage.batch(0, 0, 1).items()})
    changed = {name for name, value in stage.networks.state_dict().items() if not torch.equal(value, before[name])}
    heads = ("mouth", "eye", "headpose", "emo")
    parts = {"appearance", "motion.model", "audio", "generator", *(f"motion.to_{name}" for name in heads)}
    learning = {part for part in parts if any(name.startswith(f"{part}.") for name in changed)}
    assert learning == learns


def test_a_users_teacher_of_pose_is_what_stage_2_regresses(tmp_path: Path) -> None:
    stage = fine()
    batch = {name: torch.from_numpy(value) for name, value in stage.batch(0, 0, 1).items()}
    own = stage.losses(batch, 0).losses["pose"]
    seen = stage.networks.motion.pose(stage.networks.motion.unify(pictures(batch["drivers"]))).detach()
    stage._teachers = replace(stage._teachers, pose=lambda _: seen + 0.5)
    assert float(stage.losses(batch, 0).losses["pose"].detach()) == pytest.approx(0.5, abs=1e-4)
    assert float(own.detach()) != pytest.approx(0.5, abs=1e-4)


def test_each_term_is_there_if_its_own_teacher_is() -> None:
    stage = expressed()
    batch = {name: torch.from_numpy(value) for name, value in stage.batch(0, 0, 1).items()}
    both = stage.losses(batch, 0).losses
    stage._teachers = replace(stage._teachers, gaze=None)
    alone = stage.losses(batch, 0).losses
    assert 0.3 < float(alone["consistency"].detach()) < float(both["consistency"].detach())
    made, target = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 3, SIZE, SIZE)
    nobody = teachers_of(None)
    assert "motion" not in reconstruction(made, target, nobody)
    emotion = replace(nobody, emotion=lambda image: image.mean((2, 3)))
    want = (made.mean((2, 3)) - target.mean((2, 3))).norm(dim=1).mean()
    assert torch.allclose(reconstruction(made, target, emotion)["motion"], want, atol=1e-4)


def test_batches_are_the_same_however_many_processes_draw_them() -> None:
    for stage in (self_driving(), fine(), expressed()):
        whole, first, second = stage.batch(3, 0, 1), stage.batch(3, 0, 2), stage.batch(3, 1, 2)
        assert all(np.array_equal(whole[name], np.concatenate([first[name], second[name]])) for name in whole)


def test_ablations_leave_out_what_they_say() -> None:
    for how, window, banks in (("none", 1, False), ("window", 13, False), ("decorrelation", 1, True), ("all", 13, True)):
        stage = expressed(how)
        batch = {name: torch.from_numpy(value) for name, value in stage.batch(0, 0, 1).items()}
        assert batch["window"].shape == (2, window, SIZE, SIZE, 3)
        assert ("decorrelation" in stage.losses(batch, 0).losses) == banks
        assert len(stage.bank) == (2 if banks else 0)


def test_frames_of_a_group_are_apart_and_heard() -> None:
    clip = DrawnClips(clips()).clip(0)
    drawn = group(clip, SIZE, np.random.default_rng(0))
    rows = [int(np.flatnonzero((clip.motion == motion).all(1))[0]) for motion in drawn["motion"]]
    assert np.diff(rows).min() >= fine_grained.APART
    heard, windows = clip.heard()
    assert rows[0] >= heard.start
    assert np.array_equal(drawn["mel"][1], windows[rows[1] - heard.start])


def test_two_frames_are_apart_when_the_clip_allows() -> None:
    rng = np.random.default_rng(0)
    assert all(abs(a - b) >= 4 for a, b in (two_of(30, rng) for _ in range(50)))
    assert set(two_of(2, rng)) == {0, 1}


def test_a_composite_has_the_eyes_of_one_and_the_rest_of_the_other() -> None:
    giver, taker = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64, 3), 50, np.uint8)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    eye = np.column_stack([np.cos(angle) * 0.08, np.sin(angle) * 0.03]).astype(np.float32)
    given = np.stack([eye + np.array(at, np.float32) for at in ((0.3, 0.3), (0.7, 0.3))])
    taken = given + np.float32(0.1)
    made = with_eyes_of(giver, taker, given, taken)
    assert made[int(0.4 * 64), int(0.4 * 64)].min() > 180
    assert made[5, 5].tolist() == [50, 50, 50]
    assert made[60, 32].tolist() == [50, 50, 50]


def test_filmed_clips_come_back_as_they_were_saved(tmp_path: Path) -> None:
    clip = DrawnClips(clips()).clip(0)
    save_clip(tmp_path / "a/b.npz", list(clip.read(range(8), SIZE)), clip.motion[:8], clip.eyes[:8], clip.sound[: 8 * 640], 100)
    (tmp_path / "index.json").write_text('[{"path": "a/b.npz", "person": "b", "split": "train"}]')
    again = FilmedClips(tmp_path).clip(0)
    assert np.array_equal(again.motion, clip.motion[:8])
    assert np.abs(again.read([3], SIZE).astype(int) - clip.read([3], SIZE)).mean() < 8
    assert len(FilmedClips(tmp_path).people("train")) == 1
    assert not FilmedClips(tmp_path).people("test")


def test_clips_without_sound_are_left_out_of_stages_that_hear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = '{"path": "a.npz", "person": "%s", "split": "train", "sound": %s}'
    (tmp_path / "index.json").write_text(f"[{row % ('a', 'false')}, {row % ('b', 'true')}]")
    assert len(clips_of(tmp_path).people("train")) == 2
    assert len(clips_of(tmp_path, heard=True).people("train")) == 1
    assert "1 of 2 clips have no sound and are left out" in capsys.readouterr().err
    (tmp_path / "index.json").write_text(f"[{row % ('a', 'false')}]")
    with pytest.raises(ClipError, match=r"none of the 1 clips in .* has sound"):
        clips_of(tmp_path, heard=True)


def test_what_is_no_clip_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="prepare-pdfgc"):
        clips_of(tmp_path)
    (tmp_path / "index.json").write_text('[{"path": "a.npz", "person": "b", "split": "train"}]')
    silent = DrawnClips(clips()).clip(0)
    save_clip(tmp_path / "a.npz", list(silent.read(range(8), SIZE)), silent.motion[:8], silent.eyes[:8], silent.sound[:5120])
    whole = (tmp_path / "a.npz").read_bytes()
    for damaged in (b"PK", b"", whole[: len(whole) // 2], b"<html>"):
        (tmp_path / "a.npz").write_bytes(damaged)
        with pytest.raises(ClipError, match="prepare again"):
            FilmedClips(tmp_path).clip(0)
    object.__setattr__(silent, "sound", np.zeros(0, np.int16))
    with pytest.raises(ClipError, match="has no sound"):
        group(silent, SIZE, np.random.default_rng(0))
    with pytest.raises(ClipError, match="no clips of people for 'test'"):
        expression.people_of(DrawnClips(clips()), "test")
