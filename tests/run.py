"""The project's checks in order, each with its time: `./mien test`.

Lint, types, import contracts, unit tests, training tests, parity tests,
end-to-end tests in a real browser. All run even when one fails; the exit status
says whether all passed. `--quick` leaves the end-to-end tests out, `--long` adds
soaks of twenty minutes; `--only STEP` runs one step; other options are handed to
pytest.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "--color=yes", "--durations=8"]
STEPS: dict[str, list[str]] = {
    "lint": [str(BIN / "ruff"), "check", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "types": [str(BIN / "pyright")],
    "imports": [str(BIN / "lint-imports")],
    "unit": [*PYTEST, "tests/unit"],
    "training": [*PYTEST, "tests/training"],
    "parity": [*PYTEST, "tests/parity"],
    "e2e": [*PYTEST, "tests/e2e"],
}


def run(step: str, command: list[str]) -> bool:
    """Run one step, print how it ended and how long it took."""
    print(f"\n== {step}: {' '.join(Path(command[0]).name if i == 0 else word for i, word in enumerate(command))}", flush=True)
    began = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    passed = status == 0
    print(f"== {step}: {'passed' if passed else f'FAILED ({status})'} in {time.monotonic() - began:.0f} s", flush=True)
    return passed


def main() -> int:
    """Run the steps asked for."""
    parser = argparse.ArgumentParser(
        prog="mien test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="leave the end-to-end tests out")
    parser.add_argument("--only", choices=STEPS, action="append", help="run this step alone (may be repeated)")
    parser.add_argument("--long", action="store_true", help="soak for twenty minutes as well: 45 minutes more")
    args, rest = parser.parse_known_args()
    if rest and rest[0] in STEPS:
        parser.error(f"one step alone is --only {rest[0]}")
    wanted = args.only or [step for step in STEPS if not (args.quick and step == "e2e")]
    if args.long:
        if "e2e" not in wanted:
            parser.error("--long soaks in the end-to-end tests, which --quick or --only leaves out here")
        rest.append("--long")
    results = {step: run(step, STEPS[step] + (rest if "pytest" in STEPS[step] else [])) for step in wanted}
    failed = [step for step, passed in results.items() if not passed]
    print(f"\n{'FAILED: ' + ', '.join(failed) if failed else 'all passed: ' + ', '.join(results)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
