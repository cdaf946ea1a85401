"""Blinks, saccades and ends of phrases found in controls at 50 Hz: of captures, of video, and of what is generated alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from engine.contract.motion import GAZE_RANGE_DEG, Channel
from engine.timeline import MOTION_RATE_HZ

Floats = NDArray[np.float64]

STEP_S: Final = 1 / MOTION_RATE_HZ
CLOSED: Final = 0.85
"""Share of a blink's depth above which the lids stay closed; it begins and ends at `OPENED`."""
OPENED: Final = 0.15
RISE_STEPS: Final = 6  # what takes longer to close than this is no blink but a look down or a squint
SLOWEST_STEPS: Final = 25
PROMINENCE: Final = 0.15
FAST_DEG_S: Final = 30.0
LANDED_DEG_S: Final = 15.0
SMALLEST_DEG: Final = 1.5
"""Smaller turns of the eyes are not told from noise in a capture."""


@dataclass(frozen=True, slots=True, eq=False)
class Eyes:
    """What eyes did, at 50 Hz.

    Attributes:
        name: of the capture, or of what generated it.
        lids: float64[M, 2], eyeBlink of the left and right eye, 0..1.
        gaze: float64[M, 2], degrees to the person's left and up.
    """

    name: str
    lids: Floats
    gaze: Floats

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.lids) * STEP_S

    @classmethod
    def of(cls, name: str, controls: NDArray[np.float32]) -> "Eyes":
        """From controls float32[M, 58]."""

        def column(channel: str) -> Floats:
            return controls[:, Channel[channel]].astype(np.float64)

        left = column("eyeLookOutLeft") - column("eyeLookInLeft") + column("eyeLookInRight") - column("eyeLookOutRight")
        up = column("eyeLookUpLeft") - column("eyeLookDownLeft") + column("eyeLookUpRight") - column("eyeLookDownRight")
        lids = np.stack([column("eyeBlinkLeft"), column("eyeBlinkRight")], 1)
        return cls(name, lids, np.stack([left, up], 1) * (GAZE_RANGE_DEG / 2))


@dataclass(frozen=True, slots=True)
class Blink:
    """One blink.

    Attributes:
        begin_s, end_s: where the lids pass `OPENED` of the depth.
        close_s: from `OPENED` to `CLOSED` of the depth; NaN, as the next two, if another blink or a look runs into it.
        hold_s: above `CLOSED`.
        open_s: from `CLOSED` to `OPENED`.
        depth: eyeBlink at its peak.
        evenness: how far the right lid went over how far the left one did.
    """

    begin_s: float
    end_s: float
    close_s: float
    hold_s: float
    open_s: float
    depth: float
    evenness: float


@dataclass(frozen=True, slots=True)
class Saccade:
    """One fast turn of the eyes.

    Attributes:
        begin_s, end_s: when.
        amplitude_deg: from where it began to where it landed.
        level: it went more sideways than up or down.
        peak_deg_s: its greatest speed.
        home: it landed within `HOME_DEG` of where the eyes rest.
        blink: the lids were moving meanwhile, so its speed means nothing.
    """

    begin_s: float
    end_s: float
    amplitude_deg: float
    level: bool
    peak_deg_s: float
    home: bool
    blink: bool


HOME_DEG: Final = 2.5


def blinks_of(eyes: Eyes) -> list[Blink]:
    """All blinks, in order."""
    lids = eyes.lids.mean(1)
    peaks, found = find_peaks(lids, prominence=PROMINENCE)
    blinks = []
    for peak, left in zip(peaks.tolist(), found["left_bases"].tolist(), strict=True):
        before = max(left, peak - 2 * RISE_STEPS, 0)
        base = float(lids[before : peak + 1].min())
        level = (lids - base) / (lids[peak] - base)
        if lids[peak] - base < PROMINENCE or level[max(peak - RISE_STEPS, 0)] > OPENED * 2:
            continue
        blinks.append(_blink(eyes, peak, level))
    return blinks


def _blink(eyes: Eyes, peak: int, level: Floats) -> Blink:
    rising, closed = _cross(level, peak, OPENED, -1), _cross(level, peak, CLOSED, -1)
    opening, opened = _cross(level, peak, CLOSED, 1), _cross(level, peak, OPENED, 1)
    clean = opened - rising < SLOWEST_STEPS and bool((np.diff(level[peak : int(opened) + 1]) <= 0).all())
    spans = ((closed - rising), (opening - closed), (opened - opening)) if clean else (np.nan,) * 3
    went = eyes.lids[peak] - eyes.lids[max(round(rising) - 2, 0)]
    close_s, hold_s, open_s = (float(span) * STEP_S for span in spans)
    depth, evenness = float(eyes.lids[peak].mean()), float(went[1] / went[0]) if went[0] > 0 else 1.0
    return Blink(rising * STEP_S, opened * STEP_S, close_s, hold_s, open_s, depth, evenness)


def _cross(level: Floats, peak: int, at: float, side: int) -> float:
    """Where, to the left (-1) or right (1) of a peak, the level falls below `at`, in steps."""
    i = peak
    while 0 < i < len(level) - 1 and level[i] > at:
        i += side
    inner = i - side
    drop = level[inner] - level[i]
    return i if drop <= 0 or level[i] > at else inner + side * float((level[inner] - at) / drop)


def saccades_of(eyes: Eyes) -> list[Saccade]:
    """All turns of at least `SMALLEST_DEG`, in order."""
    gaze, lids = eyes.gaze, eyes.lids.mean(1)
    speed = np.linalg.norm(np.gradient(gaze, STEP_S, axis=0), axis=1)
    rest, open_lids = np.median(gaze, axis=0), float(np.median(lids))
    found: list[Saccade] = []
    for start in (np.flatnonzero((speed[1:] > FAST_DEG_S) & (speed[:-1] <= FAST_DEG_S)) + 1).tolist():
        begin = end = start
        while begin > 0 and speed[begin] > LANDED_DEG_S:
            begin -= 1
        while end < len(speed) - 1 and speed[end] > LANDED_DEG_S:
            end += 1
        turn = gaze[end] - gaze[begin]
        amplitude = float(np.hypot(turn[0], turn[1]))
        if amplitude < SMALLEST_DEG or (found and begin * STEP_S <= found[-1].end_s):
            continue
        home = bool(np.linalg.norm(gaze[end] - rest) < HOME_DEG)
        blink = bool(lids[max(begin - 3, 0) : end + 4].max() - open_lids > PROMINENCE)
        level = bool(abs(turn[0]) > abs(turn[1]))
        found.append(Saccade(begin * STEP_S, end * STEP_S, amplitude, level, float(speed[begin : end + 1].max()), home, blink))
    return found


SPEECH_SHARE: Final = 0.5  # of the way from the noise to the voice, in dB
PAUSE_S: Final = 0.25
PHRASE_S: Final = 0.4


def phrase_ends(sound: NDArray[np.int16], rate_hz: int) -> Floats:
    """float64[N]: seconds at which speech of `PHRASE_S` or more is followed by a pause of `PAUSE_S` or more."""
    step = rate_hz // MOTION_RATE_HZ
    blocks = sound[: len(sound) // step * step].reshape(-1, step).astype(np.float64) / 32768
    level = 10 * np.log10((blocks**2).mean(1) + 1e-9)
    quiet, loud = np.percentile(level, (10, 95))
    if loud - quiet < 12:
        return np.zeros(0)
    return ends_of(level > quiet + SPEECH_SHARE * (loud - quiet))


def ends_of(speaking: Sequence[bool] | NDArray[np.bool_]) -> Floats:
    """The same of flags at 50 Hz."""
    ends: list[float] = []
    spoken = silent = 0
    for step, talks in enumerate(speaking):
        if talks:
            spoken, silent = spoken + 1 + (silent if spoken else 0), 0
        elif spoken:
            silent += 1
            if silent * STEP_S >= PAUSE_S - 1e-9:
                if spoken * STEP_S >= PHRASE_S - 1e-9:
                    ends.append((step - silent + 1) * STEP_S)
                spoken = silent = 0
    return np.array(ends)


def near(begins: Floats, ends: Floats, before_s: float, after_s: float) -> float:
    """Share of ends with a blink's beginning from `before_s` before to `after_s` after."""
    if len(ends) == 0:
        return float("nan")
    away = begins[None, :] - ends[:, None]
    return float(((away > -before_s) & (away < after_s)).any(1).mean())
