"""What an overload costs sessions on real workers, and what it does not: steps, misses, sound, and how soon all is back.

    python -m tests.e2e.overload_measure --sessions 4 --burners 4 --seconds 20

Opens sessions past admission, all on one worker if asked, lets tone into them
in real time, and has processes that only burn CPU beside them for the middle
of the time. One line a second and session; at the end what each phase was like.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from streaming.contract import Outgoing, SessionSettings, now
from streaming.live import Live
from streaming.remote import Remote
from streaming.worker.ladder import name_of
from streaming.worker.options import STUDIOS, WorkerOptions
from tests.e2e.rtc_client import until
from tests.e2e.rtc_measure import line, say
from tests.e2e.test_workers import speaking

PORTRAIT = Path("engine/models/portraits/mei.mien").resolve()
WARM_S = 8.0
CALM_S = 40.0


@dataclass
class Seen:
    """Of one session in one phase."""

    frames: int = 0
    misses: int = 0
    jumped: int = 0  # emissions that never came
    missing: int = 0  # samples of sound
    late_ms: list[float] = field(default_factory=list[float])


class Watcher:
    """Reads one session's emissions; `seen` is the current phase's."""

    def __init__(self, session: Remote) -> None:
        self.session, self.seen = session, Seen()
        self._last: Outgoing | None = None
        self._missing = 0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async for outgoing in self.session.subscribe():
            seen, stamps = self.seen, outgoing.stamps
            seen.frames += 1
            seen.misses += not (outgoing.fresh or outgoing.spared)
            seen.late_ms.append(1000 * (now() - stamps.due))
            if self._last is not None:
                seen.jumped += outgoing.index - self._last.index - 1
            seen.missing += outgoing.missing
            self._last = outgoing

    @property
    def name(self) -> str:
        """Of its step."""
        step = self.session.status().step
        return name_of(step, self.session.settings) if step else "full"


def burn() -> None:
    """Take a core."""
    while True:
        pass


@contextlib.contextmanager
def burning(count: int):
    """So many processes that do nothing else."""
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(count)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


async def phase(name: str, watchers: Sequence[Watcher], seconds: float, *, until_full: bool = False) -> None:
    """Watch for a while."""
    for watcher in watchers:
        watcher.seen = Seen()
    begun, told = now(), ""
    while now() - begun < seconds:
        await asyncio.sleep(0.25)
        steps = ", ".join(watcher.name for watcher in watchers)
        if steps != told:
            say(f"{name} {now() - begun:5.1f} s: {steps}")
            told = steps
        if until_full and all(watcher.name == "full" for watcher in watchers):
            break
    every = [watcher.seen for watcher in watchers]
    frames = sum(seen.frames for seen in every)
    say(
        f"{name}: {now() - begun:.1f} s, {frames} emissions, {sum(seen.jumped for seen in every)} never came,",
        f"{100 * sum(seen.misses for seen in every) / max(1, frames):.2f} % without the picture they should have,",
        f"{sum(seen.missing for seen in every)} of {1920 * frames} samples missing,",
    )
    say(line("  emission later than due, ms", np.concatenate([seen.late_ms for seen in every])))


@contextlib.asynccontextmanager
async def playing(sessions: int, workers: int, portrait: str) -> AsyncIterator[list[Watcher]]:
    """Sessions with sound, wherever they fit or not."""
    options = WorkerOptions(studio=STUDIOS["mesh"], warm=portrait)
    live = Live(Path, workers=workers, options=options)
    await live.start()
    try:
        await until(lambda: all(worker.warm for worker in live.pool.workers))
        places = iter(range(sessions))
        live.pool.choose = lambda _: live.pool.workers[next(places) % workers]  # type: ignore[method-assign]
        async with contextlib.AsyncExitStack() as stack:
            opened = [await live.open(SessionSettings(portrait, seed=k)) for k in range(sessions)]
            for session in opened:
                await stack.enter_async_context(speaking(session))
            yield [Watcher(session) for session in opened]
    finally:
        await live.close()


async def measure(sessions: int, workers: int, burners: int, seconds: float) -> None:
    """Calm, overload, calm again until all are drawn in full."""
    async with playing(sessions, workers, str(PORTRAIT)) as watchers:
        await phase("calm", watchers, WARM_S)
        with burning(burners):
            await phase("overload", watchers, seconds)
        await phase("after", watchers, CALM_S, until_full=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--burners", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    asyncio.run(measure(options.sessions, options.workers, options.burners, options.seconds))


if __name__ == "__main__":
    main()
