"""What a suite hands back, and how it is shown: a table with the bar beside each figure, and the one JSON object."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environment import Environment
from benchmarks.metrics import Distribution, Metric, as_json


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure is held against: "p50 <= 60". `low`..`high` is where the value has to lie."""

    part: str  # "p1", "p50", "p95", "p99", "max" of a distribution, "" for a plain number
    high: float = float("inf")
    low: float = float("-inf")

    def met(self, value: Metric) -> bool | None:
        """Whether the figure meets it; None when it was not measured."""
        if isinstance(value, Distribution) and self.part:
            value = getattr(value, self.part)
        if not isinstance(value, int | float):
            return None
        return self.low <= value <= self.high

    def __str__(self) -> str:
        words = [self.part] if self.part else []
        if self.low > float("-inf"):
            words.append(f">= {self.low:g}")
        if self.high < float("inf"):
            words.append(f"<= {self.high:g}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    name: str
    value: Metric
    bars: tuple[Bar, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Outcome:
    """What a suite found out.

    Attributes:
        settings: what was run, as it stands in the JSON.
        metrics: by name, see `benchmarks.metrics`; names that are missing become null.
        rows: the table.
        lines: what is to be read below it.
        failures: controls that did not hold: the figures are not to be trusted, the exit status is 1.
        codec, browser: for the environment.
    """

    settings: Mapping[str, object]
    metrics: dict[str, Metric] = field(default_factory=dict[str, Metric])
    rows: list[Row] = field(default_factory=list[Row])
    lines: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])
    codec: str = ""
    browser: str = ""


def document(suite: str, outcome: Outcome, busy: Mapping[str, float]) -> dict[str, object]:
    """The output contract: suite, environment, settings, metrics."""
    environment = Environment.here(outcome.codec, outcome.browser)
    return {
        "suite": suite,
        "environment": {**environment.as_json(), **busy, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
        "settings": dict(outcome.settings),
        "metrics": as_json(outcome.metrics) | {"failures": outcome.failures},
    }


def show(suite: str, outcome: Outcome, found: Mapping[str, object], file: Path | None) -> None:
    """Print the table, write the file, and print the JSON as the last line."""
    print(table(outcome.rows))
    for line in outcome.lines:
        print(line)
    for line in outcome.failures:
        print(f"FAILED: {line}")
    text = json.dumps(found, allow_nan=False)
    if file is not None:
        file.write_text(text + "\n", "utf-8")
    sys.stdout.flush()
    print(text, flush=True)


def table(rows: Sequence[Row]) -> str:
    """The rows as text: figure, percentiles, bar and whether it is met."""
    lines: list[tuple[str, ...]] = [("", "p1", "p50", "p95", "p99", "max", "n", "bar", "")]
    for row in rows:
        met = [bar.met(row.value) for bar in row.bars]
        verdict = "" if not met or None in met else ("met" if all(met) else "MISSED")
        bars = ", ".join(map(str, row.bars))
        lines.append((row.name, *_cells(row.value), bars, " ".join(filter(None, (verdict, row.note)))))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = (0, 7, 8)  # words, not numbers
    padded = [cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(cells)]
    return "  ".join(padded).rstrip()


def _cells(value: Metric) -> tuple[str, ...]:
    if isinstance(value, Distribution):
        parts = (value.p1, value.p50, value.p95, value.p99, value.max)
        return (*(f"{part:.1f}" if abs(part) >= 10 else f"{part:.2f}" for part in parts), str(value.n))
    if value is None:
        return ("", "not measured", "", "", "", "")
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return ("", text, "", "", "", "")


class ProgressBar:
    """A bar on stderr while something takes long; silent when stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = sys.stderr.isatty()
        self._last = -1

    def __call__(self, share: float) -> None:
        """Show how much is done, 0..1."""
        percent = round(100 * min(max(share, 0.0), 1.0))
        if self._shown and percent != self._last:
            self._last = percent
            bar = "#" * (percent * 3 // 10)
            print(f"\r{self._what} [{bar:<30}] {percent:3d} %", end="\n" if percent == 100 else "", file=sys.stderr, flush=True)
