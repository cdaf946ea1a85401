# pyright: basic
# cv2 types its images as unions
"""Judges the face tracker: all bars in one table, a table of spoilt pictures, and sheets to look at.

Judge: the teacher's landmarks of people who were not trained on, exact renders of theirs, generated pictures without a
face. Whatever of the data is not there is told as not measured. Writes tracker.json and PNG files to --out.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.finder import DETECTOR, EYES, MATTE, MESH, Finder
from engine.face.follower import Follower
from training.evaluate import tracker_live as live
from training.evaluate.report import plain
from training.evaluate.tracker_against import Errors, Exact, correlation, on_clips, on_renders, on_stills, test_stills
from training.evaluate.tracker_sheets import Picture, marked, sheet, spoilt
from training.evaluate.tracker_wild import Robust, robustness, textures, upper_bound
from training.tracker.data import Faceless, Pictures, Shard

Image = NDArray[np.uint8]

PEOPLE: Final = ("amara", "edith", "marco", "mei", "ravi", "samuel")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure: `wanted` is the bar, empty where there is none; `met` is None where nothing was asked or measured."""

    what: str
    value: float | None
    n: int
    wanted: str = ""
    met: bool | None = None
    more: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training evaluate tracker`."""
    add = parser.add_argument
    add("--faces", type=Path, default=Path("out/faces"), help="made by prepare-faces (default: %(default)s)")
    add("--out", type=Path, default=Path("out/tracker"), help="folder of the sheets (default: %(default)s)")
    add("--stills", type=int, default=400, help="photos judged at most (default: %(default)s)")
    add("--spoilt", type=int, default=40, help="photos spoilt in each way (default: %(default)s)")
    add("--longest", type=float, default=20.0, help="seconds of each clip (default: %(default)s)")
    add("--textures", type=int, default=1000, help="generated pictures without a face (default: %(default)s)")
    add("--only", choices=("stills", "clips", "renders", "faceless", "live", "spoilt"), help="one part instead of all")


def main(args: argparse.Namespace) -> int:
    """Judge, print the table, write the sheets."""
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    finder, follower = Finder.load(), Follower.load()
    seen = Pictures.load(args.faces / "pictures.npz") if (args.faces / "pictures.npz").exists() else None
    rows: list[Row] = []
    robust: dict[str, Robust] = {}

    def wanted(part: str) -> bool:
        return args.only in (None, part)

    if wanted("stills") and seen is not None:
        rows += still_rows("stills", on_stills(seen, finder, args.stills))
        sheet(args.out / "stills.png", marked(seen, finder, 36))
    if wanted("clips") and seen is not None:
        errors, means = on_clips(seen, follower, args.longest)
        rows += still_rows("video", errors)
        rows += [Row(f"  {name}, mean %", 100 * mean, 0) for name, mean in means.items()]
    if wanted("renders") and (args.faces / "renders" / "split.npy").exists():
        rows += render_rows(on_renders(Shard.load(args.faces / "renders"), finder, 40, 16))
    if wanted("faceless"):
        rows += faceless_rows(args.faces, finder, args.textures, args.out)
    if wanted("live"):
        rows += live_rows(seen, finder, follower)
    if wanted("spoilt") and seen is not None:
        stills = list(test_stills(seen, args.spoilt))
        robust = robustness(stills, finder)
        sheet(args.out / "spoilt.png", spoilt(stills, finder))
    _tell(rows, robust, args.out)
    return 0


def still_rows(kind: str, errors: Errors) -> list[Row]:
    """Against the teacher."""
    n, missed = len(errors.all), len(errors.missed)
    every, iris = (100 * float(np.mean(e)) if e else None for e in (errors.all, errors.iris))
    worst = f"p95 {100 * np.percentile(errors.all, 95):.2f}" if n else ""
    return [
        _most(f"{kind}: landmarks, mean % of the outer-eye distance", every, 2.0, n, worst),
        _most(f"{kind}: irises, mean %", iris, 2.5, n, f"p95 {100 * np.percentile(errors.iris, 95):.2f}" if n else ""),
        _most(f"{kind}: misses of faces >= 80 px", missed, 0, errors.expected, " ".join(errors.missed[:5])),
    ]


def render_rows(exact: Exact) -> list[Row]:
    """Against what was drawn."""
    n, pose = len(exact.landmarks), np.abs(exact.pose_deg).mean(0)
    rows = [Row("renders: landmarks, mean %", 100 * float(exact.landmarks.mean()), n, more=f"{exact.lost} lost")]
    rows += [
        _most(f"renders: {name}, mean deg", float(value), 2.5, n)
        for name, value in zip(("yaw", "pitch", "roll"), pose, strict=True)
    ]
    return [
        *rows,
        _most(
            "renders: gaze, mean deg",
            float(exact.gaze_deg.mean()),
            4.0,
            len(exact.gaze_deg),
            f"median {np.median(exact.gaze_deg):.1f}",
        ),
        _least("renders: lip gap, r", correlation(exact.gap), 0.97, n),
        _least("renders: eye opening, r", correlation(exact.opening), 0.95, n),
    ]


def faceless_rows(faces: Path, finder: Finder, count: int, out: Path) -> list[Row]:
    """Faces where there are none."""
    shown: list[Picture] = []
    rows = [_false("textures", textures(count), finder, shown)]
    if (faces / "faceless" / "split.npy").exists():
        parts = Faceless.load(faces / "faceless")
        crops = (np.array(parts.crops[i]) for i in np.flatnonzero(parts.split == "test"))
        rows.append(_false("face-free crops", crops, finder, shown))
    if shown:
        sheet(out / "false.png", shown)
    return rows


def _false(kind: str, pictures: Iterator[Image], finder: Finder, shown: list[Picture]) -> Row:
    n = false = 0
    for rgb in pictures:
        n += 1
        if faces := finder.detect(rgb):
            false += 1
            shown.append((f"{kind} {faces[0].score:.2f}", rgb, faces))
    return Row(f"false faces, {kind}", false, n, more=f"95 % upper bound {100 * upper_bound(false, n):.2f} %")


def live_rows(seen: Pictures | None, finder: Finder, follower: Follower) -> list[Row]:
    """Cost, jitter, lag."""
    stills = [live.camera(rgb, points) for _, rgb, points in test_stills(seen, 8)] if seen is not None else []
    stills = stills or [live.camera(rgb, points) for rgb, points, _ in (next(live.performance(name, 1)) for name in PEOPLE)]
    calm = [live.jitter(follower, still) for still in stills]
    kept = [jitter for jitter in calm if jitter is not None]
    late = live.lateness(follower, PEOPLE[:3])
    size = sum(path.stat().st_size for path in (DETECTOR, MESH, EYES, MATTE)) / 1e6
    rows = [
        _cost("tracking", 5.0, live.costs(follower, stills[0])),
        _cost("detection", 8.0, live.detection_costs(finder.detector, stills[0])),
        _most("all models, MB", size, 10.0, 4),
    ]
    if kept:
        more = f"worst {max(j.px for j in kept):.2f} px, {max(j.deg for j in kept):.2f} deg; {len(calm) - len(kept)} lost"
        rows += [
            _most("jitter on a still face 256 px wide, p95 px", float(np.mean([j.px for j in kept])), 0.3, len(kept), more),
            _most("jitter on a still face, p95 deg", float(np.mean([j.deg for j in kept])), 0.3, len(kept)),
        ]
    for part in ("head", "lips", "lids"):
        value = float(np.mean([getattr(one, part) for one in late]))
        r = float(np.mean([getattr(one, part + "_r") for one in late]))
        rows.append(_most(f"late by, {part}, pictures at 30 fps", value, 1.0, len(late), f"r of changes {r:.2f}"))
    return rows


def _cost(what: str, most_ms: float, spent: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Row:
    (wall, wall_99), (cpu, cpu_99) = (np.percentile(times, (50, 99)) for times in spent)
    more = f"p99 {wall_99:.1f}, least {spent[0].min():.1f}; CPU time p50 {cpu:.1f} p99 {cpu_99:.1f}"
    return _most(f"cost of a 640x480 picture, {what}, p50 ms", float(wall), most_ms, len(spent[0]), more)


def _most(what: str, value: float | None, most: float, n: int, more: str = "") -> Row:
    return Row(what, value, n, f"<= {most:g}", None if value is None else bool(value <= most), more)


def _least(what: str, value: float | None, least: float, n: int) -> Row:
    return Row(what, value, n, f">= {least:g}", None if value is None else bool(value >= least))


def _tell(rows: Sequence[Row], robust: dict[str, Robust], out: Path) -> None:
    verdict = {True: "met", False: "MISSED", None: ""}
    lines = [["what", "value", "bar", "", "n", "more"]]
    lines += [[r.what, "-" if r.value is None else f"{r.value:.3g}", r.wanted, verdict[r.met], str(r.n), r.more] for r in rows]
    sys.stdout.write(plain(lines) + "\n")
    if robust:
        sys.stdout.write("\n" + plain(_robust_lines(robust)) + "\n")
    told = {"rows": [asdict(row) for row in rows], "spoilt": {name: asdict(result) for name, result in robust.items()}}
    (out / "tracker.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _robust_lines(robust: dict[str, Robust]) -> list[list[str]]:
    lines = [["spoilt", "found %", "elsewhere", "mean error %", "p95 error %", "n"]]
    for name, result in robust.items():
        error = 100 * np.array(result.error or [np.nan])
        figures = f"{100 * result.found / max(result.n, 1):.0f}", str(result.wrong), f"{error.mean():.2f}"
        lines.append([name, *figures, f"{np.percentile(error, 95):.2f}", str(result.n)])
    return lines
