"""Feeding a parser with damaged inputs, in a process of its own."""

import gc
import logging
import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Final

from tests.fuzz.mutation import mutant
from tests.fuzz.parsers import PARSERS, Parser

SLOW_MS: Final = 50.0
LOG_MOST: Final = 200  # bytes per input


@dataclass(frozen=True)
class Found:
    """What became of a parser.

    Attributes:
        inputs: that it took.
        failures: numbers of those that raised, and how.
        slowest_ms: the longest that one kept the processor for, and `slowest` which.
        logged: bytes.
    """

    inputs: int
    failures: Sequence[tuple[int, str]]
    slowest_ms: float
    slowest: int
    logged: int

    @property
    def good(self) -> bool:
        """Whether it keeps the bars."""
        return not self.failures and self.slowest_ms <= SLOW_MS and self.logged <= LOG_MOST * self.inputs


class Counting(logging.Handler):
    """Counts the bytes that a log would take, as `mien serve` writes it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.bytes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.bytes += len(self.format(record).encode(errors="replace")) + 1


def fed(parser: Parser, first: int, inputs: int, at: Callable[[int], None] = lambda _: None) -> Found:
    """Feed a parser; `at` is told the number of each input before."""
    log = Counting()
    logging.getLogger().addHandler(log)
    failures: list[tuple[int, str]] = []
    slowest_ms, slowest = 0.0, first
    seeds = parser.seeds()
    for seed in seeds:
        parser.feed(seed)  # what is done once is done
    gc.freeze()  # as the server does when it is warm
    try:
        for number in range(first, first + inputs):
            at(number)
            data = mutant(seeds, number)
            try:
                took = _timed(parser, data)
                if took > slowest_ms:
                    slowest_ms, slowest = took, number
            except Exception:  # what nobody expects is what is looked for
                failures.append((number, traceback.format_exc()))
    finally:
        logging.getLogger().removeHandler(log)
    return Found(inputs, failures, slowest_ms, slowest, log.bytes)


def _timed(parser: Parser, data: bytes) -> float:
    began = time.thread_time()  # what it takes, however busy the machine is
    parser.feed(data)
    return 1000 * (time.thread_time() - began)


def _in_child(name: str, first: int, inputs: int, last: "Synchronized[int]", answer: Any) -> None:
    def note(number: int) -> None:
        last.value = number

    from tests.fuzz import wire

    answer.send(fed(PARSERS[name], first, inputs, note) if name in PARSERS else wire.run(name, first, inputs))


def apart(name: str, first: int, inputs: int) -> Found:
    """Feed a parser in a process of its own; a crash is a failure of the input that it died of."""
    spawn = multiprocessing.get_context("spawn")
    last: Synchronized[int] = spawn.Value("q", first)
    here, there = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_in_child, args=(name, first, inputs, last, there))
    child.start()
    there.close()
    try:
        found: Found = here.recv()
    except EOFError:
        child.join()
        found = Found(last.value - first + 1, [(last.value, f"the process ended with {child.exitcode}")], 0.0, first, 0)
    child.join()
    return found
