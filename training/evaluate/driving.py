# pyright: basic
# cv2 types its images as unions that strict mode cannot follow
"""Judge self-driving: a person's portrait driven by the rest of the same clip, against what they really did.

The portrait is the first usable picture of a clip. Head, gaze, lids and expression are then driven by its pictures and the
lips by its sound, as `mien render PORTRAIT --driving CLIP` does. Pictures are compared in the portrait's own square.
Prints a table, and writes it with all figures and a strip of frames (real above, driven below) per clip to --out.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Motion
from engine.enrol.build import build_avatar
from engine.enrol.framing import choose_face, eye_openness, frame_face, upright_square, yaw_deg
from engine.errors import MienError
from engine.face.crop import cut
from engine.face.pose import frontal, lip_gap
from engine.face.recorded import readings_of
from engine.face.stream import FaceFollower, Seen
from engine.face.tracker import Face, FaceTracker
from engine.motion.camera import CameraSource
from engine.motion.compositor import Compositor
from engine.motion.idle import IdleSource
from engine.motion.voice import VoiceSource
from engine.render.mesh import MeshRenderer
from engine.rig.avatar import FRAME, Avatar
from engine.session import Session
from engine.timeline import SAMPLE_RATE_HZ, Timeline
from training.data.media import VIDEO_SUFFIXES, frame_rate, pictures, sound_of
from training.evaluate import likeness
from training.evaluate.likeness import SIGNALS, Followed, Image, Landmarks, Likeness

SIDE: Final = 256
"""px, side of the pictures that are compared."""
STRIP: Final = 8
"""Moments in a strip, evenly spaced."""
LEAST_FRAMES: Final = 25
_RATES: Final = (25, 30, 50, 60)
_OPEN: Final = 0.2  # opening over width of an eye in a usable portrait
_SHUT: Final = 0.03  # gap of the lips there, in u
_AHEAD_DEG: Final = 15.0
_WAIT_S: Final = 3.0  # a better portrait is not waited for longer
_NEITHER: Final = np.full((478, 3), np.nan, np.float32)


class Unsuited(MienError):
    """A clip that cannot be judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A clip as the engine's tracker saw it.

    Attributes:
        seen: of each picture, at the middle of its time.
        portrait: index of the picture that was enrolled.
        avatar: what was made of it.
        square: float64[2, 3], maps the clip's pictures to the avatar's frame.
        width: of the clip's pictures, px.
        height: likewise.
    """

    seen: Sequence[Seen]
    portrait: int
    avatar: Avatar
    square: NDArray[np.float64]
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One clip: the driven film, and beside it the portrait that does not move at all."""

    name: str
    driven: Likeness
    still: Likeness
    followed: dict[str, Followed]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.evaluate.command`."""
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", required=True, metavar="DIR", help="folders of clips of one person each, or clips")
    add("--out", type=Path, default=Path("out/driving"), metavar="DIR", help="(default: %(default)s)")
    add("--longest", type=float, default=8.0, metavar="S", help="seconds of each clip (default: %(default)s)")
    add("--tracker", choices=("own", "teacher"), default="own", help="whose landmarks drive and enrol (default: %(default)s)")
    add("--judge", choices=("own", "teacher"), default="teacher", help="whose landmarks judge (default: %(default)s)")
    add("--videos", action="store_true", help="write the films side by side, too")


def main(args: argparse.Namespace) -> int:
    """Judge; return the exit status."""
    args.out.mkdir(parents=True, exist_ok=True)
    finder, follower = _tracker(args.tracker)
    judge = follower if args.judge == args.tracker else _tracker(args.judge)[1]
    rows = []
    for path in _clips(args.clips):
        try:
            rows.append(judged(path, finder, follower, judge, args))
            sys.stderr.write(f"{_line(rows[-1].name, rows[-1].driven)}\n")
        except MienError as error:
            sys.stderr.write(f"{path.name} is left out: {error}\n")
    table = page(rows, f"Driven by {_WHO[args.tracker]}, judged by {_WHO[args.judge]}.")
    sys.stdout.write(table)
    (args.out / "table.md").write_text(table)
    (args.out / "table.json").write_text(json.dumps([_plain(row) for row in rows], indent=1))
    return 0 if rows else 1


_WHO: Final = {"own": "our tracker", "teacher": "the teacher (MediaPipe)"}


def _tracker(whose: str) -> tuple[FaceTracker, FaceFollower]:
    if whose == "own":
        from engine.face.finder import Finder
        from engine.face.follower import Follower

        return Finder.load(), Follower.load()
    from training.teacher import MediaPipeTracker, MeshStream

    return MediaPipeTracker(), _Teacher(MeshStream())


class _Teacher:
    """The teacher as a follower: the largest face, unsmoothed."""

    def __init__(self, mesh: Any) -> None:
        self._mesh = mesh

    def follow(self, rgb: Image, time_s: float) -> Seen:
        """See `FaceFollower`."""
        landmarks = self._mesh.follow(rgb)
        if landmarks is None:
            return Seen(time_s, None, "no face")
        return Seen(time_s, Face(landmarks, 1.0), "", 1)

    def reset(self) -> None:
        """See `FaceFollower`."""
        self._mesh.reset()


def _clips(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        inside = sorted(path for path in place.rglob("*") if path.suffix in VIDEO_SUFFIXES) if place.is_dir() else [place]
        yield from inside


def judged(path: Path, finder: FaceTracker, follower: FaceFollower, judge: FaceFollower, args: argparse.Namespace) -> Row:
    """Drive and judge one clip, and write its strip.

    Raises:
        MienError: if it cannot be used.
    """
    watched = watch(path, finder, follower, args.longest)
    fps = min(_RATES, key=lambda rate: abs(rate - frame_rate(path)))
    real, driven = films(path, watched, fps, args.longest)
    strip(args.out / f"{path.stem}.png", real, driven)
    if args.videos:
        side_by_side(args.out / f"{path.stem}.mp4", real, driven, fps)
    still = driven_still(watched.avatar)
    seen, moved, resting = (_landmarks(judge, film, fps) for film in (real, driven, [still] * 3))
    np.savez_compressed(args.out / f"{path.stem}.npz", driven=moved, real=seen, fps=fps)
    likenesses = alike(driven, real, moved, seen), alike([still] * len(real), real, np.repeat(resting[-1:], len(real), 0), seen)
    both = np.isfinite(moved[:, 0, 0]) & np.isfinite(seen[:, 0, 0])
    face = frontal(seen[both][0])
    signals = [likeness.signals(landmarks[both], face) for landmarks in (moved, seen)]
    return Row(path.stem, *likenesses, likeness.followed(signals[0], signals[1], fps))


def films(path: Path, watched: Watched, fps: int, longest_s: float) -> tuple[list[Image], list[Image]]:
    """The real and the driven film after the portrait's picture, uint8[SIDE, SIDE, 3] each, at the same instants.

    Raises:
        Unsuited: if too few pictures are left.
    """
    real = [_shrunk(cut(rgb, watched.square, FRAME)) for _, rgb in _timed(path, longest_s)]
    times = np.array([one.time_s for one in watched.seen])
    driven = list(play(watched, _sound(path, times[-1]), fps, round(times[-1] * fps)))
    order = [i for i in range(len(driven)) if (i + 0.5) / fps > times[watched.portrait]]
    if len(order) < LEAST_FRAMES:
        raise Unsuited(f"{len(order)} pictures follow the one that can be enrolled, at least {LEAST_FRAMES} are needed")
    return [real[int(np.abs(times - (i + 0.5) / fps).argmin())] for i in order], [driven[i] for i in order]


def watch(path: Path, finder: FaceTracker, follower: FaceFollower, longest_s: float) -> Watched:
    """Follow the face through a clip, and enrol the first picture of it that is usable.

    Raises:
        MienError: if none can be enrolled.
    """
    follower.reset()
    seen: list[Seen] = []
    best: tuple[int, Image] | None = None
    height = width = 0
    for time_s, rgb in _timed(path, longest_s):
        height, width = rgb.shape[:2]
        seen.append(follower.follow(rgb, time_s))
        face = seen[-1].face
        if face is not None and (best is None or (not _usable(seen[best[0]].face) and time_s < _WAIT_S and _usable(face))):
            best = len(seen) - 1, rgb
    if best is None:
        raise Unsuited("no face")
    index, rgb = best
    square = upright_square(choose_face(finder.detect(rgb)), width, height)
    framed = frame_face(rgb, finder)
    avatar = build_avatar(framed.crop, framed.landmarks, framed.matte)
    return Watched(seen, index, avatar, square, width, height)


def _usable(face: Face | None) -> bool:
    """Whether a portrait of this face has open eyes and closed lips, and looks ahead."""
    if face is None or abs(yaw_deg(face.landmarks)) > _AHEAD_DEG or eye_openness(face.landmarks) < _OPEN:
        return False
    return bool(lip_gap(face.landmarks[None])[0] < _SHUT)


def _timed(path: Path, longest_s: float) -> Iterator[tuple[float, Image]]:
    """Pictures with the middle of their time, counted from the first one's beginning."""
    half, first = 0.5 / frame_rate(path), None
    for begin_s, rgb in pictures(path):
        first = begin_s if first is None else first
        if begin_s - first >= longest_s:
            return
        yield begin_s - first + half, rgb


def _sound(path: Path, seconds: float) -> NDArray[np.float32]:
    """float32[N] at 48 kHz from the first picture on, a second longer than `seconds`."""
    start_s = next(begin_s for begin_s, _ in pictures(path))
    return sound_of(path, start_s)[: round((seconds + 1) * SAMPLE_RATE_HZ)]


class _Known:
    """The motion of a clip, at its own instants; see `streaming.driving.ClipMotion`."""

    def __init__(self, watched: Watched) -> None:
        portrait = watched.seen[watched.portrait].face
        assert portrait is not None
        readings = readings_of(watched.seen, watched.width, watched.height, speaks=False, neutral=portrait.landmarks)
        self._camera = CameraSource(timed=True)
        for k, (one, reading) in enumerate(zip(watched.seen, readings, strict=True)):
            self._camera.push(reading, round(one.time_s * SAMPLE_RATE_HZ) if k else 0)

    look_ahead = 0

    def advance(self, until_sample: int) -> Sequence[Motion]:
        return self._camera.advance(until_sample)

    def reset(self, sample: int = 0) -> None:
        raise AssertionError("played once")


def play(watched: Watched, sound: NDArray[np.float32], fps: int, count: int) -> Iterator[Image]:
    """uint8[SIDE, SIDE, 3] each: the driven film."""
    voice = VoiceSource()
    sources = {"voice": voice, "camera": _Known(watched), "idle": IdleSource(0)}
    session = Session(
        Timeline(fps=fps), MeshRenderer(watched.avatar, FRAME, badge=False), Compositor(sources, live=frozenset()), voice
    )
    per_frame = session.timeline.samples_per_frame
    rest = np.pad(sound, (0, max(count * per_frame + session.lead - len(sound), 0)))
    for _ in range(count):
        rest = rest[session.push(rest[: session.lead + 2 * per_frame]) :]
        yield _shrunk(session.tick().video.rgb)


def driven_still(avatar: Avatar) -> Image:
    """The portrait at rest."""
    renderer = MeshRenderer(avatar, FRAME, badge=False)
    renderer.prepare(Motion.of())
    return _shrunk(renderer.finish().rgb)


def _shrunk(rgb: Image) -> Image:
    return np.asarray(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _landmarks(judge: FaceFollower, film: Sequence[Image], fps: float) -> Landmarks:
    """float32[T, 478, 3] px; NaN where the judge sees no face."""
    judge.reset()
    seen = [judge.follow(picture, (k + 0.5) / fps).face for k, picture in enumerate(film)]
    return np.stack([_NEITHER if face is None else face.landmarks for face in seen])


def alike(driven: Sequence[Image], real: Sequence[Image], moved: Landmarks, truth: Landmarks) -> Likeness:
    """Compare two films, picture by picture."""
    both = np.isfinite(moved[:, 0, 0]) & np.isfinite(truth[:, 0, 0])
    if both.sum() < LEAST_FRAMES:
        raise Unsuited(f"the judge sees both faces in {both.sum()} pictures only")
    lmd, lmd_m, ard = likeness.distances(moved[both], truth[both], likeness.eye_distance(truth[both]))
    l1 = float(np.mean([likeness.l1(a, b) for a, b in zip(driven, real, strict=True)]))
    ssim = float(np.mean([likeness.ssim(a, b) for a, b in zip(driven, real, strict=True)]))
    return Likeness(lmd, lmd_m, ard, l1, ssim, len(both), int((~both).sum()))


def strip(path: Path, real: Sequence[Image], driven: Sequence[Image]) -> None:
    """Write a PNG: moments of the real film above those of the driven one."""
    chosen = np.linspace(0, len(real) - 1, STRIP).round().astype(int)
    rows = [np.hstack([film[k] for k in chosen]) for film in (real, driven)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def side_by_side(path: Path, real: Sequence[Image], driven: Sequence[Image], fps: int) -> None:
    """Write an mp4 without sound: real on the left, driven on the right."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 2 * SIDE, SIDE, "yuv420p"
        for pair in zip(real, driven, strict=True):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(np.hstack(pair)), format="rgb24")))
        container.mux(stream.encode(None))


def page(rows: Sequence[Row], who: str) -> str:
    """The table as Markdown, with the means and how each signal follows."""
    lines = [who, "", "| clip | frames | unseen | LMD % | LMD_m % | ARD deg | L1 | SSIM |", "|---|---|---|---|---|---|---|---|"]
    lines += [_line(row.name, row.driven) for row in rows]
    if rows:
        lines += [_line("**mean**", _mean([row.driven for row in rows]))]
        lines += [_line("portrait that does not move", _mean([row.still for row in rows]))]
    lines += [
        "",
        "Medians over the clips:",
        "",
        "| signal | correlation | gain | lag ms | worst jump |",
        "|---|---|---|---|---|",
    ]
    for name in SIGNALS if rows else ():
        all_ = [row.followed[name] for row in rows]
        r, gain, lag = (np.nanmedian([getattr(one, what) for one in all_]) for what in ("correlation", "gain", "lag_ms"))
        lines.append(f"| {name} | {r:.2f} | {gain:.2f} | {lag:.0f} | {max(one.jump for one in all_):.1f} |")
    return "\n".join([*lines, ""])


def _line(name: str, of: Likeness) -> str:
    return (
        f"| {name} | {of.frames} | {of.unseen} | {100 * of.lmd:.2f} | {100 * of.lmd_m:.2f} | {of.ard:.2f} "
        f"| {of.l1:.3f} | {of.ssim:.3f} |"
    )


def _mean(all_: Sequence[Likeness]) -> Likeness:
    values = {name: float(np.mean([getattr(one, name) for one in all_])) for name in ("lmd", "lmd_m", "ard", "l1", "ssim")}
    return Likeness(**values, frames=sum(one.frames for one in all_), unseen=sum(one.unseen for one in all_))


def _plain(row: Row) -> dict[str, object]:
    return {
        "clip": row.name,
        "driven": asdict(row.driven),
        "still": asdict(row.still),
        "followed": {name: {k: None if v != v else v for k, v in asdict(one).items()} for name, one in row.followed.items()},
    }
