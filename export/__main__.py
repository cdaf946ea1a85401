"""`./mien export NAME`: a trained network becomes files that the engine runs."""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from engine.errors import MienError

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "import-pdfgc": ("export.import_pdfgc", "the published PD-FGC checkpoints: the folder that the renderer pdfgc reads"),
    "verify": ("export.verify", "prove every network equal in PyTorch, ONNX Runtime and TensorRT, and FP16 near enough"),
    "engines": (
        "export.engines",
        "TensorRT's engines of networks, kept for serve; without a GPU, whether they can be built",
    ),
}
"""Module with `add_arguments(parser)` and `main(args) -> int`, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Export networks, or do what a command says; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    try:
        if name in COMMANDS:
            module, what = COMMANDS[name]
            return _run(module, name, what, words[1:])
        from export.table import rows_of  # with torch: not before it is needed

        if rows_of(name):
            return _run("export.command", name, "Export; without --run what ships is exported again.", words)
    except MienError as error:
        sys.stderr.write(f"export: {error}\n")
        return 1
    asked = name not in ("-h", "--help")
    (sys.stderr if asked else sys.stdout).write((f"export: there is no network '{name}'\n" if asked else "") + usage())
    return 2 if asked else 0


def usage() -> str:
    """What can be exported."""
    from export.table import ROWS

    groups = sorted({row.group for row in ROWS if row.group})
    lines = [f"  {row.name:18}{row.what}" for row in ROWS]
    lines += [f"  {'all, ' + ', '.join(groups):18}several of these", ""]
    lines += [f"  {name:18}{what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: ./mien export NAME [OPTION ...]   (./mien export NAME --help)", "", *lines, ""])


def _run(module: str, name: str, what: str, words: Sequence[str]) -> int:
    loaded = importlib.import_module(module)
    parser = argparse.ArgumentParser(prog=f"./mien export {name}", description=what)
    loaded.add_arguments(parser)
    return loaded.main(parser.parse_args(list(words)))


if __name__ == "__main__":
    sys.exit(main())
