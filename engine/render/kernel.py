"""How inner loops are compiled."""

from collections.abc import Callable
from typing import Any

import numba as nb


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function over arrays compiled by numba at its first call, without the GIL, and kept on disk for the next start.

    Array indices are not checked. A kernel calls only kernels of its own file:
    what is kept on disk is made anew when that file changes, not another.
    """
    compiled: Callable[..., Any] = nb.njit(cache=True, nogil=True, fastmath=True, boundscheck=False, error_model="numpy")(
        function
    )
    return compiled
