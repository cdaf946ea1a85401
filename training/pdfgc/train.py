"""`python -m training pdfgc --stage pretrain[-motion|-drawing]|1|2|3`: PD-FGC's networks."""

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import torch
from torch import nn

from engine.errors import ModelError
from training.networks.pdfgc import bundle
from training.networks.pdfgc.config import PRESETS, Widths
from training.networks.pdfgc.discriminator import Discriminator
from training.networks.pdfgc.motion import MotionEncoder
from training.pdfgc.clips import clips_of
from training.pdfgc.expression import ABLATIONS, WINDOW, ExpressionStage
from training.pdfgc.factorial import STAR, FactorialSpeech, Stars
from training.pdfgc.fine_grained import FRAMES, FineGrained
from training.pdfgc.networks import Networks
from training.pdfgc.parallel import join, leave, world
from training.pdfgc.pretrain import Pretrain, PretrainDrawing, PretrainMotion
from training.pdfgc.self_driving import SelfDriving
from training.pdfgc.stage import Stage
from training.pdfgc.teachers import Teachers, teachers_of
from training.pdfgc.trainer import WEIGHTS, Pace, Trainer
from training.run import Run, RunError, checkpoint_of, seed_all
from training.speech.utterances import utterances_in
from training.synthesis.data import FactorialSet

_FREE: Final = ("resume", "device", "threads", "workers", "out", "minutes", "save_every", "show_every")
"""Options that may differ when a run goes on."""
_ONLY_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "expression_anew": ("3",),
    "ablation": ("3",),
    "window": ("3",),
    "pose": ("2",),
    "perceptual": ("pretrain-drawing", "pretrain", "1", "3"),
    "observer": ("pretrain-drawing", "pretrain", "1", "3"),
    "reconstruction": ("1", "3"),
    "emotion": ("1", "3"),
    "gaze": ("3",),
    "speech": ("pretrain-drawing", "pretrain"),
    "adversarial": ("pretrain-drawing", "pretrain", "1", "3"),
}
"""Stages that take an option; the others would be silent about it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the run."""
    parser.add_argument("--stage", choices=list(STAGES), default="pretrain")
    parser.add_argument("--widths", choices=list(PRESETS), default="pdfgc-lite", help="(default: %(default)s)")
    parser.add_argument("--size", type=int, help="px made, if smaller than the widths': the last levels are left off")
    parser.add_argument("--data", type=Path, required=True, help="factorial set, or clips of prepare-pdfgc")
    parser.add_argument("--speech", type=Path, help="for pretrain: more speech, made by `speech`")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--start", type=Path, help="run folder whose averaged weights to begin with")
    parser.add_argument("--motion", type=Path, help="run whose motion encoder to begin with; its factors are drawn at once")
    parser.add_argument(
        "--generator", type=Path, help="run whose generator to begin with: for stage 3, one that can draw already"
    )
    parser.add_argument("--adversarial", action=argparse.BooleanOptionalAction, help="a discriminator (default: in 1 and 3)")
    parser.add_argument("--observer", type=Path, help="run whose motion encoder stands in for the paper's teachers")
    files = {
        "perceptual": "Eq. 7", "reconstruction": "Eq. 1, phi", "emotion": "Eq. 1, psi", "pose": "Eq. 5", "gaze": "Eq. 8",
    }  # fmt: skip
    for name, what in files.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"network of {what}, see training/pdfgc/teachers.py")
    parser.add_argument("--ablation", choices=list(ABLATIONS), default="all", help="stage 3, the rows of Tab. 4")
    parser.add_argument(
        "--expression-anew", action="store_true", help="stage 3, the expression head begins untaught, as published"
    )
    parser.add_argument("--window", type=int, default=WINDOW, help="stage 3, frames averaged, odd (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=12, help="pictures of a step, of all processes (default: %(default)s)")
    parser.add_argument("--accumulate", type=int, default=1, help="parts that a process takes its share in")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; go on with --resume")
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam (default: %(default)s)")
    parser.add_argument("--discriminator-rate", type=float, default=1e-3, help="likewise (default: %(default)s)")
    parser.add_argument("--decay", type=float, default=0.999, help="of the averaged weights (default: %(default)s)")
    parser.add_argument("--clip", type=float, default=10.0, help="largest norm of the gradient (default: %(default)s)")
    parser.add_argument("--save-every", type=int, default=500, help="steps")
    parser.add_argument("--show-every", type=int, default=500, help="steps between sample sheets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--half", action="store_true", help="multiply in bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def main(args: argparse.Namespace) -> int:
    """Train; the averaged weights are in the checkpoint under `ema`."""
    device = join(args.device)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(0)
    seed_all(args.seed)
    run = Run(args.out, options_of(args), resume=args.resume, first=world()[0] == 0)
    stage = stage_of(args, device, run.say)
    trainer = Trainer(stage, Pace.of(args), run, device)
    trainer.train(run.restore(trainer.parts()))
    run.close()
    leave()
    return 0


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """What must be the same when a run goes on."""
    kept = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    return {name: value for name, value in kept.items() if name not in _FREE}


def stage_of(args: argparse.Namespace, device: torch.device, say: Callable[[str], None]) -> Stage:
    """The stage that was asked for, its networks as they begin; `say` is told who teaches, and what it begins with.

    Raises:
        RunError: if options do not go together.
        ModelError: if networks to begin with, or teachers, cannot be used.
    """
    _refuse_idle(args)
    widths = _widths_of(args)
    networks = Networks(widths, unified=args.stage == "1")
    if args.start:
        say(begin_with(networks, args.start))
    if args.motion:
        networks.motion.load_state_dict(observer_of(args.motion, widths).state_dict())
    if args.generator:
        fill(networks.generator, "generator", args.generator)
    observer = observer_of(args.observer, widths) if args.observer else None
    teachers = teachers_of(
        observer, perceptual=args.perceptual, reconstruction=args.reconstruction, emotion=args.emotion, pose=args.pose,
        gaze=args.gaze, device=device,
    )  # fmt: skip
    say(f"teachers: {teachers.words}")
    adversarial = args.stage in ("1", "3") if args.adversarial is None else args.adversarial
    return STAGES[args.stage](args, networks, teachers, Discriminator(widths) if adversarial else None)


def _refuse_idle(args: argparse.Namespace) -> None:
    """Raises RunError for options that would do nothing."""
    for name, stages in _ONLY_IN.items():
        if getattr(args, name) not in (None, False, "all", WINDOW) and args.stage not in stages:
            raise RunError(f"--{name.replace('_', '-')} does nothing in stage {args.stage}: it is for {', '.join(stages)}")
    if args.window != WINDOW and ABLATIONS[args.ablation].window == 1:
        raise RunError(f"--window does nothing with --ablation {args.ablation}, which has no window")
    if args.window < 1 or args.window % 2 == 0:
        raise RunError(f"--window {args.window}: a window has a middle frame; take an odd number")


def _widths_of(args: argparse.Namespace) -> Widths:
    try:
        return PRESETS[args.widths].at(args.size) if args.size else PRESETS[args.widths]
    except ValueError as error:
        raise RunError(f"--size {args.size}: {error}") from error


def begin_with(networks: Networks, run: Path) -> str:
    """Take the averaged weights of a run as far as they fit; says what did not.

    A generator of another latent (G_0 of stage 1 and G) fits but for what motion does to it: it begins with the person,
    not moving, instead of with noise, from which the other networks would not recover.

    Raises:
        ModelError: if there are none, or they are of other widths.
    """
    weights, own = averaged_weights(run), networks.state_dict()
    fit = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    other = [n for n, value in weights.items() if n in own and n not in fit and not n.endswith("modulation.weight")]
    if other or not fit:
        raise ModelError(f"the networks in {run} have other widths than --widths says; begin with a run of the same --widths")
    dimensions = networks.widths.latent.appearance
    still = {
        name: of_appearance(weights[name], value, dimensions)
        for name, value in own.items()
        if name.endswith("modulation.weight") and name not in fit and len(weights.get(name, ())) == len(value)
    }
    networks.load_state_dict(fit | still, strict=False)
    unmoved = f", {len(still)} as there without motion" if still else ""
    new = sorted({".".join(name.split(".")[:2]) for name in own if name not in fit and name not in still})
    return f"{len(fit)} of {len(own)} tensors begin as in {run}{unmoved}; new: {', '.join(new) or 'none'}"


def of_appearance(weight: torch.Tensor, other: torch.Tensor, dimensions: int) -> torch.Tensor:
    """Of a `Modulation` [C, Z] what appearance, the first so many dimensions, does, for one like `other` [C, Z']."""
    out = torch.zeros_like(other)
    out[:, :dimensions] = weight[:, :dimensions] * math.sqrt(other.shape[1] / weight.shape[1])  # each divides by its own
    return out


def averaged_weights(run: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of a run folder: of its checkpoint, or, where only that was carried, of its `WEIGHTS`.

    Raises:
        ModelError: if it has none.
        RunError: if they cannot be read.
    """
    path = run / "checkpoint.pt"
    if not path.exists() and (run / WEIGHTS).exists():
        return {name: value.float() if value.ndim > 1 else value for name, value in bundle.load(run / WEIGHTS)[1].items()}
    if not path.exists():
        raise ModelError(f"no checkpoint in {run}: train one with python -m training pdfgc --out {run}")
    parts = checkpoint_of(path)["parts"]
    if "ema" not in parts:
        raise ModelError(f"{path} holds no averaged weights: it is no run of pdfgc")
    return parts["ema"]


def observer_of(run: Path, widths: Widths) -> MotionEncoder:
    """The motion encoder of a run of the same widths."""
    motion = MotionEncoder(widths)
    fill(motion, "motion", run)
    return motion


def fill(part: nn.Module, name: str, run: Path) -> None:
    """Give one of the networks the averaged weights that a run has for it.

    Raises:
        ModelError: if they do not fit.
    """
    weights = {
        key.removeprefix(f"{name}."): value for key, value in averaged_weights(run).items() if key.startswith(f"{name}.")
    }
    try:
        part.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the {name} network in {run} has other widths, or another size, than --widths and --size say"
        ) from error


def _pretrain(
    lesson: type[Pretrain],
    args: argparse.Namespace,
    networks: Networks,
    teachers: Teachers,
    discriminator: Discriminator | None,
) -> Pretrain:
    data = FactorialSet.load(args.data)
    widths = networks.widths
    stars = Stars(data.stills, "train", widths.size, widths.encoder_size)
    held = Stars(data.stills, "validation", widths.size, widths.encoder_size, plain=True)
    print(f"{args.data}: {len(stars.people)} people to learn from, {len(held.people)} held out", flush=True)
    speech = _speech_of(args, data) if lesson is not PretrainMotion else None
    count, versed = _shared(args, STAR) // STAR, args.motion is not None
    return lesson(networks, stars, held, speech, teachers.perceptual, count, args.seed, discriminator, versed=versed)


def _speech_of(args: argparse.Namespace, data: FactorialSet) -> FactorialSpeech | None:
    if args.speech:
        return FactorialSpeech.of_utterances(utterances_in(args.speech))
    return FactorialSpeech.of_clips(data.clips, "train") if data.clips else None


def _self_driving(
    args: argparse.Namespace, networks: Networks, teachers: Teachers, discriminator: Discriminator | None
) -> SelfDriving:
    return SelfDriving(networks, clips_of(args.data), teachers, _shared(args, 1), args.seed, discriminator)


def _fine_grained(
    args: argparse.Namespace, networks: Networks, teachers: Teachers, discriminator: Discriminator | None
) -> FineGrained:
    return FineGrained(networks, clips_of(args.data, heard=True), teachers, _shared(args, FRAMES), args.seed)


def _expression(
    args: argparse.Namespace, networks: Networks, teachers: Teachers, discriminator: Discriminator | None
) -> ExpressionStage:
    how = ABLATIONS[args.ablation]
    how = replace(how, window=args.window) if how.window > 1 else how
    clips = clips_of(args.data, heard=True)
    if args.expression_anew:
        untaught = MotionEncoder(networks.widths)
        networks.motion.to_emo, networks.motion.emo_embed = untaught.to_emo, untaught.emo_embed
    return ExpressionStage(networks, clips, teachers, how, _shared(args, 1), args.seed, discriminator)


def _shared(args: argparse.Namespace, unit: int) -> int:
    """The batch, if all parts of all processes can have an equal share of it."""
    least = unit * world()[1] * args.accumulate
    if args.batch % least:
        raise RunError(f"--batch {args.batch}: stage {args.stage} takes a multiple of {least} pictures here")
    return args.batch


Builder = Callable[[argparse.Namespace, Networks, Teachers, Discriminator | None], Stage]
STAGES: Final[Mapping[str, Builder]] = {
    "pretrain-motion": partial(_pretrain, PretrainMotion),
    "pretrain-drawing": partial(_pretrain, PretrainDrawing),
    "pretrain": partial(_pretrain, Pretrain),
    "1": _self_driving,
    "2": _fine_grained,
    "3": _expression,
}
