"""What docs/gpu.md runs on a GPU machine imports with the packages that are there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from export.__main__ import COMMANDS as EXPORTS
from training.presets import COMMANDS, PRESETS

SHEET = Path(__file__).parents[2] / "docs" / "gpu.md"
NOT_THERE = (
    "aiohttp", "aiortc", "av", "jwt", "mediapipe", "pillow_heif", "playwright", "prometheus_client", "pydantic", "sounddevice",
    "tensorrt_rtx", "uvloop",
)  # fmt: skip
IN_SCRIPTS = (  # gpu_pdfgc.sh and gpu_graphs.sh, and what they import as they run
    "training.pdfgc.train", "export.command", "export.pdfgc", "benchmarks.graphs_suite", "benchmarks.environment",
    "benchmarks.report", "benchmarks.plots",
)  # fmt: skip
PROBE = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {not_there}:
            raise ImportError(f'{{name}} is not there')

sys.meta_path.insert(0, Refuse())
for name in {modules}:
    importlib.import_module(name)
"""


def modules_of(sheet: str) -> Iterator[str]:
    """Of each `python3 -m`, which is there (`python -m` is here), the module that does the work."""
    for package, name in re.findall(r"python3 -m ([\w.]+) ?([\w-]*)", sheet):
        if package == "training":
            yield {**COMMANDS, **PRESETS}[name].module
        elif package == "export":
            yield EXPORTS[name][0]
        else:
            yield package


@pytest.mark.slow
def test_what_runs_on_a_gpu_machine_needs_no_package_that_is_not_there() -> None:
    modules = sorted({*modules_of(SHEET.read_text()), *IN_SCRIPTS})
    assert {"training.voice", "training.tracker.pack", "export.verify", "benchmarks.gpu"} < set(modules)
    probe = PROBE.format(not_there=NOT_THERE, modules=modules)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
