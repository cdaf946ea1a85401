"""From what a session took in and brought out to latencies: pure arithmetic on a `Take`.

The end points come first: a sample of the source is found again in the sound
that came out (`benchmarks.matching`), so its way from the push of its packet
(T1) to the bitstream of the picture shown with it (T7) needs no account by the
engine of its own doing. Only the stages between are the engine's own stamps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.matching import source_positions
from benchmarks.pipeline import COLUMNS, PACKET, PipelineSettings, Run, Take
from engine.timeline import SAMPLE_RATE_HZ

DRAWS = 8
"""Samples of sound drawn at random from each frame."""
STAGES = ("audio_hold", "features", "queue", "inference", "colour", "encode")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one session that count, consecutive, one row each; instants in seconds, NaN where there is none.

    Attributes:
        first: index of the first one.
        table: float64[K, len(COLUMNS)], see `Take.frames`; a frame that never came is a row of NaN.
        skipped: rows of the take before the first.
    """

    first: int
    table: Floats
    skipped: int

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, column: str) -> Floats:
        return self.table[:, COLUMNS.index(column)]

    @property
    def index(self) -> NDArray[np.int64]:
        """int64[K], the frames' indices."""
        return np.arange(self.first, self.first + len(self.table))

    @property
    def fresh(self) -> NDArray[np.bool_]:
        """bool[K], which had a picture of their own."""
        return self["fresh"] == 1


def frames_of(take: Take, run: Run) -> Frames:
    """The frames that were due while things counted."""
    due = take.frames[:, COLUMNS.index("due")]
    rows = np.flatnonzero((due >= run.began) & (due < run.ended))
    if len(rows) == 0:
        return Frames(0, take.frames[:0], 0)
    return Frames(take.first + int(rows[0]), take.frames[rows[0] : rows[-1] + 1], int(rows[0]))


@dataclass(frozen=True, slots=True)
class Journeys:
    """What uniformly random samples of the sound went through, in milliseconds; NaN where it is not known.

    Attributes:
        whole: float64[S], from the push of the sample's packet until the picture shown with it was encoded.
        stages: by name of `STAGES`, float64[S]; they add up to `whole` less the sound held for the look-ahead.
        at_s: float64[S], when it ended, in seconds from the beginning.
    """

    whole: Floats
    stages: dict[str, Floats]
    at_s: Floats


def journeys(take: Take, frames: Frames, settings: PipelineSettings, began: float, lead_ms: float, seed: int = 0) -> Journeys:
    """Follow `DRAWS` random samples of each frame's sound.

    A frame whose picture repeats the one before is not seen before the next
    picture of its own, so that is when its sound's journey ends.
    """
    frame_samples = SAMPLE_RATE_HZ // settings.fps
    positions = _positions(take, frames, frame_samples)
    shown = _next_known(np.where(frames.fresh, frames["encoded"], np.nan))
    offsets = np.random.default_rng(seed).integers(0, frame_samples, (len(frames), DRAWS))
    begun = np.fmax(frames["taken"], frames["due"])
    arrived = _arrival(take, positions[:, None] + offsets)
    arrived[arrived > begun[:, None]] = np.nan  # nothing is heard before it came: mistaken for another sound like it

    def spread(values: Floats) -> Floats:
        return np.repeat(values[:, None], DRAWS, 1)

    stages = {
        "audio_hold": begun[:, None] - arrived - lead_ms / 1000,
        "features": spread(frames["asked"] - begun),
        "queue": spread(frames["began"] - frames["asked"]),
        "inference": spread(frames["drawn"] - frames["began"]),
        "colour": spread(frames["colour"] - frames["drawn"]),
        "encode": spread(frames["encoded"] - frames["colour"]),
    }
    return Journeys(
        whole=((shown[:, None] - arrived) * 1000).ravel(),
        stages={name: (value * 1000).ravel() for name, value in stages.items()},
        at_s=spread(frames["due"] - began).ravel(),
    )


def _positions(take: Take, frames: Frames, frame_samples: int) -> Floats:
    """Where in the source the sound of each frame begins; the frames before those that count help to find it."""
    heard = take.sound[: frames.skipped + len(frames)].ravel()
    sound = heard.astype(np.float32) * np.float32(1 / 32768)
    return source_positions(take.source(), sound, frame_samples)[frames.skipped :]


def _arrival(take: Take, positions: Floats) -> Floats:
    pushed = take.pushed
    packet = np.floor(positions / PACKET)
    known = np.isfinite(packet) & (packet >= 0) & (packet < len(pushed))
    return np.where(known, pushed[np.where(known, packet, 0).astype(np.int64)], np.nan)


def _next_known(values: Floats) -> Floats:
    """Each value, or where it is NaN the next one that is not."""
    found = values.copy()
    for i in range(len(found) - 2, -1, -1):
        if np.isnan(found[i]):
            found[i] = found[i + 1]
    return found


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Ticks that did not get a fresh picture of their own within a frame's period: late, repeated, or never encoded."""

    ticks: int
    late: int
    repeated: int
    dropped: int

    @property
    def misses(self) -> int:
        """All of them."""
        return self.late + self.repeated + self.dropped


def deadlines(frames: Frames, period_s: float) -> Deadlines:
    """Count the ticks of one session; a tick is counted in one class only."""
    due, fresh = frames["due"], frames.fresh
    repeated = ~fresh & np.isfinite(due)
    dropped = np.isnan(due) | (fresh & np.isnan(frames["encoded"]))
    late = fresh & ~dropped & (frames["colour"] > due + period_s)
    return Deadlines(len(frames), int(late.sum()), int(repeated.sum()), int(dropped.sum()))


def total(parts: Sequence[Deadlines]) -> Deadlines:
    """Of several sessions together."""
    return Deadlines(*(sum(getattr(part, name) for part in parts) for name in ("ticks", "late", "repeated", "dropped")))


@dataclass(frozen=True, slots=True)
class StallCheck:
    """Whether an injected stall shows in exactly the frames it was put into."""

    injected: tuple[int, ...]
    shown: tuple[int, ...]

    @property
    def exact(self) -> bool:
        """True when it does."""
        return bool(self.injected) and self.injected == self.shown


def stalled(frames: Frames, stall_ms: float, every: int) -> StallCheck:
    """The frames in which a stall was put, and those in which one shows.

    It shows when drawing took longer by half of it or more, or when it took so
    long that the picture before was repeated instead; repeats that follow are
    its aftermath.
    """
    took = (frames["drawn"] - frames["began"]) * 1000
    drawn = frames.fresh & np.isfinite(took)
    usual = float(np.median(took[drawn])) if drawn.any() else 0.0
    slow = drawn & (took > usual + stall_ms / 2)
    shown: list[int] = []
    aftermath = False
    for index, is_slow, is_fresh in zip(frames.index.tolist(), slow.tolist(), frames.fresh.tolist(), strict=True):
        if is_slow or not (is_fresh or aftermath):
            shown.append(index)
        aftermath = is_slow or not is_fresh
    injected = frames.index[frames.index % every == every - 1]
    return StallCheck(tuple(injected.tolist()), tuple(shown))
