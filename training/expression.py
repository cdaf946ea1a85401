"""`python -m training expression-learner`: Rhythmic Head Motion's facial expression learner on prepared tracks.

Writes the run's folder (`training.run`) and in it learner.pt: the weights
that did best on the validation clips, and their PCA basis.
"""

import argparse
import pickle
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import MienError
from engine.features.mel import RATE_HZ
from engine.motion.visemes import controls_of
from training.data.fit import Person
from training.data.pca import LandmarkBasis
from training.data.splits import Split, split_of
from training.data.tracks import Track, tracks_in
from training.evaluate import metrics
from training.evaluate.face import LIPS, opening
from training.networks.expression_learner import COEFFICIENTS, WINDOW, ExpressionLearner
from training.run import Run, seed_all
from training.speech.sound import read
from training.speech.utterances import utterances_in

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
    parser.add_argument("--speech", type=Path, metavar="DIR", help="made by python -m training speech: half of what is heard")
    parser.add_argument("--utterances", type=int, default=600, metavar="N", help="of that speech, at most (default 600)")
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
    kinds = [[Example.of(clip, basis) for clip in clips["train"]]]
    if args.speech:
        spoken = spoken_clips(args.speech, clips["train"][0].neutral, args.utterances, rng)
        kinds.append([Example.of(clip, basis) for clip in spoken])
    noise = [read(path) for path in sorted(args.noise.glob("noise*"))] if args.noise else []
    train(run, args, Batches(kinds, basis, noise, rng), clips["validation"] or clips["train"][:8])
    run.close()
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip as the learner sees it.

    Attributes:
        sound: float32[N + WINDOW] at 16 kHz, `WINDOW` / 2 zeros before and after it.
        landmarks: float32[F, 468, 3] in u, one for each frame that is trusted.
        begins: intp[F], where in `sound` the window of each frame begins.
        loud: mean power of its louder half.
        neutral: float32[468, 3] in u.
    """

    sound: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    begins: NDArray[np.intp]
    loud: float
    neutral: NDArray[np.float32]

    @classmethod
    def of(cls, track: Track) -> "Clip":
        """A track; frames are taken as the video has them."""
        return cls.at(
            (track.sound / 32768).astype(np.float32),
            track.landmarks[:, :POINTS],
            track.neutral[:POINTS],
            track.fps,
            track.valid,
        )

    @classmethod
    def at(
        cls,
        sound: NDArray[np.float32],
        landmarks: NDArray[np.float32],
        neutral: NDArray[np.float32],
        fps: float = RATE_FPS,
        valid: NDArray[np.bool_] | None = None,
    ) -> "Clip":
        """Sound float32[N] and the landmarks float32[F, 468, 3] of its frames; only those that are `valid` are kept."""
        power = (sound**2).astype(np.float64)
        loud = float(power[power >= np.median(power)].mean())
        kept = np.ones(len(landmarks), bool) if valid is None else valid
        return cls(padded(sound), landmarks[kept], window_begins(len(landmarks), fps, len(sound))[kept], loud, neutral)


def window_begins(frames: int, fps: float, samples: int) -> NDArray[np.intp]:
    """intp[F]: where the window of each frame begins in `padded` sound of N samples."""
    instants = (np.arange(frames) + 0.5) / fps
    return np.minimum(np.round(instants * RATE_HZ), samples).astype(np.intp)


def padded(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half a window of silence before and after, so that the window about sample n begins at n."""
    return np.pad(sound, (WINDOW // 2, WINDOW // 2))


def _clips(folder: Path, split: Split) -> list[Clip]:
    tracks = (t for t in tracks_in(folder) if t.source == "grid_s1" and split_of(t.source, t.name, t.speaker) == split)
    return [Clip.of(track) for track in tracks if track.valid.any()]


def spoken_clips(folder: Path, neutral: NDArray[np.float32], most: int, rng: np.random.Generator) -> Iterator[Clip]:
    """Synthetic speech, drawn at random, as the face float32[468, 3] in u would say it: its rig under the articulation."""
    person = Person.of(neutral.astype(np.float64))
    spoken = [u for u in utterances_in(folder) if u.seconds > 1]
    for index in rng.permutation(len(spoken))[:most]:
        utterance = spoken[index]
        controls = controls_of(utterance.articulators.astype(np.float32))[1::2]  # at (i + 0.5) 40 ms
        landmarks = person.posed(controls).astype(np.float32)
        yield Clip.at((utterance.sound / 32768).astype(np.float32), landmarks, neutral)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What is kept of a clip to train on: `coefficients` float32[F, 20] of its frames, `closed` those with closed lips."""

    clip: Clip
    coefficients: NDArray[np.float32]
    closed: NDArray[np.intp]

    @classmethod
    def of(cls, clip: Clip, basis: LandmarkBasis) -> "Example":
        """The example of a clip, without its landmarks."""
        gap = opening(clip.landmarks[:, LIPS])
        closed = np.flatnonzero(gap <= np.percentile(gap, REFERENCE_GAP))
        return cls(replace(clip, landmarks=clip.landmarks[:0]), basis.project(clip.landmarks), closed)


class Batches:
    """Frames drawn at random, with noise in their sound and another frame of the clip, lips closed, as the reference.

    Each of the kinds of examples is drawn equally often.
    """

    def __init__(
        self,
        kinds: Sequence[Sequence[Example]],
        basis: LandmarkBasis,
        noise: Sequence[NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> None:
        self.basis, self.rng = basis, rng
        self._noise = [sound for sound in noise if len(sound) > WINDOW]
        self._examples = [example for kind in kinds for example in kind]
        sizes = [np.array([len(example.coefficients) for example in kind], np.float64) for kind in kinds]
        self._share = np.concatenate([size / size.sum() / len(kinds) for size in sizes])

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sound float32[B, WINDOW], reference float32[B, 20] and wanted coefficients float32[B, 20]."""
        sounds = np.empty((count, WINDOW), np.float32)
        references, wanted = np.empty((2, count, COEFFICIENTS), np.float32)
        for row, index in enumerate(self.rng.choice(len(self._examples), count, p=self._share)):
            example = self._examples[index]
            frame = int(self.rng.integers(len(example.coefficients)))
            sounds[row] = example.clip.sound[example.clip.begins[frame] :][:WINDOW] + self._noise_for(example.clip)
            references[row] = example.coefficients[self.rng.choice(example.closed)]
            wanted[row] = example.coefficients[frame]
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
        made = expression(learner, basis, clip.sound, clip.begins, clip.neutral, device)[:, LIPS]
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
