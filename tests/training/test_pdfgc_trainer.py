"""The loop: it goes on exactly, it stops at what is no number, several processes are as one."""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.multiprocessing.spawn import spawn  # noqa: E402

from engine.errors import ModelError  # noqa: E402
from tests.training.pdfgc_fakes import TINY, clips, stills  # noqa: E402
from tests.training.test_pdfgc_pretrain import stage, tensors  # noqa: E402
from training.pdfgc import parallel, train, trainer  # noqa: E402
from training.pdfgc.clips import ClipError, DrawnClips  # noqa: E402
from training.pdfgc.losses import contrast_lips, decorrelation  # noqa: E402
from training.pdfgc.networks import Networks  # noqa: E402
from training.pdfgc.train import averaged_weights, begin_with  # noqa: E402
from training.pdfgc.trainer import Pace, Trainer, TrainingError, rate_at  # noqa: E402
from training.run import Run, RunError  # noqa: E402

CPU = torch.device("cpu")


def trained(folder: Path, pace: Pace, *, resume: bool = False) -> list[dict[str, float]]:
    """Rows of the statistics of a run with a discriminator."""
    run = Run(folder, {}, resume=resume)
    own = Trainer(stage(adversarial=True, stars=1), pace, run, CPU)
    own.train(run.restore(own.parts()))
    run.close()
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "ms_per_step")} for row in rows]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOG_EVERY", 1)
    pace = Pace(6, rate=1e-3, workers=0, save_every=3, show_every=100)
    whole = trained(tmp_path / "whole", pace)

    def killed(self: Trainer, step: int, batch: object) -> dict[str, float]:
        if step == 4:
            raise KeyboardInterrupt
        return own_step(self, step, batch)  # type: ignore[arg-type]

    own_step = Trainer.step
    monkeypatch.setattr(Trainer, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", pace)
    monkeypatch.setattr(Trainer, "step", own_step)
    again = trained(tmp_path / "cut", pace, resume=True)[-3:]
    for row, want in zip(again, whole[3:], strict=True):
        assert row == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_what_is_no_number_stops_the_run_and_keeps_the_last_state(tmp_path: Path, where: str) -> None:
    pace = Pace(6, workers=0, save_every=2)
    own = stage(stars=1)
    run = Run(tmp_path, {})
    loop = Trainer(own, pace, run, CPU)
    loop.step(0, tensors(own, 0))
    run.save(1, loop.parts())
    kept = run.checkpoint.read_bytes()
    before = [p.detach().clone() for p in loop.parameters]
    batch = tensors(own, 1)
    if where == "loss":
        batch["spoken"][:] = torch.nan
    else:
        loop.parameters[0].register_hook(lambda grad: grad * torch.nan)
    said = "step 1: the loss 'heard' is not a number" if where == "loss" else "step 1: the gradient is not a number"
    with pytest.raises(TrainingError, match=said):
        loop.step(1, batch)
    assert run.checkpoint.read_bytes() == kept
    assert all(torch.equal(a, b) for a, b in zip(before, loop.parameters, strict=True))


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path: Path) -> None:
    gradients = []
    for accumulate in (1, 2):
        own = stage()
        loop = Trainer(own, Pace(10, accumulate=accumulate, workers=0), Run(tmp_path / str(accumulate), {}), CPU)
        for module in own.networks.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()  # statistics of half a batch are others,
        own.weights = {**own.weights, "settled": 0.0}  # and that is one
        loop._gradients(0, tensors(own, 0))
        gradients.append(torch.cat([p.grad.reshape(-1) for p in loop.parameters if p.grad is not None]))
    assert float((gradients[0] - gradients[1]).abs().max()) < 1e-5 * float(gradients[0].abs().max()) + 1e-6


def test_the_rate_rises_stays_and_falls() -> None:
    assert rate_at(0, 10_000) < 0.01
    assert rate_at(5000, 10_000) == 1
    assert rate_at(9000, 10_000) == pytest.approx(0.5)


BATCHES = 6


def test_a_discriminator_without_a_number_stops_the_run_too(tmp_path: Path) -> None:
    own = stage(adversarial=True, stars=1)
    loop = Trainer(own, Pace(6, workers=0), Run(tmp_path, {}), CPU)
    assert loop.judge is not None
    before = [p.detach().clone() for p in loop.parameters]
    next(loop.judge.parameters()).register_hook(lambda grad: grad * torch.nan)
    with pytest.raises(TrainingError, match="step 0: the discriminator's gradient is not a number"):
        loop.step(0, tensors(own, 0))
    assert all(torch.equal(a, b) for a, b in zip(before, loop.parameters, strict=True))


def _gradient(folder: Path, batch: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """Of fresh networks, averaged over the processes."""
    own = stage()
    loop = Trainer(own, Pace(10, workers=0), Run(folder, {}), CPU)
    loop._gradients(0, batch)
    parallel.average_gradients(loop.parameters)
    return torch.cat([p.grad.reshape(-1) for p in loop.parameters if p.grad is not None]).numpy()


def _share(rank: int, folder: str, results: Mapping[str, object]) -> None:
    """One of two processes: the gradients of its halves of some batches, averaged."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    halves = [stage().batch(index, rank, 2) for index in range(BATCHES)]
    tensors = [{name: torch.from_numpy(value) for name, value in half.items()} for half in halves]
    gradients = [_gradient(Path(folder) / f"run{rank}-{index}", half) for index, half in enumerate(tensors)]
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32))[rank * 4 : rank * 4 + 4]
    features.requires_grad_()
    losses = decorrelation(parallel.gathered(features)[:, :2], parallel.gathered(features)[:, 2:], 8)
    (losses + contrast_lips(features[:, :2], features[:, 2:4])).backward()
    np.savez(f"{folder}/{rank}.npz", gradients=np.stack(gradients), features=features.grad.numpy())
    torch.distributed.destroy_process_group()


def test_two_processes_have_the_gradient_of_one_with_the_whole_batch(tmp_path: Path) -> None:
    spawn(_share, (str(tmp_path), None), nprocs=2)
    one, two = (np.load(tmp_path / f"{rank}.npz") for rank in range(2))
    assert np.array_equal(one["gradients"], two["gradients"])
    off: list[float] = []
    for index, gradient in enumerate(one["gradients"]):
        whole = _gradient(tmp_path / f"whole-{index}", tensors(stage(), index))
        off.append(float(np.abs(gradient - whole).max() / np.abs(whole).max()))
    assert max(off) < 1e-2
    assert min(off) < 1e-4  # in some batches rounding decides which of two equal pixels is the larger, and has a gradient
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)).requires_grad_()
    (decorrelation(features[:, :2], features[:, 2:], 8) + contrast_lips(features[:, :2], features[:, 2:4])).backward()
    both = np.concatenate([one["features"], two["features"]]) / 2  # the loss is the mean of what the processes have
    assert features.grad is not None
    assert np.abs(both - features.grad.numpy()).max() < 1e-4


def test_a_run_begins_with_another_ones_weights(tmp_path: Path) -> None:
    own = stage(stars=1)
    run = Run(tmp_path, {})
    Trainer(own, Pace(10, workers=0), run, CPU).save(1)
    other = Networks(TINY)
    assert "new: none" in begin_with(other, tmp_path)
    weights = averaged_weights(tmp_path)
    assert all(torch.equal(value, weights[name]) for name, value in other.state_dict().items())
    run.checkpoint.unlink()  # what is left is in half
    assert all(torch.allclose(value, weights[name], atol=2e-3) for name, value in averaged_weights(tmp_path).items())


def options(out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    quick = ["--steps", "2", "--batch", "4", "--threads", "1", "--workers", "0", "--widths", "pdfgc-lite"]
    return parser.parse_args(["--data", str(out), "--out", str(out), *quick, *more])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with networks and data of tests."""
    monkeypatch.setattr(train, "PRESETS", {"pdfgc-lite": TINY})
    monkeypatch.setattr(train, "clips_of", lambda _, **__: DrawnClips(clips()))


@pytest.mark.usefixtures("tiny")
def test_the_command_runs_the_stages_one_upon_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(options(tmp_path / "1", "--stage", "1")) == 0
    assert "teachers: Eq. 7" in capsys.readouterr().out
    assert (tmp_path / "1/log.txt").read_text().startswith("teachers: Eq. 7")
    assert train.main(options(tmp_path / "2", "--stage", "2", "--start", str(tmp_path / "1"))) == 0
    assert "without motion; new: none" in capsys.readouterr().out
    after = options(tmp_path / "3", "--stage", "3", "--start", str(tmp_path / "2"), "--observer", str(tmp_path / "2"))
    assert train.main(after) == 0
    assert (tmp_path / "3/samples/0000002.png").exists()


@torch.no_grad()
def test_a_generator_of_another_latent_begins_with_the_person_not_moving(tmp_path: Path) -> None:
    begun = stage(stars=1)
    Trainer(begun, Pace(10, workers=0), Run(tmp_path, {}), CPU).save(1)
    own = begun.networks.eval()
    first = Networks(TINY, unified=True).eval()
    begin_with(first, tmp_path)
    people = torch.rand(2, 3, TINY.encoder_size, TINY.encoder_size)
    still = own.draw(people, torch.zeros(2, TINY.latent.motion))
    assert torch.allclose(first.draw(people, torch.randn(2, TINY.motion.feature)), still, atol=1e-5)


@pytest.mark.usefixtures("tiny")
def test_a_generator_that_can_draw_already_is_what_stage_3_begins_with(tmp_path: Path) -> None:
    draws, before = tmp_path / "draws", tmp_path / "2"
    train.main(options(draws, "--stage", "3"))
    train.main(options(before, "--stage", "2"))
    after = options(tmp_path / "3", "--stage", "3", "--start", str(before), "--generator", str(draws))
    begun = train.stage_of(after, torch.device("cpu"), print).networks.state_dict()
    drawn, seen = averaged_weights(draws), averaged_weights(before)
    assert all(torch.equal(value, (drawn if name.startswith("generator.") else seen)[name]) for name, value in begun.items())


@pytest.mark.usefixtures("tiny")
def test_what_learned_apart_goes_on_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.FactorialSet, "load", lambda _: SimpleNamespace(stills=stills(), clips=clips()))
    sees, draws = tmp_path / "sees", tmp_path / "draws"
    for lesson, out in (("pretrain-motion", sees), ("pretrain-drawing", draws)):
        assert train.main(options(out, "--stage", lesson, "--batch", "6")) == 0
    both = options(tmp_path / "both", "--stage", "pretrain", "--batch", "6", "--start", str(draws), "--motion", str(sees))
    begun = train.stage_of(both, torch.device("cpu"), print).networks.state_dict()
    seen, drawn = averaged_weights(sees), averaged_weights(draws)
    assert all(torch.equal(value, (seen if name.startswith("motion.") else drawn)[name]) for name, value in begun.items())
    assert train.main(both) == 0


@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_begun_with_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no checkpoint in"):
        train.main(options(tmp_path / "1", "--stage", "2", "--start", str(tmp_path)))
    train.main(options(tmp_path / "1", "--stage", "2"))
    wider = dataclasses.replace(TINY, motion=dataclasses.replace(TINY.motion, feature=64))
    monkeypatch.setattr(train, "PRESETS", {"pdfgc-lite": wider})
    for what in ("--observer", "--start"):
        with pytest.raises(ModelError, match="other widths"):
            train.main(options(tmp_path / f"2{what}", "--stage", "3", what, str(tmp_path / "1")))
    path = tmp_path / "1/checkpoint.pt"
    whole = path.read_bytes()
    for number, damaged in enumerate((whole[:5000], b"", b"<html>\n<body>")):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="it was cut short"):
            train.main(options(tmp_path / f"3-{number}", "--stage", "2", "--start", str(tmp_path / "1")))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--stage 2 --batch 6", "takes a multiple of 4"),
        ("--stage 2 --batch 12 --accumulate 2", "takes a multiple of 8"),
        ("--stage 1 --size 100", "--size 100: no level makes 100 px"),
        ("--stage 1 --expression-anew", "--expression-anew does nothing in stage 1: it is for 3"),
        ("--stage 1 --ablation none", "--ablation does nothing in stage 1"),
        ("--stage 2 --adversarial", "--adversarial does nothing in stage 2"),
        ("--stage pretrain-motion --speech there", "--speech does nothing in stage pretrain-motion"),
        ("--stage 3 --ablation none --window 7", "--window does nothing with --ablation none"),
        ("--stage 3 --window 8", "take an odd number"),
    ],
)
def test_options_that_do_not_go_together_are_said_in_a_line(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(RunError, match=said):
        train.main(options(tmp_path / "run", *given.split()))


def _train_as_one_of_two(rank: int, folder: str) -> None:
    """A process as torchrun would start it, stopped after its first step, and once more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "PRESETS", {"pdfgc-lite": TINY})
        patch.setattr(train, "clips_of", lambda _, **__: DrawnClips(clips()))
        patch.setattr(trainer, "LOG_EVERY", 1)
        for more in (["--minutes", "0"], ["--resume"]):
            meeting = f"file://{folder}/meet{more[0]}"
            torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
            assert train.main(options(Path(folder) / "two", *LESSON, *more)) == 0


LESSON = ("--stage", "2", "--batch", "8", "--steps", "3")


@pytest.mark.usefixtures("tiny")
def test_two_processes_train_as_one_and_go_on_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spawn(_train_as_one_of_two, (str(tmp_path),), nprocs=2)
    monkeypatch.setattr(trainer, "LOG_EVERY", 1)
    assert train.main(options(tmp_path / "one", *LESSON)) == 0
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "stats.jsonl").read_text().splitlines()] for name in ("one", "two")
    )
    assert [row["step"] for row in two] == [1, 2, 3]
    for own, other in zip(one, two, strict=True):
        names = ("lips", "crossmodal", "eyes", "pose", "eyes_seen", "gradient")
        assert [other[name] for name in names] == pytest.approx([own[name] for name in names], rel=2e-3)


@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_made_by_a_worker_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = clips()
    monkeypatch.setattr(train, "clips_of", lambda _, **__: DrawnClips(dataclasses.replace(silent, sound=silent.sound[:, :0])))
    with pytest.raises(ClipError, match=r"^a clip of \d has no sound[^\n]*$"):
        train.main(options(tmp_path, "--stage", "2", "--workers", "1"))
