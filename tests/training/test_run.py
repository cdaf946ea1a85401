import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.__main__ import main  # noqa: E402 - torch first
from training.presets import COMMANDS, PRESETS  # noqa: E402
from training.run import Average, Run, RunError, seed_all  # noqa: E402


def steps(run: Run, count: int) -> list[float]:
    """A run of a linear regression: the weights at its end."""
    rng = seed_all(3)
    model = torch.nn.Linear(4, 1)
    adam = torch.optim.Adam(model.parameters(), 0.05)
    parts = {"model": model, "adam": adam}
    for step in range(run.restore(parts, rng), count):
        x = torch.from_numpy(rng.normal(size=(8, 4)).astype(np.float32)) + 0.1 * torch.randn(8, 4)
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        run.save(step + 1, parts, rng)
    run.close()
    return torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()


def test_a_run_that_was_stopped_goes_on_exactly_where_it_was(tmp_path: Path):
    straight = steps(Run(tmp_path / "a", {"lr": 1}), 9)
    steps(Run(tmp_path / "b", {"lr": 1}), 4)
    assert steps(Run(tmp_path / "b", {"lr": 1}, resume=True), 9) == straight


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path):
    steps(Run(tmp_path, {"lr": 1}), 1)
    with pytest.raises(RunError, match="--resume"):
        Run(tmp_path, {"lr": 1})
    with pytest.raises(RunError, match="begun with other lr"):
        Run(tmp_path, {"lr": 2}, resume=True)


def test_figures_are_written_as_lines_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = Run(tmp_path, {})
    run.log(5, loss=0.25)
    run.close()
    row = json.loads((tmp_path / "stats.jsonl").read_text())
    assert (row["step"], row["loss"]) == (5, 0.25)
    assert list(tmp_path.glob("events.*"))
    assert "loss 0.25" in capsys.readouterr().out


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = Run(tmp_path, {})
    steps(run, 2)
    before = run.checkpoint.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match="is the disk full"):
        run.save(3, {})
    assert run.checkpoint.read_bytes() == before


def test_a_full_disk_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = Run(tmp_path / "run", {})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    for write in (lambda: run.log(1, loss=1.0), lambda: run.say("teachers: none")):
        with pytest.raises(RunError, match=r"cannot write to .*No space left on device.*is the disk full"):
            write()
    with pytest.raises(RunError, match="cannot write to"):
        Run(Path("/dev/null/run"), {})


@pytest.mark.parametrize("what", ["empty", "cut", "page", "list"])
def test_a_checkpoint_that_cannot_be_read_is_said_in_a_line(tmp_path: Path, what: str):
    steps(Run(tmp_path, {}), 1)
    path = tmp_path / "checkpoint.pt"
    whole = path.read_bytes()
    torch.save([1, 2], tmp_path / "list.pt")
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "page": b"<html>\n", "list": whole}[what])
    if what == "list":
        path.write_bytes((tmp_path / "list.pt").read_bytes())
    with pytest.raises(RunError, match=r"checkpoint.pt (cannot be read \(.+\): it was cut short|is no checkpoint)") as said:
        steps(Run(tmp_path, {}, resume=True), 2)
    assert "\n" not in str(said.value)


def test_a_checkpoint_of_another_kind_of_run_is_refused(tmp_path: Path):
    run = Run(tmp_path, {})
    steps(run, 1)
    with pytest.raises(RunError, match="another kind of run"):
        run.restore({"model": torch.nn.Linear(5, 1)})
    with pytest.raises(RunError, match="another kind of run"):
        run.restore({"bank": torch.nn.Linear(4, 1)})


def test_an_option_that_is_new_since_a_run_began_was_not_given(tmp_path: Path):
    steps(Run(tmp_path, {"lr": 1}), 1)
    Run(tmp_path, {"lr": 1, "anew": False, "file": None}, resume=True)
    with pytest.raises(RunError, match="begun with other anew"):
        Run(tmp_path, {"lr": 1, "anew": True}, resume=True)


def test_of_several_processes_one_keeps_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Run(tmp_path, {"lr": 1}, first=False).say("teachers: none")
    assert not list(tmp_path.iterdir())
    Run(tmp_path, {"lr": 1}).say("teachers: none")
    assert (tmp_path / "log.txt").read_text() == capsys.readouterr().out == "teachers: none\n"


def test_what_cannot_be_written_is_a_line_whichever_command_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["speech", "--out", "/dev/null/speech", "--minutes", "1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_average_follows_fast_at_first():
    module, ema = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    average = Average(module, ema, 0.999)
    with torch.no_grad():
        module.weight.fill_(1)
        ema.weight.fill_(0)
    for step in range(100):
        average.update(module, step)
    assert 0.5 < float(ema.weight) <= 1


def test_every_name_in_the_table_has_a_module_and_help(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0
    listed = capsys.readouterr().out
    for name in (*COMMANDS, *PRESETS):
        assert name in listed
        with pytest.raises(SystemExit) as done:
            main([name, "--help"])
        assert done.value.code == 0


def test_a_wrong_name_is_answered_with_the_near_one(capsys: pytest.CaptureFixture[str]):
    assert main(["voic"]) == 2
    assert "did you mean 'voice'" in capsys.readouterr().err
