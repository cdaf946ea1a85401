"""training/gpu_pdfgc.sh: what it runs, for how long, and what comes back, with trainings that take no time."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "training" / "gpu_pdfgc.sh"
FIRST = 300
"""Steps that a training does in its first half minute."""
PYTHON = f"""#!{sys.executable}
import json, pathlib, sys
if sys.argv[1] == "-":  # what the script computes
    del sys.argv[0]
    exec(sys.stdin.read())
    sys.exit()
words = sys.argv[sys.argv.index("pdfgc") + 1 :]
options = {{key: value for key, value in zip(words, words[1:]) if key.startswith("--")}}
out = pathlib.Path(options["--out"])
with pathlib.Path(__file__).with_name("asked.jsonl").open("a") as file:
    file.write(json.dumps([out.name, options]) + "\\n")
(out / "samples").mkdir(parents=True, exist_ok=True)
steps = {FIRST} if options["--steps"] == "1000000" else int(options["--steps"])
for name in ("pdfgc.safetensors", "options.json", f"samples/{{steps:07d}}.png"):
    (out / name).touch()
"""


@dataclass(frozen=True)
class Machine:
    """A machine on which calls were made, one after the other; `came` is what each brought back."""

    folder: Path
    came: list[set[str]]

    def asked(self, run: str) -> list[dict[str, str]]:
        """The options of a run's trainings: its first part, and the rest."""
        lines = map(json.loads, (self.folder / "asked.jsonl").read_text().splitlines())
        return [options for name, options in lines if name == run]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("machine")
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)
    came: list[set[str]] = []
    for number, what in enumerate(("pretrain", "stages", "ablations", "pretrain")):
        out = folder / f"out{number}"
        told = {"OUT": str(out), "RUNS": str(folder / "runs"), "PYTHON": str(folder / "python")}
        subprocess.run(["bash", str(SCRIPT), what, "pack"], env={**os.environ, **told}, check=True, timeout=60)
        came.append({str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()})
    return Machine(folder, came)


def kept(name: str, *, seen: bool) -> set[str]:
    files = ["pdfgc.safetensors", "stats.jsonl", "options.json", *(["samples.png"] if seen else [])]
    return {f"{name}/{file}" for file in files}


def test_each_call_brings_back_no_more_than_eight_files(machine: Machine) -> None:
    assert machine.came == [
        kept("together", seen=True) | kept("observer", seen=False) | {"draws/stats.jsonl"},
        kept("3", seen=True) | kept("2", seen=False) | {"1/stats.jsonl"},
        kept("3-all", seen=True) | kept("3-none", seen=True),
        kept("together", seen=True),
    ]
    assert max(map(len, machine.came)) == 8


def test_a_run_goes_on_to_as_many_steps_as_there_is_time_for(machine: Machine) -> None:
    begun, rest = machine.asked("sees")
    assert "--resume" not in begun
    assert float(begun["--minutes"]) == 0.5
    assert int(rest["--steps"]) == pytest.approx(FIRST + 3 * 2 * FIRST, rel=0.1)
    assert float(rest["--minutes"]) == pytest.approx(3 * 1.1, rel=0.1)
    assert machine.asked("together")[0]["--motion"].endswith("/sees")


def test_the_observer_is_of_another_seed(machine: Machine) -> None:
    assert [machine.asked(name)[0]["--seed"] for name in ("together", "observer")] == ["1", "2"]


def test_both_ablations_take_as_many_steps_and_nothing_stops_them(machine: Machine) -> None:
    (_, every), (none,) = machine.asked("3-all"), machine.asked("3-none")
    assert every["--steps"] == none["--steps"]
    assert int(none["--steps"]) == pytest.approx((FIRST + 6 * 2 * FIRST) / 2, rel=0.1)
    assert "--minutes" not in every.keys() | none.keys()


def test_a_longer_pre_training_takes_the_place_of_the_shorter(machine: Machine) -> None:
    assert machine.asked("more")[0]["--start"].endswith("/together")
    assert not (machine.folder / "runs/more").exists()
