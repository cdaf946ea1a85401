"""A training run's folder: what was asked, how it went, and where to go on.

options.json     everything that was asked, and the versions it ran with
log.txt          what it said when it began: what it starts from, who judges
stats.jsonl      one line of figures every so often
checkpoint.pt    weights, optimisers, random states: a run that was stopped goes on exactly where it was
events.*         the same figures for TensorBoard
"""

import json
import os
import platform
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from engine.errors import MienError


class RunError(MienError):
    """A run folder that cannot be used."""


class Stateful(Protocol):
    """A module, an optimiser, a scheduler: what can be saved and restored."""

    def state_dict(self) -> dict[str, Any]:
        """All that must be saved."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Restore what was saved."""
        ...


class Run:
    """One run in its folder.

    Args:
        folder: made if it is not there.
        options: what was asked; must be JSON.
        resume: go on with the checkpoint that is there, if there is one; otherwise a folder with a checkpoint is refused.
        first: this process keeps the run; of several that share it, one does.

    Raises:
        RunError: if the folder holds another run and `resume` is not set, holds one with other options, or cannot be written.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], *, resume: bool = False, first: bool = True) -> None:
        self.folder, self._first = folder, first
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.exists() and not resume:
            raise RunError(f"{folder} holds a run already: give --resume to go on with it, or another --out")
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._keep_options(dict(options))
        self._began = time.monotonic()
        self._writer: Any = None

    def _keep_options(self, options: dict[str, Any]) -> None:
        path = self.folder / "options.json"
        versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
        if self.checkpoint.exists() and path.exists():
            other = sorted(others(json.loads(path.read_text())["options"], options) - {"steps", "minutes"})
            if other:
                raise RunError(f"{self.folder} was begun with other {', '.join(other)}; use the same, or another --out")
        if self._first:
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"options": options, "versions": versions}, indent=1) + "\n")
            os.replace(part, path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One line for all that can be wrong with the disk."""
        try:
            yield
        except OSError as error:
            raise RunError(
                f"cannot write to {self.folder} ({error.strerror or error}): is the disk full, is it yours?"
            ) from error

    def say(self, line: str) -> None:
        """Print a line, and keep it in log.txt.

        Raises:
            RunError: if it cannot be written.
        """
        if not self._first:
            return
        with self._writing(), (self.folder / "log.txt").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def log(self, step: int, **figures: float) -> None:
        """Write figures to stats.jsonl, TensorBoard and the terminal.

        Raises:
            RunError: if they cannot be written.
        """
        seconds = round(time.monotonic() - self._began, 1)
        row = {"step": step, "seconds": seconds, **{name: round(float(value), 6) for name, value in figures.items()}}
        with self._writing():
            with (self.folder / "stats.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self.folder))
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)
        words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        sys.stdout.write(f"step {step:6d}  {seconds:7.1f} s  {words}\n")
        sys.stdout.flush()

    def save(self, step: int, parts: Mapping[str, Stateful], rng: np.random.Generator | None = None) -> None:
        """Write the checkpoint; one that is cut off by a full disk leaves the old one in place.

        Raises:
            RunError: if the disk is full or the folder cannot be written.
        """
        state = {
            "step": step,
            "parts": {name: part.state_dict() for name, part in parts.items()},
            "torch_rng": torch.get_rng_state(),
            "rng": rng.bit_generator.state if rng else None,
        }
        part = self.checkpoint.with_suffix(".part")
        try:
            torch.save(state, part)
            os.replace(part, self.checkpoint)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise RunError(f"cannot write {self.checkpoint}: {error}; is the disk full?") from error

    def restore(self, parts: Mapping[str, Stateful], rng: np.random.Generator | None = None) -> int:
        """Load the checkpoint into `parts` and the random states; return the step to go on with, 0 without a checkpoint.

        Raises:
            RunError: if it cannot be read, or holds other parts.
        """
        if not self.checkpoint.exists():
            return 0
        state = checkpoint_of(self.checkpoint)
        try:
            step = int(state["step"])
            for name, part in parts.items():
                part.load_state_dict(state["parts"][name])
        except (KeyError, ValueError, RuntimeError) as error:
            why = str(error).splitlines()[0]
            raise RunError(f"{self.checkpoint} holds another kind of run ({why}): use another --out") from error
        torch.set_rng_state(state["torch_rng"])
        if rng is not None and state["rng"] is not None:
            rng.bit_generator.state = state["rng"]
        return step

    def close(self) -> None:
        """Flush what TensorBoard holds."""
        if self._writer is not None:
            self._writer.close()


def others(asked: Mapping[str, Any], options: Mapping[str, Any]) -> set[str]:
    """Names of options that differ; one that is new since has not been given: it was None, False or 0."""
    return {name for name in {*asked, *options} if (asked.get(name) or None) != (options.get(name) or None)}


def checkpoint_of(path: Path) -> dict[str, Any]:
    """What `Run.save` wrote: `parts` by name, `step`, random states.

    Raises:
        RunError: if the file cannot be read, or is something else.
    """
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a zip that was cut short, a pickle, a web page, an empty file: each fails in its own way
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{path} cannot be read ({why}): it was cut short, or is no checkpoint") from error
    if not isinstance(state, dict) or not isinstance(state.get("parts"), dict):
        raise RunError(f"{path} is no checkpoint: it was not written by a training run")
    return state


def seed_all(seed: int) -> np.random.Generator:
    """Seed torch and `random`; return NumPy's generator of the run."""
    torch.manual_seed(seed)
    random.seed(seed)
    return np.random.default_rng(seed)


class Average:
    """An exponential moving average of a module's weights: steadier than the last step's (Karras et al. 2018).

    `ema` is the averaged module, in evaluation mode.
    """

    def __init__(self, module: torch.nn.Module, ema: torch.nn.Module, decay: float = 0.999) -> None:
        self.ema = ema.eval().requires_grad_(False)
        self.ema.load_state_dict(module.state_dict())
        self._decay = decay

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """Move towards `module`; faster in the first steps."""
        decay = min(self._decay, (step + 1) / (step + 10))
        for mean, now in zip(self.ema.parameters(), module.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for mean, now in zip(self.ema.buffers(), module.buffers(), strict=True):
            mean.copy_(now)
