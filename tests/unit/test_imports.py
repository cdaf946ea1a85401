"""Serving needs no torch: every module of engine and streaming imports in a process where torch cannot be imported."""

import pkgutil
import subprocess
import sys

import pytest

PROBE = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'onnx', 'mediapipe'):
            raise ImportError(f'{name} must not be imported')

sys.meta_path.insert(0, Refuse())
for root in ('engine', 'streaming'):
    package = importlib.import_module(root)
    for module in pkgutil.walk_packages(package.__path__, root + '.'):
        if not module.name.endswith('__main__'):
            importlib.import_module(module.name)
"""


@pytest.mark.slow
def test_engine_and_streaming_import_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", PROBE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = "numba", "cv2", "av", "aiortc", "scipy", "mediapipe"
    code = f"import streaming.cli.main, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_packages_have_docstrings() -> None:
    import engine
    import streaming

    for package in (engine, streaming):
        assert package.__doc__
        assert list(pkgutil.iter_modules(package.__path__))
