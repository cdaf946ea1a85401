"""`python -m training prepare-faces FOLDER... --out DIR`: photos and video -> faces with landmarks.

Three shards (see `training.tracker.data`): `stills` and `frames`, labelled by
the teacher, and `renders`, drawn by the mesh renderer from the stills'
portraits under controls that are known. Besides them `faceless`, parts of the
stills without a face, and `pictures.npz`, where the faces are in the whole
pictures. What was done is done: a second call goes on where the first one
stopped. `report.json` tells what was left out and why.

People are held out as `training.data.splits` says, with two exceptions: who
is both photographed and filmed is where the film is; and GRID's one speaker,
whose clips are held out one by one for the voice, is never in "test" here.
"""

import argparse
import hashlib
import json
import pickle
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.data.media import VIDEO_SUFFIXES, Unusable
from training.data.prepare import FAILED, SHARED_SPEAKER, Clip, PrepareError, Progress
from training.data.splits import Split, split_of
from training.teacher import missing
from training.tracker.looking import STILL_SUFFIXES, Sights, look_at_clip, look_at_still
from training.tracker.pool import mapped
from training.tracker.renders import Still, draw_all
from training.tracker.shards import Sheet, write_faceless, write_pictures, write_shard

LOOKING: Final = 1
"""Version of this step: what an older one made is made again."""
SPREAD: Final = {"grid_s1": 10}
"""Frames taken of each clip, spread over it, of folders with many alike; of others every few frames:"""
EVERY: Final = {"us_officials": 5, "consented": 5}
_EVERY: Final = 4
FILMED: Final = ("alexandria-ocasio-cortez",)
"""People with a photo who are also in the test videos."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file to look at; the result goes to `seen`."""

    clip: Clip
    split: Split
    seen: Path

    @property
    def still(self) -> bool:
        """Whether it is a photo."""
        return self.clip.path.suffix.lower() in STILL_SUFFIXES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="searched for photos and video, also below")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="shards go to DIR/stills, frames, renders")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--renders", type=int, default=0, metavar="N", help="about so many renders (default none)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N files of each folder")


def main(args: argparse.Namespace) -> int:
    """Prepare; 0 if any face was found."""
    reason = missing()
    if reason:
        raise PrepareError(reason)
    jobs = list(jobs_of(args.folders, args.out, args.limit))
    if not jobs:
        raise PrepareError(f"no photo or video in {', '.join(map(str, args.folders))}")
    try:
        stills, report = see(jobs, args.out, args.jobs)
        _save(args.out, report)
        if args.renders and stills:
            began = time.monotonic()
            drawn = draw_all(stills, args.out / "renders", args.renders, args.jobs)
            report |= {"drawn": drawn, "drawing_s": round(time.monotonic() - began)}
            _save(args.out, report)
    except OSError as error:
        raise PrepareError(f"cannot write to {args.out}: {error}; is the disk full?") from error
    print(json.dumps(report, indent=1))
    return 0 if report["faces"] else 1


def see(jobs: Sequence[Job], out: Path, processes: int) -> tuple[list[Still], dict[str, Any]]:
    """Look at all files and write the shards of what was seen; the photos with a face, and the report."""
    began = time.monotonic()
    troubles = look(jobs, processes)
    sheets = [Sheet(job.clip, job.split, load(job), still=job.still) for job in jobs if job.seen.exists()]
    write_shard(out / "stills", [sheet for sheet in sheets if sheet.still], matte=True)
    write_shard(out / "frames", [sheet for sheet in sheets if not sheet.still], matte=False)
    write_faceless(out / "faceless", sheets)
    write_pictures(out / "pictures.npz", sheets)
    stills = [(s.clip.path, s.clip.speaker, s.split) for s in sheets if s.still and s.sights.frame]
    faces = sum(len(sheet.sights.frame) for sheet in sheets)
    seconds = round(time.monotonic() - began)
    return stills, {"faces": faces, "looking_s": seconds, "looked": counts(sheets, troubles)}


def _save(out: Path, report: dict[str, Any]) -> None:
    path = out / "report.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | report, indent=1) + "\n")


def jobs_of(folders: Iterable[Path], out: Path, limit: int | None) -> Iterator[Job]:
    """All photos and clips below the folders; the folder that a file lies in names its source."""
    for folder in folders:
        if not folder.is_dir():
            raise PrepareError(f"{folder} is no folder")
        taken: Counter[str] = Counter()
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in (*STILL_SUFFIXES, *VIDEO_SUFFIXES):
                continue
            source = path.parent.name if path.parent.name != "source" else path.parent.parent.name
            taken[source] += 1
            if limit and taken[source] > limit:
                continue
            name = path.stem
            clip = Clip(path, source, source if source in SHARED_SPEAKER else name, name)
            key = hashlib.sha1(f"{clip.key()}:{LOOKING}".encode(), usedforsecurity=False).hexdigest()[:10]
            yield Job(clip, part_of(source, clip.speaker, name), out / ".seen" / source / f"{name}.{key}")


def part_of(source: str, person: str, name: str) -> Split:
    """Where a file belongs; whole people, see the module."""
    if person in FILMED:
        return "test"
    part = split_of(source, name)
    return "validation" if source in SHARED_SPEAKER and part == "test" else part


def look(jobs: Sequence[Job], processes: int) -> dict[str, list[str]]:
    """Look at every file that was not looked at yet; what could not be read, by reason."""
    waiting = [job for job in jobs if not job.seen.exists()]
    progress = Progress("looking", len(waiting))
    troubles: dict[str, list[str]] = {}
    for job, kind, line in mapped(_look, waiting, processes):
        if kind:
            troubles.setdefault(kind, []).append(f"{job.clip.source}/{job.clip.path.name}")
        progress.step(job.clip, line)
    return troubles


def _look(job: Job) -> tuple[Job, str, str]:
    """One file: the job, and the kind and line of what went wrong."""
    clip = job.clip
    try:
        if job.still:
            seed = zlib.crc32(f"{clip.source}/{clip.name}".encode())
            sights = look_at_still(clip.path, np.random.default_rng(seed))
        else:
            sights = look_at_clip(clip.path, every=EVERY.get(clip.source, _EVERY), count=SPREAD.get(clip.source, 0))
    except Unusable as error:
        return job, error.kind, str(error)
    except Exception as error:  # decoders and trackers fail in ways of their own; one file must not end the rest
        return job, FAILED, f"{FAILED}: {type(error).__name__}: {error}"
    job.seen.parent.mkdir(parents=True, exist_ok=True)
    part = job.seen.with_name(job.seen.name + ".part")
    part.write_bytes(pickle.dumps(sights))
    part.replace(job.seen)
    return job, "", ", ".join(f"{count} x {reason}" for reason, count in sights.dropped.items())


def load(job: Job) -> Sights:
    """What an earlier run of ours saw in a file."""
    return pickle.loads(job.seen.read_bytes())


def counts(sheets: Sequence[Sheet], troubles: dict[str, list[str]]) -> dict[str, Any]:
    """For the report: faces by folder and split, and what was dropped."""
    table: dict[str, dict[str, int]] = {}
    for sheet in sheets:
        row = table.setdefault(sheet.clip.source, {})
        facts = {"files": 1, sheet.split: len(sheet.sights.frame), "coarse": sheet.sights.coarse}
        for name, count in {**facts, **sheet.sights.dropped}.items():
            row[name] = row.get(name, 0) + count
    return {"folders": table, "unreadable": troubles}
