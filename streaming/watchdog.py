"""Watches the event loop: how late it is, and what it is doing when it stands still."""

import asyncio
import logging
import sys
import threading
import traceback
from typing import Final

from streaming.contract import now
from streaming.metrics import Metrics

log = logging.getLogger(__name__)

BEAT_S: Final = 0.05
BOUND_S: Final = 0.2
"""The loop stands still when it is later than this: five frames at 25 fps."""
QUIET_S: Final = 10.0  # a stack is logged once in this time; a slow machine does not fill the log
_FRAMES: Final = 8  # of the stack, the innermost


class Watchdog:
    """Beats in the loop, and looks from a thread of its own whether the beats come.

    Args:
        metrics: gets the lag of every beat.
        beat_s, bound_s: seconds, see above.
    """

    def __init__(self, metrics: Metrics, *, beat_s: float = BEAT_S, bound_s: float = BOUND_S) -> None:
        self._metrics = metrics
        self._beat_s, self._bound_s = beat_s, bound_s
        self._due = now()

    async def watch(self) -> None:
        """Watch the running loop until cancelled."""
        ended = threading.Event()
        self._due = now() + self._beat_s
        thread = threading.Thread(target=self._look, args=(threading.get_ident(), ended), name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                await asyncio.sleep(self._beat_s)
                self._beat()
        finally:
            ended.set()
            thread.join()

    def _beat(self) -> None:
        late = max(now() - self._due, 0.0)
        self._due = now() + self._beat_s
        self._metrics.lag(late)
        if late > self._bound_s:
            self._metrics.stall()

    def _look(self, loop_thread: int, ended: threading.Event) -> None:
        told_at = -QUIET_S
        while not ended.wait(self._bound_s / 2):
            late = now() - self._due
            if late > self._bound_s and now() - told_at > QUIET_S:
                told_at = now()
                log.warning("the event loop has stood still for %.0f ms:\n%s", 1000 * late, _stack(loop_thread))


def _stack(thread: int) -> str:
    """Where a thread is now: files and lines, no values."""
    frame = sys._current_frames().get(thread)  # pyright: ignore[reportPrivateUsage]
    return "".join(traceback.format_stack(frame)[-_FRAMES:]).rstrip() if frame is not None else "(its thread has ended)"
