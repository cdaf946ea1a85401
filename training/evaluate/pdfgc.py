"""Judge PD-FGC's networks by the protocols of the paper (sections 4.1 and 4.4), side by side.

Each clip is drawn three times: driven by itself, its first frame giving
appearance; the same with the first frame's expression throughout; and with
another clip's pose, eyes and expression. On a factorial set with groups the
disentanglement matrix is made as well. Of several candidates it is also said how
far each is from the first, clip by clip. Prints the tables, and writes them,
figures.json, strips (real above drawn) and sheets in the manner of figure 3.
Metrics defined by a network that is not given are left out; see
training/evaluate/pdfgc_given.py for what such a file has to be.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch

from engine.errors import MienError, ModelError
from training.data.prepare import Clip as Named
from training.data.prepare import Progress
from training.data.splits import Split
from training.evaluate.driving import strip
from training.evaluate.likeness import Image
from training.evaluate.pdfgc_films import Cast, Truth, Watcher, crossed, frozen, self_driven
from training.evaluate.pdfgc_given import Floats, Given, frechet
from training.evaluate.pdfgc_matrix import Matrix, disentanglement
from training.evaluate.pdfgc_models import FromPictures, Model, OnnxModel, TorchModel
from training.evaluate.pdfgc_report import Measured, figures_json, page
from training.evaluate.pdfgc_scores import NONE, Figures, Film, compared, features, figures_of, mean, with_lips
from training.evaluate.pdfgc_sheets import figure_3
from training.pdfgc.clips import FPS, ClipError, ClipSource, clips_of
from training.pdfgc.expression import ABLATIONS
from training.synthesis.data import FactorialSet, Stills
from training.synthesis.judge import Judge
from training.synthesis.looks import Marks
from training.synthesis.measures import Measure, Tracked, rest_of

SHOWN: Final = 3
"""Clips that strips and sheets are drawn of."""
STILL: Final = "first frame, not moving"
Rests = Callable[[str, int], Image | None]
"""uint8[S, S, 3] of a person at rest, at a size; None if there is no such picture."""
IN_TABLE_4: Final = {"none": "No dis", "window": "+ In-win", "decorrelation": "+ Decorr", "all": "All"}
"""The row of each of `training.pdfgc.expression.ABLATIONS`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.evaluate.command`."""
    add = parser.add_argument
    add("--run", type=Path, nargs="+", default=[], metavar="RUN", help="runs of pdfgc (pre-training, stage 3, its ablations)")
    add("--models", type=Path, nargs="+", default=[], metavar="DIR", help="exported folders, run by ONNX Runtime as live")
    add("--data", type=Path, nargs="+", required=True, metavar="DIR", help="factorial sets, or clips of prepare-pdfgc")
    add("--split", choices=("test", "validation", "train"), default="test", help="whose clips (default: %(default)s)")
    add("--clips", type=int, default=20, metavar="N", help="at most so many of each set (default: %(default)s)")
    add("--longest", type=float, default=8.0, metavar="S", help="seconds of each clip (default: %(default)s)")
    add("--people", type=int, metavar="N", help="in the disentanglement matrix, at most so many; 0 for no matrix")
    add("--judge", type=Path, metavar="RUN", help="run of factor-judge that measures it, instead of tracker and reader")
    add("--observer", type=Path, metavar="RUN", help="pre-training whose motion encoder reads lips in clips")
    add("--fid-network", type=Path, metavar="FILE", help="Inception, for FID")
    add("--csim-network", type=Path, metavar="FILE", help="ArcFace, for CSIM")
    add("--sync-network", type=Path, metavar="FILE", help="SyncNet, for LSE-C and NLSE-C")
    add("--out", type=Path, default=Path("out/pdfgc"), metavar="DIR", help="(default: %(default)s)")
    add("--device", default="cpu", help="for runs: cpu or cuda")
    add("--threads", type=int, default=1, help="(default: %(default)s)")


class NothingToJudge(MienError):
    """Neither networks nor clips."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Networks to judge.

    Attributes:
        name: of their folder among the results.
        title: of their rows.
        folder: they come from.
        model: the networks.
    """

    name: str
    title: str
    folder: Path
    model: Model


def main(args: argparse.Namespace) -> int:
    """Judge; return the exit status."""
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    candidates = list(_candidates(args))
    if not candidates:
        raise NothingToJudge("nothing to judge: give --run RUN, or --models DIR")
    given = Given.load(args.fid_network, args.csim_network, args.sync_network, args.device)
    if args.observer:
        given = replace(given, observer=TorchModel.load(args.observer, device=args.device).lips_seen)
    measured = [_judged(folder, name, candidates, given, args) for folder, name in named(args.data)]
    text = page(measured, given.missing())
    sys.stdout.write(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "table.md").write_text(text)
    (args.out / "figures.json").write_text(json.dumps(figures_json(measured), indent=1) + "\n")
    return 0 if any(one.figures or one.matrices for one in measured) else 1


def _candidates(args: argparse.Namespace) -> Iterator[Candidate]:
    for folder, name in named([*args.run, *args.models]):
        ours = folder in args.run
        model = TorchModel.load(folder, device=args.device) if ours else OnnxModel.load(folder, args.threads)
        yield Candidate(name, f"{name}{trained_how(folder)}", folder, model)


def named(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Folders with their names; those of the same name with their parent's before it."""
    names = [folder.resolve().name for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        yield folder, name if names.count(name) == 1 else f"{folder.resolve().parent.name}-{name}"


def trained_how(run: Path) -> str:
    """What a run's options tell of it, in the words of Tab. 4 where it is one of its rows; nothing of other folders."""
    try:
        options: dict[str, Any] = json.loads((run / "options.json").read_text())["options"]
        if options["stage"] != "3":
            return f" (stage {options['stage']})"
        averaged = ABLATIONS[options["ablation"]].window > 1  # else over one frame, whatever --window says
        return f" ({IN_TABLE_4[options['ablation']]}, window {options['window'] if averaged else 1})"
    except (OSError, ValueError, KeyError):
        return ""


def _judged(folder: Path, name: str, candidates: Sequence[Candidate], given: Given, args: argparse.Namespace) -> Measured:
    """What all candidates do on one set.

    Raises:
        ClipError: if it has neither clips nor groups.
    """
    out, grouped = args.out / name, (folder / "groups").is_dir() and args.people != 0
    tallies: Mapping[str, Tally] = {}
    clips = 0
    try:
        source = clips_of(folder)
    except ClipError:
        if not grouped:
            raise
        sys.stderr.write(f"{folder} holds no clips: only its matrix is made\n")
    else:
        chosen = chosen_of(source, args.split, args.clips)
        studio = Studio(source, rests_of(folder), round(args.longest * FPS), candidates)
        tallies, clips = played(studio, chosen, candidates, given, out), len(chosen)
    matrices = dict(_matrices(folder, candidates, out, args)) if grouped else {}
    figures = {title: tally.figures() for title, tally in tallies.items()}
    differences = {
        one.title: compared(tallies[one.title].rows, tallies[candidates[0].title].rows)
        for one in candidates[1:]
        if {one.title, candidates[0].title} <= tallies.keys()
    }
    return Measured(name, args.split, clips, figures, differences, matrices)


def chosen_of(source: ClipSource, split: Split, most: int) -> list[int]:
    """At most so many clips of a split, of as many people as there are, neighbours of different people.

    Raises:
        NothingToJudge: if there are none.
    """
    people = source.people(split)
    if not people:
        raise NothingToJudge(f"the set holds no {split} clips: take another --split")
    longest = max(len(own) for own in people)
    return [int(own[k]) for k in range(longest) for own in people if k < len(own)][:most]


def rests_of(folder: Path) -> Rests:
    """Pictures of people at rest: a factorial set has them, films have none."""
    if not (folder / "stills").is_dir():
        return lambda person, size: None
    stills = Stills.load(folder / "stills")

    def rest(person: str, size: int) -> Image | None:
        return stills.read([rest_of(stills, person)], size)[0] if (stills.people == person).any() else None

    return rest


class Studio:
    """Clips as they were and as networks see them, each looked at once while it is needed.

    Args:
        source: of the clips.
        rests: see `rests_of`.
        longest: frames taken of each.
        candidates: who will be judged.
    """

    def __init__(self, source: ClipSource, rests: Rests, longest: int, candidates: Sequence[Candidate]) -> None:
        self.watcher = Watcher()
        self._source, self._rests, self._longest = source, rests, longest
        sizes = {(one.model.size, one.model.seen) for one in candidates}
        self._seen = lru_cache(2 * len(sizes))(self._look)
        self._acted = lru_cache(2 * len(candidates))(self._act)

    def truth(self, candidate: Candidate, index: int) -> Truth:
        """A clip at a candidate's sizes.

        Raises:
            ClipError: if it cannot be used.
        """
        return self._seen(index, candidate.model.size, candidate.model.seen)

    def usable(self, candidate: Candidate, indices: Sequence[int]) -> int | None:
        """The first of some clips that can be used; None if there is none."""
        for index in indices:
            try:
                self.truth(candidate, index)
            except ClipError:  # said where the clip's own turn is
                continue
            return index
        return None

    def cast(self, candidate: Candidate, index: int) -> Cast:
        """The same as the candidate's encoders see it."""
        return self._acted(candidate, index)

    def _look(self, index: int, size: int, seen: int) -> Truth:
        clip = self._source.clip(index)
        return Truth.of(clip, size, seen, self._longest, self.watcher, self._rests(clip.person, size))

    def _act(self, candidate: Candidate, index: int) -> Cast:
        return Cast.of(candidate.model, self.truth(candidate, index))


@dataclass(slots=True)
class Tally:
    """Of one candidate: the figures of each clip, by its number, and what FID is made of."""

    rows: dict[int, Figures] = field(default_factory=dict[int, Figures])
    made: list[Floats] = field(default_factory=list)
    real: list[Floats] = field(default_factory=list)

    def figures(self) -> Figures:
        """Of all clips."""
        fid = frechet(np.concatenate(self.made), np.concatenate(self.real)) if self.made else NONE
        return replace(mean([*self.rows.values()]), fid=fid)


def played(studio: Studio, chosen: Sequence[int], candidates: Sequence[Candidate], given: Given, out: Path) -> dict[str, Tally]:
    """By name all candidates, and the first frame that does not move; strips and sheets on the way."""
    tallies = {name: Tally() for name in (*(one.title for one in candidates), STILL)}
    progress = Progress("driving", len(chosen) * len(candidates))
    for number, index in enumerate(chosen):
        others = [*chosen[number + 1 :], *chosen[:number]]
        for candidate in candidates:
            trouble = ""
            try:
                other = studio.usable(candidate, others)
                shown = out / candidate.name if number < SHOWN else None
                _play(studio, candidate, index, other, given, tallies[candidate.title], shown)
                if candidate is candidates[0]:
                    tallies[STILL].rows[index] = _unmoved(studio, candidate, index, other, given)
            except ClipError as error:
                trouble = str(error)
            progress.step(Named(Path(candidate.name), out.name, "", f"clip {index}"), trouble)
    for tally in tallies.values():
        tally.rows = with_lips(tally.rows)
    return {name: tally for name, tally in tallies.items() if tally.rows}


def _play(
    studio: Studio, candidate: Candidate, index: int, other: int | None, given: Given, tally: Tally, shown: Path | None
) -> None:
    """Draw one clip in all protocols, and add its figures."""
    model, truth, cast = candidate.model, studio.truth(candidate, index), studio.cast(candidate, index)
    driven, still = (Film.of(film, studio.watcher) for film in (self_driven(model, cast), frozen(model, cast)))
    driver = studio.truth(candidate, other) if other is not None else None
    across = None
    if driver is not None and other is not None:
        acted = studio.cast(candidate, other)
        across = Film.of(crossed(model, cast, acted), studio.watcher)
        if shown:
            figure_3(shown / f"figure-3-{index}.png", model, (truth, cast), (driver, acted))
    if shown:
        shown.mkdir(parents=True, exist_ok=True)
        strip(shown / f"self-driving-{index}.png", list(truth.pictures), list(driven.pictures))
    tally.rows[index] = figures_of(truth, driven, still, across, driver, given)
    for film, kept in ((driven.pictures, tally.made), (truth.pictures, tally.real)):
        kept += features(given, film)


def _unmoved(studio: Studio, candidate: Candidate, index: int, other: int | None, given: Given) -> Figures:
    truth = studio.truth(candidate, index)
    film = Film.still(truth.still, len(truth), studio.watcher)
    driver = studio.truth(candidate, other) if other is not None else None
    across = Film.still(truth.still, min(len(truth), len(driver)), studio.watcher) if driver else None
    return figures_of(truth, film, film, across, driver, Given(observer=given.observer))


def _matrices(
    folder: Path, candidates: Sequence[Candidate], out: Path, args: argparse.Namespace
) -> Iterator[tuple[str, Matrix]]:
    data = FactorialSet.load(folder)
    assert data.groups is not None
    total = len(np.unique(data.groups.people))
    measure: Measure = Judge.load(args.judge) if args.judge else Tracked(Marks.load())
    for candidate in candidates:
        try:  # an exported motion encoder says no lips, the bundle beside it does
            model = TorchModel.load(candidate.folder, candidate.model.gains, args.device)
        except ModelError as error:
            sys.stderr.write(f"{candidate.name} has no matrix: {error}\n")
            continue
        puppet = FromPictures(model)
        drawn = _counted(puppet, f"disentanglement of {candidate.name}", min(args.people or total, total))
        matrix = disentanglement(data, drawn, measure, size=puppet.size, people=args.people)
        matrix.save(out / candidate.name / "matrix")
        yield candidate.title, matrix


def _counted(puppet: FromPictures, what: str, people: int) -> Callable[[Image, Image], Image]:
    """The same, telling of the progress: a matrix asks once for each person."""
    progress = Progress(what, people)

    def drawn(person: Image, drivers: Image) -> Image:
        made = puppet(person, drivers)
        progress.step(Named(Path(what), "", "", ""), "")
        return made

    return drawn
