import sys
import types

import pytest

from streaming.cli import main as command_line
from streaming.cli.main import main


def test_train_passes_its_words_on(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("training.__main__")
    heard: list[list[str]] = []
    module.main = lambda words: heard.append(words) or 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "training.__main__", module)
    assert main(["train", "eyes", "--help"]) == 3
    assert heard == [["eyes", "--help"]]


@pytest.mark.parametrize(
    ("missing", "cure"),
    [("torch", "./mien train"), ("training", "use a clone of the project")],
)
def test_train_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str, cure: str
) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(command_line.importlib, "import_module", refuse)
    assert main(["train", "eyes"]) == 1
    line = capsys.readouterr().err
    assert f"needs {missing}" in line
    assert cure in line
    assert line.count("\n") == 1


def test_a_command_that_does_not_exist_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*command_line.COMMANDS, *command_line.PASSED_ON))
