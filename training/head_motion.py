"""`python -m training head-motion`: the streaming learner that ships; `head-motion-published`: the paper's own, beside it."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import MienError
from training.data.head_speakers import PIECE, Batch, Speakers, typical_mel, wandering
from training.data.head_tracks import HeadClip, head_clips
from training.head_distance import distance
from training.networks.head_motion import Discriminator, HeadMotion, StyleEncoder, wandering_noise
from training.run import Average, Run, RunError, seed_all

BURN_STEPS: Final = 50
"""Sound before the part that is judged, in which the state finds itself."""
AHEAD: Final = 3 * PIECE
"""Steps that are judged: 9 s, for a head wanders farther in 9 s than in the 3 of its reference."""
RATE: Final = 1.5e-3
DECAY: Final = 2e-5  # the paper's
ADVERSARIAL: Final = 0.02
CALM_STEPS: Final = 40
"""Hann window, 0.8 s, over whom the default style is written for: without it the usual head wobbles to the eye."""
LOG_EVERY: Final = 25
SAVE_EVERY: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--tracks", type=Path, default=Path("out/tracks"), help="what `prepare` made")
    parser.add_argument("--voices", type=Path, help="more voices without pictures: tracks or sounds (.wav, .flac) in a folder")
    parser.add_argument("--out", type=Path, help="run folder; default out/NAME")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=15, help="stop after so long, whatever the steps")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--no-adversarial", action="store_true", help="leave the discriminator out")
    parser.set_defaults(width="live")


def main(args: argparse.Namespace) -> int:
    """Train by the preset; return the exit status."""
    torch.set_num_threads(args.threads)
    if args.out is None:
        args.out = Path("out") / args.preset
    clips = list(head_clips(args.tracks))
    if args.width == "published":
        from training import head_motion_published

        return head_motion_published.train(args, clips)
    train(args, clips, voices_in(args.voices) if args.voices else [])
    return 0


def train(args: argparse.Namespace, clips: Sequence[HeadClip], voices: Sequence[NDArray[np.float32]]) -> None:
    """Train the streaming learner."""
    rng = seed_all(args.seed)
    learner = Learner.fresh(args.device, adversarial=not args.no_adversarial)
    asked = {key: str(value) for key, value in vars(args).items() if key not in ("resume", "out", "threads", "device")}
    run = Run(args.out, {**asked, "steps": args.steps, "minutes": args.minutes}, resume=args.resume)
    speakers = Speakers([clip for clip in clips if clip.split == "train"], voices, rng)
    judge = _validation(clips)
    first = run.restore(learner.parts(), rng)
    began = time.monotonic()
    for step in range(first, args.steps):
        learner.schedule(step / args.steps, (time.monotonic() - began) / (60 * args.minutes))
        figures = learner.learn(speakers.draw(args.batch, AHEAD), step)
        late = time.monotonic() - began > 60 * args.minutes
        if step % LOG_EVERY == 0 or late:
            run.log(step, **figures, **({"validation": learner.judge(judge)} if step % SAVE_EVERY == 0 or late else {}))
        if step % SAVE_EVERY == SAVE_EVERY - 1 or late or step == args.steps - 1:
            run.save(step + 1, learner.parts(), rng)
        if late:
            sys.stdout.write(f"{args.minutes:g} minutes are over: stopped after step {step}\n")
            break
    run.close()


def _validation(clips: Sequence[HeadClip]) -> Batch | None:
    held = [clip for clip in clips if clip.split == "validation"]
    if not any(clip.heard for clip in held):
        return None
    return Speakers(held, [], np.random.default_rng(1)).draw(48, AHEAD)


@dataclass(slots=True)
class Learner:
    """Everything that is trained, and its averages, which are what ships."""

    head: HeadMotion
    style: StyleEncoder
    critic: Discriminator
    average: Average
    style_average: Average
    optimiser: torch.optim.Adam
    critic_optimiser: torch.optim.Adam
    adversarial: float
    device: str

    @classmethod
    def fresh(cls, device: str = "cpu", *, adversarial: bool = True) -> "Learner":
        """Untrained."""
        head, style, critic = HeadMotion().to(device), StyleEncoder().to(device), Discriminator().to(device)
        optimiser = torch.optim.Adam([*head.parameters(), *style.parameters()], RATE, weight_decay=DECAY)
        critic_optimiser = torch.optim.Adam(critic.parameters(), RATE, weight_decay=DECAY)
        averages = Average(head, HeadMotion().to(device)), Average(style, StyleEncoder().to(device))
        return cls(head, style, critic, *averages, optimiser, critic_optimiser, ADVERSARIAL if adversarial else 0.0, device)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        return {
            "head": self.head, "style": self.style, "critic": self.critic,
            "head_average": self.average.ema, "style_average": self.style_average.ema,
            "optimiser": self.optimiser, "critic_optimiser": self.critic_optimiser,
        }  # fmt: skip

    def schedule(self, *shares: float) -> None:
        """Set the rate for how much of the run is over: up within 2 %, then down along a cosine."""
        done = min(max(*shares), 1.0)
        rate = float(RATE * min(done / 0.02 + 0.05, 1.0) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done))))
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def learn(self, batch: Batch, step: int) -> dict[str, float]:
        """One step; figures of it."""
        one, two, real = self._tries(self.head, self.style, batch)
        loss, figures = distance(one, two, real)
        if self.adversarial:
            loss = loss + self.adversarial * functional.softplus(-self.critic(torch.cat([one, two]))).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*self.head.parameters(), *self.style.parameters()], 1.0)
        self.optimiser.step()
        if self.adversarial:
            figures["critic"] = self._criticise(one.detach(), real)
        self.average.update(self.head, step)
        self.style_average.update(self.style, step)
        return {"loss": float(loss.detach()), **figures}

    def _criticise(self, made: Tensor, real: Tensor) -> float:
        loss = functional.softplus(self.critic(made)).mean() + functional.softplus(-self.critic(real)).mean()
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimiser.step()
        return float(loss.detach())

    def _tries(self, head: HeadMotion, style: StyleEncoder, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Two tries [B, T, 6] at the same sound and the real one, in units of the reference's deviation."""
        tensors = [torch.from_numpy(rows).to(self.device) for rows in (batch.reference_mel, batch.reference_pose, batch.mel)]
        reference_mel, reference_pose, mel = tensors
        weights, scale = style(reference_mel, reference_pose), style.scale(reference_pose)[:, None]
        mel = torch.cat([reference_mel[:, -2 * BURN_STEPS :], mel], 1)
        drift = wandering_noise(2 * len(mel), mel.shape[1] // 2).to(self.device)
        made = head(torch.cat([mel, mel]), drift, torch.cat([weights, weights]))[:, BURN_STEPS:]
        one, two = made.chunk(2)
        return one / scale, two / scale, torch.from_numpy(batch.pose).to(self.device) / scale

    @torch.no_grad()
    def judge(self, batch: Batch | None) -> float:
        """The averaged networks' distance on a batch."""
        if batch is None:
            return float("nan")
        loss, _ = distance(*self._tries(self.average.ema, self.style_average.ema, batch))  # type: ignore[arg-type]
        return float(loss)


def voices_in(folder: Path) -> list[NDArray[np.float32]]:
    """Mels of all sounds in a folder that are at least a piece long.

    Raises:
        MienError: if there are none.
    """
    from training.data.head_voices import mels_of

    voices = [mel for mel in mels_of(folder) if len(mel) >= 2 * PIECE]
    if not voices:
        raise MienError(f"no sound of at least {PIECE / 50:g} s in {folder}")
    return voices


def trained(folder: Path) -> tuple[HeadMotion, StyleEncoder]:
    """The averaged networks of a run.

    Raises:
        RunError: if the folder holds no run.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        raise RunError(f"{folder} holds no run: python -m training head-motion --out {folder}")
    parts = torch.load(path, map_location="cpu", weights_only=True)["parts"]
    head, encoder = HeadMotion(), StyleEncoder()
    head.load_state_dict(parts["head_average"])
    encoder.load_state_dict(parts["style_average"])
    return head.eval(), encoder.eval()


@torch.no_grad()
def default_style(encoder: StyleEncoder, people: int = 256) -> NDArray[np.float32]:
    """float32[6, FEATURES + 1]: the style of nobody in particular.

    The mean of the weights written for made speakers of one typical liveliness
    (`head_speakers.TYPICAL`), who wander over noise of a voice, none of them
    taken from anyone's picture; calmed by `CALM_STEPS`.
    """
    rng = np.random.default_rng(0)
    mel = np.stack([typical_mel(rng) for _ in range(people)])
    pose = np.stack([wandering(row, rng, spread=0.0) for row in mel])
    window = np.hanning(CALM_STEPS + 2)[1:-1, None].astype(np.float32)
    pose = np.stack([fftconvolve(row, window / window.sum(), "same", axes=0) for row in pose]).astype(np.float32)
    style = encoder(torch.from_numpy(mel), torch.from_numpy(pose - pose.mean(1, keepdims=True)))
    return style.mean(0).numpy()
