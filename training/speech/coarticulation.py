"""What a mouth does for a sequence of phones: dominance functions (Cohen and Massaro 1993), and contacts that are kept.

Each phone p has a target T[p, k] for each articulator k and a dominance that
falls off around it, D_p,k(t) = a[p, k] exp(-|t - t_p| theta[k]); an
articulator is the mean of all targets weighted by their dominances there
(their equation 3). Deviations: the dominance is flat over the phone's middle,
so that a long vowel is held; it rises (looks ahead) and falls at rates of
their own; a louder vowel opens further; and closures of the lips are laid
over the result, since a mean is never exactly closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.motion.visemes import ARTICULATORS
from training.baseline.visemes import DOMINANCE, SHAPES
from training.speech.phones import BITTEN, CLOSED, SIL, VISEME, VOWELS, Phone

CALIBRATED: Final = Path(__file__).with_name("articulation.npz")
"""Constants fitted to measured lips by `training.speech.calibrate`."""

STEP_S: Final = 0.02
CORE: Final = 0.35
"""Share of a phone, about its middle, over which its dominance is flat."""

JAW, CLOSE, PRESS, FUNNEL, PUCKER, STRETCH, LOWER, UPPER, ROLL = range(len(ARTICULATORS))

SETTLE_S, RISE_S = 0.13, 0.10
"""In a pause the mouth is at rest from this long after speech until this long before it."""
CLOSING_S, BITING_S = 0.055, 0.06
"""How long lips take to meet or part."""
JAW_CLOSED: Final = 0.14
"""How far the jaw may hang while the lips are closed."""
BITING: Final = {JAW: 0.09, ROLL: 0.5, UPPER: 0.18, LOWER: 0.0, FUNNEL: 0.0}
"""The lower lip at the upper teeth."""
PRESSED: Final = 0.75
"""How firmly they are closed: what the rig calls firm (`engine.rig.controls.drive`)."""

_PARTING: Final = [FUNNEL, LOWER, UPPER]

_AHEAD_PER_S: Final = (13.0, 26.0, 26.0, 13.0, 11.0, 13.0, 18.0, 18.0, 24.0)
_BEHIND_PER_S: Final = (12.0, 24.0, 24.0, 12.0, 11.0, 12.0, 16.0, 16.0, 22.0)


@dataclass(frozen=True, slots=True, eq=False)
class Articulation:
    """The constants of the model.

    Attributes:
        targets: float32[44, 9], -0.2..1, of a phone of middling loudness.
        dominance: float32[44, 9], > 0.
        ahead: float32[9], per second: how fast a coming phone gains.
        behind: float32[9], per second: how fast a past one loses.
        shift_s: the mouth is ahead of the sound by this much.
        effort: float32[9]: share by which an articulator grows with each unit (10 dB) of a vowel's loudness.
    """

    targets: NDArray[np.float32]
    dominance: NDArray[np.float32]
    ahead: NDArray[np.float32]
    behind: NDArray[np.float32]
    shift_s: float
    effort: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the constants."""
        names = ("targets", "dominance", "ahead", "behind", "effort")
        np.savez(path, shift_s=self.shift_s, **{name: getattr(self, name).astype(np.float16) for name in names})


def uncalibrated() -> Articulation:
    """The shapes of the signal-processing mouth, with contacts left to `articulate`."""
    targets = SHAPES[VISEME].copy()
    targets[:, [CLOSE, PRESS, ROLL]] = 0
    return Articulation(
        targets=targets,
        dominance=np.repeat(DOMINANCE[VISEME][:, None], len(ARTICULATORS), axis=1),
        ahead=np.array(_AHEAD_PER_S, np.float32),
        behind=np.array(_BEHIND_PER_S, np.float32),
        shift_s=0.0,
        effort=np.array([0.2, 0, 0, 0.1, 0, 0.1, 0.2, 0.2, 0], np.float32),
    )


@lru_cache(maxsize=1)
def calibrated() -> Articulation:
    """The constants in use: the fitted ones, where they are there."""
    if not CALIBRATED.exists():
        return uncalibrated()
    with np.load(CALIBRATED, allow_pickle=False) as file:
        arrays = {name: file[name].astype(np.float32) for name in ("targets", "dominance", "ahead", "behind", "effort")}
        return Articulation(**arrays, shift_s=float(file["shift_s"]))


def articulate(
    phones: Sequence[Phone],
    steps: int,
    model: Articulation,
    loudness: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """float32[steps, 9] at n 20 ms, 0..1; see `ARTICULATORS`.

    Args:
        phones: in order; before, between and after them is silence.
        steps: how many.
        model: its constants.
        loudness: float32[len(phones)], of each phone over the utterance's vowels, 1 is 10 dB; see `loudness_of`.

    Laws: all zero in a pause of 0.5 s or more, but for its first and last 0.2 s;
    closed (close = 1) at the step nearest to the middle of every p, b and m's closure.
    """
    times = (np.arange(steps) * STEP_S).astype(np.float32)
    filled = fill(phones, steps * STEP_S)
    index = np.array([p.index for p in filled])
    effort = np.zeros(len(filled), np.float32)
    if loudness is not None:
        given = dict(zip(phones, loudness.tolist(), strict=True))
        effort = np.array([given.get(p, 0.0) if p.index in VOWELS else 0.0 for p in filled], np.float32)
    targets = model.targets[index] * np.maximum(1 + effort[:, None] * model.effort, 0.2)
    out = blend(times + np.float32(model.shift_s), filled, targets, model)
    np.clip(out, 0, 1, out=out)
    _bite(out, times, filled)
    _close(out, times, filled)
    _rest(out, times, filled)
    return out


def fill(phones: Sequence[Phone], end_s: float) -> list[Phone]:
    """The phones with silences between them, from 0 to `end_s` at least; neighbouring silences made one."""
    out: list[Phone] = []
    last = max(end_s, phones[-1].end_s if phones else 0.0) + 0.3
    for phone in [*phones, Phone(last, last, SIL)]:
        now = out[-1].end_s if out else 0.0
        if phone.start_s > now + 1e-3:
            _append(out, Phone(now, phone.start_s, SIL))
        if phone.end_s > phone.start_s:
            _append(out, phone)
    return out


def _append(out: list[Phone], phone: Phone) -> None:
    if out and out[-1].index == phone.index == SIL:
        out[-1] = Phone(out[-1].start_s, phone.end_s, SIL)
    else:
        out.append(phone)


def blend(
    times: NDArray[np.float32], phones: Sequence[Phone], targets: NDArray[np.float32], model: Articulation
) -> NDArray[np.float32]:
    """float32[T, 9]: the mean of the phones' targets float32[P, 9], weighted by their dominances at `times`."""
    index = np.array([p.index for p in phones])
    before, after = distances(times, phones)
    power = np.maximum(before, 0)[..., None] * model.ahead + np.maximum(after, 0)[..., None] * model.behind
    weight = model.dominance[index] * np.exp(-np.minimum(power, 60))
    return (np.einsum("tpk,pk->tk", weight, targets) / (weight.sum(axis=1) + 1e-9)).astype(np.float32)


def distances(times: NDArray[np.float32], phones: Sequence[Phone]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """float32[T, P] each: seconds from `times` until the flat part of a phone begins, and since it ended; may be < 0."""
    start = np.array([p.start_s for p in phones], np.float32)
    length = np.array([p.end_s - p.start_s for p in phones], np.float32)
    pause = np.array([p.index for p in phones]) == SIL
    margin = np.where(pause, np.minimum(0.5 * length, SETTLE_S), 0.5 * (1 - CORE) * length).astype(np.float32)
    first, last = start + margin, start + length - margin
    return (first[None] - times[:, None]).astype(np.float32), (times[:, None] - last[None]).astype(np.float32)


def loudness_of(sound: NDArray[np.int16], phones: Sequence[Phone]) -> NDArray[np.float32]:
    """float32[len(phones)] for `articulate`: level over the median of the utterance's vowels, in 10 dB, within -1.5..1."""
    if not phones:
        return np.zeros(0, np.float32)
    energy = np.concatenate(([0.0], np.cumsum((sound.astype(np.float64) / 32768) ** 2)))
    edges = np.array([(p.start_s, p.end_s) for p in phones]) * 16_000
    first, last = np.clip(edges.astype(int), 0, len(sound)).T
    level = 10 * np.log10((energy[last] - energy[first]) / np.maximum(last - first, 1) + 1e-8)
    vowels = np.array([p.index in VOWELS for p in phones])
    middle = float(np.median(level[vowels])) if vowels.any() else 0.0
    return np.clip((level - middle) / 10, -1.5, 1.0).astype(np.float32)


def _contact(times: NDArray[np.float32], start: float, end: float, ramp_s: float) -> NDArray[np.float32]:
    """float32[T], 1 from `start` to `end` and at the step nearest to their middle, raised cosines about it."""
    away = np.maximum(np.maximum(start - times, times - end), 0) / ramp_s
    weight = (0.5 + 0.5 * np.cos(np.pi * np.minimum(away, 1))).astype(np.float32)
    weight[np.abs(times - 0.5 * (start + end)) <= 0.5 * STEP_S + 1e-6] = 1
    return weight


def _close(out: NDArray[np.float32], times: NDArray[np.float32], phones: Sequence[Phone]) -> None:
    """Lay the lips' closures over the articulators."""
    closed = np.zeros(len(times), np.float32)
    for phone in phones:
        if phone.index in CLOSED:
            length = phone.end_s - phone.start_s
            span = (phone.start_s + 0.15 * length, phone.end_s - 0.2 * length)
            closed = np.maximum(closed, _contact(times, *span, CLOSING_S))
    out[:, CLOSE] = np.maximum(out[:, CLOSE], closed)
    out[:, PRESS] = np.maximum(out[:, PRESS] * (1 - closed), PRESSED * closed**2)
    out[:, _PARTING] *= 1 - closed[:, None]
    out[:, JAW] = np.minimum(out[:, JAW], out[:, JAW] * (1 - closed) + closed * np.minimum(out[:, JAW], JAW_CLOSED))


def _bite(out: NDArray[np.float32], times: NDArray[np.float32], phones: Sequence[Phone]) -> None:
    """Lay the lower lip's contacts with the teeth over the articulators."""
    bitten = np.zeros(len(times), np.float32)
    for phone in phones:
        if phone.index in BITTEN:
            length = phone.end_s - phone.start_s
            bitten = np.maximum(bitten, _contact(times, phone.start_s + 0.2 * length, phone.end_s - 0.3 * length, BITING_S))
    for k, value in BITING.items():
        out[:, k] += bitten * (np.float32(value) - out[:, k])


def _rest(out: NDArray[np.float32], times: NDArray[np.float32], phones: Sequence[Phone]) -> None:
    """Bring all to exactly zero in pauses."""
    for phone in phones:
        if phone.index == SIL:
            inside = np.minimum(
                (times - phone.start_s) / SETTLE_S if phone.start_s > 0 else np.float32(1),
                (phone.end_s - times) / RISE_S,
            )
            away = np.clip(inside, 0, 1) * ((times >= phone.start_s) & (times < phone.end_s))
            out *= (0.5 + 0.5 * np.cos(np.pi * away))[:, None]
