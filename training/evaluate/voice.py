"""Judge what turns a voice into a mouth: every driver on people and sentences that no training saw.

Prints one table per kind of scene and the bars, and writes them with all marks, plots and side-by-side clips to --out.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.motion.mouth import LOOK_AHEADS_MS
from engine.motion.voice import MODELS, VoiceSource
from engine.rig import archive
from engine.runtime.ort import OrtGraph
from training.data.tracks import tracks_in
from training.evaluate import plots, report
from training.evaluate.drivers import Driver, Performance, RigDriver, live_controls, network_controls, simple_drivers
from training.evaluate.face import face_of
from training.evaluate.judge import Marks, Noise, Row, judge, offsets_ms, real_marks, rig_marks, row_of
from training.evaluate.noise import noises
from training.evaluate.scenes import GROUPS, Scene, filmed_scenes, phones_of, spoken_scenes

STAND_IN = MODELS / "portraits" / "mei.mien"
"""A built-in person, for speech of people nobody filmed and for films that cannot be enrolled."""
NOISY_GROUPS = ("test", "validation")
"""Where noise is mixed in: the bar speaks of the correlation there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.evaluate.command`."""
    parser.add_argument("--tracks", type=Path, required=True, metavar="DIR", help="made by python -m training prepare")
    parser.add_argument("--speech", type=Path, metavar="DIR", help="made by python -m training speech: phones, languages")
    parser.add_argument("--noise", type=Path, metavar="DIR", help="recordings of rooms; without them white noise and babble")
    parser.add_argument("--model", type=Path, metavar="FILE", help="mouth network (default: the one that ships)")
    parser.add_argument("--learner", type=Path, nargs="+", default=[], metavar="FILE",
                        help="learner.pt of python -m training expression-learner")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only groups and drivers whose name holds one of these")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="the films of the tracks: makes side-by-side clips of some")
    parser.add_argument("--live", action="store_true", help="the network within the whole live source: the same lips, slower")
    parser.add_argument("--clips", type=int, default=3, metavar="N", help="side-by-side clips of each kind (default 3)")


def main(args: argparse.Namespace) -> int:
    """Judge; return the exit status."""
    args.out.mkdir(parents=True, exist_ok=True)
    seen = list(filmed_scenes(args.tracks, phones_of(args.speech) if args.speech else {}))
    scenes = list(_scenes(args, seen))
    drivers = list(_drivers(args))
    disturbing = noises(args.noise, [s.sound for s in seen if s.group == "speakers"]) if args.noise else {}
    filmed = [scene for scene in scenes if scene.real is not None]
    marks: dict[str, list[Marks]] = {
        report.REAL: [real_marks(scene) for scene in filmed],
        report.RIG: [rig_marks(scene) for scene in filmed],
    }
    for driver in drivers:
        began = time.monotonic()
        marks[driver.name] = _all_marks(driver, scenes, disturbing)
        sys.stderr.write(f"{driver.name}: {len(scenes)} scenes in {time.monotonic() - began:.0f} s\n")
    rows = _rows(marks, {report.REAL: 0.0, report.RIG: 0.0, **{driver.name: driver.look_ahead_ms for driver in drivers}})
    sys.stdout.write(report.page(rows, GROUPS, report.plain, "") + "\n")
    (args.out / "table.md").write_text(report.page(rows, GROUPS, report.markdown, "## ") + "\n")
    report.save_json(args.out / "table.json", rows, {name: [_plain(m) for m in all_] for name, all_ in marks.items()})
    _draw(args, rows, filmed, drivers)
    if args.videos:
        _films(args, filmed, drivers)
    return 0


SHOWN = (report.NETWORK.format(80), report.LEARNER, report.SIGNAL_PROCESSING)
"""Drivers in plots; those with controls are also in the side-by-side clips."""


def _some(filmed: Sequence[Scene], count: int) -> list[Scene]:
    """A few of each kind, evenly spaced by name."""
    chosen: list[Scene] = []
    for group in ("test", "speakers"):
        own = sorted((scene for scene in filmed if scene.group == group), key=lambda scene: scene.name)
        chosen += own[:: max(len(own) // max(count, 1), 1)][:count]
    return chosen


def _draw(args: argparse.Namespace, rows: Sequence[Row], filmed: Sequence[Scene], drivers: Sequence[Driver]) -> None:
    """The plots, where matplotlib is installed."""
    if importlib.util.find_spec("matplotlib") is None:
        sys.stderr.write("no plots: they need matplotlib (pip install 'mien[bench]')\n")
        return
    groups = [group for group in GROUPS if any(row.group == group and row.correlation_video is not None for row in rows)]
    if not groups:
        return
    plots.draw_correlations(args.out / "correlation.png", rows, groups)
    lines: dict[str, dict[str, NDArray[np.float32]]] = {}
    for scene in _some(filmed, args.clips):
        assert scene.real is not None
        played = {d.name: _act(d, scene).gap for d in drivers if d.name in SHOWN}
        lines[f"{scene.name} ({scene.group})"] = {report.REAL: scene.real.gap, **played}
    if lines:
        plots.draw_gaps(args.out / "gaps.png", lines)


def _act(driver: Driver, scene: Scene) -> Performance:
    return driver.perform(scene.sound, scene.neutral, face_of(scene.neutral))


def _films(args: argparse.Namespace, filmed: Sequence[Scene], drivers: Sequence[Driver]) -> None:
    """Side-by-side clips of a few scenes whose film is below --videos."""
    from training.evaluate import film
    from training.teacher import MediaPipeTracker

    tracker, spare = MediaPipeTracker(), archive.load(STAND_IN)
    films = {path.stem: path for path in sorted(args.videos.rglob("*.mp4"))}
    tracks = {track.name: track for track in tracks_in(args.tracks)}
    for scene in _some(filmed, args.clips):
        if scene.name not in films:
            sys.stderr.write(f"no clip of {scene.name}: its film is not in {args.videos}\n")
            continue
        played = {d.name: _act(d, scene).controls for d in drivers if d.name in SHOWN}
        driven = {name: controls for name, controls in played.items() if controls is not None}
        try:
            source = film.source_of(films[scene.name], tracks[scene.name], tracker, spare)
            film.make(args.out / f"{scene.group}-{scene.name}.mp4", source, driven)
        except film.FilmError as error:
            sys.stderr.write(f"no clip of {scene.name}: {error}\n")


def _scenes(args: argparse.Namespace, seen: Sequence[Scene]) -> Iterator[Scene]:
    spoken = spoken_scenes(args.speech, stand_in()) if args.speech else ()
    return (scene for scene in (*seen, *spoken) if _wanted(scene.group, args.only, GROUPS))


def _wanted(name: str, only: Sequence[str] | None, among: Mapping[str, str] | Sequence[str]) -> bool:
    """Whether `only` names it, or names nothing of its kind."""
    words = [word for word in only or () if any(word in other for other in among)]
    return not words or any(word in name for word in words)


def stand_in() -> NDArray[np.float32]:
    """float32[478, 3] in u: the neutral face of one of the built-in people, for speech of people nobody filmed."""
    from training.data.head import straightened

    return straightened(archive.load(STAND_IN).landmarks.astype(np.float64)).astype(np.float32)


def _drivers(args: argparse.Namespace) -> Iterator[Driver]:
    found: list[Driver] = simple_drivers()
    model = args.model or MODELS / "voice.onnx"
    if args.learner:
        from training.evaluate.learner import LearnerDriver

        for path in args.learner:
            driver = LearnerDriver.load(path)
            known = any(driver.name == other.name for other in found)
            found.append(replace(driver, name=f"{driver.name}, {path.parent.name}") if known else driver)
    if model.exists():
        graph = OrtGraph.load(model)
        for look_ahead in LOOK_AHEADS_MS:
            act = partial(network_controls, graph, look_ahead)
            if args.live:
                act = partial(live_controls, VoiceSource(look_ahead, graph=graph))
            found.append(RigDriver(report.NETWORK.format(look_ahead), look_ahead, act))
    else:
        sys.stderr.write(f"there is no {model}: the mouth network is left out\n")
    names = [driver.name for driver in found]
    return (driver for driver in found if _wanted(driver.name, args.only, names))


def _all_marks(driver: Driver, scenes: Sequence[Scene], disturbing: Mapping[str, Noise]) -> list[Marks]:
    noisy = judge(driver, [scene for scene in scenes if scene.group in NOISY_GROUPS], disturbing)
    return noisy + judge(driver, [scene for scene in scenes if scene.group not in NOISY_GROUPS])


def _rows(marks: Mapping[str, Sequence[Marks]], look_ahead: Mapping[str, float]) -> list[Row]:
    groups = list(dict.fromkeys(m.group for all_ in marks.values() for m in all_))
    if any(group.startswith(report.LANGUAGE) for group in groups):
        groups.append("synthetic")
    groups.sort(key=lambda group: [*GROUPS].index(group) if group in GROUPS else len(GROUPS))
    rows: list[Row] = []
    heard = [marks[name] for name in (report.LOUDNESS, report.SIGNAL_PROCESSING) if name in marks]
    late = offsets_ms([[m for m in all_ if m.group == "speakers"] for all_ in heard])
    for group in groups:
        for name, all_ in marks.items():
            chosen = [m for m in all_ if group in (m.group, m.group.split()[0])]
            if chosen:
                rows.append(row_of(name, look_ahead[name], group, chosen, late if group == "speakers" else None))
    return rows


def _plain(marks: Marks) -> dict[str, object]:
    """Marks as JSON, without the curves."""
    values = {f.name: getattr(marks, f.name) for f in fields(marks) if f.name not in ("by_lag", "pair")}
    return {name: None if value != value else value for name, value in values.items()}
