"""`python -m training prepare-pdfgc FOLDER... --out CLIPS`: video -> aligned clips with sound, for PD-FGC's stages.

Our own networks follow the face and read what it does (`engine/face`); each
stretch in which it is seen becomes a clip, framed as `engine.face.align` says.
What was done is done: a second call reads only files that are new or changed.
`report.json` tells how many clips were made of each folder, and what was left
out and why; `index.json` is what training reads.
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Channel
from engine.face.align import align_clip, aligned
from engine.face.follower import Follower
from engine.face.pose import RIGID, mean_face, similarity
from engine.face.recorded import readings_of
from engine.face.stream import Seen
from training.data.media import Unusable, decimated, pictures, sound_of
from training.data.prepare import FAILED, PrepareError, Progress
from training.pdfgc.clips import FPS, INDEX, SAMPLES, eyes_of, save_clip
from training.pdfgc.layouts import Take, layout_of, takes_in
from training.tracker.pool import mapped

VERSION: Final = 1
SHORTEST: Final = 25
"""Pictures of a clip."""
SMALLEST_U: Final = 20.0
"""px between the outer eye corners: a smaller face has no lips to learn from."""
CROWD: Final = 0.5
"""Share of pictures with others in view from which it is not known who speaks."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Job:
    """A take, what became of it (`seen`), and how it is to be prepared."""

    take: Take
    out: Path
    size: int
    longest_s: float
    silent: bool

    @property
    def seen(self) -> Path:
        """JSON: the clips made, or why there are none."""
        clip, how = self.take.clip, f"{self.size}:{self.longest_s}:{self.silent}:{VERSION}"
        key = hashlib.sha1(f"{clip.key()}:{how}".encode(), usedforsecurity=False).hexdigest()[:10]
        return self.out / ".seen" / clip.source / f"{clip.name}.{key}.json"


class Made(NamedTuple):
    """A clip that was made.

    Attributes:
        path: below the output folder.
        length: pictures.
        sound: it has some.
    """

    path: str
    length: int
    sound: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--layout", choices=("auto", "voxceleb2", "mead", "folder"), default="auto", help="of the folders")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="side of the pictures (default 224)")
    parser.add_argument("--longest", type=float, default=10.0, metavar="S", help="seconds taken of a file (default 10)")
    parser.add_argument("--silent", action="store_true", help="keep clips without sound: stage 1 can use them")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N files of each folder")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")


def main(args: argparse.Namespace) -> int:
    """Prepare; 0 if there is any clip."""
    jobs = list(_jobs(args))
    if not jobs:
        raise PrepareError(f"no video in {', '.join(map(str, args.folders))}")
    waiting = [job for job in jobs if not job.seen.exists()]
    progress = Progress("preparing", len(waiting))
    try:
        for job, trouble in mapped(_prepare, waiting, args.jobs):
            progress.step(job.take.clip, trouble)
        report = _collect(jobs, args.out)
    except OSError as error:
        raise PrepareError(f"cannot write to {args.out}: {error}; is the disk full?") from error
    print(json.dumps(report, indent=1))
    return 0 if any(row.get("clips") for row in report.values()) else 1


def _jobs(args: argparse.Namespace) -> Iterator[Job]:
    for folder in args.folders:
        if not folder.is_dir():
            raise PrepareError(f"{folder} is no folder")
        layout = layout_of(folder) if args.layout == "auto" else args.layout
        for number, take in enumerate(takes_in(folder, layout)):
            if args.limit is not None and number >= args.limit:
                break
            yield Job(take, args.out, args.size, args.longest, args.silent)


def _collect(jobs: Sequence[Job], out: Path) -> dict[str, dict[str, int]]:
    """Write the index of all clips and the report; the report."""
    rows: list[dict[str, Any]] = []
    report: dict[str, Counter[str]] = {}
    for job in jobs:
        counts = report.setdefault(job.take.clip.source, Counter())
        counts["files"] += 1
        if not job.seen.exists():
            counts[FAILED] += 1
            continue
        said = json.loads(job.seen.read_text())
        counts += Counter({"clips": len(said["clips"]), "pictures": sum(said["lengths"])})
        if said["why"]:
            counts[said["why"]] += 1
        report[job.take.clip.source] = counts
        person, split = job.take.clip.speaker, job.take.split
        sounds = said.get("sound", [True] * len(said["clips"]))
        rows += [
            {"path": path, "person": person, "split": split, "sound": sound}
            for path, sound in zip(said["clips"], sounds, strict=True)
        ]
    _write(out / INDEX, rows)
    table = {source: dict(counts) for source, counts in report.items()}
    _write(out / "report.json", table)
    return table


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def _prepare(job: Job) -> tuple[Job, str]:
    """One file: the job, and a line of what went wrong."""
    cv2.setNumThreads(1)
    clips: list[Made] = []
    why = line = ""
    try:
        clips = clips_of_take(job)
    except Unusable as error:
        why, line = error.kind, str(error)
    except Exception as error:  # decoders and trackers fail in ways of their own; one file must not end the rest
        return job, f"{FAILED}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    paths, lengths = [clip.path for clip in clips], [clip.length for clip in clips]
    _write(job.seen, {"clips": paths, "lengths": lengths, "sound": [clip.sound for clip in clips], "why": why})
    return job, line


def clips_of_take(job: Job) -> list[Made]:
    """Make the clips of a file.

    Raises:
        Unusable: if nothing can be made of it.
    """
    path = job.take.clip.path
    begin, seen, (height, width) = _follow(path, job.longest_s)
    stretches = _stretches(seen)
    sound = _sound(job, begin, len(seen))
    readings = readings_of(seen, width, height, speaks=True)
    made: list[Made] = []
    for number, rows in enumerate(stretches):
        marks = np.stack([_landmarks(seen[row]) for row in rows])
        matrices = align_clip(marks, job.size)
        flat = np.einsum("tij,tnj->tni", matrices[:, :, :2], marks[:, :, :2]) + matrices[:, None, :, 2]
        motion = np.stack([readings[row].values for row in rows])
        motion[:, [Channel["tx"], Channel["ty"]]] = shift_in_view(np.dstack([flat, marks[:, :, 2] * _scale(matrices[0])]))
        name = f"{job.take.clip.source}/{job.take.clip.speaker}/{job.take.clip.name}-{number}.npz"
        first, last = rows[0], rows[-1] + 1
        crops = [aligned(rgb, matrix, job.size) for rgb, matrix in zip(_frames(path, first, last), matrices, strict=True)]
        save_clip(job.out / name, crops, motion, eyes_of(flat / job.size), sound[first * SAMPLES : last * SAMPLES])
        made.append(Made(name, len(rows), bool(len(sound))))
    return made


def at_25_fps(frames: Iterator[tuple[float, Image]]) -> Iterator[tuple[float, Image]]:
    """The instants and pictures of a film, taken 25 times a second: the one that shows at each instant."""
    begin, count, last = None, 0, None
    for time_s, rgb in frames:
        begin = time_s if begin is None else begin
        while last is not None and begin + (count + 0.5) / FPS < time_s:
            yield last
            count += 1
        last = (time_s, rgb)
    if last is not None:
        yield last


def shift_in_view(marks: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32[T, 2]: tx and ty of heads float[T, 478, 3] px of aligned pictures, from where they mostly are.

    A clip is moved picture by picture so that its lips stay where they are: a
    latent must tell what can be seen.
    """
    face = mean_face(marks)
    _, scales, shifts = similarity(marks[:, RIGID], face[RIGID])
    moved = (shifts[:, :2] - np.median(shifts[:, :2], 0)) / np.median(scales)
    return (moved * (1, -1)).astype(np.float32)


@cache
def _follower() -> Follower:
    return Follower.load()


def _frames(path: Path, first: int, last: int) -> Iterator[Image]:
    for number, (_, rgb) in enumerate(at_25_fps(pictures(path))):
        if number >= last:
            return
        if number >= first:
            yield rgb


def _follow(path: Path, longest_s: float) -> tuple[float, list[Seen], tuple[int, int]]:
    """When the first picture is, what is seen in each at 25 fps, and their height and width."""
    follower = _follower()
    follower.reset()
    begin, seen, size = 0.0, [], (0, 0)
    for number, (time_s, rgb) in enumerate(at_25_fps(pictures(path))):
        if number >= longest_s * FPS:
            break
        begin, size = (time_s if number == 0 else begin), rgb.shape[:2]
        seen.append(follower.follow(rgb, number / FPS))
    if not seen:
        raise Unusable("corrupt", "no picture could be decoded")
    if not any(one.face for one in seen):
        raise Unusable("no face", f"none in {len(seen)} pictures")
    if np.mean([one.faces > 1 for one in seen]) > CROWD:
        raise Unusable("several faces")
    return begin, seen, size


def _stretches(seen: Sequence[Seen]) -> list[range]:
    """Runs of pictures with a face that is large enough.

    Raises:
        Unusable: if there is none.
    """
    good = np.array([one.face is not None and _apart(_landmarks(one)) >= SMALLEST_U for one in seen])
    if not good.any():
        raise Unusable("face too small", f"below {SMALLEST_U:.0f} px between the eyes")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(int)))
    runs = [range(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= SHORTEST]
    if not runs:
        raise Unusable("too short", f"no second in which the face is seen throughout, of {len(seen) / FPS:.1f}")
    return runs


def _landmarks(seen: Seen) -> NDArray[np.floating]:
    assert seen.face is not None
    return seen.face.landmarks


def _apart(landmarks: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))


def _scale(matrix: NDArray[np.floating]) -> float:
    return float(np.hypot(matrix[0, 0], matrix[0, 1]))


def _sound(job: Job, begin_s: float, count: int) -> NDArray[np.int16]:
    """int16[640 count] at 16 kHz; empty if there is none and that is asked for."""
    where = job.take.sound or job.take.clip.path
    try:
        heard = sound_of(where, 0.0 if job.take.sound else begin_s)
    except Unusable as error:
        if job.silent and error.kind == "no sound":
            return np.zeros(0, np.int16)
        raise
    return decimated(heard, count * SAMPLES)
