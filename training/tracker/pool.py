"""Work shared out to processes."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def mapped(work: Callable[[T], R], tasks: Sequence[T], processes: int) -> Iterator[R]:
    """The results as they come, in any order; in other processes if there are to be several."""
    if processes <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(work, tasks)
