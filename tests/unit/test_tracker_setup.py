import sys
import tomllib
from pathlib import Path

import pytest

from engine.errors import MissingDependency
from engine.face import mediapipe_tracker
from streaming import tracker_setup
from streaming.tracker_setup import LIBRARIES, Step, announcement, install, steps, told_by_pip


def test_the_libraries_are_the_projects_extra() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert tuple(project["project"]["optional-dependencies"]["enrol"]) == LIBRARIES


def absent(monkeypatch: pytest.MonkeyPatch, *, libraries: bool = True, tracker: bool = True) -> None:
    monkeypatch.setattr(tracker_setup, "_installed", lambda package: not libraries)
    monkeypatch.setattr(mediapipe_tracker, "missing", lambda: "MediaPipe is not installed" if tracker else None)


def test_nothing_is_to_be_done_when_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, libraries=False, tracker=False)
    assert steps() == ()


def test_what_is_missing_is_installed_for_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe_tracker, "unavailable", lambda: None)
    absent(monkeypatch)
    libraries, tracker = steps()
    assert libraries.command[:4] == tracker.command[:4] == (sys.executable, "-m", "pip", "install")
    assert set(LIBRARIES) <= set(libraries.command)
    assert "--no-deps" not in libraries.command
    assert "--no-deps" in tracker.command
    assert set(mediapipe_tracker.REQUIREMENTS) <= set(tracker.command)
    assert announcement(steps()) == f"One-time download of the face tracker, {42 + mediapipe_tracker.MEGABYTES} MB"


def test_a_python_that_is_too_new_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    absent(monkeypatch)
    with pytest.raises(MissingDependency):
        steps()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "Downloading mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl (35.6 MB)",
            "Downloading mediapipe, 35.6 MB (once)",
        ),
        ("Downloading https://host/a/b/scipy-1.17.1-cp311-cp311-macosx.whl (36 MB)", "Downloading scipy, 36 MB (once)"),
        ("Installing collected packages: scipy, mediapipe", "Installing the face tracker (once)"),
        ("Requirement already satisfied: numpy", ""),
        ("", ""),
    ],
)
def test_what_pip_says_becomes_a_line_for_users(line: str, told: str) -> None:
    assert told_by_pip(line) == told


def fake_pip(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(tracker_setup, "steps", lambda: (Step((sys.executable, "-c", script), 36),))
    monkeypatch.setattr(mediapipe_tracker, "missing", lambda: None)


async def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, "print('Downloading mediapipe-0.10.21-x.whl (35.6 MB)\\nfoo\\nInstalling collected packages: x')")
    told: list[str] = []
    await install(told.append)
    assert told == [
        "One-time download of the face tracker, 36 MB",
        "Downloading mediapipe, 35.6 MB (once)",
        "Installing the face tracker (once)",
    ]


async def test_a_failure_names_pips_reason_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, "print('ERROR: Could not find a version'); raise SystemExit(1)")
    with pytest.raises(MissingDependency, match=r"Could not find a version.*or try: ") as error:
        await install(lambda line: None)
    assert "\n" not in str(error.value)
