"""Trains the head motion learner of the paper; compared in the table of `evaluate head`, not shipped."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.data.head_speakers import PIECE, Speakers
from training.data.head_tracks import HeadClip
from training.networks.head_motion import Discriminator
from training.networks.head_motion_published import SAMPLES, HeadMotionLearner, stacked
from training.run import Run, seed_all

RATE: Final = 3e-4
DECAY: Final = 2e-5
CONTEXT: Final = (32, 96)
"""Fewest and most frames of reference."""
AHEAD: Final = (16, 96)
"""Fewest and most frames that are predicted."""
ADVERSARIAL: Final = 0.1
"""Weight of the adversarial term, which the text leaves open."""
LOG_EVERY: Final = 10
SAVE_EVERY: Final = 50

Example = tuple[Tensor, Tensor, Tensor, Tensor]
"""Stacked sound and normalised pose of the reference, then of what follows it."""


class Published(nn.Module):
    """The learner, its discriminator, and the mean and deviation that poses are normalised by."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.learner, self.critic = HeadMotionLearner(), Discriminator()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("deviation", torch.ones(6))

    def fit_scale(self, poses: NDArray[np.float32]) -> None:
        """Take mean and deviation from poses float32[N, 6]."""
        self.mean.copy_(torch.from_numpy(poses.mean(0)))
        self.deviation.copy_(torch.from_numpy(poses.std(0) + 1e-3))

    @torch.no_grad()
    def extrapolate(
        self, reference_sound: NDArray[np.float32], reference_pose: NDArray[np.float32], sound: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32[T, 6] at 25 fps, smoothed by a Hann window as the reference was.

        Args:
            reference_sound: float32[640 tau] at 16 kHz.
            reference_pose: float32[tau, 6] at 25 fps.
            sound: float32[640 T].
        """
        self.eval()
        device = self.mean.device
        heard = [stacked(torch.from_numpy(part[None]).to(device)) for part in (reference_sound, sound)]
        pose = (torch.from_numpy(reference_pose[None]).to(device) - self.mean) / self.deviation
        made = self.learner(heard[0], pose, heard[1])[0] * self.deviation + self.mean
        window = torch.hann_window(9, periodic=False, device=device)[None, None]
        padded = functional.pad(made.T[:, None], (4, 4), mode="replicate")
        return functional.conv1d(padded, window / window.sum())[:, 0].T.cpu().numpy()


class Trainer:
    """One run's networks and optimisers."""

    def __init__(self, device: str, *, adversarial: bool) -> None:
        self.device, self.adversarial = device, adversarial
        self.model = Published().to(device)
        self.optimiser = torch.optim.Adam(self.model.learner.parameters(), RATE, weight_decay=DECAY)
        self.critic_optimiser = torch.optim.Adam(self.model.critic.parameters(), RATE, weight_decay=DECAY)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        return {"model": self.model, "optimiser": self.optimiser, "critic_optimiser": self.critic_optimiser}

    def learn(self, example: Example) -> dict[str, float]:
        """One step: squared error and, as in the text, the discriminator's verdict on mean and deviation.

        The public code leaves the second out for the learner: `--no-adversarial`.
        """
        self.model.train()
        reference_sound, reference_pose, sound, pose = (part.to(self.device) for part in example)
        reference_pose, pose = self._normal(reference_pose), self._normal(pose)
        made = self.model.learner(stacked(reference_sound), reference_pose, stacked(sound))
        error = functional.mse_loss(made, pose)
        loss = error
        if self.adversarial:
            loss = loss + ADVERSARIAL * functional.softplus(-self.model.critic(made)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        verdict = (
            functional.softplus(self.model.critic(made.detach())).mean() + functional.softplus(-self.model.critic(pose)).mean()
        )
        self.critic_optimiser.zero_grad(set_to_none=True)
        verdict.backward()
        self.critic_optimiser.step()
        spread = made.detach().std(1).mean() / pose.std(1).mean()
        return {"error": float(error.detach()), "critic": float(verdict.detach()), "spread": float(spread)}

    @torch.no_grad()
    def judge(self, examples: Sequence[Example]) -> float:
        """Mean squared error, normalised, on held-out examples."""
        self.model.eval()
        errors = []
        for example in examples:
            reference_sound, reference_pose, sound, pose = (part.to(self.device) for part in example)
            made = self.model.learner(stacked(reference_sound), self._normal(reference_pose), stacked(sound))
            errors.append(float(functional.mse_loss(made, self._normal(pose))))
        return float(np.mean(errors)) if errors else float("nan")

    def _normal(self, pose: Tensor) -> Tensor:
        return (pose - self.model.mean) / self.model.deviation


def train(args: argparse.Namespace, clips: Sequence[HeadClip]) -> int:
    """Train by the command line's arguments; return the exit status."""
    rng = seed_all(args.seed)
    trainer = Trainer(args.device, adversarial=not args.no_adversarial)
    kept = ("batch", "seed", "no_adversarial", "tracks", "width")
    asked = {key: str(getattr(args, key)) for key in kept}
    run = Run(args.out, {**asked, "steps": args.steps, "minutes": args.minutes}, resume=args.resume)
    speakers = Speakers([clip for clip in clips if clip.split == "train"], [], rng)
    held = [clip for clip in clips if clip.split == "validation" and clip.heard]
    trainer.model.fit_scale(np.concatenate([speakers.heard(2)[1] for _ in range(64)]))
    first = run.restore(trainer.parts(), rng)
    judges = _examples(Speakers(held, [], np.random.default_rng(1)), np.random.default_rng(1), 2, 4) if held else []
    began = time.monotonic()
    for step in range(first, args.steps):
        figures = trainer.learn(_example(speakers, rng, args.batch))
        late = time.monotonic() - began > 60 * args.minutes
        if step % SAVE_EVERY == SAVE_EVERY - 1 or late or step == args.steps - 1:
            figures["validation"] = trainer.judge(judges)
            run.save(step + 1, trainer.parts(), rng)
        if step % LOG_EVERY == 0 or "validation" in figures:
            run.log(step, **figures)
        if late:
            sys.stdout.write(f"{args.minutes:g} minutes are over: stopped after step {step}\n")
            break
    run.close()
    return 0


def _examples(speakers: Speakers, rng: np.random.Generator, count: int, batch: int) -> list[Example]:
    return [_example(speakers, rng, batch) for _ in range(count)]


def _example(speakers: Speakers, rng: np.random.Generator, batch: int) -> Example:
    """A batch whose lengths are drawn within `CONTEXT` and `AHEAD`."""
    context, ahead = int(rng.integers(CONTEXT[0], CONTEXT[1] + 1)), int(rng.integers(AHEAD[0], AHEAD[1] + 1))
    frames = context + ahead
    pieces = -(-2 * frames // PIECE)
    rows = [speakers.heard(pieces) for _ in range(batch)]
    sound = torch.from_numpy(np.stack([row[0][: SAMPLES * frames] for row in rows]))
    pose = torch.from_numpy(np.stack([row[1][1 : 2 * frames : 2] for row in rows]))  # the middle of each frame's 40 ms
    cut = SAMPLES * context
    return sound[:, :cut], pose[:, :context], sound[:, cut:], pose[:, context:]


def trained(folder: Path) -> Published:
    """The learner of a run.

    Raises:
        RunError: if the folder holds no run.
    """
    from training.run import RunError

    path = folder / "checkpoint.pt"
    if not path.exists():
        raise RunError(f"{folder} holds no run: python -m training head-motion-published --out {folder}")
    model = Published()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["parts"]["model"])
    return model.eval()
