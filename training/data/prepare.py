"""`python -m training prepare FOLDER... --out DIR`: folders of talking video -> aligned tracks.

Two steps: every clip's landmarks and sound are read once and kept in
DIR/SOURCE/.seen (`training.data.faces`); then each speaker's neutral face and
rig are made from all of their clips, and each clip's track with them. What
was done is done: a second call goes on where the first one stopped, and a
clip is read again only if its file has changed. `report.json` tells of every
clip what became of it.
"""

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import MienError
from training.data.assemble import Speaker, check, speaker_of, track_of
from training.data.faces import Faces, Watcher
from training.data.media import VIDEO_SUFFIXES, Unusable, decimated, frame_rate, pictures, sound_of
from training.data.sheet import write_sheet
from training.data.sync import Listener, in_place
from training.data.tracks import SOUND_RATE_HZ, tracks_in
from training.teacher import missing

SEEING, FITTING = 1, 3
"""Versions of the two steps: what an older one made is made again."""
SHARED_SPEAKER: Final = ("grid_s1",)
"""Folders that are one person each, unless --speaker-from says otherwise."""


FAILED: Final = "failed"
"""Kind of what went wrong unforeseen: tried again with the next call."""


class PrepareError(MienError):
    """Nothing can be prepared from what was asked."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A file to prepare; `source` is its folder's name, `speaker` the person, `name` unique in the source."""

    path: Path
    source: str
    speaker: str
    name: str

    def key(self) -> str:
        """Changes when the file does."""
        stat = self.path.stat()
        return f"{stat.st_size}:{stat.st_mtime_ns}:{SEEING}"


@dataclass(slots=True)
class Outcome:
    """What became of a clip: kept if `dropped` is empty, else the kind and line of why not."""

    source: str
    name: str
    speaker: str
    key: str
    made: str = ""
    dropped: str = ""
    line: str = ""
    figures: dict[str, float] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="searched for video files, also below")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="tracks go to DIR/FOLDER/NAME.npz")
    parser.add_argument(
        "--speaker-from", choices=("auto", "folder", "file"), default="auto",
        help="who speaks: one person a folder, one a file, or (auto) one a file but in folders known to be one person",
    )  # fmt: skip
    parser.add_argument("--silent", action="store_true", help="keep clips without sound: they show heads and eyes")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that read video (default 1)")
    parser.add_argument("--longest", type=float, default=600.0, metavar="S", help="seconds taken of a clip (default 600)")
    parser.add_argument(
        "--sync-by", type=Path, metavar="TRACKS",
        help="put late sound in place, by tracks of a speaker whose sound is (DIR/grid_s1); clips that are unsure stay",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N clips of each folder")
    parser.add_argument("--sheet", type=int, default=0, metavar="N", help="draw contact sheets of N clips of each folder")


def main(args: argparse.Namespace) -> int:
    """Prepare; 0 if anything was kept."""
    reason = missing()
    if reason:
        raise PrepareError(reason)
    clips = list(_clips(args.folders, args.speaker_from, args.limit))
    if not clips:
        raise PrepareError(f"no video in {', '.join(map(str, args.folders))}; looked for {' '.join(VIDEO_SUFFIXES)}")
    ledger = Ledger(args.out)
    began = time.monotonic()
    try:
        read = see_all(clips, args.out, ledger, jobs=args.jobs, longest_s=args.longest, silent=args.silent)
        seen = time.monotonic()
        fit_all(clips, args.out, ledger, args.sync_by)
    except OSError as error:
        raise PrepareError(f"cannot write to {args.out}: {error}; is the disk full?") from error
    finally:
        ledger.save()
    fitted = time.monotonic()
    if args.sheet:
        _sheets(clips, args.out, ledger, args.sheet)
    outcomes = [ledger.of(clip) for clip in clips]
    print(summary(outcomes))
    print(f"{read} of {len(clips)} clips read in {seen - began:.0f} s, fitted in {fitted - seen:.0f} s; see {ledger.path}")
    return 0 if any(not outcome.dropped for outcome in outcomes) else 1


def _clips(folders: Iterable[Path], speaker_from: str, limit: int | None) -> Iterator[Clip]:
    for folder in folders:
        if not folder.is_dir():
            raise PrepareError(f"{folder} is no folder")
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
        source = folder.resolve().name
        shared = speaker_from == "folder" or (speaker_from == "auto" and source in SHARED_SPEAKER)
        taken: set[str] = set()
        for path in paths[:limit]:
            name = path.stem if path.stem not in taken else f"{path.parent.name}-{path.name}".replace(".", "-")
            taken.add(name)
            yield Clip(path, source, source if shared else name, name)


class Ledger:
    """report.json: the outcome of every clip that was ever asked for in this folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "report.json"
        self._outcomes: dict[str, Outcome] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            try:
                rows = json.loads(self.path.read_text())["clips"]
                self._outcomes = {f"{row['source']}/{row['name']}": Outcome(**row) for row in rows}
            except (ValueError, KeyError, TypeError):
                sys.stderr.write(f"{self.path} cannot be read: all clips are looked at again\n")
        self._unsaved = 0

    def of(self, clip: Clip) -> Outcome:
        """The outcome of a clip; a new one if its file has changed since."""
        name, key = f"{clip.source}/{clip.name}", clip.key()
        known = self._outcomes.get(name)
        if known is None or known.key != key or known.speaker != clip.speaker:
            known = self._outcomes[name] = Outcome(clip.source, clip.name, clip.speaker, key)
        return known

    def note(self) -> None:
        """Something has changed: write it down every now and then."""
        self._unsaved += 1
        if self._unsaved >= 20:
            self.save()

    def save(self) -> None:
        """Write report.json."""
        rows = [asdict(self._outcomes[name]) for name in sorted(self._outcomes)]
        counts = {source: Counter(row["dropped"] or "kept" for row in rows if row["source"] == source)
                  for source in sorted({row["source"] for row in rows})}  # fmt: skip
        part = self.path.with_suffix(".part")
        try:
            part.write_text(json.dumps({"counts": counts, "clips": rows}, indent=1) + "\n")
            part.replace(self.path)
        except OSError as error:
            raise PrepareError(f"cannot write {self.path}: {error}; is the disk full?") from error
        self._unsaved = 0


def see_all(clips: Sequence[Clip], out: Path, ledger: Ledger, *, jobs: int, longest_s: float, silent: bool) -> int:
    """The first step for all clips that still need it; returns how many did."""
    undecided = ("", FAILED)
    waiting = [clip for clip in clips if ledger.of(clip).dropped in undecided and not _seen_path(clip, out).exists()]
    tasks = [(clip, out, longest_s, silent) for clip in waiting]
    progress = Progress("reading", len(tasks))
    for clip, kind, line in _mapped(tasks, jobs):
        outcome = ledger.of(clip)
        outcome.dropped, outcome.line, outcome.made = kind, line, ""
        progress.step(clip, line)
        ledger.note()
    return len(tasks)


def _mapped(tasks: list[tuple[Clip, Path, float, bool]], jobs: int) -> Iterator[tuple[Clip, str, str]]:
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(_see, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_see, tasks)


_watcher = Watcher()


def _see(task: tuple[Clip, Path, float, bool]) -> tuple[Clip, str, str]:
    """One clip's first step: the clip, and the kind and line of why it was dropped."""
    clip, out, longest_s, silent = task
    try:
        fps = frame_rate(clip.path)
        faces = _watcher.watch(pictures(clip.path), fps, longest_s)
        count = round((faces.time[-1] - faces.time[0] + 1 / fps) * SOUND_RATE_HZ)
        check(faces, count / SOUND_RATE_HZ)
        try:
            sound = decimated(sound_of(clip.path, float(faces.time[0])), count)
        except Unusable as error:
            if not (silent and error.kind == "no sound"):
                raise
            sound = np.zeros(count, np.int16)
    except Unusable as error:
        return clip, error.kind, str(error)
    except Exception as error:  # decoders and trackers fail in ways of their own; one file must not end the rest
        return clip, FAILED, f"{FAILED}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    faces.save(_seen_path(clip, out), sound=sound)
    return clip, "", ""


def _seen_path(clip: Clip, out: Path) -> Path:
    key = clip.key().replace(":", "-")
    return out / clip.source / ".seen" / f"{clip.name}.{key}"


def track_path(clip: Clip, out: Path) -> Path:
    """Where a clip's track is."""
    return out / clip.source / f"{clip.name}.npz"


def fit_all(clips: Sequence[Clip], out: Path, ledger: Ledger, sync_by: Path | None = None) -> None:
    """The second step, speaker by speaker, for those whose clips or whose step's version are new."""
    listener = Listener(tracks_in(sync_by)) if sync_by else None
    people: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        if _seen_path(clip, out).exists():
            people.setdefault((clip.source, clip.speaker), []).append(clip)
    waiting = {who: own for who, own in people.items() if not _is_fitted(own, out, ledger, sync_by)}
    progress = Progress("fitting", sum(map(len, waiting.values())))
    for own in waiting.values():
        speaker = speaker_of((Faces.load(_seen_path(clip, out))[0] for clip in own), len(own))
        made = _made_of(own, sync_by)
        for clip in own:
            outcome = ledger.of(clip)
            outcome.made, outcome.dropped, outcome.line = made, "", ""
            try:
                outcome.figures = _fit(clip, out, speaker, listener)
            except Unusable as error:
                outcome.dropped, outcome.line = error.kind, str(error)
                track_path(clip, out).unlink(missing_ok=True)
            progress.step(clip, outcome.line)
            ledger.note()


def _made_of(clips: Sequence[Clip], sync_by: Path | None) -> str:
    """Names the second step of these clips: its version, whether sound is put in place, and all their files."""
    keys = ("" if sync_by is None else "sync") + "".join(sorted(f"{clip.name}{clip.key()}" for clip in clips))
    return f"{FITTING}:{hashlib.sha1(keys.encode(), usedforsecurity=False).hexdigest()[:12]}"


def _is_fitted(clips: Sequence[Clip], out: Path, ledger: Ledger, sync_by: Path | None) -> bool:
    made, outcomes = _made_of(clips, sync_by), [ledger.of(clip) for clip in clips]
    there = (outcome.dropped or track_path(clip, out).exists() for clip, outcome in zip(clips, outcomes, strict=True))
    return all(outcome.made == made for outcome in outcomes) and all(there)


def _fit(clip: Clip, out: Path, speaker: Speaker, listener: Listener | None) -> dict[str, float]:
    faces, more = Faces.load(_seen_path(clip, out))
    track, quality = track_of(faces, more["sound"].astype(np.int16), speaker, (clip.name, clip.source, clip.speaker))
    figures: dict[str, Any] = {"seconds": track.seconds, **asdict(quality)}
    if listener:
        late = listener.lateness(track)
        track = in_place(track, late.ms) if late.sure else track
        figures |= {"late_ms": late.ms, "late_r": late.r, "late_r_before": late.r_now, "moved": late.sure}
    track.save(track_path(clip, out))
    return {name: round(float(value), 5) for name, value in figures.items()}


class Progress:
    """A bar on the standard error stream: one line that is written over on a terminal, else a line per tenth; troubles stay."""

    def __init__(self, verb: str, count: int) -> None:
        self._verb, self._count, self._done = verb, count, 0
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()

    def step(self, clip: Clip, trouble: str) -> None:
        """One more clip is done."""
        self._done += 1
        clear = "\r\033[K" if self._terminal else ""
        if trouble:
            sys.stderr.write(f"{clear}dropped {clip.source}/{clip.path.name}: {trouble}\n")
        tenths = self._done * 10 // self._count
        if self._terminal or tenths > (self._done - 1) * 10 // self._count:
            left = (time.monotonic() - self._began) / self._done * (self._count - self._done)
            bar = "#" * tenths + "." * (10 - tenths)
            end = "" if self._terminal and self._done < self._count else "\n"
            sys.stderr.write(f"{clear}{self._verb} [{bar}] {self._done}/{self._count}, {left:.0f} s left  {clip.name}{end}")
        sys.stderr.flush()


def summary(outcomes: Sequence[Outcome]) -> str:
    """A table: of each folder what was kept, how well the rig repeats it, and what was dropped and why."""
    lines = [f"{'folder':16s} {'kept':>5s} {'s':>7s} {'gap r':>6s} {'RMS u':>7s} {'width r':>7s} {'RMS u':>7s}  dropped"]
    for source in sorted({outcome.source for outcome in outcomes}):
        own = [outcome for outcome in outcomes if outcome.source == source]
        kept = [outcome.figures for outcome in own if not outcome.dropped]
        why = Counter(outcome.dropped for outcome in own if outcome.dropped)
        names = ("gap_r", "gap_rms", "width_r", "width_rms")
        a, b, c, d = (float(np.median([row[name] for row in kept])) if kept else float("nan") for name in names)
        seconds = sum(row["seconds"] for row in kept)
        reasons = ", ".join(f"{count} {kind}" for kind, count in why.most_common()) or "none"
        moved = sum(bool(row.get("moved")) for row in kept)
        reasons += f"; sound put in place in {moved}" if moved else ""
        lines.append(f"{source:16s} {len(kept):5d} {seconds:7.0f} {a:6.3f} {b:7.4f} {c:7.3f} {d:7.4f}  {reasons}")
    return "\n".join(lines)


def _sheets(clips: Sequence[Clip], out: Path, ledger: Ledger, count: int) -> None:
    for source in sorted({clip.source for clip in clips}):
        kept = [clip for clip in clips if clip.source == source and not ledger.of(clip).dropped]
        for clip in kept[:: max(len(kept) // count, 1)][:count]:
            write_sheet(clip.path, track_path(clip, out), out / "sheets" / f"{source}-{clip.name}.png")
