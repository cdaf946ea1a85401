"""`python -m training expression-learner`: Rhythmic Head Motion's facial expression learner on prepared tracks.

Writes the run's folder (`training.run`) and in it learner.pt: the weights
that did best on the validation clips, and their PCA basis.
"""

import argparse
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import MienError
from engine.features.mel import RATE_HZ
from training.data.pca import LandmarkBasis
from training.data.splits import Split, split_of
from training.data.tracks import Track, tracks_in
from training.evaluate import metrics
from training.evaluate.face import LIPS, opening
from training.networks.expression_learner import COEFFICIENTS, WINDOW, ExpressionLearner
from training.run import Run, seed_all
from training.speech.sound import read

SNR_DB: Final = tuple(range(6, 31, 3))
"""Noise is mixed in at one of these (section 3.2)."""
REFERENCE_GAP: Final = 30
"""Percentile of a clip's lip gap below which its frames may be the reference."""
RATE_FPS: Final = 25
POINTS: Final = 468
"""All points of the face mesh but the irises, where the paper has 68."""
FAR: Final = 3.0
"""Standard deviations beyond which a reference's coefficients are cut: of one speaker, the basis knows no other faces."""


class LearnerError(MienError):
    """No learner can be trained, or used, from what is there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("--tracks", type=Path, required=True, metavar="DIR", help="made by python -m training prepare")
    parser.add_argument("--noise", type=Path, metavar="DIR", help="recordings of noise; without them white noise is mixed in")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: out/NAME")
    parser.add_argument("--width", choices=("published", "narrow"), default="published")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-4, help="of Adam (default: the paper's 2e-4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train; return the exit status."""
    args.out = args.out or Path("out") / args.preset
    options = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k not in ("resume", "out", "device")}
    run = Run(args.out, options, resume=args.resume)
    rng = seed_all(args.seed)
    clips = {split: _clips(args.tracks, split) for split in ("train", "validation")}
    if not clips["train"]:
        raise LearnerError(f"no clips to train on in {args.tracks}")
    basis = LandmarkBasis.of(np.concatenate([clip.landmarks for clip in clips["train"]]), COEFFICIENTS)
    noise = [read(path) for path in sorted(args.noise.glob("noise*"))] if args.noise else []
    train(run, args, Batches(clips["train"], basis, noise, rng), clips["validation"] or clips["train"][:8])
    run.close()
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip as the learner sees it.

    Attributes:
        sound: float32[N + WINDOW] at 16 kHz, `WINDOW` / 2 zeros before and after it.
        landmarks: float32[F, 468, 3] in u, one for each frame that is trusted.
        centres: intp[F], where in `sound` the window of each frame begins.
        loud: mean power of its louder half.
        neutral: float32[468, 3] in u.
    """

    sound: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    centres: NDArray[np.intp]
    loud: float
    neutral: NDArray[np.float32]

    @classmethod
    def of(cls, track: Track) -> "Clip":
        """A track; frames are taken as the video has them."""
        sound = padded((track.sound / 32768).astype(np.float32))
        instants = (np.arange(len(track.landmarks)) + 0.5) / track.fps
        centres = np.minimum(np.round(instants * RATE_HZ), len(track.sound)).astype(np.intp)
        power = (sound**2).astype(np.float64)
        loud = float(power[power >= np.median(power)].mean())
        valid = track.valid
        return cls(sound, track.landmarks[valid, :POINTS], centres[valid], loud, track.neutral[:POINTS])


def padded(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half a window of silence before and after, so that the window about sample n begins at n."""
    return np.pad(sound, (WINDOW // 2, WINDOW // 2))


def _clips(folder: Path, split: Split) -> list[Clip]:
    tracks = (t for t in tracks_in(folder) if t.source == "grid_s1" and split_of(t.source, t.name, t.speaker) == split)
    return [Clip.of(track) for track in tracks if track.valid.any()]


class Batches:
    """Frames drawn at random, with noise in their sound and another frame of the clip, lips closed, as the reference."""

    def __init__(
        self, clips: Sequence[Clip], basis: LandmarkBasis, noise: Sequence[NDArray[np.float32]], rng: np.random.Generator
    ) -> None:
        self.basis, self.rng = basis, rng
        self._clips, self._noise = clips, [sound for sound in noise if len(sound) > WINDOW]
        self._coefficients = [basis.project(clip.landmarks) for clip in clips]
        self._closed = [_closed_frames(clip) for clip in clips]
        self._share = np.array([len(clip.centres) for clip in clips], np.float64)
        self._share /= self._share.sum()

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sound float32[B, WINDOW], reference float32[B, 20] and wanted coefficients float32[B, 20]."""
        sounds = np.empty((count, WINDOW), np.float32)
        references, wanted = np.empty((2, count, COEFFICIENTS), np.float32)
        for row, index in enumerate(self.rng.choice(len(self._clips), count, p=self._share)):
            clip, frame = self._clips[index], int(self.rng.integers(len(self._coefficients[index])))
            sounds[row] = clip.sound[clip.centres[frame] :][:WINDOW] + self._noise_for(clip)
            references[row] = self._coefficients[index][self.rng.choice(self._closed[index])]
            wanted[row] = self._coefficients[index][frame]
        return torch.from_numpy(sounds), torch.from_numpy(references), torch.from_numpy(wanted)

    def _noise_for(self, clip: Clip) -> NDArray[np.float32]:
        if self._noise:
            sound = self._noise[int(self.rng.integers(len(self._noise)))]
            begin = int(self.rng.integers(len(sound) - WINDOW))
            noise, power = sound[begin : begin + WINDOW], float((sound**2).mean())
        else:
            noise, power = self.rng.standard_normal(WINDOW, np.float32), 1.0
        snr_db = SNR_DB[int(self.rng.integers(len(SNR_DB)))]
        return noise * np.float32(np.sqrt(clip.loud / max(power, 1e-12) * 10 ** (-snr_db / 10)))


def _closed_frames(clip: Clip) -> NDArray[np.intp]:
    gap = opening(clip.landmarks[:, LIPS])
    return np.flatnonzero(gap <= np.percentile(gap, REFERENCE_GAP))


def train(run: Run, args: argparse.Namespace, batches: Batches, validation: Sequence[Clip]) -> None:
    """The steps of a run: mean squared error of the coefficients, Adam."""
    device = torch.device(args.device)
    scale = float(batches.basis.deviation[0])
    learner = ExpressionLearner(args.width, scale).to(device)
    learner(*(part.to(device) for part in batches.draw(2)[:2]))  # gives lazy layers their sizes
    optimiser = torch.optim.Adam(learner.parameters(), args.rate, betas=(0.5, 0.999))
    best = _Best()
    parts = {"learner": learner, "optimiser": optimiser, "best": best}
    begin, lost, began = run.restore(parts, batches.rng), 0.0, time.monotonic()
    every = max(min(100, args.steps // 4), 1)
    for step in range(begin + 1, args.steps + 1):
        sound, reference, wanted = (part.to(device) for part in batches.draw(args.batch))
        loss = torch.mean(((learner(sound, reference) + reference - wanted) / scale) ** 2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        lost += float(loss.detach())
        if step % every == 0 or step == args.steps:
            lmd, correlation = validate(learner, batches.basis, validation, device)
            per_s = (step - begin) / (time.monotonic() - began)
            run.log(step, loss=lost / every, validation_lmd=lmd, validation_gap_r=correlation, steps_per_s=per_s)
            lost = 0.0
            if correlation > best.correlation:
                best.correlation = correlation
                save(run.folder / "learner.pt", learner, batches.basis)
            run.save(step, parts, batches.rng)


class _Best:
    """The highest validation correlation so far; goes into the checkpoint."""

    correlation = -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"correlation": self.correlation}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        self.correlation = state_dict["correlation"]


def validate(
    learner: ExpressionLearner, basis: LandmarkBasis, clips: Sequence[Clip], device: torch.device
) -> tuple[float, float]:
    """LMD_m in u and correlation of the lip gap, means over clips, the neutral face as the reference."""
    distance, r = [], []
    for clip in clips:
        made = expression(learner, basis, clip.sound, clip.centres, clip.neutral, device)[:, LIPS]
        real = clip.landmarks[:, LIPS]
        distance.append(metrics.mouth_distance(made[..., :2], real[..., :2]))
        r.append(metrics.correlation(opening(made), opening(real)))
    return float(np.mean(distance)), float(np.nanmean(r))


@torch.no_grad()
def expression(
    learner: ExpressionLearner,
    basis: LandmarkBasis,
    sound: NDArray[np.float32],
    begins: NDArray[np.intp],
    neutral: NDArray[np.float32],
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """float32[F, 468, 3] in u: the face at windows of `sound` (see `padded`) that begin at samples intp[F].

    The identity is added back as landmarks: neutral + PCA^R of what the
    learner adds to the reference's coefficients. In the basis this is the
    paper's sum; what of a face lies outside of the basis stays as it is.
    """
    learner.eval()
    limit = FAR * basis.deviation
    reference = np.clip(basis.project(neutral), -limit, limit)
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[begins]
    pieces = []
    for piece in np.array_split(windows, -(-len(windows) // 256)):
        references = torch.from_numpy(np.tile(reference, (len(piece), 1))).to(device)
        pieces.append(learner(torch.from_numpy(np.array(piece)).to(device), references).cpu().numpy())
    learner.train()
    return neutral + basis.displacement(np.concatenate(pieces))


def save(path: Path, learner: ExpressionLearner, basis: LandmarkBasis) -> None:
    """Write weights and basis."""
    arrays = {name: torch.from_numpy(np.array(array)) for name, array in basis.arrays().items()}
    weights = {name: value.detach().cpu() for name, value in learner.state_dict().items()}
    torch.save({"width": learner.width, "basis": arrays, "learner": weights}, path)


def load(path: Path) -> tuple[ExpressionLearner, LandmarkBasis]:
    """What `save` wrote, ready to be used.

    Raises:
        LearnerError: if the file is missing or of another kind.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        basis = LandmarkBasis.of_arrays({name: array.numpy() for name, array in content["basis"].items()})
        learner = ExpressionLearner(content["width"])
        learner.load_state_dict(content["learner"])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        cure = "make one with python -m training expression-learner"
        raise LearnerError(f"{path} is no expression learner: {cure} ({str(error).splitlines()[0]})") from error
    return learner.eval(), basis
