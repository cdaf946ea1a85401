"""`python -m training NAME`: training runs by name, and the preparation and judging around them."""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by NumPy as it is loaded: batches are made by processes, side by side

from engine.errors import MienError
from training.presets import COMMANDS, PRESETS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    table = {**COMMANDS, **PRESETS}
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_overview())
        return 0
    if words[0] not in table:
        near = difflib.get_close_matches(words[0], table, 1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(table)}"
        sys.stderr.write(f"training: there is no '{words[0]}'{hint}\n")
        return 2
    preset = table[words[0]]
    module = importlib.import_module(preset.module)
    parser = argparse.ArgumentParser(prog=f"python -m training {words[0]}", description=preset.summary)
    module.add_arguments(parser)
    parser.set_defaults(preset=words[0], **preset.options)
    args = parser.parse_args(words[1:])
    try:
        return module.main(args)
    except MienError as error:
        sys.stderr.write(f"training: {error}\n")
        return 1
    except OSError as error:  # a full disk, a folder of somebody else's: whatever it is that was read or written
        sys.stderr.write(f"training: {error.filename or 'a file'}: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _overview() -> str:
    wide = max(map(len, (*COMMANDS, *PRESETS))) + 2
    lines = ["usage: python -m training NAME [OPTION ...]", "", "Data and judging:"]
    lines += [f"  {name:{wide}}{preset.summary}" for name, preset in COMMANDS.items()]
    lines += ["", "Training runs:"]
    lines += [f"  {name:{wide}}{preset.summary}" for name, preset in PRESETS.items()]
    return "\n".join([*lines, "", "python -m training NAME --help tells more.", ""])


if __name__ == "__main__":
    sys.exit(main())
