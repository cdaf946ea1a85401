"""Look for inputs that reach new code and raise there: `python -m tests.fuzz.coverage PARSER SECONDS`.

Needs atheris (`pip install atheris`, Linux). An input that raises is kept as `crash-...` in the working folder; it
can be given as a third word, to be fed again.
"""
# pyright: reportMissingModuleSource=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false
# atheris need not be installed, and what is known of its types is not all of it.

import sys
from typing import Final

import atheris

with atheris.instrument_imports(include=["aioice", "aiortc", "streaming"]):
    from tests.fuzz.mutation import mutant
    from tests.fuzz.parsers import PARSERS

LONGEST: Final = 4096  # bytes


def main() -> None:
    """Feed one parser for so long; ends with status 0 if none raised."""
    name, seconds, *again = sys.argv[1:]
    parser = PARSERS[name]
    seeds = parser.seeds()

    def one(data: bytes) -> None:
        parser.feed(data)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        return mutant([data, *seeds] if data else seeds, seed)[:most]

    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", *again]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
