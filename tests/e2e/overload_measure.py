"""What an overload costs sessions on real workers, and what it does not: steps, misses, sound, and how soon all is back.

    python -m tests.e2e.overload_measure --sessions 4 --extra 4 --seconds 20
    python -m tests.e2e.overload_measure --sessions 4 --burners 4 --seconds 20
    python -m tests.e2e.overload_measure --fault crash   # or freeze

Opens sessions past admission, lets a tone into them in real time, and has
more sessions (--extra), or processes that only burn CPU, beside them for the
middle of the time. With a fault, one more session on the same worker has a renderer that raises, or stops
its worker, instead. Says who steps where, and what each phase was like.
"""

import argparse
import asyncio
import contextlib
import itertools
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
FRAMES_TO_FAULT = 100


@dataclass
class Seen:
    """Of one session in one phase."""

    frames: int = 0
    misses: int = 0
    jumped: int = 0  # emissions that never came
    missing: int = 0  # samples of sound
    late_ms: list[float] = field(default_factory=list[float])
    still_s: float = 0.0  # the longest time without a new picture


class Watcher:
    """Reads one session's pictures and sound; `seen` is the current phase's."""

    def __init__(self, session: Remote) -> None:
        self.session, self.seen = session, Seen()
        self._last: Outgoing | None = None
        self._drawn_at = now()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._listen())]

    async def _watch(self) -> None:
        async for outgoing in self.session.subscribe():
            seen, stamps = self.seen, outgoing.stamps
            seen.frames += 1
            seen.misses += not (outgoing.fresh or outgoing.spared)
            seen.late_ms.append(1000 * (now() - stamps.due))
            if self._last is not None:
                seen.jumped += outgoing.index - self._last.index - 1
            seen.still_s = max(seen.still_s, now() - self._drawn_at)
            if outgoing.fresh:
                self._drawn_at = now()
            self._last = outgoing

    async def _listen(self) -> None:
        async for outgoing in self.session.listen():
            self.seen.missing += outgoing.missing

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
        f"at most {max(seen.still_s for seen in every):.2f} s without a new picture",
    )
    say(line("  emission later than due, ms", np.concatenate([seen.late_ms for seen in every])))


@contextlib.asynccontextmanager
async def playing(sessions: int, workers: int, studio: str, portrait: str) -> AsyncIterator[tuple[Live, list[Watcher]]]:
    """Sessions with sound, whether they fit or not."""
    options = WorkerOptions(studio=studio, warm=portrait)
    live = Live(Path, workers=workers, options=options)
    await live.start()
    try:
        await until(lambda: all(worker.ready for worker in live.pool.workers))
        places = itertools.count()
        live.pool.choose = lambda _: live.pool.workers[next(places) % workers]  # type: ignore[method-assign]
        async with contextlib.AsyncExitStack() as stack:
            yield live, [await watched(live, portrait, stack) for _ in range(sessions)]
    finally:
        await live.close()


async def watched(live: Live, portrait: str, stack: contextlib.AsyncExitStack) -> Watcher:
    """One more session, with a voice."""
    session = await live.open(SessionSettings(portrait))
    await stack.enter_async_context(speaking(session))
    return Watcher(session)


async def measure(sessions: int, workers: int, burners: int, extra: int, seconds: float) -> None:
    """Calm, overload, calm again until all are drawn in full."""
    async with playing(sessions, workers, STUDIOS["mesh"], str(PORTRAIT)) as (live, watchers):
        await phase("calm", watchers, WARM_S)
        with burning(burners):
            async with contextlib.AsyncExitStack() as stack:
                more = [await watched(live, str(PORTRAIT), stack) for _ in range(extra)]
                await phase("overload", [*watchers, *more], seconds)
            for watcher in more:
                await watcher.session.close()
        await phase("after", watchers, CALM_S, until_full=True)


async def measure_fault(fault: str, sessions: int, seconds: float) -> None:
    """Calm, and a while in which one more session on the same worker fails."""
    async with playing(sessions, 1, "tests.fake_studio:FakeStudio", "grey-80") as (live, watchers):
        await phase("calm", watchers, WARM_S)
        await live.open(SessionSettings(f"{fault}-{FRAMES_TO_FAULT}"))
        await phase(fault, watchers, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--burners", type=int, default=0)
    parser.add_argument("--extra", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--fault", choices=("crash", "freeze"), help="of one session, in the place of burners")
    options = parser.parse_args()
    if options.fault:
        asyncio.run(measure_fault(options.fault, options.sessions, options.seconds))
        return
    asyncio.run(measure(options.sessions, options.workers, options.burners, options.extra, options.seconds))


if __name__ == "__main__":
    main()
