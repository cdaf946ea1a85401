"""How far the measures of factors can be believed: `training.synthesis.measures` on the groups of held-out people.

In the groups one factor was changed and nothing else, so whatever change a
measure sees in another factor is its own error: the floor under any
disentanglement matrix that is made with it.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.synthesis.data import FactorialSet, Stills
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import FACTORS
from training.synthesis.looks import Marks
from training.synthesis.measures import (
    Measure,
    Tracked,
    cross_talk,
    measured_stills,
    natural_range,
    own_over_others,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the judging."""
    parser.add_argument("--factorial", type=Path, required=True, metavar="DIR", help="made by prepare-factorial")
    parser.add_argument("--judge", type=Path, metavar="RUN", help="a run of factor-judge")
    parser.add_argument("--size", type=int, nargs="+", default=[224], metavar="PX", help="sides of the pictures (default 224)")
    parser.add_argument("--people", type=int, metavar="N", help="at most so many")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write factors.md and factors.json there")


def main(args: argparse.Namespace) -> int:
    """Print a table for each measure and size."""
    data = FactorialSet.load(args.factorial)
    if data.groups is None:
        raise SynthesisError(
            "the factorial set holds no groups; make them with: python -m training prepare-factorial --groups 2"
        )
    people = np.unique(data.groups.people)[: args.people]
    text: list[str] = []
    figures: dict[str, dict[str, list[float]]] = {}
    for size in args.size:
        for name, measure in _measures(args.judge).items():
            found = floor(measure, data.stills, data.groups, people, size)
            over = own_over_others(found)
            figures[f"{name} {size}"] = {"table": found.tolist(), "own_over_others": over.tolist()}
            text += [
                f"{name}, {size} px, {len(people)} people",
                "",
                "| changed | " + " | ".join(FACTORS) + " | own over others |",
            ]
            text += ["|---" * (len(FACTORS) + 2) + "|"]
            for factor, row, ratio in zip(FACTORS, found, over, strict=True):
                text.append(f"| {factor} | {' | '.join(f'{v:.2f}' for v in row)} | {ratio:.1f} |")
            text.append("")
    print("\n".join(text))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "factors.md").write_text("\n".join(text))
        (args.out / "factors.json").write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _measures(run: Path | None) -> Mapping[str, Measure]:
    tracked: dict[str, Measure] = {"tracker and reader": Tracked(Marks.load())}
    if run is None:
        return tracked
    from training.synthesis.judge import Judge  # torch

    return tracked | {"judge": Judge.load(run)}


def floor(measure: Measure, stills: Stills, groups: Stills, people: NDArray[np.str_], size: int) -> NDArray[np.float32]:
    """float32[5, 5]: what a measure sees change, in natural ranges (by the same measure), where one factor did."""
    known = np.flatnonzero(np.isin(stills.people, people))
    natural = natural_range(measured_stills(measure, stills, known, size), stills.people[known])
    rows = np.flatnonzero(np.isin(groups.people, people))
    said = measured_stills(measure, groups, rows, size, rests=stills)
    place = {int(row): i for i, row in enumerate(rows)}
    varied = rows[groups.varied[rows] >= 0]
    before, after = ([place[int(row)] for row in some] for some in (groups.base[varied], varied))
    return cross_talk(tuple(v[before] for v in said), tuple(v[after] for v in said), groups.varied[varied], natural)
