"""Installs what only enrolling a new photo needs, the first time one is enrolled.

`python -m streaming.tracker_setup` does it ahead of time.
"""

import asyncio
import importlib
import importlib.metadata
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.errors import MissingDependency
from engine.face import mediapipe_tracker

LIBRARIES: Final = ("scipy>=1.13", "pillow-heif>=0.21")
"""The project's extra `enrol`."""
INSTALL_S: Final = 900.0
_MEGABYTES: Final = {"scipy": 36, "pillow-heif": 6}


@dataclass(frozen=True, slots=True)
class Step:
    """One call of pip: its command, and about how much it downloads."""

    command: tuple[str, ...]
    megabytes: int


def steps() -> tuple[Step, ...]:
    """What is still to be installed; empty when photos can be enrolled.

    Raises:
        MissingDependency: if nothing that can be installed would help (this Python is too new, or the machine unknown).
    """
    importlib.invalidate_caches()
    todo: list[Step] = []
    absent = [wanted for wanted in LIBRARIES if not _installed(_name(wanted))]
    if absent:
        command = (sys.executable, "-m", "pip", "install", *_QUIET, *absent)
        todo.append(Step(command, sum(_MEGABYTES[_name(wanted)] for wanted in absent)))
    if mediapipe_tracker.missing():
        if never := mediapipe_tracker.unavailable():
            raise MissingDependency(never)
        install = mediapipe_tracker.install_command()
        todo.append(Step((*install[:4], *_QUIET, *install[4:]), mediapipe_tracker.MEGABYTES))
    return tuple(todo)


def announcement(todo: Sequence[Step]) -> str:
    """The line that tells what is about to happen."""
    return f"One-time download of the face tracker, {sum(step.megabytes for step in todo)} MB"


_QUIET: Final = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")


async def install(progress: Callable[[str], None]) -> None:
    """Install what is missing, telling what is being done in lines fit for a user.

    Raises:
        MissingDependency: if pip fails, with the command to try by hand.
    """
    todo = steps()
    if not todo:
        return
    progress(announcement(todo))
    for step in todo:
        await _pip(step.command, progress)
    reason = mediapipe_tracker.missing()
    if reason:
        raise MissingDependency(reason)


async def _pip(command: tuple[str, ...], progress: Callable[[str], None]) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    last = ""
    try:
        async with asyncio.timeout(INSTALL_S):
            async for line in _lines(process):
                if told := told_by_pip(line):
                    progress(told)
                if line.startswith(("ERROR", "error")) or "No module named pip" in line:
                    last = line
            status = await process.wait()
    except TimeoutError as error:
        raise _failed(command, f"nothing came for {INSTALL_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status:
        raise _failed(command, last or f"pip ended with status {status}")


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    async for raw in process.stdout:
        yield raw.decode("utf-8", "replace").strip()


def told_by_pip(line: str) -> str:
    """What a line of pip's output means to a user; empty when nothing."""
    found = re.match(r"Downloading (?:\S*/)?([A-Za-z0-9_]+)-\S+ \(([\d.]+ [kMG]B)\)", line)
    if found:
        return f"Downloading {found[1]}, {found[2]} (once)"
    if line.startswith("Installing collected packages"):
        return "Installing the face tracker (once)"
    return ""


def _failed(command: Sequence[str], why: str) -> MissingDependency:
    by_hand = " ".join(f"'{word}'" if set(word) & set("<>=") else word for word in command)
    return MissingDependency(f"the face tracker could not be installed ({why[:200]}); check the network, or try: {by_hand}")


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~ ]", requirement)[0]


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    try:
        asyncio.run(install(lambda line: print(line, flush=True)))  # noqa: T201 - run as a command
    except MissingDependency as refusal:
        sys.exit(f"mien: {refusal}")
