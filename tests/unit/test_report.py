"""The table and the one JSON object."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.metrics import NAMES, Distribution
from benchmarks.report import Bar, Outcome, Row


def test_a_bar_is_met_or_missed_or_not_measured() -> None:
    found = Distribution.of([10.0] * 99 + [200.0])
    assert Bar("p50", 60).met(found) is True
    assert Bar("max", 60).met(found) is False
    assert Bar("p50", 60).met(None) is None
    assert Bar("", low=2).met(2) is True
    assert Bar("", 40, -60).met(-61.0) is False


def test_the_table_says_which_bars_are_missed() -> None:
    text = report.table(
        [
            Row("fast_ms", Distribution.of([1.0]), (Bar("p50", 60),)),
            Row("slow_ms", Distribution.of([70.0]), (Bar("p50", 60), Bar("p99", 100)), "why"),
            Row("unknown", None, (Bar("", 1),)),
        ]
    )
    fast, slow, unknown = text.splitlines()[1:]
    assert fast.endswith("met")
    assert slow.endswith("MISSED why")
    assert "p50 <= 60, p99 <= 100" in slow
    assert "not measured" in unknown
    assert "MISSED" not in unknown


def test_the_last_line_is_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome({"size": 512}, {"render_ms": Distribution.of([1.0])}, [Row("a", 1)], ["a line"], ["a control"])
    found = report.document("engine", outcome, {"steal": 0.0})
    report.show("engine", outcome, found, tmp_path / "found.json")
    last = capsys.readouterr().out.splitlines()[-1]
    assert set(json.loads(last)) == {"suite", "environment", "settings", "metrics"}
    assert json.loads(last) == json.loads((tmp_path / "found.json").read_text())
    assert set(NAMES) <= set(json.loads(last)["metrics"])
    assert json.loads(last)["metrics"]["failures"] == ["a control"]
    assert {"cpu", "cores", "python", "packages", "commit", "dirty", "steal"} <= set(json.loads(last)["environment"])
