"""The shards that `python -m training prepare-faces` makes, as training reads them.

A shard is a folder of arrays, one row a face; see `Shard`. Rows that are not
drawn yet have an empty `split`: no selection contains them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import MienError
from training.data.splits import Split

CROP: Final = 320  # px, side of a crop
REACH: Final = 2.0  # side of the crop in sizes of the face: the face is 160 px
FACELESS: Final = 160  # px, side of a picture without a face


class ShardError(MienError):
    """A folder is no shard."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Faces cut upright, `engine.face.crop.face_square(landmarks, REACH, CROP)` of their pictures; read-only.

    Attributes:
        crops: uint8[N, 320, 320, 3] RGB, mapped from the file.
        landmarks: float32[N, 478, 3] px of the crop, z towards the camera in the same unit; the teacher's, of renders exact.
        people: str[N], who; the same person has the same name and is in one split (but see `training.tracker.prepare`).
        split: str[N].
        source: str[N], "folder/file#frame".
        score: float32[N] 0..1, how sure the teacher is (renders: 1).
        matte: uint8[N, 320, 320], how much of each pixel is a person, by the teacher; stills only.
        motion: float32[N, 58], what was drawn, after all limits: `yaw` is degrees that the head was really turned by,
            relative to the photo, and eyeLook* are the real turns of the eyes over 30 degrees; renders only.
        asked: float32[N, 58], what was given to the renderer; renders only.
    """

    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    people: NDArray[np.str_]
    split: NDArray[np.str_]
    source: NDArray[np.str_]
    score: NDArray[np.float32]
    matte: NDArray[np.uint8] | None = None
    motion: NDArray[np.float32] | None = None
    asked: NDArray[np.float32] | None = None

    @classmethod
    def load(cls, folder: Path | str) -> "Shard":
        """The shard in a folder.

        Raises:
            ShardError: if an array is missing, or their lengths differ.
        """
        folder = Path(folder)
        names = ("crops", "landmarks", "people", "split", "source", "score")
        lacking = [name for name in names if not (folder / f"{name}.npy").is_file()]
        if lacking:
            raise ShardError(f"{folder} has no {', '.join(lacking)}.npy; make it with: python -m training prepare-faces")
        more = [name for name in ("matte", "motion", "asked") if (folder / f"{name}.npy").is_file()]
        split = _read(folder / "split.npy")  # first: rows that are drawn meanwhile stay out
        shard = cls(**{name: split if name == "split" else _read(folder / f"{name}.npy") for name in (*names, *more)})
        lengths = {len(getattr(shard, name)) for name in (*names, *more)}
        if len(lengths) > 1:
            raise ShardError(f"{folder}: the arrays have different lengths ({', '.join(map(str, sorted(lengths)))})")
        return shard

    def __len__(self) -> int:
        return len(self.split)

    def rows(self, split: Split, source: str = "") -> NDArray[np.intp]:
        """intp[M]: the rows of a split, of sources whose name begins with `source`."""
        return np.flatnonzero((self.split == split) & np.char.startswith(self.source, source))


def _read(path: Path) -> NDArray[Any]:
    return np.load(path, mmap_mode="r" if path.stem in ("crops", "matte") else None, allow_pickle=False)


class Balanced:
    """Draws rows so that people come equally often, however many rows they have."""

    def __init__(self, people: NDArray[np.str_], rows: NDArray[np.intp]) -> None:
        if not len(rows):
            raise ValueError("no rows to draw from")
        _, who = np.unique(people[rows], return_inverse=True)
        order = np.argsort(who, kind="stable")
        self._rows = rows[order]
        self._count = np.bincount(who)
        self._start = np.cumsum(self._count) - self._count

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self._count)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.intp]:
        """intp[count]: rows, any of them again and again."""
        who = rng.integers(len(self._count), size=count)
        return self._rows[self._start[who] + (rng.random(count) * self._count[who]).astype(np.intp)]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The whole pictures behind stills and frames, for training that needs more than the crop.

    Attributes:
        path: str[N], of the picture or the video.
        frame: int32[N], number of the frame, -1 for a still.
        size: int32[N, 2], width and height in px.
        landmarks: float32[N, 478, 3] px of the picture.
        split: str[N].
    """

    path: NDArray[np.str_]
    frame: NDArray[np.int32]
    size: NDArray[np.int32]
    landmarks: NDArray[np.float32]
    split: NDArray[np.str_]

    @classmethod
    def load(cls, path: Path | str) -> "Pictures":
        """From `pictures.npz`."""
        with np.load(path, allow_pickle=False) as data:
            return cls(**{name: data[name] for name in ("path", "frame", "size", "landmarks", "split")})


@dataclass(frozen=True, slots=True, eq=False)
class Faceless:
    """Parts of the stills without a face: hair, ears, shoulders, what is behind.

    Attributes:
        crops: uint8[N, 160, 160, 3] RGB.
        split: str[N], that of the photo.
    """

    crops: NDArray[np.uint8]
    split: NDArray[np.str_]

    @classmethod
    def load(cls, folder: Path | str) -> "Faceless":
        """From a folder `faceless`."""
        folder = Path(folder)
        return cls(np.load(folder / "crops.npy", mmap_mode="r"), np.load(folder / "split.npy"))
