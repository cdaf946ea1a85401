"""Which values a person shows: random faces, faces that differ in one factor, and motion over time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import Channel
from engine.motion.idle import IdleSource
from engine.motion.visemes import controls_of
from engine.timeline import MOTION_STEP
from training.synthesis.factors import BLINK, EXPRESSION, FACTORS, GAZE, LIP, MASK, NEUTRAL, POSE_, Pools

Ints = NDArray[np.int32]

FPS: Final = 25
FRAMES: Final = 64
"""Pictures of a clip: 2.56 s."""
SAMPLES: Final = 640
"""Of sound at 16 kHz, a picture."""

ONE_FACTOR: Final = 0.3
"""Share of the random faces that differ from an earlier one of the same person in one factor only."""
_OPEN: Final = 0.3  # blink of the eyes in whose face gaze can be seen
_HOLDS_S: Final = (0.5, 1.6)  # how long a factor rests at a value
_MOVES_S: Final = {POSE_: 0.45, GAZE: 0.04, BLINK: 0.10, EXPRESSION: 0.35}
_RESTS: Final = {POSE_: 0.1, GAZE: 0.2, BLINK: 0.7, EXPRESSION: 0.25}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Faces of one person.

    Attributes:
        factors: int32[N, 5], places in the pools.
        base: int32[N], the row that a face shares all but one factor with; -1 for none.
        varied: int8[N], that factor; -1 for none.
    """

    factors: Ints
    base: Ints
    varied: NDArray[np.int8]


def random_rows(allowed: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Rows:
    """Random faces; the first one is the person at rest.

    Args:
        allowed: bool[5, P], the values that the person can show.
        count: how many faces.
        rng: where chance comes from.
    """
    factors, base, varied = np.zeros((count, len(FACTORS)), np.int32), np.full(count, -1, np.int32), np.full(count, -1, np.int8)
    for i in range(1, count):
        if rng.random() < ONE_FACTOR:
            base[i], varied[i] = i - 1, rng.integers(len(FACTORS))
            factors[i] = factors[i - 1]
            factors[i, varied[i]] = _other(allowed[varied[i]], factors[i, varied[i]], rng)
        else:
            factors[i] = _face(allowed, rng)
    return Rows(factors, base, varied)


def group_rows(pools: Pools, allowed: NDArray[np.bool_], bases: int, variants: int, rng: np.random.Generator) -> Rows:
    """Groups that start with a base, whose eyes are open, followed by `variants` faces for each factor, in their order."""
    is_open = pools.values[BLINK][:, [Channel["eyeBlinkLeft"], Channel["eyeBlinkRight"]]].max(1) <= _OPEN
    each = 1 + len(FACTORS) * variants
    factors, base = np.empty((bases, each, len(FACTORS)), np.int32), np.full((bases, each), -1, np.int32)
    varied = np.full((bases, each), -1, np.int8)
    varied[:, 1:] = np.repeat(np.arange(len(FACTORS)), variants)
    for i in range(bases):
        face = _face(allowed, rng)
        face[BLINK] = 0 if rng.random() < NEUTRAL[BLINK] else _other(is_open & allowed[BLINK], 0, rng)
        factors[i], base[i, 1:] = face, i * each
        for row, factor in zip(factors[i, 1:], varied[i, 1:], strict=True):
            row[factor] = _other(allowed[factor], int(face[factor]), rng)
    return Rows(factors.reshape(-1, len(FACTORS)), base.reshape(-1), varied.reshape(-1))


def _face(allowed: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    rest = rng.random(len(FACTORS)) < NEUTRAL
    return np.array([0 if still else _other(own, 0, rng) for still, own in zip(rest, allowed, strict=True)], np.int32)


def _other(allowed: NDArray[np.bool_], than: int, rng: np.random.Generator) -> int:
    """One of the allowed values but one."""
    some = np.flatnonzero(allowed)
    return int(rng.choice(some[some != than]))


def clip_motion(
    pools: Pools, allowed: NDArray[np.bool_], articulators: NDArray[np.floating], rng: np.random.Generator
) -> NDArray[np.float32]:
    """float32[F, 58] at the middle of each picture: lips that speak, all else from the pools and idle life.

    Args:
        pools: the other factors' values.
        allowed: bool[5, P], those that the person can show.
        articulators: floating[2 F, 9] at n 20 ms.
        rng: where chance comes from.
    """
    frames = len(articulators) // 2
    out = controls_of(articulators[1::2].astype(np.float32)) * MASK[LIP]
    for factor, moves_s in _MOVES_S.items():
        out += _moving(pools.values[factor], allowed[factor], frames, moves_s, _RESTS[factor], rng)
    idle = IdleSource(int(rng.integers(2**31))).advance((2 * frames - 1) * MOTION_STEP)
    living = np.stack([motion.values for motion in idle])[1::2]
    out += living * MASK[POSE_]
    out[:, MASK[BLINK]] = np.maximum(out, living)[:, MASK[BLINK]]
    return out.astype(np.float32)


def _moving(
    values: NDArray[np.float32], allowed: NDArray[np.bool_], frames: int, moves_s: float, rests: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """float32[F, 58]: from value to value of a pool, eased."""
    time = (np.arange(frames) + 0.5) / FPS
    some = np.flatnonzero(allowed)
    before = values[0 if rng.random() < rests else int(rng.choice(some))]
    out, at = np.tile(before, (frames, 1)), float(rng.uniform(0, _HOLDS_S[1]))
    while at < frames / FPS:
        after = values[0 if rng.random() < rests else int(rng.choice(some))]
        t = np.clip((time - at) / moves_s, 0, 1)[:, None]
        out += (t * t * (3 - 2 * t) * (after - before)).astype(np.float32)
        before, at = after, at + moves_s + float(rng.uniform(*_HOLDS_S))
    return out
