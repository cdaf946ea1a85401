"""`python -m training speech`: speech in many languages and voices with its phones' times and articulation, in shards.

Synthetic speech first; then, where folders of recordings are given, an aligner
is trained on it and the recordings become utterances too.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from training.data.splits import Split
from training.speech import alignments, festival, synthesis, transcribed, utterances
from training.speech.alignments import Tally
from training.speech.errors import SpeechError
from training.speech.espeak import LANGUAGES, espeak
from training.speech.noise import Surroundings
from training.speech.recogniser import Recogniser, load, save
from training.speech.utterances import Utterance

MINUTES: Final[dict[Split, float]] = {"train": 1.0, "validation": 0.06, "test": 0.16}
"""Minutes made for each split, for each minute that is asked for."""
FLITE_SHARE: Final = 0.35
"""Of the speech."""
SILENCE_SHARE: Final = 0.1
"""Silence and noises alone, on top."""
VOICES: Final = 80
"""Utterances that others' babble is made of."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `--help`."""
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards (about 2 MB a minute)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of synthetic speech for training (default 60)")
    parser.add_argument("--languages", nargs="+", default=sorted(LANGUAGES), choices=sorted(LANGUAGES), metavar="LANGUAGE",
                        help=f"of espeak-ng: {', '.join(LANGUAGES)}")  # fmt: skip
    parser.add_argument("--no-flite", action="store_true", help="without Flite's English")
    parser.add_argument("--festival", type=float, default=0.0, metavar="MINUTES", help="of Festival's voices (default none)")
    parser.add_argument("--noises", type=Path, help="folder of noises and rooms (rir*) in .wav or .flac")
    parser.add_argument("--grid", type=Path, help="folder of GRID's .align files; needs --tracks")
    parser.add_argument("--tracks", type=Path, help="folder of GRID's tracks (python -m training prepare)")
    parser.add_argument("--speechocean", type=Path, help="folder of speechocean762 with its labels.json")
    parser.add_argument("--aligned", type=Path, help="folder of recordings with TextGrids; they are for tests only")
    parser.add_argument("--transcribed", nargs=4, action="append", default=[], metavar=("SOURCE", "BEFORE", "LIST", "LANGUAGE"),
                        help="recordings BEFORE + NAME (BEFORE: a folder with / at its end) for LIST's lines 'NAME: text' "
                        "(or - where numbers name files), into SOURCE-SPLIT.npz; may be repeated")  # fmt: skip
    parser.add_argument("--aligner-steps", type=int, default=500, help="of the aligner's first training (default 500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="make what is there already anew, but for the aligner")


def main(args: argparse.Namespace) -> int:
    """Write the shards; what is there already is kept.

    Raises:
        SpeechError: if a tool is missing, or options do not go together.
    """
    if args.grid and not args.tracks:
        raise SpeechError("--grid needs --tracks: a clip's sound is that of its track")
    args.out.mkdir(parents=True, exist_ok=True)
    around = Surroundings.load(args.noises) if args.noises else Surroundings()
    failed = _synthesise(args, around)
    if args.grid or args.speechocean or args.aligned or args.transcribed:
        _align(args, around)
    return 1 if failed else 0


def _synthesise(args: argparse.Namespace, around: Surroundings) -> bool:
    """Make the synthetic shards; whether none could be made."""
    jobs = list(_jobs(args, around))
    began, minutes, kept, tally = time.monotonic(), 0.0, 0, Tally()
    for done, (name, make) in enumerate(jobs, 1):
        path = args.out / f"{name}.npz"
        if path.exists() and not args.again:
            kept += 1
            continue
        try:
            shard = list(make())
        except SpeechError as error:
            tally.leave_out(SpeechError(f"{name}: {error}"))
            continue
        utterances.save(path, shard)
        minutes += sum(u.seconds for u in shard) / 60
        _tell(f"{done}/{len(jobs)} {name}: {len(shard)} utterances, {minutes:.1f} min so far")
    failed = sum(tally.reasons.values())
    _tell(f"{minutes:.1f} minutes in {time.monotonic() - began:.0f} s, {kept} shards were there, {failed} failed")
    return failed == len(jobs)


def _jobs(args: argparse.Namespace, around: Surroundings) -> Iterator[tuple[str, Callable[[], Iterator[Utterance]]]]:
    """Name and maker of every shard."""
    espeak()  # without it, say so once
    flite_share = 0.0 if args.no_flite else FLITE_SHARE
    for split, share in MINUTES.items():
        seconds = args.minutes * 60 * share
        each = seconds * (1 - flite_share) / len(args.languages)
        for language in args.languages:
            name = f"espeak-{language}-{split}"
            yield name, partial(synthesis.espeak_utterances, language, split, each, _rng(args.seed, name))
        if flite_share:
            name = f"flite-{split}"
            yield name, partial(synthesis.flite_utterances, split, seconds * flite_share, _rng(args.seed, name))
        name = f"silence-{split}"
        yield name, partial(synthesis.silences, split, seconds * SILENCE_SHARE, around, _rng(args.seed, name))
    for voice, seconds in festival.plan(args.festival).items():
        split = festival.SPEAKERS[voice].split
        name = f"festival-{voice}-{split}"
        yield name, partial(festival.utterances, voice, split, seconds, _rng(args.seed, name))


def _align(args: argparse.Namespace, around: Surroundings) -> None:
    """Write what is said when in the recordings."""
    tally = Tally()
    grid = list(alignments.grid(args.tracks, args.grid, tally)) if args.grid else []
    spoken = list(alignments.speechocean(args.speechocean, tally)) if args.speechocean else []
    model = _aligner(args, [*grid, *spoken], around) if grid or spoken or args.transcribed else None
    for name, some, each in (("grid", grid, True), ("speechocean", spoken, False)):
        if model is not None and some:
            made = list(alignments.aligned_all(some, model, tally))
            alignments.write(args.out, name, made, each=each)
            _tell(f"{name}: {len(made)} of {len(some)} recordings aligned")
    if model is not None:
        _transcribed(args, model, tally)
    if args.aligned:
        made = list(alignments.textgrids(args.aligned, tally))
        alignments.write(args.out, "aligned", made, each=True)
        _tell(f"aligned: {len(made)} recordings with phone tiers")
    for reason, count in tally.reasons.most_common():
        _tell(f"left out: {count} x {reason}")


def _transcribed(args: argparse.Namespace, model: Recogniser, tally: Tally) -> None:
    for source in sorted({row[0] for row in args.transcribed}):
        some = [t for row in args.transcribed if row[0] == source for t in transcribed.transcripts(*row)]
        made = list(transcribed.utterances(some, model, tally))
        alignments.write(args.out, source, made, each=False)
        _tell(f"{source}: {len(some)} recordings, {sum(u.seconds for u in made) / 60:.1f} min aligned")


def _aligner(args: argparse.Namespace, real: list[alignments.Recording], around: Surroundings) -> Recogniser:
    path = args.out / "aligner.pt"
    if path.exists():
        return load(path)
    synthetic = [u for u in utterances.utterances_in(args.out) if u.source in ("espeak", "flite", "silence", "noise")]
    voices = tuple(u.sound.astype(np.float32) / np.float32(32768) for u in synthetic[:VOICES])
    company = Surroundings(around.noises, around.rooms, voices)
    model = alignments.train_aligner(synthetic, real, company, args.aligner_steps, _tell)
    save(model, path)
    return model


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
