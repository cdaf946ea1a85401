"""`coarticulation`'s constants fitted to measured lips (GRID's training clips), and how well they tell the gap between lips."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.contract.motion import Channel
from engine.motion.visemes import ARTICULATORS, CHANNELS_OF
from training.data.splits import Split, split_of
from training.data.tracks import Track
from training.speech import coarticulation
from training.speech.coarticulation import CLOSE, JAW, PRESS, ROLL, STEP_S, Articulation, uncalibrated
from training.speech.errors import SpeechError
from training.speech.phones import BITTEN, CLOSED, PHONES, SIL, VOWELS, Phone
from training.speech.utterances import load

_FREE: Final = [k for k in range(len(ARTICULATORS)) if k not in (CLOSE, PRESS, ROLL)]
"""Articulators that are fitted; the others belong to contacts, which are laid over."""
_LOWEST: Final = -0.2
"""Targets may lie below zero, since speech undershoots them; what comes out may not."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Measured lips and what was said: phones with the silences filled in, articulators float32[T, 9], gap float32[T]."""

    name: str
    phones: list[Phone]
    loudness: NDArray[np.float32]
    measured: NDArray[np.float32]
    gap: NDArray[np.float32]
    trusted: NDArray[np.bool_]


def clips(tracks: Path, alignments: Path, split: Split) -> list[Clip]:
    """GRID's clips of a split that have both a track and an alignment.

    Raises:
        SpeechError: if there are none.
    """
    out: list[Clip] = []
    for path in sorted(alignments.glob("*.npz")):
        if split_of("grid_s1", path.stem) != split or not (tracks / path.name).exists():
            continue
        spoken, track = load(path)[0], Track.load(tracks / path.name)
        loudness = coarticulation.loudness_of(spoken.sound, spoken.phones)
        measured = articulators_of(track.controls)
        out.append(Clip(path.stem, list(spoken.phones), loudness, measured, track.gap, track.moving))
    if not out:
        raise SpeechError(f"no clip of {tracks} is aligned in {alignments}")
    return out


def articulators_of(controls: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[T, 9] of controls float32[T, 58]."""
    out = np.zeros((len(controls), len(ARTICULATORS)), np.float32)
    for name, channels in CHANNELS_OF.items():
        out[:, ARTICULATORS.index(name)] = controls[:, [Channel[c] for c in channels]].mean(axis=1)
    jaw = out[:, JAW]
    out[:, CLOSE] = np.where(jaw > 0.02, np.minimum(controls[:, Channel["mouthClose"]] / np.maximum(jaw, 0.02), 1), 1)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class GapModel:
    """The gap between the lips that articulators make: (1 - close) times a weighted sum of them, and the rest gap."""

    weights: NDArray[np.float32]
    rest: float

    @classmethod
    def fit(cls, data: Sequence[Clip]) -> "GapModel":
        """Least squares on measured articulators."""
        moved = np.concatenate([c.measured[c.trusted] for c in data])
        gap = np.concatenate([c.gap[c.trusted] for c in data])
        inputs = np.column_stack((moved[:, _FREE] * (1 - moved[:, [CLOSE]]), np.ones(len(moved))))
        solved = np.linalg.lstsq(inputs, gap, rcond=None)[0]
        weights = np.zeros(len(ARTICULATORS), np.float32)
        weights[_FREE] = solved[:-1]
        return cls(weights, float(solved[-1]))

    def __call__(self, moved: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[T] of float32[T, 9]: shares of the outer-eye distance."""
        return ((1 - moved[:, CLOSE]) * (moved @ self.weights) + self.rest).astype(np.float32)


def correlations(model: Articulation, data: Sequence[Clip], gap: GapModel) -> dict[str, float]:
    """The model against what was measured: correlation over all frames ("gap"), within clips, of each articulator; n."""
    moved = [coarticulation.articulate(c.phones, len(c.gap), model, c.loudness) for c in data]
    pairs = [(gap(m)[c.trusted], c.gap[c.trusted]) for m, c in zip(moved, data, strict=True)]
    told = {
        "gap": _correlation(*(np.concatenate(side) for side in zip(*pairs, strict=True))),
        "gap_within_clips": float(np.mean([_correlation(a, b) for a, b in pairs])),
    }
    ours, theirs = np.concatenate(moved), np.concatenate([c.measured for c in data])
    told |= {name: _correlation(ours[:, k], theirs[:, k]) for k, name in enumerate(ARTICULATORS)}
    return told | {"clips": float(len(data)), "frames": float(len(ours))}


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def fit(data: Sequence[Clip], gap: GapModel, steps: int = 250) -> Articulation:
    """The constants by gradient descent on the squared error of articulators and gap.

    What GRID never says keeps the shapes it had, scaled as the others came
    out; what it says seldom stays near them.
    """
    torch.manual_seed(0)
    known = _Fit(data)
    optimiser = torch.optim.Adam(known.parameters(), 0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        known.loss(gap).backward()
        optimiser.step()
        schedule.step()
    return known.articulation()


class _Fit(torch.nn.Module):
    """The constants as parameters about their prior, and the clips as padded arrays."""

    def __init__(self, data: Sequence[Clip]) -> None:
        super().__init__()
        prior = uncalibrated()
        filled = [coarticulation.fill(c.phones, len(c.gap) * STEP_S) for c in data]
        phones, frames = max(map(len, filled)), max(len(c.gap) for c in data)
        self.index = torch.full((len(data), phones), -1)
        self.effort_in = torch.zeros(len(data), phones)
        self.before = torch.full((len(data), frames, phones), 99.0)
        self.after = self.before.clone()
        self.measured = torch.zeros(len(data), frames, len(ARTICULATORS))
        self.gap = torch.zeros(len(data), frames)
        self.weight = torch.zeros(len(data), frames)
        for i, (clip, row) in enumerate(zip(data, filled, strict=True)):
            self._put(i, clip, row)
        self.prior, self.prior_dominance = torch.tensor(prior.targets), torch.tensor(prior.dominance).log()
        counts = torch.bincount(self.index[self.index >= 0], minlength=len(PHONES)).float()
        self.stiff = 6.0 / (6.0 + counts)[:, None]
        parameter = torch.nn.Parameter
        self.scale = parameter(torch.full((len(ARTICULATORS),), -0.4))
        self.delta = parameter(torch.zeros_like(self.prior))
        self.delta_dominance = parameter(torch.zeros_like(self.prior_dominance))
        self.ahead = parameter(torch.tensor(prior.ahead).log())
        self.behind = parameter(torch.tensor(prior.behind).log())
        self.shift = parameter(torch.tensor(0.0))
        self.effort = parameter(torch.tensor(prior.effort))

    def _put(self, i: int, clip: Clip, row: Sequence[Phone]) -> None:
        times = np.arange(len(clip.gap)) * STEP_S
        before, after = coarticulation.distances(times.astype(np.float32), row)
        count, frames = len(row), len(times)
        self.index[i, :count] = torch.tensor([p.index for p in row])
        self.before[i, :frames, :count] = torch.from_numpy(before)
        self.after[i, :frames, :count] = torch.from_numpy(after)
        loud = dict(zip(clip.phones, clip.loudness.tolist(), strict=True))
        self.effort_in[i, :count] = torch.tensor([loud.get(p, 0.0) if p.index in VOWELS else 0.0 for p in row])
        self.measured[i, :frames] = torch.from_numpy(clip.measured)
        self.gap[i, :frames] = torch.from_numpy(clip.gap)
        spoken = np.zeros(frames, np.float32)
        for p in row:
            if p.index != SIL:
                spoken[(times > p.start_s - 0.1) & (times < p.end_s + 0.1)] = 1
        self.weight[i, :frames] = torch.from_numpy(spoken * clip.trusted)

    def targets(self) -> Tensor:
        """[44, 9]."""
        moved = self.prior * self.scale.exp() + self.delta
        keep = torch.ones(len(PHONES), 1)
        keep[SIL] = 0
        free = torch.zeros(len(ARTICULATORS))
        free[_FREE] = 1
        return moved.clamp(_LOWEST, 1) * keep * free

    def predicted(self) -> Tensor:
        """[C, T, 9] without contacts: `coarticulation.blend`."""
        index = self.index.clamp(min=0)
        shift = self.shift.clamp(-0.06, 0.06)
        before, after = functional.relu(self.before - shift), functional.relu(self.after + shift)
        power = before[..., None] * self.ahead.exp() + after[..., None] * self.behind.exp()
        strength = (self.prior_dominance + self.delta_dominance)[index] * (self.index >= 0)[..., None]
        weight = (strength[:, None] - power.clamp(max=60)).exp() * (self.index >= 0)[:, None, :, None]
        target = self.targets()[index] * (1 + self.effort_in[..., None] * functional.relu(self.effort)).clamp(min=0.2)
        return torch.einsum("ctpk,cpk->ctk", weight, target) / (weight.sum(2) + 1e-9)

    def loss(self, gap: GapModel) -> Tensor:
        """Mean squared error over variances, and the pull towards what was known before."""
        moved = self.predicted()
        contact = torch.zeros(len(PHONES), dtype=torch.bool)
        contact[list(CLOSED | BITTEN)] = True
        error = ((moved - self.measured).square() * self.weight[..., None]).sum((0, 1))
        spread = self.measured[self.weight > 0].var(0) + 1e-4
        of_parts = (error / self.weight.sum() / spread)[_FREE].mean()
        parted = self.weight * (self.measured[..., CLOSE] < 0.6)
        gap_error = (moved @ torch.from_numpy(gap.weights) + gap.rest - self.gap).square() * parted
        of_gap = gap_error.sum() / parted.sum() / self.gap[parted > 0].var()
        pull = (self.stiff * self.delta.square()).sum() * 0.05 + (self.delta_dominance.square()).mean() * 0.05
        rates = (self.ahead - torch.tensor(uncalibrated().ahead).log()).square().mean() * 0.02
        return of_parts + of_gap + pull + rates

    def articulation(self) -> Articulation:
        """The constants found."""
        with torch.no_grad():
            return Articulation(
                targets=self.targets().numpy(),
                dominance=(self.prior_dominance + self.delta_dominance).exp().numpy(),
                ahead=self.ahead.exp().numpy(),
                behind=self.behind.exp().numpy(),
                shift_s=float(self.shift.clamp(-0.06, 0.06)),
                effort=functional.relu(self.effort).numpy(),
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `--help`."""
    parser.add_argument("--tracks", type=Path, required=True, help="folder of GRID's tracks")
    parser.add_argument("--alignments", type=Path, required=True, help="folder grid of python -m training speech")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--out", type=Path, default=coarticulation.CALIBRATED, help="default: where it is used from")


def main(args: argparse.Namespace) -> int:
    """Fit, tell how well on clips that were not fitted, and write the constants."""
    train, held_out = (clips(args.tracks, args.alignments, split) for split in ("train", "validation"))
    gap = GapModel.fit(train)
    for name, model in (("uncalibrated", uncalibrated()), ("calibrated", fit(train, gap, args.steps))):
        told = "  ".join(f"{key} {value:.3g}" for key, value in correlations(model, held_out, gap).items())
        sys.stdout.write(f"{name}: {told}\n")
    model.save(args.out)
    return 0
