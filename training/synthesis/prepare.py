"""`python -m training prepare-factorial --faces FACES --speech SPEECH --out DIR`: the factorial set.

The mesh renderer draws every suited portrait of FACES with values that all
people share (`pools.npz`):

    stills/  random faces of everybody, 30 % of them one factor away from another
    groups/  of held-out people: a base, and variants of it in one factor at a time
    clips/   2.56 s of people who speak, with their sound

What was drawn is kept in DIR/.parts: a second call goes on where the first
one stopped, and more people or other counts cost only what is new.
`report.json` tells who was left out and why.
"""

import argparse
import hashlib
import json
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from training.data.media import Unusable
from training.data.prepare import Clip, Progress
from training.synthesis.data import MARK
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import Pools, make_pools
from training.synthesis.plan import Rows, clip_motion, group_rows, random_rows
from training.synthesis.sitters import Portrait, Sitter, Stage, portraits_in
from training.synthesis.speech import Stretch, lips_of, stretches_of
from training.synthesis.store import Arrays, assemble, encoded, save_part
from training.tracker.pool import mapped

VERSION: Final = 1
KINDS: Final = ("stills", "groups", "clips")
_SPLITS: Final = ("train", "validation", "test")
_LIPS_FROM: Final = 480  # stretches of speech


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides what is drawn, but for the portraits and the speech."""

    size: int
    seed: int
    pool: int
    version: int = VERSION

    def key(self) -> str:
        """Changes when any of it does."""
        return hashlib.sha1(json.dumps(asdict(self)).encode(), usedforsecurity=False).hexdigest()[:10]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One person to draw, of one kind."""

    portrait: Portrait
    kind: str
    path: Path
    settings: Settings
    pools: Path
    count: int
    variants: int = 0
    speech: tuple[Stretch, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--faces", type=Path, required=True, metavar="DIR", help="made by prepare-faces with --renders")
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="made by speech")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--people", type=int, metavar="N", help="at most so many (default all that are suited)")
    parser.add_argument("--stills", type=int, default=16000, metavar="N", help="about so many (default 16000)")
    parser.add_argument("--groups", type=int, default=2, metavar="N", help="bases of each person of test (default 2)")
    parser.add_argument("--variants", type=int, default=6, metavar="N", help="faces for each factor of a base (default 6)")
    parser.add_argument("--clips", type=int, default=300, metavar="N", help="so many at most, one a person first (default 300)")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="side of the pictures (default 224)")
    parser.add_argument("--pool", type=int, default=256, metavar="N", help="values of each factor (default 256)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")


def main(args: argparse.Namespace) -> int:
    """Draw; 0 if anything was."""
    began, out = time.monotonic(), Path(args.out)
    settings = Settings(args.size, args.seed, args.pool)
    try:
        out.mkdir(parents=True, exist_ok=True)
        people, dropped = suited(list(portraits_in(args.faces)), out / ".suited.json", args.people)
        pools = _pools(args.speech, out, settings)
        report: dict[str, Any] = {"settings": asdict(settings), "people": Counter(p.split for p in people), "dropped": dropped}
        for tasks in _plans(args, people, settings, pools):
            paths = _drawn(tasks, args.jobs)
            if paths:
                report[tasks[0].kind] = {"people": len(paths), "rows": assemble(out / tasks[0].kind, paths)}
            _note(out, report | {"seconds": round(time.monotonic() - began)})
    except OSError as error:
        raise SynthesisError(f"cannot write to {out}: {error}; is the disk full?") from error
    print(json.dumps(report, indent=1))
    return 0 if "stills" in report else 1


def suited(portraits: Sequence[Portrait], noted: Path, most: int | None) -> tuple[list[Portrait], dict[str, int]]:
    """The portraits that can be used, and how many are not, by reason; what is known from earlier calls is not looked at."""
    known: dict[str, str] = json.loads(noted.read_text()) if noted.exists() else {}
    waiting = [p for p in portraits if p.avatar.name not in known]
    progress = Progress("choosing", len(waiting))
    for portrait in waiting:
        try:
            Sitter.load(portrait.avatar)
            known[portrait.avatar.name] = ""
        except Unusable as error:
            known[portrait.avatar.name] = error.kind
        progress.step(_as_clip(portrait), "")
    noted.write_text(json.dumps(known, indent=0))
    good = [p for p in portraits if not known[p.avatar.name]][:most]
    return good, dict(Counter(known[p.avatar.name] for p in portraits if known[p.avatar.name]))


def _pools(speech: Path, out: Path, settings: Settings) -> Path:
    """`pools.npz`, made if it is not there."""
    path, noted = out / "pools.npz", out / "settings.json"
    made = json.dumps(asdict(settings))
    if not path.exists() or not noted.exists() or noted.read_text() != made:
        lips = lips_of(stretches_of(speech, "train", _LIPS_FROM, settings.seed))
        make_pools(lips, settings.pool, settings.seed).save(path)
        noted.write_text(made)
    return path


def _plans(args: argparse.Namespace, people: Sequence[Portrait], settings: Settings, pools: Path) -> Iterator[list[Task]]:
    """What is to be drawn, kind by kind."""
    folder = Path(args.out) / ".parts" / settings.key()
    each = -(-args.stills // max(len(people), 1))

    def task(portrait: Portrait, kind: str, count: int, variants: int = 0, speech: tuple[Stretch, ...] = ()) -> Task:
        path = folder / f"{kind}-{count}-{variants}" / f"{portrait.avatar.name}.npz"
        return Task(portrait, kind, path, settings, pools, count, variants, speech)

    yield [task(p, "stills", each) for p in people]
    yield [task(p, "groups", args.groups, args.variants) for p in people if p.split == "test"]
    spoken = zip(people, _speech(args, people), strict=True)
    yield [task(p, "clips", len(speech), speech=speech) for p, speech in spoken if speech]


def _speech(args: argparse.Namespace, people: Sequence[Portrait]) -> list[tuple[Stretch, ...]]:
    """Each person's stretches of speech, of voices of their own split."""
    share = {p.avatar: args.clips // len(people) + (i < args.clips % len(people)) for i, p in enumerate(people)}
    waiting = {}
    for split in _SPLITS:
        count = sum(share[p.avatar] for p in people if p.split == split)
        waiting[split] = iter(stretches_of(args.speech, split, count, args.seed) if count else ())
    return [tuple(next(waiting[p.split]) for _ in range(share[p.avatar])) for p in people]


def _drawn(tasks: Sequence[Task], processes: int) -> list[Path]:
    """The parts of some tasks; those that are not there yet are drawn."""
    todo = [task for task in tasks if not task.path.exists()]
    progress = Progress(f"drawing {tasks[0].kind}" if tasks else "", len(todo))
    for task in mapped(_draw, todo, processes):
        progress.step(_as_clip(task.portrait), "")
    return [task.path for task in tasks]


def _draw(task: Task) -> Task:
    cv2.setNumThreads(1)
    sitter, pools = Sitter.load(task.portrait.avatar), Pools.load(task.pools)
    stage, allowed = Stage(sitter, task.settings.size), sitter.allows(pools)
    rng = np.random.default_rng([task.settings.seed, KINDS.index(task.kind), zlib.crc32(task.portrait.person.encode())])
    who: Arrays = {}
    if task.kind == "clips":
        motions = np.stack([clip_motion(pools, allowed, s.articulators, rng) for s in task.speech])
        who["sound"] = np.stack([s.sound for s in task.speech])
        who["spoken"] = np.array([s.name for s in task.speech])
    else:
        rows = _rows(task, pools, allowed, rng)
        motions = pools.motion(rows.factors)
        who = {"factors": rows.factors, "base": rows.base, "varied": rows.varied}
    pictures, marks = [], []
    for values in motions.reshape(-1, motions.shape[-1]):
        rgb, points = stage.draw(values)
        pictures.append(encoded(rgb))
        marks.append(np.clip(np.round(points * MARK), -32768, 32767).astype(np.int16))
    named = {
        name: np.full(len(motions), value) for name, value in (("people", task.portrait.person), ("split", task.portrait.split))
    }
    landmarks = np.stack(marks).reshape(*motions.shape[:-1], -1, 2)
    save_part(task.path, pictures, {"motion": motions, "landmarks": landmarks, **who, **named})
    return task


def _rows(task: Task, pools: Pools, allowed: np.ndarray, rng: np.random.Generator) -> Rows:
    if task.kind == "groups":
        return group_rows(pools, allowed, task.count, task.variants, rng)
    return random_rows(allowed, task.count, rng)


def _as_clip(portrait: Portrait) -> Clip:
    return Clip(portrait.avatar, portrait.split, portrait.person, portrait.person)


def _note(out: Path, report: dict[str, Any]) -> None:
    part = out / "report.json.part"
    part.write_text(json.dumps(report, indent=1) + "\n")
    part.replace(out / "report.json")
