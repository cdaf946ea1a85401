"""`python -m training speech`: synthetic speech in many languages and voices with its phones and articulation, in shards."""

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
from training.speech import synthesis, utterances
from training.speech.errors import SpeechError
from training.speech.espeak import LANGUAGES, espeak
from training.speech.utterances import Utterance

MINUTES: Final[dict[Split, float]] = {"train": 1.0, "validation": 0.06, "test": 0.12}
"""Share of what is asked for that each split gets on top of it."""
FLITE_SHARE: Final = 0.35
"""Of the training speech."""
SILENCE_SHARE: Final = 0.06


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `--help`."""
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards (about 2 MB a minute)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of training speech (default 60)")
    parser.add_argument("--languages", nargs="+", default=sorted(LANGUAGES), choices=sorted(LANGUAGES), metavar="LANGUAGE",
                        help=f"of espeak-ng: {', '.join(LANGUAGES)}")  # fmt: skip
    parser.add_argument("--no-flite", action="store_true", help="without Flite's English")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="make shards that are there already anew")


def main(args: argparse.Namespace) -> int:
    """Write the shards; what is there already is kept."""
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = list(_jobs(args))
    began, told = time.monotonic(), {"made": 0.0, "kept": 0, "failed": 0}
    for done, (name, make) in enumerate(jobs):
        path = args.out / f"{name}.npz"
        if path.exists() and not args.again:
            told["kept"] += 1
            continue
        try:
            shard = list(make())
        except SpeechError as error:
            told["failed"] += 1
            sys.stderr.write(f"{name}: {error}\n")
            continue
        utterances.save(path, shard)
        told["made"] += sum(u.seconds for u in shard) / 60
        sys.stdout.write(f"{done + 1}/{len(jobs)} {name}: {len(shard)} utterances, {told['made']:.1f} min so far\n")
        sys.stdout.flush()
    sys.stdout.write(
        f"{told['made']:.1f} minutes in {time.monotonic() - began:.0f} s, {told['kept']} shards were there, "
        f"{told['failed']} failed\n"
    )
    return 1 if told["failed"] == len(jobs) else 0


def _jobs(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Iterator[Utterance]]]]:
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
        yield name, partial(synthesis.silences, split, seconds * SILENCE_SHARE, _rng(args.seed, name))


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng((seed, zlib.crc32(name.encode())))
