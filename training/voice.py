"""`python -m training voice`: trains the mouth network that ships, on real lips and articulated speech."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.motion.visemes import ARTICULATORS
from training.augment import Version, blend_in, disturb, versions
from training.corpus import CLOSE, Example, of_split, real_examples, spoken_examples
from training.evaluate.metrics import correlation
from training.networks.mouth import DELAYS, LOOK_AHEADS_MS, MouthNetwork
from training.noises import Noises
from training.run import Average, Run, seed_all
from training.speech.phones import CLOSED, PHONES, VISEME

SHARES: Final = {"real": 0.28, "spoken": 0.37, "synthetic": 0.25, "quiet": 0.10}
"""Of the sequences of a batch."""
WEIGHTS: Final = np.array([5.0, 0.0, 0.5, 1.0, 1.5, 0.6, 0.6, 0.6, 1.0], np.float32)
"""How much each articulator's error counts; a closure is a question of yes or no and has a loss of its own."""
_JAW: Final = ARTICULATORS.index("jaw")
MOVING: Final = 2.0  # weight of the error in change per step against that in place
CLOSING: Final = 0.35
MISSED: Final = 1.5  # a closure that is missed counts so much more than one that is made up: they are rare
NAMING: Final = 0.12
GAPPED: Final = 0.15
GAP: Final = {"jaw": 0.272, "funnel": 0.095, "lower": 0.059, "upper": 0.057}
"""How far the inner lips part, in u, per unit of an articulator, on the rig of GRID's speaker; closed lips take it back."""
GAP_SPREAD: Final = 0.045
"""Standard deviation of his gap, u."""
BALANCE: Final = 0.4  # classes count by their frequency to the minus this


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--tracks", type=Path, required=True, help="tracks of talking video (python -m training prepare)")
    parser.add_argument("--speech", type=Path, required=True, help="articulated speech (python -m training speech)")
    parser.add_argument("--noises", type=Path, help="folder of noises and room responses (rir*.wav)")
    parser.add_argument("--out", type=Path, default=Path("out/voice"), help="run folder (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=32, help="sequences of a step")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a sequence")
    parser.add_argument("--hidden", type=int, default=192, help="units per layer")
    parser.add_argument("--versions", type=int, default=4, help="speeds and rooms of each example")
    parser.add_argument("--rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    torch.set_num_threads(args.threads)
    options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    del options["resume"]
    run = Run(args.out, options, resume=args.resume)
    rng = seed_all(args.seed)
    examples = [*real_examples(args.tracks, args.speech), *spoken_examples(args.speech)]
    corpus = _corpus(examples, args, rng)
    validation = of_split(examples, "validation")
    network = MouthNetwork(len(ARTICULATORS), len(PHONES), args.hidden).to(args.device)
    train(run, network, corpus, validation, args, rng)
    run.close()
    return 0


@dataclass(frozen=True, slots=True)
class Corpus:
    """What sequences are drawn from: versions by kind, noises, and how often each phone occurs."""

    versions: dict[str, list[Version]]
    noises: Noises
    frequency: NDArray[np.float64]


def _corpus(examples: Sequence[Example], args: argparse.Namespace, rng: np.random.Generator) -> Corpus:
    train_on = of_split(examples, "train")
    noises = Noises(args.noises, [e.sound for e in train_on if e.kind != "quiet"], rng)
    kinds: dict[str, list[Version]] = {kind: [] for kind in SHARES}
    for version in versions(train_on, noises.rooms, args.versions, rng):
        kinds[version.kind].append(version)
    counts = np.ones(len(PHONES))
    for version in (v for several in kinds.values() for v in several):
        known = version.phones[version.phones >= 0]
        counts += np.bincount(known, minlength=len(PHONES))
    minutes = {kind: round(sum(e.steps for e in train_on if e.kind == kind) / 3000, 1) for kind in SHARES}
    print(f"training on minutes of {minutes}, {args.versions} versions of each", flush=True)
    return Corpus(kinds, noises, counts / counts.sum())


class Batches:
    """Endless batches, a function of the generator's state alone."""

    def __init__(self, corpus: Corpus, batch: int, seconds: float, rng: np.random.Generator) -> None:
        self._corpus, self._batch, self._length, self._rng = corpus, batch, round(seconds * 50), rng
        self._kinds = [kind for kind in SHARES if corpus.versions[kind]]
        share = np.array([SHARES[kind] for kind in self._kinds])
        self._share = share / share.sum()

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mel float32[B, T, 2, 40], shapes and trust float32[B, T, 9], phones int64[B, T]."""
        parts = [self._sequence() for _ in range(self._batch)]
        mel, shapes, trusted, phones = (np.stack(column) for column in zip(*parts, strict=True))
        return torch.from_numpy(mel), torch.from_numpy(shapes), torch.from_numpy(trusted), torch.from_numpy(phones)

    def _sequence(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        rng, pieces, filled = self._rng, list[Version](), 0
        while filled < self._length:
            several = self._corpus.versions[self._kinds[int(rng.choice(len(self._kinds), p=self._share))]]
            version = several[int(rng.integers(len(several)))]
            room = self._length - filled
            start = int(rng.integers(max(len(version.phones) - room, 0) + 1))
            pieces.append(blend_in(version, start, min(room, len(version.phones) + int(rng.integers(60)))))
            filled += len(pieces[-1].phones)
        joined = np.concatenate([piece.mel for piece in pieces]).astype(np.float32)
        mel = disturb(joined, self._corpus.noises.power(self._length, rng), rng)
        return (
            mel,
            np.concatenate([piece.shapes for piece in pieces]).astype(np.float32),
            np.concatenate([piece.trusted for piece in pieces]).astype(np.float32),
            np.concatenate([piece.phones for piece in pieces]).astype(np.int64),
        )


class Loss:
    """What a mouth is judged by in training: place, movement, closures, and the phones' names."""

    def __init__(self, frequency: NDArray[np.float64], device: str) -> None:
        self._weights = torch.from_numpy(WEIGHTS).to(device)
        self._gap = torch.tensor([GAP.get(name, 0.0) / GAP_SPREAD for name in ARTICULATORS], device=device)
        balance = torch.from_numpy(np.maximum(frequency, 1e-4) ** -BALANCE).float()
        self._balance = (balance / balance.mean()).to(device)

    def __call__(self, said: Tensor, named: Tensor, shapes: Tensor, trusted: Tensor, phones: Tensor) -> tuple[Tensor, ...]:
        """Total, place, movement, closing, naming, gap: means over the heads; arguments as of the network and `Batches`."""
        sums = [torch.zeros((), device=said.device) for _ in range(5)]
        for head, delay in enumerate(DELAYS):
            past = max(delay, 0)
            ahead = max(-delay, 0)
            p = said[:, past : said.shape[1] - ahead, head]
            q = named[:, past : said.shape[1] - ahead, head]
            stop = shapes.shape[1] - past
            y, w, names = shapes[:, ahead:stop], trusted[:, ahead:stop], phones[:, ahead:stop]
            sums = [a + b for a, b in zip(sums, self._of_head(p, q, y, w, names), strict=True)]
        place, moving, closing, naming, gap = (value / len(DELAYS) for value in sums)
        total = place + MOVING * moving + CLOSING * closing + NAMING * naming + GAPPED * gap
        return total, place, moving, closing, naming, gap

    def _of_head(self, p: Tensor, q: Tensor, y: Tensor, w: Tensor, names: Tensor) -> tuple[Tensor, ...]:
        count = w.sum().clamp(min=1) / w.shape[-1]
        error = (p - y) * torch.sqrt(self._weights)
        place = (w * error**2).sum() / count
        both = torch.minimum(w[:, 1:], w[:, :-1])
        moving = (both * (error[:, 1:] - error[:, :-1]) ** 2).sum() / count
        weight = w[..., CLOSE] * (1 + (MISSED - 1) * y[..., CLOSE])
        closing = functional.binary_cross_entropy_with_logits(p[..., CLOSE], y[..., CLOSE], weight, reduction="sum")
        naming = functional.cross_entropy(q.flatten(0, 1), names.flatten(), self._balance, ignore_index=-1)
        apart = (p @ self._gap) * torch.sigmoid(-p[..., CLOSE]) - (y @ self._gap) * (1 - y[..., CLOSE])
        gap = (w[..., _JAW] * apart**2).sum() / w[..., _JAW].sum().clamp(min=1)
        return place, moving, closing / weight.sum().clamp(min=1), naming, gap


def train(
    run: Run,
    network: MouthNetwork,
    corpus: Corpus,
    validation: Sequence[Example],
    args: argparse.Namespace,
    rng: np.random.Generator,
) -> None:
    """Adam with one cycle of the learning rate (Smith 2018); validation every 250 steps."""
    loss = Loss(corpus.frequency, args.device)
    average = Average(network, MouthNetwork(network.articulators, network.phones, network.hidden).to(args.device), 0.998)
    adam = torch.optim.AdamW(network.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, args.rate, args.steps, pct_start=0.1)
    parts = {"network": network, "ema": average.ema, "adam": adam, "cycle": cycle}
    batches = Batches(corpus, args.batch, args.seconds, rng)
    began, step = time.monotonic(), run.restore(parts, rng)
    sums = np.zeros(6)
    network.train()
    while step < args.steps:
        mel, *target = (part.to(args.device) for part in batches.draw())
        shapes, phones, _ = network(mel)
        values = loss(shapes, phones, *target)
        adam.zero_grad(set_to_none=True)
        values[0].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        cycle.step()
        average.update(network, step)
        step += 1
        sums += [float(value.detach()) for value in values]
        if step % 50 == 0:
            names = ("loss", "place", "moving", "closing", "naming", "gap")
            run.log(step, **dict(zip(names, sums / 50, strict=True)), ms_per_step=1000 * (time.monotonic() - began) / 50)
            sums, began = np.zeros(6), time.monotonic()
        if step % 250 == 0 or step == args.steps:
            run.log(step, **validate(average.ema, validation, args.device))
            run.save(step, parts, rng)


@torch.no_grad()
def validate(network: torch.nn.Module, examples: Sequence[Example], device: str) -> dict[str, float]:
    """Correlation of the opening with that of real lips per look-ahead, phones named right, bilabials closed, in percent."""
    openings: list[list[float]] = [[] for _ in DELAYS]
    right = total = closed = bilabials = 0
    for example in (e for e in examples if e.kind == "real"):
        shapes, phones, _ = network(torch.from_numpy(example.mel)[None].to(device))
        real = example.shapes[:, 0] * (1 - example.shapes[:, CLOSE])
        for head, delay in enumerate(DELAYS):
            said = shapes[0, max(delay, 0) :, head].cpu().numpy()
            want = real[max(-delay, 0) :]
            count = min(len(said), len(want))
            opening = said[:count, 0] * (1 - 1 / (1 + np.exp(-said[:count, CLOSE])))
            openings[head].append(correlation(opening, want[:count]))
        delay, head = DELAYS[2], 2
        named = phones[0, delay:, head].argmax(-1).cpu().numpy()
        names = example.phones[: len(named)]
        known = names >= 0
        right += int((VISEME[named[known]] == VISEME[names[known]]).sum())
        total += int(known.sum())
        hits = shapes[0, delay:, head, CLOSE].cpu().numpy() > 0
        lips = np.isin(names, list(CLOSED))
        closed += int((hits[: len(lips)] & lips).sum())
        bilabials += int(lips.sum())
    kept = [[r for r in several if np.isfinite(r)] for several in openings]
    figures = {f"r_{ms}": float(np.mean(r)) for ms, r in zip(LOOK_AHEADS_MS, kept, strict=True) if r}
    return figures | {"visemes": 100 * right / max(total, 1), "closed": 100 * closed / max(bilabials, 1)}
