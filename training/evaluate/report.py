"""The rows of a judging as one table, with the bars that they meet or miss."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from training.evaluate.judge import Row

NETWORK: Final = "network {:g} ms"
SIGNAL_PROCESSING: Final = "signal processing"
REAL: Final = "the real mouth"
RIG: Final = "the rig, fitted to it"
LOUDNESS: Final = "loudness"
LEARNER: Final = "expression learner"
LANGUAGE: Final = "synthetic "
"""What groups of one language begin with."""
SPOKEN: Final = ("aligned", "voices", "synthetic", "test")
"""Groups whose phones are known."""

_NOTES: Final = """\
Judge on filmed people: MediaPipe's landmarks, the head's turn taken out. Driven side: the rig of the same person's neutral
face under the driver's controls, or the learner's own landmarks. u: distance of the outer eye corners.

* LMD_m: mean distance of the 40 mouth landmarks, seen from the front, centroids removed, % of u.
* r: correlation of the lip gap with the real one, mean over clips, at the video's frames (pooled: all frames of all clips at
  once; 50 Hz: at the motion's rate; worst: of the clips). On synthetic speech: with the articulation that was asked for.
* lag: of the highest mean cross-correlation; > 0: the driven lips are late.
* in step: the same with each film's own offset between sound and picture taken out, as loudness and signal processing, who
  are not under judgement here, both see it; only for films from the net.
* m b p: share with a gap below 2 % of u within 40 ms of the phone. open shut: share of open vowels with such a gap in their
  middle half.
* rest: share of steps in pauses of 0.5 s or more that are closed and still (change below 0.3 % of u per 20 ms), from 150 ms
  after speech to 100 ms before it; closed: without asking for stillness. Pauses of clips without phones are found by loudness.
* jitter: RMS second difference of the gap per 20 ms step where the real mouth stands still, 1/1000 u.
* noise: r lost with noise at 10 dB SNR.
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A thing to reach: `met` is None where it could not be measured."""

    what: str
    wanted: str
    value: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its title, the value of a row, and how it is written."""

    title: str
    value: Callable[[Row], float | None]
    form: str
    scale: float = 1.0


COLUMNS: Final = (
    Column("LMD_m %", lambda row: row.lmd, ".2f", 100),
    Column("r", lambda row: row.correlation_video, ".3f"),
    Column("pooled", lambda row: row.correlation_pooled, ".3f"),
    Column("50 Hz", lambda row: row.correlation_50hz, ".3f"),
    Column("worst", lambda row: row.correlation_worst, ".2f"),
    Column("lag ms", lambda row: row.lag_ms, "+.0f"),
    Column("in step r", lambda row: row.correlation_in_step, ".3f"),
    Column("lag ms", lambda row: row.lag_in_step_ms, "+.0f"),
    Column("m b p %", lambda row: row.closure_hits, ".1f", 100),
    Column("n", lambda row: float(row.closures) if row.closures else None, ".0f"),
    Column("open shut %", lambda row: row.false_closures, ".1f", 100),
    Column("n", lambda row: float(row.open_vowels) if row.open_vowels else None, ".0f"),
    Column("rest %", lambda row: row.still, ".1f", 100),
    Column("closed %", lambda row: row.closed, ".1f", 100),
    Column("n", lambda row: float(row.pause_steps) if row.pause_steps else None, ".0f"),
    Column("jitter", lambda row: row.jitter, ".2f", 1000),
)


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Title line and one line per row."""
    kinds = sorted({kind for row in rows for kind in row.noise_loss})
    lines = [["driver", "ahead ms", *(c.title for c in COLUMNS), *(f"{kind} -r" for kind in kinds)]]
    for row in rows:
        cells = [row.driver, f"{row.look_ahead_ms:g}"]
        cells += [_cell(column.value(row), column.form, column.scale) for column in COLUMNS]
        lines.append([*cells, *(_cell(row.noise_loss.get(kind), ".3f") for kind in kinds)])
    return lines


def _cell(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else format(value * scale, form)


def plain(lines: Sequence[Sequence[str]]) -> str:
    """The table for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """The table for a page."""
    rule = ["---", *("---:" for _ in lines[0][1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))


def bars(rows: Iterable[Row]) -> list[Bar]:
    """What is asked of the network at its look-ahead of 80 ms, and where it stands."""
    by = {(row.driver, row.group): row for row in rows}
    at80, at0 = NETWORK.format(80), NETWORK.format(0)

    def get(driver: str, group: str, figure: Callable[[Row], float | None]) -> float | None:
        row = by.get((driver, group))
        return None if row is None else figure(row)

    r = get(at80, "test", lambda row: row.correlation_video)
    old = get(SIGNAL_PROCESSING, "test", lambda row: row.correlation_video)
    found = [
        _least("lip-gap correlation, GRID test, 80 ms", r, 0.75),
        _least("the same above signal processing", None if r is None or old is None else r - old, 0.15),
        _least("the same at 0 ms", get(at0, "test", lambda row: row.correlation_video), 0.60),
        _least("the same, held-out speakers, 80 ms", get(at80, "speakers", lambda row: row.correlation_video), 0.50),
    ]
    found.append(_least("with films in step, 80 ms", get(at80, "speakers", lambda row: row.correlation_in_step), 0.50))
    lags = (get(at80, "test", lambda row: row.lag_ms), get(at80, "speakers", lambda row: row.lag_in_step_ms))
    for what, lag in zip(("GRID test", "held-out speakers in step"), lags, strict=True):
        found.append(_most(f"best lag, {what}, 80 ms, ms either way", None if lag is None else abs(lag), 20))
    for group in SPOKEN:
        found.append(_least(f"m b p closures, {group}, 80 ms", get(at80, group, lambda row: row.closure_hits), 0.90))
        found.append(_most(f"open vowels closed, {group}, 80 ms", get(at80, group, lambda row: row.false_closures), 0.05))
    rests = {group: get(at80, group, lambda row: row.still) for group in (*SPOKEN, "speakers")}
    found += [_least(f"closed and still in pauses, {group}, 80 ms", rest, 0.98) for group, rest in rests.items()]
    losses = get_losses(by.get((at80, "test")))
    found += [_most(f"r lost by {kind} at 10 dB, GRID test, 80 ms", loss, 0.10) for kind, loss in losses.items()]
    return found


def get_losses(row: Row | None) -> Mapping[str, float | None]:
    """Losses by kind of noise; the three that are asked for stand there even if unknown."""
    known: dict[str, float | None] = dict.fromkeys(("white", "babble", "room"))
    return {**known, **(row.noise_loss if row else {})}


def _least(what: str, value: float | None, least: float) -> Bar:
    return Bar(what, f">= {least:g}", value, None if value is None else value >= least)


def _most(what: str, value: float | None, most: float) -> Bar:
    return Bar(what, f"<= {most:g}", value, None if value is None else value <= most)


def bar_table(found: Sequence[Bar]) -> list[list[str]]:
    """Title line and one line per bar."""
    verdict = {True: "met", False: "missed", None: "not measured"}
    lines = [[bar.what, bar.wanted, _cell(bar.value, ".3f"), verdict[bar.met]] for bar in found]
    return [["bar", "wanted", "value", ""], *lines]


def titled(group: str, rows: Sequence[Row], about: Mapping[str, str]) -> str:
    """What stands above the rows of a group."""
    first = rows[0]
    return f"{about.get(group, group)} ({first.scenes} sounds, {first.seconds:.0f} s)"


def page(rows: Sequence[Row], about: Mapping[str, str], write: Callable[[Sequence[Sequence[str]]], str], heading: str) -> str:
    """All groups, the bars and the notes as text; `write` makes a table, `heading` begins a group's title."""
    groups = list(dict.fromkeys(row.group for row in rows))
    parts: list[str] = []
    for group in groups:
        if group.startswith(LANGUAGE):
            continue
        chosen = [row for row in rows if row.group == group]
        parts += [heading + titled(group, chosen, about), write(table(chosen))]
    if any(group.startswith(LANGUAGE) for group in groups):
        parts += [heading + "By language: r, m b p %, open shut %", write(by_language(rows))]
    return "\n\n".join([*parts, heading + "Bars", write(bar_table(bars(rows))), _NOTES])


def by_language(rows: Sequence[Row]) -> list[list[str]]:
    """Title line and one line per language of synthetic speech, the drivers beside each other."""
    drivers = list(dict.fromkeys(row.driver for row in rows if row.group.startswith(LANGUAGE)))
    lines = [["language", "sounds", *drivers]]
    for group in sorted({row.group for row in rows if row.group.startswith(LANGUAGE)}):
        own = {row.driver: row for row in rows if row.group == group}
        cells = []
        for driver in drivers:
            row = own[driver]
            parts = (row.correlation_50hz, ".2f", 1.0), (row.closure_hits, ".0f", 100.0), (row.false_closures, ".0f", 100.0)
            cells.append("  ".join(_cell(*part) for part in parts))
        lines.append([group.removeprefix(LANGUAGE), str(next(iter(own.values())).scenes), *cells])
    return lines


def save_json(path: Path, rows: Sequence[Row], scenes: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    """All rows, all bars, and the marks of each driver's scenes."""
    content = {"rows": [asdict(row) for row in rows], "bars": [asdict(bar) for bar in bars(rows)], "scenes": scenes}
    path.write_text(json.dumps(content, indent=1) + "\n")
