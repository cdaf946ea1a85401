"""The figures of PD-FGC's protocols: what was drawn, against what was filmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.evaluate import likeness
from training.evaluate.likeness import Image, Landmarks
from training.evaluate.pdfgc_films import LEAST_FRAMES, Truth, Watcher, faces_in
from training.evaluate.pdfgc_given import (
    Floats,
    Given,
    identity,
    inception_features,
    lip_sync_confidence,
    lips_apart,
    similarity_to,
)
from training.synthesis.factors import POSE_
from training.synthesis.measures import EXPRESSED, of_motion

NONE: Final = float("nan")
"""A figure that was not measured."""
_PUBLISHED_SIDE: Final = 224


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """T pictures uint8[T, S, S, 3], and the landmarks float32[T, 478, 3] found in them."""

    pictures: Image
    landmarks: Landmarks

    @classmethod
    def of(cls, pictures: Image, watcher: Watcher) -> "Film":
        """As a watcher sees it."""
        return cls(pictures, watcher.landmarks(pictures))

    @classmethod
    def still(cls, picture: Image, count: int, watcher: Watcher) -> "Film":
        """One picture, so many times."""
        one = picture[None]
        return cls(np.repeat(one, count, 0), np.repeat(watcher.landmarks(one), count, 0))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a clip, or the means of several; NaN for what was not measured.

    Attributes:
        frames: that were drawn.
        unseen: those in which no face was found; left out of what landmarks tell.
        lmd: mean distance of the landmarks of the skin, centroids removed, in u.
        lmd_m: likewise of the lips.
        lmd_px: the same in px of a 224 px picture; so is lmd_m_px.
        ard: mean difference of yaw, pitch and roll, degrees.
        pose: their mean squared difference, radians squared.
        expression: mean squared difference of the controls of `EXPRESSED`.
        lips_error: as an observer reads them, see `lips_apart`; of blurred mouths a few pixels high it errs less than
            landmarks. With the first frame's expression throughout: frozen_lips_error.
        lips_variance: of what it reads in the film.
        lips: the error in variances, set when all clips are there, see `with_lips`; so is frozen_lips.
        l1: of RGB in 0..1.
        ssim: see `likeness.ssim`.
        frozen_lmd_m: lips when the expression is the first frame's throughout; and in px.
        crossed: expression of another clip, shown by this person, against that clip's.
        csim: likeness to the real person in their first frame that drives.
        lse_c: lip sync of what was drawn; of the real clip; with the frozen expression.
        fid: of all frames, set when all are there.
    """

    frames: int
    unseen: int
    lmd: float = NONE
    lmd_m: float = NONE
    lmd_px: float = NONE
    lmd_m_px: float = NONE
    ard: float = NONE
    pose: float = NONE
    expression: float = NONE
    lips_error: float = NONE
    lips_variance: float = NONE
    lips: float = NONE
    l1: float = NONE
    ssim: float = NONE
    frozen_lmd_m: float = NONE
    frozen_lmd_m_px: float = NONE
    frozen_lips_error: float = NONE
    frozen_lips: float = NONE
    crossed: float = NONE
    csim: float = NONE
    lse_c: float = NONE
    real_lse_c: float = NONE
    frozen_lse_c: float = NONE
    fid: float = NONE

    @property
    def nlse_c(self) -> float:
        """Eq. 9, its absolute value, against the real clips."""
        return abs(self.lse_c - self.real_lse_c) / self.real_lse_c

    @property
    def frozen_nlse_c(self) -> float:
        """The same with the frozen expression."""
        return abs(self.frozen_lse_c - self.real_lse_c) / self.real_lse_c


def figures_of(truth: Truth, driven: Film, frozen: Film, crossed: Film | None, driver: Truth | None, given: Given) -> Figures:
    """The figures of one clip.

    Args:
        truth: the clip.
        driven: what was drawn of it.
        frozen: the same with the first frame's expression.
        crossed: its person and sound, driven by `driver`; None where nobody else is at hand.
        driver: the other clip.
        given: further networks.
    """
    out = _driven(truth, driven)
    both = faces_in(frozen.landmarks) & faces_in(truth.landmarks)
    if both.sum() >= LEAST_FRAMES:
        u = likeness.eye_distance(truth.landmarks[both])
        _, lips, _ = likeness.distances(frozen.landmarks[both], truth.landmarks[both], u)
        out = replace(out, frozen_lmd_m=lips, frozen_lmd_m_px=lips * _px(truth, u))
    if crossed is not None and driver is not None:
        shown, wanted = truth.read(crossed.landmarks), driver.motion[: len(crossed.landmarks)]
        out = replace(out, crossed=_squared(shown[:, EXPRESSED], wanted[:, EXPRESSED]))
    return replace(out, **_by_given(truth, driven, frozen, given))


def _driven(truth: Truth, driven: Film) -> Figures:
    both = faces_in(driven.landmarks) & faces_in(truth.landmarks)
    pairs = list(zip(driven.pictures, truth.pictures, strict=True))
    out = Figures(
        len(both),
        int((~both).sum()),
        l1=float(np.mean([likeness.l1(a, b) for a, b in pairs])),
        ssim=float(np.mean([likeness.ssim(a, b) for a, b in pairs])),
    )
    if both.sum() < LEAST_FRAMES:
        return out
    u = likeness.eye_distance(truth.landmarks[both])
    lmd, lmd_m, ard = likeness.distances(driven.landmarks[both], truth.landmarks[both], u)
    shown, px = truth.read(driven.landmarks), _px(truth, u)
    turns = [np.deg2rad(of_motion(motion)[POSE_]) for motion in (shown, truth.motion)]
    return replace(
        out, lmd=lmd, lmd_m=lmd_m, lmd_px=lmd * px, lmd_m_px=lmd_m * px, ard=ard, pose=_squared(*turns),
        expression=_squared(shown[:, EXPRESSED], truth.motion[:, EXPRESSED]),
    )  # fmt: skip


def _by_given(truth: Truth, driven: Film, frozen: Film, given: Given) -> dict[str, float]:
    out: dict[str, float] = {}
    seen = faces_in(driven.landmarks)
    if given.arcface and seen.any():
        earliest = [int(faces_in(truth.landmarks).argmax())]
        (real,) = identity(given.arcface, truth.pictures[earliest], truth.landmarks[earliest])
        out["csim"] = similarity_to(real, identity(given.arcface, driven.pictures[seen], driven.landmarks[seen]))
    if given.observer:
        real, moved, held = (given.observer(film) for film in (truth.pictures, driven.pictures, frozen.pictures))
        out |= {"lips_error": lips_apart(moved, real), "frozen_lips_error": lips_apart(held, real)}
        out["lips_variance"] = float(real.var(0).mean())
    if given.syncnet:
        films = {"lse_c": driven.pictures, "real_lse_c": truth.pictures, "frozen_lse_c": frozen.pictures}
        out |= {name: lip_sync_confidence(given.syncnet, film, truth.sound) for name, film in films.items()}
    return out


def features(given: Given, film: Image) -> list[Floats]:
    """For FID: the film's `inception_features`; none without the network."""
    return [inception_features(given.inception, film)] if given.inception else []


def with_lips(rows: Mapping[int, Figures]) -> dict[int, Figures]:
    """Clips with `lips` and `frozen_lips`: errors over the mean variance of all clips, 0 is the film, 1 a mouth that rests.

    Over its own variance each clip's error would count the more the quieter it is, and a silent one's hundreds. So the mean
    over clips is the sum of all errors over the sum of all variances.
    """
    variance = max(mean([*rows.values()]).lips_variance, 1e-12)
    return {
        clip: replace(row, lips=row.lips_error / variance, frozen_lips=row.frozen_lips_error / variance)
        for clip, row in rows.items()
    }


def mean(rows: Sequence[Figures]) -> Figures:
    """The means of figures that were measured; frames are added up."""
    out: dict[str, float] = {}
    for field in fields(Figures):
        values = np.array([getattr(row, field.name) for row in rows], np.float64)
        known = values[np.isfinite(values)]
        out[field.name] = float(known.mean()) if len(known) else NONE
    counts = {name: sum(getattr(row, name) for row in rows) for name in ("frames", "unseen")}
    return Figures(**{**out, **counts})


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one candidate's figure is from another's on the same clips.

    Attributes:
        mean: of the differences.
        error: the standard error of that mean; NaN of fewer than two clips.
        clips: on which both have it.
    """

    mean: float
    error: float
    clips: int


def compared(own: Mapping[int, Figures], other: Mapping[int, Figures]) -> dict[str, Difference]:
    """By name the differences `own` - `other`, clip by clip: clips differ more than candidates do."""
    out: dict[str, Difference] = {}
    both = sorted(own.keys() & other.keys())
    for field in fields(Figures):
        away = np.array([getattr(own[clip], field.name) - getattr(other[clip], field.name) for clip in both], np.float64)
        away = away[np.isfinite(away)]
        if len(away):
            error = float(away.std(ddof=1) / np.sqrt(len(away))) if len(away) > 1 else NONE
            out[field.name] = Difference(float(away.mean()), error, len(away))
    return out


def _px(truth: Truth, u: float) -> float:
    return u * _PUBLISHED_SIDE / truth.pictures.shape[1]


def _squared(shown: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """Mean squared difference over the rows that both have."""
    away = shown.astype(np.float64) - wanted
    known = away[np.isfinite(away).all(1)]
    return float((known**2).mean()) if len(known) else NONE
