"""What came out of judging PD-FGC, as a page and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from training.evaluate.pdfgc_matrix import Matrix
from training.evaluate.pdfgc_published import DIFFERENCES, TABLES, Published
from training.evaluate.pdfgc_scores import Difference, Figures
from training.evaluate.report import markdown


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found on one set.

    Attributes:
        data: its name.
        split: whose clips.
        clips: how many were chosen.
        figures: by candidate.
        differences: from the first candidate, by candidate and figure.
        matrices: by candidate.
    """

    data: str
    split: str
    clips: int
    figures: Mapping[str, Figures]
    differences: Mapping[str, Mapping[str, Difference]]
    matrices: Mapping[str, Matrix]


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in a table: its title, its name, its format and what it is multiplied by."""

    title: str
    name: str
    form: str = ".3f"
    times: float = 1.0


SELF_DRIVING: Final = (
    Column("frames", "frames", ".0f"),
    Column("no face", "unseen", ".0f"),
    Column("LMD %", "lmd", ".2f", 100),
    Column("LMD_m %", "lmd_m", ".2f", 100),
    Column("ARD deg", "ard", ".2f"),
    Column("pose MSE", "pose", ".5f"),
    Column("expression MSE", "expression", ".4f"),
    Column("lips read", "lips"),
    Column("L1", "l1"),
    Column("SSIM", "ssim"),
    Column("FID", "fid", ".2f"),
    Column("CSIM", "csim"),
    Column("LSE-C", "lse_c", ".2f"),
    Column("NLSE-C", "nlse_c"),
)
FACTORS_APART: Final = (
    Column("cross-video expression MSE", "crossed", ".4f"),
    Column("frozen expression: LMD_m %", "frozen_lmd_m", ".2f", 100),
    Column("lips read", "frozen_lips"),
    Column("LSE-C", "frozen_lse_c", ".2f"),
    Column("NLSE-C", "frozen_nlse_c"),
)

COMPARED: Final = ("lmd", "lmd_m", "pose", "expression", "lips", "l1", "crossed", "frozen_lmd_m", "frozen_lips")
"""Figures that candidates are compared by clip by clip."""


def page(measured: Sequence[Measured], missing: Iterable[str]) -> str:
    """All tables as Markdown."""
    parts: list[str] = []
    for one in measured:
        if one.figures:
            parts += [f"## {one.data}: {one.clips} {one.split} clips", "Self-driving (section 4.1)", table(one, SELF_DRIVING)]
            parts += ["Factors from elsewhere (sections 4.1 and 4.4)", table(one, FACTORS_APART)]
        if one.differences:
            first = next(iter(one.figures))
            parts += [f"Clip by clip, beyond {first} (mean ± its standard error)", apart(one)]
        for name, matrix in one.matrices.items():
            parts += [f"## {one.data}: disentanglement of {name}", matrix.table().rstrip()]
    if any(one.figures for one in measured):
        parts += ["\n".join(missing), "## Beside the paper", *(beside(published, measured) for published in TABLES)]
        parts += [DIFFERENCES]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(measured: Measured, columns: Sequence[Column]) -> str:
    """One row a candidate."""
    lines = [["", *(column.title for column in columns)]]
    for name, figures in measured.figures.items():
        lines.append([name, *(_cell(column.times * getattr(figures, column.name), column.form) for column in columns)])
    return markdown(lines)


def apart(measured: Measured) -> str:
    """One row a candidate: how far it is from the first."""
    columns = [column for column in (*SELF_DRIVING, *FACTORS_APART) if column.name in COMPARED]
    lines = [["", "clips", *(column.title for column in columns)]]
    for name, differences in measured.differences.items():
        clips = max((one.clips for one in differences.values()), default=0)
        lines.append([name, str(clips), *(_difference(differences.get(column.name), column) for column in columns)])
    return markdown(lines)


def _difference(one: Difference | None, column: Column) -> str:
    if one is None:
        return "-"
    error = "" if math.isnan(one.error) else f" ± {column.times * one.error:{column.form}}"
    return f"{column.times * one.mean:+{column.form}}{error}"


def beside(published: Published, measured: Sequence[Measured]) -> str:
    """A table of the paper, our rows below it."""
    lines = [["", *published.columns]]
    lines += [[name, *("-" if v is None else f"{v:g}" for v in values)] for name, values in published.rows.items()]
    for one in measured:
        for candidate, figures in one.figures.items():
            values = (_ours(figures, name, title, one.data) for title, name in published.columns.items())
            lines.append([f"ours: {candidate}, on {one.data}", *(_cell(value, ".4g") for value in values)])
    return f"{published.title}\n\n{markdown(lines)}"


def _ours(figures: Figures, name: str, title: str, data: str) -> float:
    """A figure, unless its column is another set's: MEAD's are for sets of that name, VoxCeleb2's for all others."""
    named = next((known for known in ("mead", "voxceleb2") if known in title.lower()), None)
    return math.nan if named and (named == "mead") != ("mead" in data.lower()) else getattr(figures, name)


def figures_json(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """The same for machines; null for what was not measured."""
    return [
        {
            "data": one.data,
            "split": one.split,
            "clips": one.clips,
            "figures": {name: _plain(figures) for name, figures in one.figures.items()},
            "differences": {
                name: {figure: _finite(asdict(one)) for figure, one in differences.items()}
                for name, differences in one.differences.items()
            },
            "matrices": {name: matrix.generated.tolist() for name, matrix in one.matrices.items()},
        }
        for one in measured
    ]


def _plain(figures: Figures) -> dict[str, float | None]:
    values = asdict(figures) | {"nlse_c": figures.nlse_c, "frozen_nlse_c": figures.frozen_nlse_c}
    return _finite(values)


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _cell(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"
