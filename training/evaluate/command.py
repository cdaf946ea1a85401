"""`python -m training evaluate WHAT`: judging by subject, each in a module of its own."""

import argparse
import difflib
import importlib
from collections.abc import Mapping
from typing import Final

from engine.errors import MienError

SUBCOMMANDS: Final[Mapping[str, str]] = {
    "voice": "training.evaluate.voice",
    "head": "training.evaluate.head",
    "eyes": "training.evaluate.eyes",
    "tracker": "training.evaluate.tracker",
    "reading": "training.evaluate.reading",
    "driving": "training.evaluate.driving",
    "factors": "training.evaluate.factors",
    "pdfgc": "training.evaluate.pdfgc",
}
"""Modules by subject; each has `add_arguments(parser)` and `main(args) -> int`."""


class UnknownSubject(MienError):
    """Nothing of that name can be judged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `training.__main__`."""
    parser.add_argument("what", metavar="WHAT", help=f"what to judge: {', '.join(SUBCOMMANDS)}; WHAT --help tells more")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="its own options")


def main(args: argparse.Namespace) -> int:
    """Run the judging that was asked for.

    Raises:
        UnknownSubject: if there is none of that name.
    """
    if args.what not in SUBCOMMANDS:
        near = difflib.get_close_matches(args.what, SUBCOMMANDS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(SUBCOMMANDS)}"
        raise UnknownSubject(f"'{args.what}' cannot be judged; {hint}")
    module = importlib.import_module(SUBCOMMANDS[args.what])
    parser = argparse.ArgumentParser(prog=f"python -m training evaluate {args.what}", description=module.__doc__)
    module.add_arguments(parser)
    return module.main(parser.parse_args(args.rest))
