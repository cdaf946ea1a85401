"""Drivers on scenes: the marks of each pair, and their means."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.timeline import MOTION_RATE_HZ
from training.evaluate import metrics
from training.evaluate.drivers import Driver, Performance
from training.evaluate.face import face_of
from training.evaluate.scenes import Phones, Real, Scene

Count = tuple[int, int]
"""Hits, and of how many."""

AGREED_MS: Final = 50.0
"""Within which two drivers must see the same lag for it to be believed."""
_UNKNOWN: Final = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """How one driver did one scene; NaN and (0, 0) where there was nothing to compare with.

    Attributes:
        lmd: mouth landmarks' distance, share of the outer-eye distance.
        by_lag: float64[31], see `metrics.correlation_by_lag`.
        frame_correlation: of the gaps at the video's own frames; `correlation` is that at 50 Hz.
        noisy: correlation at the video's frames with noise mixed in, by kind.
        bend: sum of squared second differences where the real mouth stands still, and how many.
        still: steps in pauses that are closed and still, closed, and all.
        pair: float32[2, F], driven and real gap at the frames, for pooling.
    """

    scene: str
    group: str
    seconds: float
    lmd: float = _UNKNOWN
    correlation: float = _UNKNOWN
    frame_correlation: float = _UNKNOWN
    by_lag: NDArray[np.float64] = field(default_factory=lambda: np.full(31, _UNKNOWN))
    noisy: Mapping[str, float] = field(default_factory=dict[str, float])
    closures: Count = (0, 0)
    false_closures: Count = (0, 0)
    still: tuple[int, int, int] = (0, 0, 0)
    bend: tuple[float, int] = (0.0, 0)
    pair: NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 0), np.float32))


Noise = Callable[[NDArray[np.float32], str], NDArray[np.float32]]
"""Mixes a noise into float32[N] at 16 kHz; the name of the scene seeds it."""


def judge(driver: Driver, scenes: Iterable[Scene], noises: Mapping[str, Noise] | None = None) -> list[Marks]:
    """The marks of a driver; with `noises`, filmed scenes are acted once more with each."""
    return [_marks(driver, scene, noises or {}) for scene in scenes]


def _marks(driver: Driver, scene: Scene, noises: Mapping[str, Noise]) -> Marks:
    face = face_of(scene.neutral)
    played = driver.perform(scene.sound, scene.neutral, face)
    noisy: dict[str, float] = {}
    if scene.real is not None:
        for name, mix in noises.items():
            disturbed = driver.perform(mix(scene.sound, scene.name), scene.neutral, face)
            noisy[name] = metrics.correlation(*_at_frames(disturbed.gap, scene.real))
    return marks_of(played, scene, noisy)


def marks_of(played: Performance, scene: Scene, noisy: Mapping[str, float] | None = None) -> Marks:
    """The marks of a performance of a scene."""
    phones, real = scene.phones or Phones((), (), ()), scene.real
    common = {
        "closures": metrics.closures(played.gap, phones.closing),
        "false_closures": metrics.false_closures(played.gap, phones.open_vowels),
        "still": metrics.stillness(played.gap, phones.pauses),
    }
    seconds = len(scene.sound) / 16000
    if real is None:
        by_lag = _by_lag(played.gap, scene.target)
        middle = float(by_lag[len(by_lag) // 2])
        return Marks(scene.name, scene.group, seconds, correlation=middle, by_lag=by_lag, **common)
    pair = np.stack(_at_frames(played.gap, real))
    length = min(len(played.gap), len(real.gap))
    where = metrics.still_steps(real.gap[:length]) & real.moving[:length]
    by_lag = _by_lag(played.gap, real.gap)
    return Marks(
        scene.name,
        scene.group,
        seconds,
        lmd=metrics.mouth_distance(_between(played.lips, real.instants)[..., :2], real.lips[..., :2]),
        correlation=float(by_lag[len(by_lag) // 2]),
        frame_correlation=metrics.correlation(*pair),
        by_lag=by_lag,
        noisy=noisy or {},
        bend=metrics.jitter(played.gap[:length], where),
        pair=pair,
        **common,
    )


def real_marks(scene: Scene) -> Marks:
    """The real mouth under the same rules: what a perfect driver would get where nothing compares it with itself."""
    assert scene.real is not None
    face = face_of(scene.neutral)
    real = scene.real
    steps = np.arange(len(real.gap)) / MOTION_RATE_HZ
    lips = np.stack([np.interp(steps, real.instants, line) for line in real.lips.reshape(len(real.lips), -1).T], 1)
    moved = lips.reshape(-1, *real.lips.shape[1:]).astype(np.float32)
    return marks_of(Performance(moved, face.gap(moved)), scene)


def rig_marks(scene: Scene) -> Marks:
    """The rig under the controls that were fitted to the real mouth: what no driver of this rig can beat."""
    assert scene.real is not None
    face = face_of(scene.neutral)
    lips = face.lips(scene.real.controls)
    return marks_of(Performance(lips, face.gap(lips)), scene)


def offsets_ms(witnesses: Sequence[Sequence[Marks]]) -> dict[str, float]:
    """By how much the sound of each scene comes late, as several drivers see it; not those of which they see nothing.

    Films from the net are often out of step. The witnesses are drivers that
    are not to be judged. Where their own best lags agree, the best lag of
    their mean correlation is taken.
    """
    found: dict[str, float] = {}
    for same in zip(*witnesses, strict=True):
        own = [metrics.best_lag_ms(m.by_lag) for m in same]
        if np.isfinite(own).all() and np.ptp(own) <= AGREED_MS:
            found[same[0].scene] = metrics.best_lag_ms(np.mean([m.by_lag for m in same], axis=0))
    return found


def _by_lag(driven: NDArray[np.float32], real: NDArray[np.float32] | None) -> NDArray[np.float64]:
    if real is None:
        return np.full(31, _UNKNOWN)
    length = min(len(driven), len(real))
    return metrics.correlation_by_lag(driven[:length], real[:length])


def _at_frames(gap: NDArray[np.float32], real: Real) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    driven = np.interp(real.instants * MOTION_RATE_HZ, np.arange(len(gap)), gap)
    return driven.astype(np.float32), real.frame_gap


def _between(lips: NDArray[np.float32], instants: NDArray[np.float64]) -> NDArray[np.float32]:
    """float32[F, 40, 3]: the lips at instants in seconds, between steps linearly."""
    place = np.clip(instants * MOTION_RATE_HZ, 0, len(lips) - 1)
    before = np.minimum(place.astype(np.intp), len(lips) - 2)
    share = (place - before)[:, None, None]
    return (lips[before] * (1 - share) + lips[before + 1] * share).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Row:
    """A driver on one group of scenes; means are over scenes, None where nothing was to compare with."""

    driver: str
    look_ahead_ms: float
    group: str
    scenes: int
    seconds: float
    lmd: float | None
    correlation_video: float | None
    correlation_50hz: float | None
    correlation_pooled: float | None
    correlation_worst: float | None
    lag_ms: float | None
    correlation_in_step: float | None
    lag_in_step_ms: float | None
    closure_hits: float | None
    closures: int
    false_closures: float | None
    open_vowels: int
    still: float | None
    closed: float | None
    pause_steps: int
    jitter: float | None
    noise_loss: dict[str, float]


def row_of(
    name: str, look_ahead_ms: float, group: str, marks: Sequence[Marks], offsets: Mapping[str, float] | None = None
) -> Row:
    """Means of the marks of one driver on one group; with `offsets` (see `offsets_ms`) also those of the films in step."""
    in_step = [_shifted(m.by_lag, (offsets or {}).get(m.scene, 0.0)) for m in marks] if offsets else []
    moved = _mean_rows(in_step)
    hits, wanted = np.sum([m.closures for m in marks], axis=0)
    wrong, vowels = np.sum([m.false_closures for m in marks], axis=0)
    good, shut, steps = np.sum([m.still for m in marks], axis=0)
    bend = [m.bend for m in marks]
    quiet = sum(count for _, count in bend)
    by_lag = _mean_rows([m.by_lag for m in marks])
    frame = [m.frame_correlation for m in marks]
    pooled = np.concatenate([m.pair for m in marks], axis=1)
    kinds = sorted({kind for m in marks for kind in m.noisy})
    return Row(
        driver=name,
        look_ahead_ms=look_ahead_ms,
        group=group,
        scenes=len(marks),
        seconds=round(sum(m.seconds for m in marks), 1),
        lmd=_mean([m.lmd for m in marks]),
        correlation_video=_mean(frame),
        correlation_50hz=_mean([m.correlation for m in marks]),
        correlation_pooled=_number(metrics.correlation(*pooled)) if pooled.shape[1] else None,
        correlation_worst=_number(float(np.nanmin(frame))) if np.isfinite(frame).any() else None,
        lag_ms=None if by_lag is None else _number(metrics.best_lag_ms(by_lag)),
        correlation_in_step=None if moved is None else float(moved[len(moved) // 2]),
        lag_in_step_ms=None if moved is None else _number(metrics.best_lag_ms(moved)),
        closure_hits=_share(hits, wanted),
        closures=int(wanted),
        false_closures=_share(wrong, vowels),
        open_vowels=int(vowels),
        still=_share(good, steps),
        closed=_share(shut, steps),
        pause_steps=int(steps),
        jitter=_number(float(np.sqrt(sum(s for s, _ in bend) / quiet))) if quiet else None,
        noise_loss={kind: _loss(marks, kind) for kind in kinds},
    )


def _loss(marks: Sequence[Marks], kind: str) -> float:
    lost = [m.frame_correlation - m.noisy[kind] for m in marks if kind in m.noisy]
    return float(np.nanmean(lost))


def _shifted(by_lag: NDArray[np.float64], offset_ms: float) -> NDArray[np.float64]:
    """A curve of correlations by lag as it would be with the sound earlier by the offset."""
    lags = np.linspace(-metrics.LAG_LIMIT_MS, metrics.LAG_LIMIT_MS, len(by_lag))
    return np.interp(lags + offset_ms, lags, by_lag)


def _mean_rows(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    known = [row for row in rows if np.isfinite(row).all()]
    return np.mean(known, axis=0) if known else None


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _share(hits: int, count: int) -> float | None:
    return float(hits / count) if count else None
