"""Feed every parser that takes a stranger's bytes with damaged inputs: `python -m tests.fuzz [PARSER...]`.

Each parser runs in a process of its own, so that one that crashes is told from
one that raises. Of each: inputs, how many raised what nobody expects, the
longest an input took (it holds the event loop up for so long), and bytes of log
per input. Inputs are told by their numbers: `--first N --inputs 1` repeats one.
`tests.fuzz.coverage` looks for inputs that reach new code.
"""

import argparse
import sys
from typing import Final

from tests.fuzz.feeding import SLOW_MS, apart
from tests.fuzz.parsers import PARSERS
from tests.fuzz.wire import WIRES

INPUTS: Final = 10_000
ALL: Final = (*PARSERS, *WIRES)
TOLD: Final = 3  # failures of a parser that are told whole


def main() -> int:
    """Feed the parsers that are asked for; 1 if one misses a bar."""
    parser = argparse.ArgumentParser(
        "python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help=f"default: all of {', '.join(ALL)}")
    parser.add_argument("--inputs", type=int, default=INPUTS, metavar="N", help=f"for each; default {INPUTS}")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first input; default 0")
    args = parser.parse_args()
    if unknown := set(args.parsers) - set(ALL):
        parser.error(f"there is no parser {min(unknown)}; there are {', '.join(ALL)}")
    say = sys.stdout.write
    say(f"{'parser':<10} {'inputs':>7} {'raised':>7} {'slowest ms':>11} {'log B each':>11}\n")
    good = True
    for name in args.parsers or ALL:
        found = apart(name, args.first, args.inputs)
        good &= found.good
        figures = f"{found.inputs:>7} {len(found.failures):>7} {found.slowest_ms:>11.1f} {found.logged / found.inputs:>11.1f}"
        say(f"{name:<10} {figures}{'' if found.good else '  MISSED'}\n")
        if found.slowest_ms > SLOW_MS:
            say(f"  input {found.slowest} took {found.slowest_ms:.1f} ms\n")
        for number, how in found.failures[:TOLD]:
            say(f"  input {number}: {how}\n")
        sys.stdout.flush()
    return not good


if __name__ == "__main__":
    sys.exit(main())
