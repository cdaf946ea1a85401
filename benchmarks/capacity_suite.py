"""Suite `capacity`: how many sessions at once stay within budget, and does the server let in no more than that?

First the server as users have it: sessions are opened all at once, before
anything of them was measured, and then one by one, each spoken into and
watched, until one more is refused; what was let in plays on and is measured.
Then the limit itself, by bisection, with the door held open: a number fits
when at most 1 % of its pictures miss their deadline (a repeated picture is a
miss, also one that was spared to relieve a worker) and the residence's p99 is
within budget. End points as in suite `engine`: real workers, real encoders.
Bar: what is let in, either way, is no more than what fits.

With `--no-encode` nobody watches: rendering alone, T7 is when the picture has
reached the event loop. One session is then encoded apart.
"""

import asyncio
import dataclasses
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import engine_suite, pipeline
from benchmarks.calibration import calibrate
from benchmarks.engine_suite import Findings, in_loop, settings_json
from benchmarks.metrics import Distribution, Metric
from benchmarks.pipeline import Audience, PipelineSettings, Run, Take
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from streaming.contract import CapacityReached, now
from streaming.live import Live
from streaming.remote import Remote
from streaming.worker.admission import Admission
from streaming.worker.options import PLACES
from streaming.worker.pool import available_cores

MISSES_MOST: Final = 0.01
RESIDENCE_MOST_MS: Final = {"cpu": 100.0, "cuda": 60.0}
"""Of p99, by device."""
BARS: Final = {("mesh", "cpu"): 4, ("pdfgc", "cuda"): 100}
"""Least number of sessions, by renderer and device: of the mesh on two cores, of PD-FGC on an H200 (rendering alone)."""
SETTLE_S: Final = 2.0
"""Between two sessions that are opened one by one: as long as it takes until the first has been measured."""
SETTLE_MOST_S: Final = 40.0
"""All these pauses together."""
REFUSALS: Final = 20
PARTS: Final = ("workers", "loop", "encode")
"""Who spends CPU time, see `benchmarks.pipeline.Spent`."""


@dataclass(frozen=True, slots=True)
class Tried:
    """So many sessions at once, and how that went; `findings` is None when not all had a place, or nothing came."""

    sessions: int
    fits: bool
    findings: Findings | None

    def share(self, of: str) -> float:
        """Of one core, spent by one of `PARTS`."""
        assert self.findings is not None
        run = self.findings.run
        return getattr(run.spent, f"{of}_s") / (run.ended - run.began)

    @property
    def others(self) -> float:
        """Cores that were neither ours nor idle: how much else ran on the machine."""
        assert self.findings is not None
        ours = sum(map(self.share, PARTS))
        return max(0.0, available_cores() * (1 - self.findings.run.busy["idle"]) - ours)

    @property
    def pictures_per_s(self) -> float:
        """Drawn, of all sessions."""
        assert self.findings is not None
        run = self.findings.run
        return sum(int(frames.fresh.sum()) for frames in self.findings.frames) / (run.ended - run.began)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the server let in: opened all at once; one by one, and how those did; how long refusals took, in ms."""

    at_once: int
    one_by_one: Tried
    refusal_ms: list[float]

    @property
    def most(self) -> int:
        """Either way."""
        return max(self.at_once, self.one_by_one.sessions)


class Search:
    """The largest number that fits, among 0..most: up from `begin` by quarters until one does not, then by bisection."""

    def __init__(self, begin: int, most: int) -> None:
        self.fits = 0
        self._fails = most + 1
        self._most = most
        self._begin = min(max(begin, 1), most)

    def next(self) -> int | None:
        """What is to be tried; None when it is known."""
        if self._fails - self.fits <= 1:
            return None
        if self._fails > self._most:
            return min(max(self._begin, self.fits + max(1, self.fits // 4)), self._most)
        return (
            (self.fits + self._fails) // 2 if self.fits or self._fails <= 2 else max(1, self._fails - max(1, self._fails // 4))
        )

    def tell(self, number: int, *, fits: bool) -> None:
        """What came of a number."""
        if fits:
            self.fits = max(self.fits, number)
        else:
            self._fails = min(self._fails, number)


def _kind(settings: PipelineSettings) -> str:
    """Of its device."""
    return settings.device.partition(":")[0]


def within_budget(found: Findings, settings: PipelineSettings) -> bool:
    """Whether a run missed few deadlines and kept no sound for long."""
    residence, misses = found.residence, found.miss_rate
    most_ms = RESIDENCE_MOST_MS[_kind(settings)]
    return residence is not None and misses is not None and residence.p99 <= most_ms and misses <= MISSES_MOST


def run_suite(settings: PipelineSettings, voice: NDArray[np.float32], most: int | None, plots: Path | None = None) -> Outcome:
    """Measure; at most `most` sessions are tried, by default as many as the workers have places."""
    before = calibrate()
    admitted, tried = in_loop(_measure(settings, voice, most))
    apart = None if settings.encode else engine_suite.measure(_alone(settings), voice, "encoders", mouth_seen=False)
    outcome = Outcome(settings_json(settings, len(voice)), codec=settings.codec)
    _report(outcome, settings, admitted, tried)
    if apart is not None:
        _report_encoding(outcome, apart)
    outcome.lines.append(f"calibration kernel: {before.p50:.2f} ms before, {calibrate().p50:.2f} ms after")
    if plots is not None:
        from benchmarks import plots as draw

        outcome.lines += draw.capacity(tried, admitted.most, RESIDENCE_MOST_MS[_kind(settings)], plots)
    return outcome


def _alone(settings: PipelineSettings) -> PipelineSettings:
    return dataclasses.replace(settings, encode=True, sessions=1)


async def _measure(settings: PipelineSettings, voice: NDArray[np.float32], most: int | None) -> tuple[Admitted, list[Tried]]:
    async with pipeline.serving(settings) as live:
        places = PLACES * len(live.pool.workers)
        most = min(most or places, places)
        admitted = await _let_in(live, settings, voice, most)
    tried = [admitted.one_by_one] if admitted.one_by_one.findings else []
    search = Search(admitted.most, most)
    for known in tried:
        search.tell(known.sessions, fits=known.fits)
    if search.next() is None:
        return admitted, tried
    async with pipeline.serving(settings, Admission(available_cores(), room=math.inf)) as live:
        while (sessions := search.next()) is not None:
            tried.append(await _try(live, dataclasses.replace(settings, sessions=sessions), voice))
            search.tell(sessions, fits=tried[-1].fits)
    return admitted, sorted(tried, key=lambda one: one.sessions)


async def _let_in(live: Live, settings: PipelineSettings, voice: NDArray[np.float32], most: int) -> Admitted:
    sessions: list[Remote] = []

    async def opened() -> None:
        sessions.append(await live.open(pipeline.wanted(settings)))

    at_once = await _until_refused(opened, most)
    refusals = [await _refusal_ms(live, settings) for _ in range(REFUSALS if at_once < most else 0)]
    for session in sessions:
        await session.close()
    pause_s = min(SETTLE_S, SETTLE_MOST_S / max(at_once, 1), settings.seconds)
    async with Audience(live, settings) as audience:

        async def seated() -> None:
            await audience.seat(Take(voice, settings, None, pipeline.SPARE_S + SETTLE_MOST_S))
            await asyncio.sleep(pause_s)

        await _until_refused(seated, most)
        run = await _attended(audience, settings)
    return Admitted(at_once, _judged(run), refusals)


async def _until_refused(enter: Callable[[], Awaitable[None]], most: int) -> int:
    for number in range(most):
        try:
            await enter()
        except CapacityReached:
            return number
    return most


async def _refusal_ms(live: Live, settings: PipelineSettings) -> float:
    """How long it takes; NaN if the session is let in after all."""
    began = now()
    try:
        session = await live.open(pipeline.wanted(settings))
    except CapacityReached:
        return (now() - began) * 1000
    await session.close()
    return math.nan


async def _try(live: Live, settings: PipelineSettings, voice: NDArray[np.float32]) -> Tried:
    async with Audience(live, settings) as audience:
        try:
            for _ in range(settings.sessions):
                await audience.seat(Take(voice, settings, None, pipeline.SPARE_S + settings.sessions))
        except CapacityReached:
            return Tried(settings.sessions, False, None)
        run = await _attended(audience, settings)
    return _judged(run)


async def _attended(audience: Audience, settings: PipelineSettings) -> Run:
    progress = ProgressBar(f"{len(audience.sessions)} sessions")
    return await audience.attend(lambda seconds: progress(seconds / settings.seconds))


def _judged(run: Run) -> Tried:
    if not run.takes:
        return Tried(0, False, None)
    found = engine_suite.read(run)
    if found.residence is None or found.miss_rate is None:
        return Tried(len(run.takes), False, None)
    return Tried(len(run.takes), within_budget(found, run.settings), found)


def _report(outcome: Outcome, settings: PipelineSettings, admitted: Admitted, tried: list[Tried]) -> None:
    best = next((one for one in reversed(tried) if one.fits), None)
    capacity = best.sessions if best else 0
    refusal = Distribution.of(admitted.refusal_ms)
    outcome.metrics = {
        "capacity_sessions": capacity,
        "engine_residence_ms": best.findings.residence if best and best.findings else None,
        "deadline_miss_rate": best.findings.miss_rate if best and best.findings else None,
        "admitted_sessions": admitted.most,
        "admitted_at_once_sessions": admitted.at_once,
        "admitted_one_by_one_sessions": admitted.one_by_one.sessions,
        "refusal_ms": refusal,
        "tried": [_figures(one) for one in tried],
    }
    least, most_ms = BARS.get((settings.renderer, _kind(settings))), RESIDENCE_MOST_MS[_kind(settings)]
    outcome.rows = [
        Row(
            "capacity_sessions",
            capacity,
            (Bar("", low=least),) if least else (),
            f"misses <= 1 %, residence p99 <= {most_ms:g} ms" + ("" if settings.encode else ", rendering alone"),
        ),
        Row(
            "admitted_sessions",
            admitted.most,
            (Bar("", max(capacity, 1)),),
            f"{admitted.at_once} opened all at once, {admitted.one_by_one.sessions} one by one; one alone is never refused",
        ),
        Row("refusal_ms", refusal, (Bar("p99", 50),), "of one more, at the workers' door"),
        *(row for one in tried for row in _rows(one)),
    ]


def _figures(one: Tried) -> dict[str, Metric]:
    found: dict[str, Metric] = {"sessions": one.sessions, "within_budget": int(one.fits)}
    if one.findings is not None:
        shares: dict[str, Metric] = {f"{part}_cores": one.share(part) for part in PARTS}
        found |= shares | {
            "engine_residence_ms": one.findings.residence,
            "deadline_miss_rate": one.findings.miss_rate,
            "pictures_per_s": one.pictures_per_s,
            "others_cores": one.others,
        }
    return found


def _rows(one: Tried) -> list[Row]:
    verdict = "within budget" if one.fits else "not within budget"
    if one.findings is None:
        return [Row(f"{one.sessions} sessions", None, (), "no place for so many, or nothing came")]
    shares = ", ".join(f"{part} {one.share(part):.2f}" for part in PARTS) + f", others {one.others:.2f}"
    note = f"misses {one.findings.miss_rate:.2%}; cores: {shares}; {one.pictures_per_s:.0f} pictures/s: {verdict}"
    return [Row(f"{one.sessions} sessions: residence_ms", one.findings.residence, (), note)]


def _report_encoding(outcome: Outcome, alone: Findings) -> None:
    """What the encoders cost one session that was watched: CPU time beside the event loop's, per picture."""
    pictures = sum(int(np.isfinite(frames["encoded"]).sum()) for frames in alone.frames)
    each_ms = 1000 * alone.run.spent.encode_s / pictures if pictures else None
    outcome.metrics |= {"encode_cpu_ms": each_ms, "stage_encode_ms": alone.stage("encode")}
    outcome.rows += [
        Row("one session encoded: encode_cpu_ms", each_ms, (), "CPU time per picture"),
        Row("one session encoded: stage_encode_ms", outcome.metrics["stage_encode_ms"], (), "T6 -> T7"),
    ]
