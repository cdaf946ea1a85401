"""`mien render PORTRAIT [SOUND] [--driving CLIP]`: the same engine and the same frames as live, as fast as the machine goes."""

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import MienError, PortraitError
from streaming.cli import renderer
from streaming.contract import SessionSettings

if TYPE_CHECKING:
    from engine.face.stream import FaceFollower
    from streaming.drivers import Driven
    from streaming.worker.studio import Studio

log = logging.getLogger(__name__)

BAR = 30  # characters
DRIVEN = {
    "pose": "what moves the head (default: file, or voice without a clip)",
    "gaze": "what moves eyeballs and lids (default: the same)",
    "expression": "what moves brows, cheeks and smile (default: the same)",
    "lips": "what moves the lips (default: voice; file if the clip has no sound)",
}
"""The factors, see `engine.motion.compositor.FACTORS`."""


def add_parser(subparsers: Any) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser(
        "render",
        help="portrait + sound file or driving clip -> mp4",
        description="Make a video of a portrait that speaks a sound file, or does as the person in a clip does, or both:"
        " the same engine and the same frames as live.",
    )
    parser.add_argument("portrait", help="a built-in or uploaded portrait's id (mei, samuel, ...) or a .mien file")
    parser.add_argument("sound", nargs="?", type=Path, help="any file with sound: wav, mp3, mp4, ... (default: the clip's)")
    parser.add_argument("-o", "--out", type=Path, help="the video to write (default: SOUND.mp4, or PORTRAIT-CLIP.mp4)")
    add_driving(parser)
    parser.add_argument("--size", type=int, default=512, help="height and width in pixels, even (default 512)")
    parser.add_argument("--fps", type=int, default=25, choices=(25, 30, 50, 60), help="pictures per second (default 25)")
    renderer.add_arguments(parser)
    parser.add_argument("--crf", type=int, default=18, help="x264's quality: 0 best .. 51 worst (default 18)")
    parser.add_argument("--seed", type=int, default=0, help="of blinks, glances and breath (default 0)")
    parser.add_argument("--preset", help="an expression or look to wear: smile, happy, sad, thoughtful, ...")
    parser.add_argument("--mouth-gain", type=float, help="how far the mouth opens, 0..2 (default 1)")
    parser.add_argument(
        "--head-style", type=Path, metavar="CLIP", help="move the head as the person in this clip of 3 s or more"
    )
    parser.add_argument("--no-badge", action="store_true", help="do not mark the picture as synthetic; say so elsewhere then")
    parser.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
    parser.add_argument("--portraits", type=Path, help="folder of uploaded portraits (default: the server's)")


def add_driving(parser: argparse.ArgumentParser) -> None:
    """Options that say what moves the face."""
    group = parser.add_argument_group(
        "driving by a clip",
        "WHERE is voice, still (the portrait as it is), file (the clip of --driving) or the name of another clip.",
    )
    group.add_argument("--driving", type=Path, metavar="CLIP", help="a film of a face that moves all but the lips")
    for factor, what in DRIVEN.items():
        group.add_argument(f"--{factor}-from", metavar="WHERE", help=what)


def run(args: argparse.Namespace) -> int:
    """Render; return the exit status."""
    from streaming.drivers import drive
    from streaming.film import Film, frames_of

    out = _out(args)
    drawn = renderer.chosen(args)
    settings = _settings(args, drawn)
    portrait = _portrait(args.portrait, args.portraits)
    studio = _studio(drawn)
    try:
        driven = drive(args.sound, args.driving, _words(args), _follower, ReadingProgress)
        _direct(studio, driven)
    finally:
        ReadingProgress.wipe()
    for note in driven.notes:
        log.warning(note)
    controls = {"preset": args.preset, "mouth_gain": args.mouth_gain, "factors": driven.factors}
    try:
        count, emissions = frames_of(settings, portrait, driven.sound, controls, driven.clip, studio)
    except ValueError as error:
        raise MienError(str(error)) from error
    progress = Progress(count, args.fps)
    with Film(out, settings, args.crf) as film:
        for emission in emissions:
            film.add(emission)
            progress.show(emission.index + 1)
    progress.end(out)
    return 0


def _settings(args: argparse.Namespace, drawn: renderer.Choice) -> SessionSettings:
    from streaming.styles import chosen

    style = chosen(args.head_style)
    return SessionSettings(
        args.portrait,
        size=args.size,
        fps=args.fps,
        look_ahead_ms=drawn.look_ahead_ms,
        badge=not args.no_badge,
        seed=args.seed,
        head_style=str(style) if style else None,
    )


def _studio(drawn: renderer.Choice) -> "Studio":
    from streaming.worker.options import STUDIOS, WorkerOptions
    from streaming.worker.pool import available_cores

    studio, models = STUDIOS[drawn.renderer], str(drawn.models or "")
    return WorkerOptions(studio, models, available_cores(), drawn.device, canonical=drawn.canonical).make_studio()


def _direct(studio: "Studio", driven: "Driven") -> None:
    """Have the driving faces seen by the renderer's own encoder, if it has one."""
    from streaming.encoded import tracks_of
    from streaming.worker.pdfgc import PdfgcStudio

    if isinstance(studio, PdfgcStudio) and driven.clips and studio.networks.motion is not None:
        studio.driven = tracks_of(driven.clips, studio.networks.motion, ReadingProgress("them once more"))


def _words(args: argparse.Namespace) -> dict[str, str | None]:
    return {factor: getattr(args, f"{factor}_from") for factor in DRIVEN}


def _out(args: argparse.Namespace) -> Path:
    """The file to write.

    Raises:
        MienError: if nothing may be written there, or --size is none.
    """
    if not 64 <= args.size <= 2048 or args.size % 2:
        raise MienError(f"--size is an even number of pixels from 64 to 2048, got {args.size}")
    clips = [Path(word) for word in _words(args).values() if word and Path(word).suffix]
    heard: Path | None = args.sound or args.driving or next(iter(clips), None)
    named = f"{Path(args.portrait).stem}-{heard.stem}" if heard and not args.sound else heard.stem if heard else args.portrait
    out: Path = args.out or Path(f"{named}.mp4")
    if out.exists() and any(out.samefile(path) for path in (args.sound, args.driving, *clips) if path and path.exists()):
        raise MienError(f"{out} is what is to be read; choose another name with -o")
    if out.exists() and not args.force:
        raise MienError(f"{out} exists; choose another name with -o, or overwrite it with --force")
    return out


def _follower() -> "FaceFollower":
    from engine.face.follower import Follower

    return Follower.load()


class ReadingProgress:
    """A bar on a terminal's standard error while a clip is read; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = 0.0
        self._live = sys.stderr.isatty()

    def __call__(self, done_s: float, of_s: float) -> None:
        """So many seconds are read, of so many (0.0: nobody knows)."""
        instant = time.monotonic()
        if not self._live or instant - self._shown < 0.1:
            return
        self._shown = instant
        filled = min(round(BAR * done_s / of_s), BAR) if of_s else 0
        bar = "█" * filled + "·" * (BAR - filled)
        sys.stderr.write(f"\r{bar} {done_s:.1f}{f'/{of_s:.1f}' if of_s else ''} s  reading {self._name}  ")

    @staticmethod
    def wipe() -> None:
        """Make room on the terminal for what comes next."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


class Progress:
    """A bar on a terminal's standard error; a single line at the end elsewhere."""

    def __init__(self, count: int, fps: int) -> None:
        self._count, self._fps = count, fps
        self._began = time.monotonic()
        self._shown = 0.0
        self._live = sys.stderr.isatty()

    def show(self, done: int) -> None:
        """So many frames are done."""
        instant = time.monotonic()
        if self._live and (instant - self._shown > 0.1 or done == self._count):
            self._shown = instant
            rate = done / (instant - self._began)
            filled = BAR * done // self._count
            left = (self._count - done) / rate
            bar = "█" * filled + "·" * (BAR - filled)
            sys.stderr.write(f"\r{bar} {done}/{self._count} frames  {rate / self._fps:.1f}x real time  {left:.0f} s left  ")

    def end(self, out: Path) -> None:
        """Say what was made."""
        took = time.monotonic() - self._began
        if self._live:
            sys.stderr.write("\n")
        each_ms = 1000 * took / max(self._count, 1)
        print(f"{out}: {self._count / self._fps:.1f} s of video in {took:.1f} s, {each_ms:.0f} ms a picture")


def _portrait(name: str, folder: Path | None) -> Path:
    from streaming.portraits import PortraitLibrary

    if name.endswith(".mien"):
        if not Path(name).is_file():
            raise PortraitError(f"there is no portrait file {name}")
        return Path(name)
    library = PortraitLibrary(folder)
    try:
        return library.path(name)
    except MienError as error:
        known = ", ".join(info.id for info in library.all())
        raise PortraitError(f"{error}; there are {known}. A photo is enrolled by: mien enrol {name}") from error
