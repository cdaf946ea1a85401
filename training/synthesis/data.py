"""The factorial set as training reads it: who shows what, who else shows the same, and clips that speak.

NumPy only; pictures are decoded when they are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.features.pdfgc import mel_of, pictures_of, windows_of
from training.data.splits import Split
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import FACTORS, Pools
from training.synthesis.store import Images

MARK: Final = 64
"""Landmarks are stored as int16 in 1/64 px of the stored pictures; in packs as uint8 in"""
STEPS: Final = 256
"""parts of the picture's side."""

Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Stills:
    """Pictures of many people, one row each; read-only.

    Attributes:
        images: the pictures.
        motion: float32[N, 58], what was drawn, measured from a face that looks straight ahead at rest.
        factors: int32[N, 5], places in the pools: equal ones are the same value, whoever shows it.
        base: int32[N], a row of the same person with the same values of all factors but `varied`; -1 for none.
        varied: int8[N], the factor that differs from the base; -1 for none.
        people: str[N].
        split: str[N], whole people.
        landmarks: [N, 478, 2], see `marks`.
    """

    images: Images
    motion: NDArray[np.float32]
    factors: NDArray[np.int32]
    base: NDArray[np.int32]
    varied: NDArray[np.int8]
    people: NDArray[np.str_]
    split: NDArray[np.str_]
    landmarks: NDArray[np.int16] | NDArray[np.uint8]

    @classmethod
    def load(cls, folder: Path) -> "Stills":
        """From a folder `stills` or `groups`.

        Raises:
            SynthesisError: if something is missing, or of another length.
        """
        names = ("motion", "factors", "base", "varied", "people", "split", "landmarks")
        images = Images(folder)
        return cls(images, **_columns(folder, names, len(images)))

    def __len__(self) -> int:
        return len(self.people)

    def rows(self, split: Split) -> Ints:
        """intp[M]: the rows of a split."""
        return np.flatnonzero(self.split == split)

    def read(self, rows: Sequence[int] | NDArray[np.integer], size: int) -> NDArray[np.uint8]:
        """uint8[M, size, size, 3] RGB of some rows."""
        return self.images.read(rows, size)

    def marks(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """float32[M, 478, 2]: the exact landmarks of some rows, in sides of the picture."""
        return _in_sides(self.landmarks[np.asarray(rows)], self.images.size)


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """People who speak, 25 pictures a second; read-only.

    Attributes:
        images: the pictures of one clip after the other.
        motion: float32[C, F, 58] at the middle of each picture.
        sound: int16[C, 640 F] at 16 kHz.
        people: str[C].
        split: str[C].
        landmarks: [C, F, 478, 2], see `marks`.
    """

    images: Images
    motion: NDArray[np.float32]
    sound: NDArray[np.int16]
    people: NDArray[np.str_]
    split: NDArray[np.str_]
    landmarks: NDArray[np.int16] | NDArray[np.uint8]

    @classmethod
    def load(cls, folder: Path) -> "Clips":
        """From a folder `clips`.

        Raises:
            SynthesisError: if something is missing, or of another length.
        """
        images = Images(folder)
        columns = _columns(folder, ("motion", "sound", "people", "split", "landmarks"))
        if columns["motion"].shape[0] * columns["motion"].shape[1] != len(images):
            raise SynthesisError(
                f"{folder}: {len(images)} pictures do not fill {columns['motion'].shape[0]} clips; make it again"
            )
        return cls(images, **columns)

    def __len__(self) -> int:
        return len(self.people)

    @property
    def frames(self) -> int:
        """F, pictures of a clip."""
        return self.motion.shape[1]

    def rows(self, split: Split) -> Ints:
        """intp[M]: the clips of a split."""
        return np.flatnonzero(self.split == split)

    def read(self, clip: int, first: int, count: int, size: int) -> NDArray[np.uint8]:
        """uint8[count, size, size, 3]: pictures of a clip, from `first` on."""
        if first < 0 or first + count > self.frames:
            raise ValueError(f"a clip has pictures 0 to {self.frames - 1}; {first} to {first + count - 1} were asked for")
        return self.images.read(clip * self.frames + np.arange(first, first + count), size)

    def marks(self, clip: int) -> NDArray[np.float32]:
        """float32[F, 478, 2]: the exact landmarks of a clip, in sides of the picture."""
        return _in_sides(self.landmarks[clip], self.images.size)

    def heard(self, clip: int) -> tuple[range, NDArray[np.float32]]:
        """The pictures of a clip that have a window of sound, and these: float32[M, 1, 80, 20]."""
        mel = mel_of(self.sound[clip].astype(np.float32) / 32768)
        return pictures_of(len(mel)), windows_of(mel)


@dataclass(frozen=True, slots=True, eq=False)
class FactorialSet:
    """All of a factorial set; a pack may lack groups or clips."""

    pools: Pools
    stills: Stills
    groups: Stills | None
    clips: Clips | None

    @classmethod
    def load(cls, folder: Path | str) -> "FactorialSet":
        """What `prepare-factorial` made.

        Raises:
            SynthesisError: if it is not there, or damaged.
        """
        folder = Path(folder)
        groups = Stills.load(folder / "groups") if (folder / "groups").is_dir() else None
        clips = Clips.load(folder / "clips") if (folder / "clips").is_dir() else None
        return cls(Pools.load(folder / "pools.npz"), Stills.load(folder / "stills"), groups, clips)


class Sharing:
    """Finds others who show the same value of a factor.

    Args:
        stills: all of them.
        rows: those that are searched.
    """

    def __init__(self, stills: Stills, rows: Ints) -> None:
        self._people = stills.people
        _, self._who = np.unique(stills.people, return_inverse=True)
        self._factors = stills.factors
        self._rows, self._order = rows, []
        for factor in range(len(FACTORS)):
            values = stills.factors[rows, factor]
            order = np.argsort(values, kind="stable")
            self._order.append((rows[order], values[order]))

    def count(self, rows: Ints, factor: int) -> Ints:
        """intp[M]: how many of the rows searched have the value of each of `rows`, their own person's among them."""
        _, values = self._order[factor]
        wanted = self._factors[rows, factor]
        return np.searchsorted(values, wanted, "right") - np.searchsorted(values, wanted, "left")

    def other(self, rows: Ints, factor: int, rng: np.random.Generator, tries: int = 6) -> Ints:
        """intp[M]: for each row one of another person with the same value of the factor; -1 where none was found."""
        sorted_rows, values = self._order[factor]
        wanted = self._factors[rows, factor]
        first, last = np.searchsorted(values, wanted, "left"), np.searchsorted(values, wanted, "right")
        out = np.full(len(rows), -1)
        for _ in range(tries):
            open_ = np.flatnonzero((out < 0) & (last > first))
            drawn = sorted_rows[first[open_] + (rng.random(len(open_)) * (last - first)[open_]).astype(np.intp)]
            good = self._who[drawn] != self._who[rows[open_]]
            out[open_[good]] = drawn[good]
        return out

    def someone(self, value: int, factor: int, but: str, rng: np.random.Generator) -> int:
        """A row in which somebody else than `but` shows a value of a factor; -1 if there is none."""
        sorted_rows, values = self._order[factor]
        some = sorted_rows[np.searchsorted(values, value, "left") : np.searchsorted(values, value, "right")]
        some = some[self._people[some] != but]
        return int(rng.choice(some)) if len(some) else -1

    def drivers(self, rows: Ints, rng: np.random.Generator) -> Ints:
        """intp[M, 5]: for each row five others of other people that together have its values; -1 where there is none."""
        return np.stack([self.other(rows, factor, rng) for factor in range(len(FACTORS))], 1)


def _in_sides(landmarks: NDArray[np.integer], size: int) -> NDArray[np.float32]:
    unit = STEPS if landmarks.dtype == np.uint8 else MARK * size
    return landmarks.astype(np.float32) / np.float32(unit)


def _columns(folder: Path, names: tuple[str, ...], rows: int | None = None) -> dict[str, Any]:
    try:
        out = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in names}
    except (OSError, ValueError) as error:
        raise SynthesisError(
            f"{folder} is no part of a factorial set ({error}); make it with: python -m training prepare-factorial"
        ) from error
    lengths = {len(array) for array in out.values()} | ({rows} if rows is not None else set())
    if len(lengths) > 1:
        raise SynthesisError(
            f"{folder}: the arrays have different lengths ({', '.join(map(str, sorted(lengths)))}); make it again"
        )
    return out
