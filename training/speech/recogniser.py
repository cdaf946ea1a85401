"""Which phone is heard when: a network that hears both past and future, for alignment only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn import functional

from engine.features.mel import BANDS, HOP, RATE_HZ, WINDOW, log_mel
from training.speech.noise import Shares, Sound, Surroundings, augment
from training.speech.phones import PHONES, Phone

FRAME_S: Final = HOP / RATE_HZ
CENTRE_S: Final = FRAME_S - 0.5 * WINDOW / RATE_HZ
"""Instant of the middle of the first frame of `mel_of`: -2.5 ms, as the stream begins with silence."""
SEGMENT: Final = 300
"""Frames of a training example: 3 s."""
UNKNOWN: Final = -100
"""Label of a frame that is not learnt from."""
SPEEDS: Final = ((1, 1), (5, 6), (6, 5), (9, 10), (10, 9), (7, 8), (8, 7))
"""Lengthening of sounds by resampling: other pitches and vocal tracts."""


class Recogniser(nn.Module):
    """Log-mel to phone classes, frame by frame: dilated convolutions that see 0.35 s to both sides.

    Args:
        width: of its channels.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Conv1d(BANDS, width, 5, padding=2)
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for _ in _DILATIONS)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in _DILATIONS)
        self.last = nn.Conv1d(width, len(PHONES), 1)

    def forward(self, mel: Tensor) -> Tensor:
        """[B, T, 40] -> logits [B, T, 44]."""
        x = functional.gelu(self.first(mel.mT))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + functional.gelu(layer(norm(x)))
        return self.last(x).mT

    @torch.no_grad()
    def log_odds(self, sound: Sound) -> NDArray[np.float32]:
        """float32[T, 44], log-probabilities at `CENTRE_S` + n `FRAME_S` of float32[N] at 16 kHz, at any level."""
        return functional.log_softmax(self(torch.from_numpy(heard(sound))[None])[0], -1).numpy()


_DILATIONS: Final = (1, 2, 4, 8, 16, 1)


def heard(sound: Sound) -> NDArray[np.float32]:
    """float32[N // 160, 40]: log-mel less each band's mean over the sound: level and microphone are taken out."""
    rms = float(np.sqrt(np.mean(np.square(sound)))) if len(sound) else 0.0
    mel = log_mel(np.pad(sound * np.float32(0.07 / max(rms, 1e-4)), (WINDOW - HOP, 0)))
    return 2 * (mel - mel.mean(axis=0)) if len(mel) else mel


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Sound float32[N] at 16 kHz, its phones, and the pauses between them being silence or not to be learnt from."""

    sound: Sound
    phones: Sequence[Phone]


def labels(phones: Sequence[Phone], frames: int, stretch: float = 1.0) -> NDArray[np.int64]:
    """int64[frames]: the class at each frame's middle, silence where there is no phone."""
    out = np.zeros(frames, np.int64)
    for phone in phones:
        first, last = (int(np.ceil((t * stretch - CENTRE_S) / FRAME_S)) for t in (phone.start_s, phone.end_s))
        out[max(first, 0) : max(last, 0)] = phone.index
    return out


def batches(
    corpus: Sequence[Labelled], around: Surroundings, size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches: mel [size, SEGMENT, 40] and classes [size, SEGMENT]; utterances by their length."""
    lengths = np.array([len(item.sound) for item in corpus], np.float64)
    odds = lengths / lengths.sum()
    while True:
        rows = [_example(corpus[int(i)], around, rng) for i in rng.choice(len(corpus), size, p=odds)]
        yield torch.from_numpy(np.stack([mel for mel, _ in rows])), torch.from_numpy(np.stack([y for _, y in rows]))


def _example(item: Labelled, around: Surroundings, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    up, down = SPEEDS[int(rng.integers(len(SPEEDS)))]
    need = SEGMENT * HOP * down // up + HOP
    start = int(rng.integers(max(len(item.sound) - need, 0) + 1)) // HOP * HOP
    piece = item.sound[start : start + need]
    sound = piece if up == down else np.asarray(resample_poly(piece, up, down), np.float32)
    mel = heard(augment(sound, rng, around, _SHARES))[:SEGMENT]
    moved = [Phone(p.start_s - start / RATE_HZ, p.end_s - start / RATE_HZ, p.index) for p in item.phones]
    target = labels(moved, len(mel), up / down)
    short = SEGMENT - len(mel)
    return np.pad(mel, ((0, short), (0, 0)), constant_values=0), np.pad(target, (0, short), constant_values=UNKNOWN)


_SHARES: Final = Shares(room=0.4, noise=0.5, colour=0.7, band=0.25, clip=0.05)


def train(
    corpus: Sequence[Labelled], around: Surroundings, steps: int, seed: int, model: Recogniser | None = None, size: int = 16
) -> Iterator[tuple[int, float, Recogniser]]:
    """Train a recogniser, or `model` further; yields step, loss and the network every 50 steps, lastly the one to use."""
    torch.manual_seed(seed)
    model = (model or Recogniser()).train()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, steps, pct_start=0.15)
    lost: list[float] = []
    for step, (mel, target) in enumerate(batches(corpus, around, size, np.random.default_rng(seed)), 1):
        loss = functional.cross_entropy(model(mel).flatten(0, 1), target.flatten(), ignore_index=UNKNOWN, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        lost.append(loss.item())
        if step % 50 == 0 or step == steps:
            yield step, float(np.mean(lost[-50:])), model.eval()
            model.train()
        if step == steps:
            break
    model.eval()


def save(model: Recogniser, path: Path) -> None:
    """Write the weights."""
    part = path.with_suffix(".part")
    torch.save({"width": model.width, "weights": model.state_dict()}, part)
    part.replace(path)


def load(path: Path) -> Recogniser:
    """Read them."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = Recogniser(state["width"])
    model.load_state_dict(state["weights"])
    return model.eval()
