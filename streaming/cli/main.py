"""`mien COMMAND ...`: finds the command's module and runs it; nothing else is imported."""

import argparse
import difflib
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Final

from engine.errors import MienError

COMMANDS: Final = {
    "serve": "streaming.cli.serve",
    "render": "streaming.cli.render",
    "enrol": "streaming.cli.enrol",
    "doctor": "streaming.cli.doctor",
    "bench": "benchmarks.run",
}
"""Each module has `add_parser(subparsers)` and `run(args) -> exit status`, and is light to import."""

PASSED_ON: Final = {"train": "training.__main__", "export": "export.__main__"}
"""Commands that read their words themselves, `main(words) -> exit status`: they live beside the wheel, and need torch."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status (2: wrong usage, 1: it could not be done, 130: interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="mien", usage="mien COMMAND [OPTION ...]")
    parser.add_argument("command", choices=[*COMMANDS, *PASSED_ON], help="what to do; mien COMMAND --help tells more")
    if words and words[0] in PASSED_ON:
        return _pass_on(words)
    if not words or words[0] not in COMMANDS:
        return _help(parser, words)
    module = importlib.import_module(COMMANDS[words[0]])
    parser = argparse.ArgumentParser(prog="mien")
    module.add_parser(parser.add_subparsers(dest="command", required=True))
    args = parser.parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="mien: %(message)s")
    try:
        return module.run(args)
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141


def _pass_on(words: Sequence[str]) -> int:
    try:
        return importlib.import_module(PASSED_ON[words[0]]).main(list(words[1:]))
    except ModuleNotFoundError as error:
        near_wheel = (error.name or "").partition(".")[0] in ("training", "export")
        cure = "use a clone of the project: ./mien" if near_wheel else "install it by starting ./mien"
        print(f"mien: {words[0]} needs {error.name}, which is not here; {cure} {words[0]}", file=sys.stderr)
        return 1


def _help(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    known = [*COMMANDS, *PASSED_ON]
    near = difflib.get_close_matches(words[0], known, 1)
    meant = f"; did you mean '{near[0]}'?" if near else f"; the commands are {', '.join(known)}"
    print(f"mien: there is no command '{words[0]}'{meant}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
