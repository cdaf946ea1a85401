"""`python -m training pdfgc-bridge`: controls to the motion latents of networks that are trained already.

The factorial set says which controls every picture was drawn with; the frozen
motion encoder says which latents it sees there. What the same controls look
like on other people averages out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import ModelError
from training.data.splits import Split
from training.networks.pdfgc import bundle
from training.networks.pdfgc.bridge import PARTS, Bridge
from training.networks.pdfgc.motion import MotionEncoder
from training.pdfgc.networks import Parts, pictures
from training.run import Average, Run, seed_all
from training.synthesis.data import FactorialSet, Stills

BUNDLE: Final = "pdfgc.safetensors"
SEEN_AT_ONCE: Final = 32
"""Pictures that the motion encoder sees at a time."""
LOGGED: Final = 200
"""Steps between figures."""

Pairs = tuple[Tensor, Tensor]
"""Controls [N, 58] and latents [N, 542]."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--models", type=Path, required=True, help=f"folder with {BUNDLE}, made by mien export")
    parser.add_argument("--data", type=Path, required=True, help="factorial set, made by prepare-factorial")
    parser.add_argument("--out", type=Path, default=Path("out/pdfgc-bridge"), help="run folder (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=8000, help="most of a split to look at (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=2e-3, help="of Adam, falling to 0 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    rng = seed_all(args.seed)
    options = {name: str(value) for name, value in vars(args).items() if name not in ("resume", "device", "threads", "out")}
    run = Run(args.out, options, resume=args.resume)
    encoder = encoder_of(args.models / BUNDLE).to(args.device)
    stills = FactorialSet.load(args.data).stills
    train, held = (seen(encoder, stills, split, args.pictures, args.device) for split in ("train", "validation"))
    bridge = fit(train, held, run, rng, args.steps, args.batch, args.rate)
    for name, share in explained(bridge, held).items():
        sys.stdout.write(f"{name:<11} {100 * share:5.1f} % of the variance on held-out people\n")
    run.close()
    return 0


def encoder_of(path: Path) -> MotionEncoder:
    """The motion encoder of a bundle, frozen.

    Raises:
        ModelError: if it cannot be read or has none.
    """
    widths, weights = bundle.load(path)
    encoder, head = MotionEncoder(widths), "motion."
    try:
        encoder.load_state_dict({key[len(head) :]: value for key, value in weights.items() if key.startswith(head)})
    except RuntimeError as error:
        raise ModelError(f"{path} has no motion encoder of its widths ({' '.join(str(error).split())[:160]})") from error
    return encoder.eval().requires_grad_(False)


@torch.no_grad()
def seen(encoder: MotionEncoder, stills: Stills, split: Split, most: int, device: str) -> Pairs:
    """Controls and latents of the pictures of a split, evenly picked if there are more than `most`.

    Raises:
        ModelError: if the split has none.
    """
    rows = stills.rows(split)
    if not len(rows):
        raise ModelError(f"the factorial set has no {split} people: make it of more portraits")
    rows = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.intp)]
    latents: list[Tensor] = []
    for part in np.array_split(rows, -(-len(rows) // SEEN_AT_ONCE)):
        images = pictures(torch.from_numpy(stills.read(part, encoder.size))).to(device)
        latents.append(Parts.seen(encoder(images)).joined().cpu())
    controls: NDArray[np.float32] = np.asarray(stills.motion[rows], np.float32)
    return torch.from_numpy(controls), torch.cat(latents)


def fit(train: Pairs, held: Pairs, run: Run, rng: np.random.Generator, steps: int, batch: int, rate: float) -> Bridge:
    """The averaged bridge after so many steps of Adam on the squared error, every latent in its own deviation.

    Raises:
        ModelError: if the loss is no number.
    """
    bridge, ema = Bridge(), Bridge()
    bridge.scale(*train)
    average = Average(bridge, ema, 0.99)
    adam = torch.optim.Adam(bridge.parameters(), rate)
    parts = {"bridge": bridge, "ema": ema, "adam": adam}
    for step in range(run.restore(parts, rng), steps):
        adam.param_groups[0]["lr"] = rate * (1 - step / steps)
        rows = torch.from_numpy(rng.integers(len(train[0]), size=batch))
        loss = error(bridge, (train[0][rows], train[1][rows]))
        if not torch.isfinite(loss):
            raise ModelError(f"the loss of step {step} is {float(loss.detach())}; is --rate too high, or a latent not finite?")
        adam.zero_grad()
        loss.backward()
        adam.step()
        average.update(bridge, step)
        if (step + 1) % LOGGED == 0 or step + 1 == steps:
            run.log(step + 1, loss=float(loss.detach()), **explained(ema, held))
            run.save(step + 1, parts, rng)
    return ema


def error(bridge: Bridge, pairs: Pairs) -> Tensor:
    """Mean squared error, in deviations of each latent; the parts count alike, however long they are."""
    losses: list[Tensor] = []
    for part, said, wanted in _parts(bridge, pairs):
        losses.append((((said - wanted) / part.deviation) ** 2).mean())
    return torch.stack(losses).mean()


@torch.no_grad()
def explained(bridge: Bridge, pairs: Pairs) -> dict[str, float]:
    """By part: the share of the latents' variance that the controls explain."""
    shares: dict[str, float] = {}
    for name, (_, said, wanted) in zip(PARTS, _parts(bridge, pairs), strict=True):
        shares[name] = 1 - float(((said - wanted) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum())
    return shares


def _parts(bridge: Bridge, pairs: Pairs) -> list[tuple[Any, Tensor, Tensor]]:
    """Each part of the bridge, what it says, and what it should."""
    controls, latents = pairs
    wanted = latents.split([length for _, length in PARTS.values()], 1)
    return list(zip(bridge.parts.values(), bridge(controls), wanted, strict=True))
