"""Talking clips as the stages see them: one kind of clip, whether filmed (`prepare-pdfgc`) or drawn (`prepare-factorial`)."""

# pyright: basic
# cv2 types its images as unions

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from engine.features.pdfgc import mel_of, pictures_of, windows_of
from training.data.splits import Split
from training.pdfgc.factorial import EYES
from training.synthesis.data import Clips

FPS: Final = 25
SAMPLES: Final = 640
"""Of sound at 16 kHz, a picture."""
INDEX: Final = "index.json"

Image = NDArray[np.uint8]


class ClipError(MienError):
    """Clips that cannot be trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Pictures of one person at 25 fps, aligned as `engine.face.align` says, with their sound.

    Attributes:
        person: who.
        read: uint8[N, size, size, 3] RGB of rows int[N], at a size.
        motion: float32[T, 58], what the face does, drawn or by our tracker; in pose and gaze from the person at rest.
        eyes: float32[T, 2, E, 2], outlines of the eyes, in sides of the picture.
        sound: int16[640 T] at 16 kHz; empty if there is none.
    """

    person: str
    read: Callable[[Sequence[int], int], Image]
    motion: NDArray[np.float32]
    eyes: NDArray[np.float32]
    sound: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.motion)

    def heard(self) -> tuple[range, NDArray[np.float32]]:
        """The pictures that have a window of sound, and these: float32[M, 1, 80, 20].

        Raises:
            ClipError: if there is no sound.
        """
        if not len(self.sound):
            raise ClipError(f"a clip of {self.person} has no sound; stages 2 and 3 need it: prepare without --silent")
        mel = mel_of(self.sound.astype(np.float32) / 32768)
        return pictures_of(len(mel)), windows_of(mel)


class ClipSource(Protocol):
    """Clips of many people."""

    def people(self, split: Split) -> list[NDArray[np.intp]]:
        """The clips of each person of a split."""
        ...

    def clip(self, index: int) -> Clip:
        """One of them."""
        ...


def draw_clip(source: ClipSource, people: list[NDArray[np.intp]], rng: np.random.Generator) -> Clip:
    """A clip; people equally often."""
    own = people[int(rng.integers(len(people)))]
    return source.clip(int(rng.choice(own)))


def by_person(people: NDArray[np.str_], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows of each person."""
    _, who = np.unique(people[rows], return_inverse=True)
    return [rows[who == i] for i in range(int(who.max()) + 1)] if len(rows) else []


class DrawnClips:
    """The clips of a factorial set."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips

    def people(self, split: Split) -> list[NDArray[np.intp]]:
        """See `ClipSource`."""
        return by_person(self._clips.people, self._clips.rows(split))

    def clip(self, index: int) -> Clip:
        """See `ClipSource`."""
        clips = self._clips
        first = index * clips.frames
        return Clip(
            str(clips.people[index]),
            lambda rows, size: clips.images.read(first + np.asarray(rows), size),
            clips.motion[index],
            eyes_of(clips.marks(index)),
            clips.sound[index],
        )


class FilmedClips:
    """A folder that `prepare-pdfgc` made.

    Args:
        folder: of the clips.
        heard: only those with sound; how many are left out is said.

    Raises:
        ClipError: if it is none, or none of its clips has sound.
    """

    def __init__(self, folder: Path, *, heard: bool = False) -> None:
        self._folder = folder
        try:
            every: list[dict[str, Any]] = json.loads((folder / INDEX).read_text())
            rows = [row for row in every if row.get("sound", True) or not heard]
            self._paths = [row["path"] for row in rows]
            self._people, self._split = (np.array([row[key] for row in rows], str) for key in ("person", "split"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClipError(f"{folder} holds no clips ({error}); make them with: python -m training prepare-pdfgc") from error
        if every and not rows:
            raise ClipError(f"none of the {len(every)} clips in {folder} has sound: prepare some without --silent")
        if len(rows) < len(every):
            sys.stderr.write(f"{folder}: {len(every) - len(rows)} of {len(every)} clips have no sound and are left out\n")

    def people(self, split: Split) -> list[NDArray[np.intp]]:
        """See `ClipSource`."""
        return by_person(self._people, np.flatnonzero(self._split == split))

    def clip(self, index: int) -> Clip:
        """See `ClipSource`.

        Raises:
            ClipError: if the file cannot be read.
        """
        path = self._folder / self._paths[index]
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                part: dict[str, Any] = {name: file[name] for name in ("jpeg", "ends", "motion", "eyes", "sound")}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ClipError(f"{path} is no clip ({error}): delete it and prepare again") from error
        motion, eyes = part["motion"].astype(np.float32), part["eyes"].astype(np.float32)
        return Clip(str(self._people[index]), _Jpegs(part["jpeg"], part["ends"]).read, motion, eyes, part["sound"])


@dataclass(frozen=True, slots=True, eq=False)
class _Jpegs:
    data: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def read(self, rows: Sequence[int], size: int) -> Image:
        return np.stack([self._one(int(row), size) for row in rows])

    def _one(self, row: int, size: int) -> Image:
        first = int(self.ends[row - 1]) if row else 0
        found = cv2.imdecode(self.data[first : int(self.ends[row])], cv2.IMREAD_COLOR)
        if found is None:
            raise ClipError(f"picture {row} of a clip is damaged: prepare its folder again")
        picture = found[:, :, ::-1]
        if picture.shape[0] != size:
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(picture, np.uint8)


def save_clip(
    path: Path,
    pictures: Sequence[Image],
    motion: NDArray[np.float32],
    eyes: NDArray[np.float32],
    sound: NDArray[np.int16],
    quality: int = 92,
) -> None:
    """Write a clip; it appears whole. See `Clip`; pictures become JPEG."""
    codes = [cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for rgb in pictures]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(
            file,
            jpeg=np.concatenate([code.reshape(-1) for code in codes]),
            ends=np.cumsum([code.size for code in codes]),
            motion=motion.astype(np.float32),
            eyes=eyes.astype(np.float32),
            sound=sound,
        )
    part.replace(path)


def eyes_of(marks: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32[T, 2, E, 2]: the outlines of the eyes among landmarks float[T, 478, 2]."""
    return np.stack([marks[:, list(eye)] for eye in EYES], 1).astype(np.float32)


def clips_of(folder: Path, *, heard: bool = False) -> ClipSource:
    """The clips in a folder, drawn (with sound) or filmed; `heard` leaves out those without sound.

    Raises:
        ClipError: if there are none.
    """
    if (folder / INDEX).is_file():
        return FilmedClips(folder, heard=heard)
    if (folder / "clips").is_dir():
        return DrawnClips(Clips.load(folder / "clips"))
    raise ClipError(f"{folder} holds no clips; make them with: python -m training prepare-pdfgc (or prepare-factorial)")
