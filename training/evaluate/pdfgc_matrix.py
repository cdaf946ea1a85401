"""The disentanglement matrix: drive one factor of a face from somebody else, and measure what changed.

For the base of each group of held-out people (`training.synthesis`), all
factors are driven by the base's own picture; then one factor at a time by the
picture of another person who shows the value that the group's variant has.
The matrix says how much each factor changed in what was generated, in natural
ranges: the mean distance of two random faces of one person, by the same
measure.

A measure errs, too. What it says of the variants as they were really drawn,
where nothing else did change, is its floor, and stands beside the generator's
matrix. Errors and leaks that know nothing of each other add as squares:
`beyond` is the root of what the generator's squared changes have more than
the true pictures', off the diagonal.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.data import FactorialSet, Sharing, Stills
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import FACTORS
from training.synthesis.measures import (
    Floats,
    Measure,
    Measured,
    changes,
    cross_talk,
    measured_stills,
    natural_range,
    own_over_others,
    rest_of,
)

Pictures = NDArray[np.uint8]
Generator = Callable[[Pictures, Pictures], Pictures]
"""Pictures uint8[N, S, S, 3] of the person in uint8[S, S, 3], whose factors are those of the drivers uint8[N, 5, S, S, 3],
one for each of `FACTORS`."""

_CELL: Final = 96  # px, of the heat map
_ALL_ITS_OWN: Final = 100  # own over others from which on the quotient says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """What was found.

    Attributes:
        generated: float32[5, 5]: row, the factor that was driven; column, the change measured, in natural ranges.
        floor: the same of the true pictures.
        beyond: what the generated ones have more than the floor; the diagonal is that of `generated`.
        natural: float32[5], the natural ranges, in the measure's units.
        people: how many.
        pairs: int[5], how many changes of each factor.
    """

    generated: Floats
    floor: Floats
    beyond: Floats
    natural: Floats
    people: int
    pairs: NDArray[np.intp]

    def table(self) -> str:
        """All of it as Markdown."""
        parts = [f"{self.people} people, {int(self.pairs.sum())} changes; in natural ranges."]
        for title, values in (("Generated", self.generated), ("True pictures", self.floor), ("Beyond the floor", self.beyond)):
            parts += ["", f"| {title}: driven | {' | '.join(FACTORS)} | own over others |", "|---" * 7 + "|"]
            over = own_over_others(values)
            for name, row, ratio in zip(FACTORS, values, over, strict=True):
                told = f"{ratio:.1f}" if ratio < _ALL_ITS_OWN else f"over {_ALL_ITS_OWN}"
                parts.append(f"| {name} | {' | '.join(f'{v:.2f}' for v in row)} | {told} |")
        return "\n".join(parts) + "\n"

    def save(self, folder: Path) -> None:
        """Write table.md, matrix.json and the heat map matrix.png."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "table.md").write_text(self.table())
        figures = {name: getattr(self, name).tolist() for name in ("generated", "floor", "beyond", "natural", "pairs")}
        (folder / "matrix.json").write_text(json.dumps({"factors": FACTORS, "people": self.people, **figures}, indent=1) + "\n")
        maps = [heat_map(values, title) for title, values in (("generated", self.generated), ("true", self.floor))]
        cv2.imwrite(str(folder / "matrix.png"), np.hstack([*maps, heat_map(self.beyond, "beyond")])[:, :, ::-1])


def disentanglement(
    data: FactorialSet, generator: Generator, measure: Measure, *, size: int, people: int | None = None
) -> Matrix:
    """The matrix of a generator on the groups.

    Args:
        data: the factorial set; it must hold groups.
        generator: what is judged.
        measure: by what.
        size: side of the pictures given to the generator and measured, px.
        people: at most so many.

    Raises:
        SynthesisError: if there are no groups, or nobody shares a value with one of them.
    """
    groups = data.groups
    if groups is None:
        raise SynthesisError(
            "the factorial set holds no groups; make them with: python -m training prepare-factorial --groups 2"
        )
    chosen = np.unique(groups.people)[:people]
    known = np.flatnonzero(np.isin(data.stills.people, chosen))
    made: list[tuple[Measured, Measured]] = []
    true: list[tuple[Measured, Measured]] = []
    varied: list[NDArray[np.int8]] = []
    search = _Drivers(data)
    for person in chosen:
        own = np.flatnonzero(groups.people == person)
        rest = data.stills.read([rest_of(data.stills, str(person))], size)[0]
        pictures = groups.read(own, size)
        drivers, found = search.of(own, pictures, size)
        generated = generator(rest, drivers)
        before = np.array([int(np.flatnonzero(own == groups.base[row])[0]) for row in own[found]], np.intp)
        for pairs, shown in ((made, generated), (true, pictures)):
            said = measure(shown, rest)
            pairs.append((tuple(v[before] for v in said), tuple(v[found] for v in said)))
        varied.append(groups.varied[own[found]])
    return _matrix(
        _joined(made), _joined(true), np.concatenate(varied), natural_of(measure, data.stills, known, size), len(chosen)
    )


def natural_of(measure: Measure, stills: Stills, rows: NDArray[np.intp], size: int) -> Floats:
    """float32[5]: the natural ranges by a measure, in some random stills."""
    return natural_range(measured_stills(measure, stills, rows, size), stills.people[rows])


class _Drivers:
    """Finds, for each row of the groups, the pictures that drive it."""

    def __init__(self, data: FactorialSet) -> None:
        assert data.groups is not None
        self._groups, self._stills = data.groups, data.stills
        held_out = np.flatnonzero(data.stills.split != "train")
        self._sharing = Sharing(data.stills, held_out)
        self._rng = np.random.default_rng(0)

    def of(self, rows: NDArray[np.intp], pictures: Pictures, size: int) -> tuple[Pictures, NDArray[np.intp]]:
        """Drivers uint8[N, 5, S, S, 3] of one person's rows, and the places of those that change a factor and have them."""
        groups = self._groups
        place = {int(row): i for i, row in enumerate(rows)}
        drivers = np.stack([pictures] * len(FACTORS), 1)
        found: list[int] = []
        for i, row in enumerate(rows):
            if groups.varied[row] < 0:
                continue
            factor = int(groups.varied[row])
            drivers[i] = pictures[place[int(groups.base[row])]]
            other = self._sharing.someone(int(groups.factors[row, factor]), factor, str(groups.people[row]), self._rng)
            if other >= 0:
                drivers[i, factor] = self._stills.read([other], size)[0]
                found.append(i)
        return drivers, np.array(found, np.intp)


def _joined(pairs: list[tuple[Measured, Measured]]) -> tuple[Measured, Measured]:
    before, after = (tuple(np.concatenate(own) for own in zip(*side, strict=True)) for side in zip(*pairs, strict=True))
    return before, after


def _matrix(
    made: tuple[Measured, Measured], true: tuple[Measured, Measured], varied: NDArray[np.int8], natural: Floats, people: int
) -> Matrix:
    generated, floor = cross_talk(*made, varied, natural), cross_talk(*true, varied, natural)
    more = _squares(*made, varied, natural) - _squares(*true, varied, natural)
    beyond = np.sqrt(np.maximum(more, 0))
    np.fill_diagonal(beyond, np.diag(generated))
    counts = np.bincount(varied, minlength=len(FACTORS))
    return Matrix(generated, floor, beyond, natural, people, counts)


def _squares(before: Measured, after: Measured, varied: NDArray[np.int8], natural: Floats) -> Floats:
    """float32[5, 5]: mean squared changes."""
    squares = np.square(changes(before, after, natural))
    return np.stack([np.nanmean(squares[varied == factor], 0) for factor in range(len(FACTORS))])


def heat_map(values: Floats, title: str) -> Pictures:
    """uint8[H, W, 3]: a matrix as a picture, dark where nothing changed."""
    edge, side = _CELL, _CELL * len(FACTORS)
    shade = np.clip(values * 255, 0, 255).astype(np.uint8)
    cells = cv2.resize(shade, (side, side), interpolation=cv2.INTER_NEAREST)
    coloured = np.asarray(cv2.applyColorMap(cells, cv2.COLORMAP_VIRIDIS), np.uint8)[:, :, ::-1]
    out = np.full((side + edge, side + edge, 3), 255, np.uint8)
    out[edge:, edge:] = coloured
    _write(out, title, 6, edge - 40, 0)
    for i, name in enumerate(FACTORS):
        _write(out, name, edge + i * _CELL + 6, edge - 10, 0)
        _write(out, name, 6, edge + i * _CELL + _CELL // 2, 0)
        for k in range(len(FACTORS)):
            value = float(values[i, k])
            place = edge + k * _CELL + 28, edge + i * _CELL + _CELL // 2
            _write(out, f"{value:.2f}", *place, 0 if value > 0.6 else 255)
    return out


def _write(picture: Pictures, text: str, x: int, y: int, grey: int) -> None:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (grey, grey, grey), 1, cv2.LINE_AA)
