"""The loop that the tracker's regressors are trained by: batches from workers, AdamW, a cosine, averaged weights."""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engine.errors import MienError, ModelError
from training.run import Average, Run, RunError, checkpoint_of

Batch = dict[str, Tensor]
KINDS: Final = ("stills", "frames", "renders")
WARM_UP: Final = 0.03
"""Share of the steps in which the rate rises."""
LAST: Final = 0.01
"""The rate at the end, over the highest."""


def add_arguments(parser: argparse.ArgumentParser, steps: int, batch: int, rate: float) -> None:
    """Options that every run of this kind has."""
    parser.add_argument("--faces", type=Path, required=True, help="shards (python -m training prepare-faces)")
    parser.add_argument(
        "--shards", nargs="+", choices=KINDS, default=list(KINDS), help="what to learn from (default: all three)"
    )
    parser.add_argument("--known", type=float, default=0.0, help="share of validation people that are learnt from, too")
    parser.add_argument("--start", type=Path, help="run folder whose averaged weights to begin with")
    parser.add_argument("--strength", type=float, default=1.0, help="of augmentation (default: %(default)s)")
    add_loop_arguments(parser, steps, batch, rate)


def add_loop_arguments(parser: argparse.ArgumentParser, steps: int, batch: int, rate: float, each: str = "crops") -> None:
    """Options of the loop itself; a batch is of `each`."""
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch, help=f"{each} of a step (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=rate, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--every", type=int, default=500, help="steps between validations (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """What a run keeps of its arguments."""
    kept = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    return {key: value for key, value in kept.items() if key not in ("resume", "workers", "threads", "device")}


class Batches(Dataset[Batch | MienError]):
    """Batch number i, a function of the seed and i alone: a run that is stopped goes on with the batches it would have seen.

    Or why it cannot be made: what is raised in a worker process comes out of torch with its traceback for a message.
    """

    def __init__(self, make: Callable[[int], Mapping[str, Any]], steps: int) -> None:
        self._make, self._steps = make, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Batch | MienError:
        try:
            return {name: torch.from_numpy(value) for name, value in self._make(index).items()}
        except MienError as error:
            return error


def loader(make: Callable[[int], Mapping[str, Any]], first: int, steps: int, workers: int) -> Iterator[Batch]:
    """Batches `first` to `steps`, made ahead by worker processes.

    Raises:
        MienError: if one cannot be made, when its turn has come.
    """
    ahead: dict[str, Any] = {"prefetch_factor": 6} if workers else {}
    batches: DataLoader[Batch | MienError] = DataLoader(
        Batches(make, steps),
        batch_size=None,
        sampler=range(first, steps),
        num_workers=workers,
        worker_init_fn=_alone,
        **ahead,
    )
    for batch in batches:
        if isinstance(batch, MienError):
            raise batch
        yield batch


def _alone(worker: int) -> None:
    """Worker processes run side by side: none takes more than its thread."""
    cv2.setNumThreads(0)


def fit(
    run: Run,
    network: nn.Module,
    copy: nn.Module,
    make: Callable[[int], Mapping[str, Any]],
    loss: Callable[[nn.Module, Batch], dict[str, Tensor]],
    validate: Callable[[nn.Module], dict[str, float]],
    args: argparse.Namespace,
) -> None:
    """Train `network`; its averaged weights end in `copy` and in the checkpoint under `ema`.

    Args:
        run: opened.
        network: on its device.
        copy: a second one of the same kind.
        make: batch number i as arrays.
        loss: figures of a batch, the first of which is made small.
        validate: figures of the averaged network.
        args: see `add_arguments`.
    """
    average = Average(network, copy, 0.998)
    groups = [[p for p in network.parameters() if p.ndim >= 2 and p.requires_grad]]
    groups.append([p for p in network.parameters() if p.ndim < 2 and p.requires_grad])
    adam = torch.optim.AdamW(
        [{"params": group, "weight_decay": decay} for group, decay in zip(groups, (0.03, 0.0), strict=True)], args.rate
    )
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _rate(step / args.steps))
    parts = {"network": network, "ema": average.ema, "adam": adam, "cosine": cosine}
    step, began, sums = run.restore(parts), time.monotonic(), dict[str, float]()
    network.train()
    for batch in loader(make, step, args.steps, args.workers):
        figures = loss(network, {name: value.to(args.device) for name, value in batch.items()})
        adam.zero_grad(set_to_none=True)
        next(iter(figures.values())).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        cosine.step()
        average.update(network, step)
        step += 1
        sums = {name: sums.get(name, 0.0) + float(value.detach()) for name, value in figures.items()}
        if step % 100 == 0:
            spent = 1000 * (time.monotonic() - began) / 100
            run.log(step, **{name: value / 100 for name, value in sums.items()}, ms_per_step=spent)
            sums, began = {}, time.monotonic()
        if step % args.every == 0 or step == args.steps:
            run.log(step, **validate(average.ema))
            run.save(step, parts)


def _rate(done: float) -> float:
    if done < WARM_UP:
        return (done + 1e-3) / WARM_UP
    return LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def averaged(run: Path, network: nn.Module, name: str, part: str = "ema") -> nn.Module:
    """`network` with the averaged weights of a run folder, `part` of its checkpoint, in evaluation mode.

    Raises:
        ModelError: if there is no checkpoint.
        RunError: if it cannot be read, or is of other networks.
    """
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise ModelError(f"no checkpoint in {run}: train one with python -m training {name} --out {run}")
    try:
        network.load_state_dict(checkpoint_of(checkpoint)["parts"][part])
    except (KeyError, RuntimeError) as error:
        raise RunError(f"{checkpoint} holds other networks: train one with python -m training {name}") from error
    return network.eval()
