"""`mien enrol PHOTO`: makes a portrait of a photo."""

import argparse
import asyncio
import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MienError, PortraitError, UnreadablePhoto

if TYPE_CHECKING:
    from engine.rig.archive import Portrait

STATEMENT: Final = "I am the person shown in this photo, or that person has agreed that I animate it."
PREVIEW_SIZE: Final = 512  # px
LOOKS: Final[dict[str, dict[str, float]]] = {
    "neutral": {},
    "turned": {"yaw": 14, "pitch": 5, "eyeLookOutLeft": 0.4, "eyeLookInRight": 0.4},
    "speaking": {"jawOpen": 0.55, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25},
    "smiling": {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "cheekSquintLeft": 0.4, "cheekSquintRight": 0.4},
    "blinking": {"eyeBlinkLeft": 1, "eyeBlinkRight": 1},
}
"""What a preview shows, from left to right."""


def add_parser(subparsers: Any) -> None:
    """Add this command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "enrol", help="make a portrait of a photo", description="Makes a portrait of a photo (JPEG, PNG, WebP or HEIC)."
    )
    add = parser.add_argument
    add("photo", type=Path, help="a photo of one person, from the front, well lit")
    add("--name", default="", help="what the portrait is called; default: the photo's name")
    add("--consent", default="", metavar="TEXT", help="the statement of who agrees to be shown; asked for in a terminal")
    add("--out", type=Path, metavar="FILE.mien", help="write the portrait there instead of among your own")
    add("--portraits", type=Path, metavar="DIR", help="folder of your own portraits; default: ~/.local/share/mien/portraits")
    add("--preview", type=Path, metavar="FILE.png", help="also draw the portrait turned, speaking, smiling and blinking")


def run(args: argparse.Namespace) -> int:
    """Enrol the photo; return the exit status."""
    from engine.rig.archive import Card, unpack

    photo = read_photo(args.photo)
    for file, option in ((args.out, "--out"), (args.preview, "--preview")):
        if file is not None and not file.absolute().parent.is_dir():
            raise MienError(f"{file.parent} is no folder; make it, or choose another place with {option}")
    name = args.name.strip() or args.photo.stem
    card = Card(name[:60], "a face from your own photo", consent_of(args.consent))
    data = asyncio.run(_enrol(photo, card))
    portrait = unpack(data)
    if args.out is not None:
        _write(args.out, data)
        print(f"{args.out}: {len(data) / 1e6:.1f} MB")
    else:
        from streaming.portraits import PortraitLibrary

        library = PortraitLibrary(args.portraits)
        stored = library.store(data, name)
        print(f"stored as {stored.id} in {library.root}; use it: ./mien serve --portrait {stored.id}")
    for note in portrait.avatar.notes:
        print(f"note: {note}")
    if args.preview is not None:
        draw_preview(portrait, args.preview)
        print(f"{args.preview}: {', '.join(LOOKS)}")
    return 0


def read_photo(file: Path) -> bytes:
    """The bytes of a photo.

    Raises:
        UnreadablePhoto: if the file cannot be read or is too large.
    """
    from engine.enrol.photo import LOCAL

    try:
        with file.open("rb") as stream:
            photo = stream.read(LOCAL.megabytes * 2**20 + 1)
    except OSError as error:
        raise UnreadablePhoto(f"{file}: {error.strerror or error}; give the path of a photo") from error
    if len(photo) > LOCAL.megabytes * 2**20:
        raise UnreadablePhoto(f"{file}: more than {LOCAL.megabytes} MB; save it smaller (2000 px is plenty)")
    return photo


def consent_of(given: str) -> str:
    """The consent statement with today's date: as given, or signed in the terminal.

    Raises:
        PortraitError: if there is neither a statement nor a terminal to ask in, or it is not signed.
    """
    today = datetime.date.today().isoformat()
    if given.strip():
        return f"{given.strip()} ({today})"
    if not sys.stdin.isatty():
        raise PortraitError(f'a photo is used only with consent; add --consent "{STATEMENT} Signed: YOUR NAME"')
    print(STATEMENT)
    try:
        signature = input("Type your name to sign this, or just Enter to stop: ").strip()
    except EOFError:
        signature = ""
    if not signature:
        raise PortraitError("not signed, so the photo was not used")
    return f"{STATEMENT} Signed: {signature}, {today}."


async def _enrol(photo: bytes, card: Any) -> bytes:
    from streaming.enrolment import Enroller
    from streaming.enrolment_process import Limits

    return await Enroller(Limits(memory_mb=3072, cpu_s=60, local=True), work_s=90).enrol(photo, card, _tell)


def _tell(line: str) -> None:
    print(f"  {line} ...", file=sys.stderr, flush=True)


def _write(file: Path, data: bytes) -> None:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise MienError(f"{file} cannot be written ({error.strerror or error}); choose another place with --out") from error


def draw_preview(portrait: "Portrait", file: Path) -> None:
    """Write the portrait's `LOOKS` side by side as a PNG.

    Raises:
        MienError: if the file cannot be written.
    """
    import numpy as np
    from PIL import Image

    from engine.contract import Motion
    from engine.render.mesh import MeshRenderer

    renderer = MeshRenderer(portrait.avatar, PREVIEW_SIZE)
    pictures: list[Any] = []
    for look in LOOKS.values():
        renderer.prepare(Motion.of(0, look))
        pictures.append(renderer.finish().rgb.copy())
    try:
        Image.fromarray(np.hstack(pictures)).save(file, "PNG")
    except OSError as error:
        raise MienError(f"{file} cannot be written ({error.strerror or error}); choose another place with --preview") from error
