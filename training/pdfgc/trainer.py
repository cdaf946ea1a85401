"""The loop that all stages share."""

import argparse
import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from engine.errors import MienError
from training.networks.pdfgc import bundle
from training.networks.pdfgc.generator import Generator
from training.networks.pdfgc.layers import channels_last
from training.pdfgc.losses import feature_matching, hinge_real_or_made, hinge_taken_for_real
from training.pdfgc.networks import rgb_of
from training.pdfgc.parallel import average_gradients, mean_of, with_whole_batch_norms, world
from training.pdfgc.sheet import write_sheet
from training.pdfgc.stage import Batch, Outcome, Stage
from training.run import Average, Run, Stateful
from training.tracker.fitting import loader

LOG_EVERY: Final = 50
WEIGHTS: Final = "pdfgc.safetensors"
"""In a run folder: the averaged weights."""
ADVERSARIAL_BETAS: Final = (0.0, 0.99)
"""Of Adam, as in the published configuration."""
BETAS: Final = (0.9, 0.99)
"""The same where there is no discriminator to chase."""
EQUALISED: Final = 3.0
"""By how much faster the generator's weights move: they are of unit variance, and scaled when they are used."""
WARM_UP: Final = 200  # steps
COOL_DOWN: Final = 0.2
"""Share of the steps, the last, in which the rate falls to nothing."""


class TrainingError(MienError):
    """Training cannot go on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run goes.

    Attributes:
        steps: in all.
        minutes: after which it stops and keeps its state; the rate does not know.
        accumulate: parts that a process's share of a batch is taken in, one after the other.
        rate: of Adam.
        discriminator_rate: likewise.
        decay: of the averaged weights.
        clip: largest norm of the gradient.
        save_every: steps.
        show_every: steps between sample sheets.
        seed: of everything drawn.
        workers: processes that make batches.
        half: multiply in bfloat16.
    """

    steps: int
    minutes: float = math.inf
    accumulate: int = 1
    rate: float = 1e-4
    discriminator_rate: float = 1e-4
    decay: float = 0.999
    clip: float = 10.0
    save_every: int = 500
    show_every: int = 500
    seed: int = 1
    workers: int = 1
    half: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Pace":
        """From options of the same names."""
        return cls(**{name: getattr(args, name) for name in cls.__dataclass_fields__})


class Trainer:
    """Trains a stage's networks; a step is a function of the state, the seed and its number alone.

    So a run that was stopped goes on exactly as it would have: the batch, what
    is dropped and the noise depend on nothing that was before.

    Args:
        stage: to train; its networks are moved to `device`.
        pace: how.
        run: where to keep it; the first process writes.
        device: to compute on.
    """

    def __init__(self, stage: Stage, pace: Pace, run: Run, device: torch.device) -> None:
        self.stage, self.pace, self.run, self.device = stage, pace, run, device
        networks = stage.networks
        with_whole_batch_norms(networks)
        networks.to(device)
        if device.type == "cuda":  # on a CPU it gains nothing
            channels_last(networks)
        networks.eval().requires_grad_(False)
        for part in stage.trained:
            part.train().requires_grad_(True)
        self.parameters = [p for part in stage.trained for p in part.parameters()]
        groups = [{"params": list(part.parameters()), "times": _times(part)} for part in stage.trained]
        self.adam = torch.optim.Adam(groups, pace.rate, ADVERSARIAL_BETAS if stage.discriminator else BETAS)
        self.averaged = copy.deepcopy(networks)
        self.average = Average(networks, self.averaged, pace.decay)
        self.judge = stage.discriminator
        if self.judge is not None:
            self.judge.to(device).train()
            self.judge_adam = torch.optim.Adam(self.judge.parameters(), pace.discriminator_rate, ADVERSARIAL_BETAS)

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        parts: dict[str, Stateful] = {"networks": self.stage.networks, "ema": self.averaged, "adam": self.adam}
        parts |= self.stage.state
        if self.judge is not None:
            parts |= {"discriminator": self.judge, "discriminator_adam": self.judge_adam}
        return parts

    def train(self, first: int) -> int:
        """Go on from step `first`; the number of steps done by then.

        Raises:
            TrainingError: if a loss is no number. The last checkpoint stays.
        """
        rank, count = world()
        began, log = time.monotonic(), _Log(self.run)
        step = first
        for batch in loader(partial(self._batch, rank, count), first, self.pace.steps, self.pace.workers):
            log.add(step, self.step(step, {name: value.to(self.device) for name, value in batch.items()}))
            step += 1
            spent = mean_of(torch.tensor([time.monotonic() - began], device=self.device))  # all must stop at the same step
            late = float(spent) / 60 >= self.pace.minutes
            if rank == 0 and (late or step % self.pace.save_every == 0 or step == self.pace.steps):
                self.save(step)
            if rank == 0 and (late or step % self.pace.show_every == 0 or step == self.pace.steps):
                self.show(self.run.folder / "samples" / f"{step:07d}.png")
            if late:
                break
        return step

    def save(self, step: int) -> None:
        """Keep the state, and the averaged weights by themselves, in half, which is all that another machine need see."""
        self.run.save(step, self.parts())
        weights = {name: value.half() if value.ndim > 1 else value for name, value in self.averaged.state_dict().items()}
        bundle.save(self.run.folder / WEIGHTS, self.stage.networks.widths, weights)

    @torch.no_grad()
    def show(self, path: Path) -> None:
        """Draw samples of the averaged networks."""
        rows = self.stage.show(self.averaged)
        write_sheet(path, {title: rgb_of(images).numpy() for title, images in rows.items()})

    def _batch(self, rank: int, count: int, index: int) -> Mapping[str, object]:
        return self.stage.batch(index, rank, count)

    def step(self, step: int, batch: Batch) -> dict[str, float]:
        """One step on this process's share of a batch; figures of the whole batch.

        Raises:
            TrainingError: if one of them or a gradient is no number; nothing has been changed by then.
        """
        torch.manual_seed((self.pace.seed * 1_000_003 + step) * 1009 + world()[0])
        for group in self.adam.param_groups:
            group["lr"] = group["times"] * self.pace.rate * rate_at(step, self.pace.steps)
        outcomes, sums = self._gradients(step, batch)
        if self.judge is not None:
            sums["discriminator"] = self._judge_gradients(self.judge, outcomes)
        figures = self._figures(step, sums)
        norm = self._clipped(step, self.parameters, self.pace.clip, "the gradient")
        if self.judge is not None:
            self._clipped(step, list(self.judge.parameters()), math.inf, "the discriminator's gradient")
            self.judge_adam.step()
        self.adam.step()
        self.average.update(self.stage.networks, step)
        return figures | {"gradient": norm}

    def _clipped(self, step: int, parameters: Sequence[nn.Parameter], most: float, what: str) -> float:
        """Average gradients over the processes, bound their norm; the norm they had."""
        average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, most)
        if not torch.isfinite(norm):
            raise self._lost(step, what)
        return float(norm)

    def _gradients(self, step: int, batch: Batch) -> tuple[list[Outcome], dict[str, Tensor]]:
        """Gradients of the parts of a batch, added up; what became of each, and the mean of each loss."""
        self.adam.zero_grad(set_to_none=True)
        outcomes: list[Outcome] = []
        sums: dict[str, Tensor] = {}
        parts = _parts(batch, self.pace.accumulate)
        for part in parts:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.pace.half):
                outcome = self.stage.losses(part, step)
                losses = {**outcome.losses, **self._taken_in(outcome)}
            total = torch.stack([self.stage.weights[name] * loss.float() for name, loss in losses.items()]).sum()
            (total / len(parts)).backward()
            for name, loss in {**losses, "total": total}.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + loss.detach().float() / len(parts)
            outcomes.append(outcome)
        return outcomes, sums

    def _taken_in(self, outcome: Outcome) -> dict[str, Tensor]:
        """What the discriminator says to the generator."""
        if self.judge is None or outcome.made is None or outcome.real is None:
            return {}
        self.judge.requires_grad_(False)
        made, real = self.judge(outcome.made), self.judge(outcome.real)
        return {"adversarial": hinge_taken_for_real([scale[-1] for scale in made]), "matching": feature_matching(made, real)}

    def _judge_gradients(self, judge: nn.Module, outcomes: Sequence[Outcome]) -> Tensor:
        """Gradients of the discriminator's loss of what was made; the loss."""
        judge.requires_grad_(True)
        self.judge_adam.zero_grad(set_to_none=True)
        sums = torch.zeros((), device=self.device)
        for outcome in outcomes:
            if outcome.made is None or outcome.real is None:
                continue
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.pace.half):
                real, made = judge(outcome.real.detach()), judge(outcome.made.detach())
                loss = hinge_real_or_made([scale[-1] for scale in real], [scale[-1] for scale in made]) / len(outcomes)
            loss.backward()
            sums += loss.detach().float()
        return sums

    def _figures(self, step: int, sums: Mapping[str, Tensor]) -> dict[str, float]:
        values = mean_of(torch.stack(list(sums.values()))).tolist()
        for name, value in zip(sums, values, strict=True):
            if not math.isfinite(value):
                raise self._lost(step, f"the loss '{name}'")
        return dict(zip(sums, values, strict=True))

    def _lost(self, step: int, what: str) -> TrainingError:
        kept = f"{self.run.checkpoint} keeps the last good state" if self.run.checkpoint.exists() else "nothing was kept yet"
        return TrainingError(f"step {step}: {what} is not a number; {kept}: go on from it with a lower --rate")


def rate_at(step: int, steps: int) -> float:
    """Share of the highest rate: up within `WARM_UP` steps, even, and down to 0 in the last `COOL_DOWN` of them."""
    left = (steps - step) / max(COOL_DOWN * steps, 1)
    return min((step + 1) / WARM_UP, 1.0, left)


def _parts(batch: Batch, count: int) -> list[Batch]:
    """A batch in `count` parts of equal length."""
    if count == 1:
        return [batch]
    split = {name: value.chunk(count) for name, value in batch.items()}
    if any(len(pieces) != count for pieces in split.values()):
        raise ValueError(f"a batch of {len(next(iter(batch.values())))} cannot be taken in {count} parts")
    return [{name: pieces[i] for name, pieces in split.items()} for i in range(count)]


def _times(part: nn.Module) -> float:
    return EQUALISED if isinstance(part, Generator) else 1.0


class _Log:
    """Means of the figures, of the steps that had them, every so many steps."""

    def __init__(self, run: Run) -> None:
        self._run, self._kept, self._count, self._began = run, dict[str, list[float]](), 0, time.monotonic()

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._kept.setdefault(name, []).append(value)
        self._count += 1
        if (step + 1) % LOG_EVERY or world()[0]:
            return
        spent = 1000 * (time.monotonic() - self._began) / self._count
        self._run.log(step + 1, **{name: sum(kept) / len(kept) for name, kept in self._kept.items()}, ms_per_step=spent)
        self._kept, self._count, self._began = {}, 0, time.monotonic()
