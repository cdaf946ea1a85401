"""Where the clips of known data sets lie, and whose they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from training.data.media import VIDEO_SUFFIXES
from training.data.prepare import SHARED_SPEAKER, Clip
from training.data.splits import Split, split_of

Layout = Literal["voxceleb2", "mead", "folder"]
SOUND_SUFFIXES: Final = (".m4a", ".wav", ".mp3", ".flac", ".aac")
MEAD_VIEW: Final = "front"
MEAD_TEST: Final = ("M003", "M030", "W009", "W015")
"""People of MEAD that are never trained on, as is usual."""


@dataclass(frozen=True, slots=True)
class Take:
    """A file to prepare.

    Attributes:
        clip: where the pictures are, and whose; its source is the data set's name.
        sound: where the sound is, if not in the same file.
        split: where it belongs; whole people.
    """

    clip: Clip
    sound: Path | None
    split: Split


def layout_of(folder: Path) -> Layout:
    """What a folder looks like."""
    if any(folder.glob("**/mp4/id*/*/*.mp4")) or any(folder.glob("mp4/id*/*/*.mp4")):
        return "voxceleb2"
    if any(folder.glob(f"[MW][0-9][0-9][0-9]/video/{MEAD_VIEW}/*/level_*/*.mp4")):
        return "mead"
    return "folder"


def takes_in(folder: Path, layout: Layout) -> Iterator[Take]:
    """The files of a folder, in the order of their names."""
    yield from {"voxceleb2": _voxceleb2, "mead": _mead, "folder": _folder}[layout](folder)


def _voxceleb2(folder: Path) -> Iterator[Take]:
    """PART/mp4/ID/VIDEO/NNNNN.mp4, with PART/aac/ID/VIDEO/NNNNN.m4a or the sound in it; what lies in "test" is for tests."""
    for path in sorted(folder.glob("**/mp4/id*/*/*.mp4")):
        *before, person, video = path.parts[:-1]
        part = Path(*before).parent
        split = "test" if "test" in part.name else split_of("voxceleb2", path.stem, person)
        name = f"{person}-{video}-{path.stem}"
        yield Take(Clip(path, "voxceleb2", person, name), _beside(part / "aac" / person / video / path.stem), split)


def _mead(folder: Path) -> Iterator[Take]:
    """ID/video/front/EMOTION/level_N/NNN.mp4, with ID/audio/EMOTION/level_N/NNN.m4a."""
    for path in sorted(folder.glob(f"[MW][0-9][0-9][0-9]/video/{MEAD_VIEW}/*/level_*/*.mp4")):
        person, _, _, emotion, level, _ = path.relative_to(folder).parts
        split = "test" if person in MEAD_TEST else split_of("mead", path.stem, person)
        name = f"{person}-{emotion}-{level}-{path.stem}"
        sound = _beside(folder / person / "audio" / emotion / level / path.stem)
        yield Take(Clip(path, "mead", person, name), sound, split)


def _folder(folder: Path) -> Iterator[Take]:
    """Any video below, a person a file; folders known to be of one person are that person's."""
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()):
        source = folder.resolve().name
        name = "-".join(path.relative_to(folder).with_suffix("").parts)
        person = source if source in SHARED_SPEAKER else name
        split = split_of(source, path.stem, "" if source in SHARED_SPEAKER else person)
        yield Take(Clip(path, source, person, name), None, split)


def _beside(stem: Path) -> Path | None:
    """The sound file of a name without suffix, if there is one."""
    return next((path for suffix in SOUND_SUFFIXES if (path := stem.with_name(stem.name + suffix)).is_file()), None)
