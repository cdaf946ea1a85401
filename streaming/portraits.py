"""The portraits of this machine: the people that come with mien, and the user's own, one file each."""

import contextlib
import logging
import os
import re
import secrets
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import engine
from engine.errors import PortraitError
from engine.rig.archive import FILE_LIMIT, TEXT_LIMIT, Card, read_card
from streaming.enrolment import Enroller

log = logging.getLogger(__name__)

PORTRAIT_ID: Final = re.compile(r"^[a-z0-9-]{1,64}$")
SUFFIX: Final = ".mien"
NAME_LIMIT: Final = 60  # characters
KEPT_AT_MOST: Final = 500  # portraits of the user's own that are listed
BUILTIN: Final = Path(engine.__file__).parent / "models" / "portraits"


@dataclass(frozen=True, slots=True)
class PortraitInfo:
    """What is told of a portrait without unpacking it.

    Attributes:
        id: the name it is addressed by, see `PORTRAIT_ID`.
        name: what its owner calls it.
        label: what one sees, for who cannot see it.
        builtin: whether it came with mien and cannot be deleted.
        notes: what this face cannot do well, one line each.
        consent: the statement by which its use was allowed.
    """

    id: str
    name: str
    label: str
    builtin: bool
    notes: tuple[str, ...]
    consent: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A file's card, as it was when the file had this time and size."""

    stamp: tuple[int, int]
    info: PortraitInfo
    thumbnail: bytes


def default_root() -> Path:
    """Where the user's own portraits are kept: `$XDG_DATA_HOME/mien/portraits`, by default in `~/.local/share`."""
    home = os.environ.get("XDG_DATA_HOME", "")
    data = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"
    return data / "mien" / "portraits"


class PortraitLibrary:
    """Lists, adds and removes portraits.

    Args:
        root: folder of the user's own; made when the first is stored, for the user's eyes only.
        builtin: folder of those that come with mien.
        enroller: makes portrait files of photos.
    """

    def __init__(self, root: Path | None = None, *, builtin: Path = BUILTIN, enroller: Enroller | None = None) -> None:
        self.root = root or default_root()
        self._builtin = builtin
        self._enroller = enroller or Enroller()
        self._read: dict[Path, _Read] = {}

    def all(self) -> Sequence[PortraitInfo]:
        """Every portrait, the user's own first, the newest of them before the older. Damaged files are left out."""
        own = sorted(_files(self.root), key=_age, reverse=True)[:KEPT_AT_MOST]
        known = {file.stem for file in _files(self._builtin)}
        files = [file for file in own if file.stem not in known] + sorted(_files(self._builtin))
        found = [self._look(file) for file in files]
        return [read.info for read in found if read is not None]

    def path(self, portrait_id: str) -> Path:
        """The file of a portrait.

        Raises:
            PortraitError: if there is no portrait of that id.
        """
        if PORTRAIT_ID.fullmatch(portrait_id):
            for folder in (self._builtin, self.root):
                file = folder / f"{portrait_id}{SUFFIX}"
                if file.is_file():
                    return file
        raise PortraitError(f"there is no portrait {portrait_id[:64]!r}; it may have been deleted, choose another one")

    def get(self, portrait_id: str) -> PortraitInfo:
        """One portrait.

        Raises:
            PortraitError: if there is none of that id, or its file is damaged.
        """
        return self._open(self.path(portrait_id)).info

    def thumbnail(self, portrait_id: str) -> tuple[bytes, str]:
        """A small picture and its media type.

        Raises:
            PortraitError: if there is none of that id, or its file is damaged.
        """
        return self._open(self.path(portrait_id)).thumbnail, "image/png"

    async def prepare(self) -> None:
        """Start an enrolling process ahead, for a photo that will probably come."""
        await self._enroller.prepare()

    async def enrol(self, photo: bytes, name: str, consent: str, progress: Callable[[str], None]) -> PortraitInfo:
        """Make a portrait of a photo, in a process of its own, and keep it.

        Raises:
            PortraitError: the photo cannot be used, the consent is missing, or the file cannot be stored.
        """
        if not consent.strip():
            raise PortraitError("say that the person shown agrees; without it a photo is not used")
        card = Card(name.strip()[:NAME_LIMIT] or "My face", "a face from your own photo", consent.strip()[:TEXT_LIMIT])
        return self.store(await self._enroller.enrol(photo, card, progress), card.name)

    def store(self, data: bytes, name: str) -> PortraitInfo:
        """Keep a portrait file under a new id made from `name`; it appears whole or not at all.

        Raises:
            PortraitError: if it cannot be written (a full disk, a folder that may not be written), or is damaged.
        """
        file = self.root / f"{_slug(name)}-{secrets.token_hex(3)}{SUFFIX}"
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(file, data)
        except OSError as error:
            why = error.strerror or error
            raise PortraitError(
                f"the portrait cannot be stored in {self.root} ({why}); make room, or choose another folder"
            ) from error
        return self._open(file).info

    def remove(self, portrait_id: str) -> None:
        """Delete one of the user's own.

        Raises:
            PortraitError: if there is none of that id, it is built in, or its file may not be deleted.
        """
        file = self.path(portrait_id)
        if file.parent == self._builtin:
            raise PortraitError(f"{portrait_id} came with mien and stays; only your own portraits can be deleted")
        try:
            file.unlink()
        except OSError as error:
            raise PortraitError(f"{file} could not be deleted ({error.strerror or error}); delete it by hand") from error
        self._read.pop(file, None)

    async def close(self) -> None:
        """End what enrolling may have left running."""
        await self._enroller.close()

    def _look(self, file: Path) -> _Read | None:
        try:
            return self._open(file)
        except PortraitError:
            log.warning("a portrait file cannot be read and is left out", extra={"portrait": file.stem})
            return None

    def _open(self, file: Path) -> _Read:
        try:
            about = file.stat()
        except OSError as error:
            raise PortraitError(f"{file.stem}: {error.strerror or error}; choose another portrait") from error
        stamp = (about.st_mtime_ns, about.st_size)
        known = self._read.get(file)
        if known is not None and known.stamp == stamp:
            return known
        card, notes, thumbnail = read_card(file)
        builtin = file.parent == self._builtin
        info = PortraitInfo(file.stem, card.name or file.stem, card.label, builtin, notes, card.consent)
        self._read[file] = read = _Read(stamp, info, thumbnail)
        return read


def _files(folder: Path) -> list[Path]:
    """The portrait files of a folder; none if there is no such folder."""
    try:
        return [file for file in folder.iterdir() if file.suffix == SUFFIX and PORTRAIT_ID.fullmatch(file.stem)]
    except OSError:
        return []


def _age(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "face"


def _write(file: Path, data: bytes) -> None:
    if len(data) > FILE_LIMIT:
        raise OSError(None, f"larger than {FILE_LIMIT >> 20} MiB")
    handle, unfinished = tempfile.mkstemp(prefix=".", suffix=".unfinished", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
