"""From what was seen of a face to its track: neutral face, controls, gaze, blinks, everything at 50 Hz."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from engine.contract.motion import GAZE_RANGE_DEG, POSE, Channel
from engine.features.mel import mel_of
from engine.timeline import MOTION_RATE_HZ
from training.data.faces import LEAST_EYES_PX, Faces
from training.data.fit import Person, Reprojection, fit_controls, judge
from training.data.head import LEFT_CORNER, RIGHT_CORNER, de_posed, fit_head, mean_face, pose_of, smoothed, straightened
from training.data.measures import GAZE_RADIUS_U, eyes_of, gap_of, irises_of, width_of
from training.data.media import Unusable
from training.data.tracks import STEP_SAMPLES, Track

Floats = NDArray[np.float64]

SHORTEST_S: Final = 1.0
MOST_LOST: Final = 0.2
"""Share of frames without a face from which a clip is dropped."""
CROWDED: Final = 0.5
"""Share of looks with a second face from which a clip is dropped."""
FRAMES_PER_SPEAKER: Final = 4000
"""Frames that a speaker's neutral face is made of, at most."""
UNSTEADY_U: Final = 0.05
"""Residual of the rigid fit from which a frame is not trusted."""
MOST_TURN_DEG: Final = 45.0
"""Turn of the head from which a frame is not trusted: half of the lips is hidden."""
FASTEST_DEG_S: Final = 200.0
"""Turn of a head in a second beyond which two frames do not belong together."""
BLINK_CURVE: Final = ((0.10, 0.35, 0.65, 0.76, 0.87, 0.94), (1.0, 0.8, 0.55, 0.38, 0.15, 0.0))
"""An eye's opening (0 shut, 1 open, by the tracker) and the blink that it stands for; measured on renders with known blinks."""
LID_FOLLOWS: Final = 0.02
"""Share of its opening that an eye loses per degree that it looks down: the rig does that by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Speaker:
    """What is a person's own, shared by all of their clips.

    Attributes:
        person: neutral face and rig.
        open_eyes: float64[2], opening of left and right eye when they are open.
        shut_eyes: float64[2], the same when they are shut.
        irises: float64[2] u, where the irises are when the eyes look ahead.
    """

    person: Person
    open_eyes: Floats
    shut_eyes: Floats
    irises: Floats


def check(faces: Faces, seconds: float) -> None:
    """Raise `Unusable` if a clip cannot become a track."""
    found = np.isfinite(faces.landmarks[:, 0, 0])
    if seconds < SHORTEST_S:
        raise Unusable("too short", f"{seconds:.1f} s, at least {SHORTEST_S:.0f} s are needed")
    if faces.crowd >= CROWDED:
        raise Unusable("several faces", f"a second face in {faces.crowd:.0%} of the looks")
    if not found.any():
        raise Unusable("no face")
    corners = faces.landmarks[found][:, [LEFT_CORNER, RIGHT_CORNER]]
    distance = float(np.median(np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1)))
    if distance < LEAST_EYES_PX:
        raise Unusable("face too small", f"{distance:.0f} px between the eyes' outer corners, {LEAST_EYES_PX:.0f} are needed")
    if 1 - found.mean() > MOST_LOST:
        raise Unusable("face lost", f"in {1 - found.mean():.0%} of the frames")


def speaker_of(clips: Iterable[Faces], count: int) -> Speaker:
    """A person from their `count` clips."""
    share, parts = max(FRAMES_PER_SPEAKER // max(count, 1), 10), []
    for clip in clips:
        found = clip.landmarks[np.isfinite(clip.landmarks[:, 0, 0])]
        parts.append(found[:: max(len(found) // share, 1)])
    landmarks = np.concatenate(parts)
    face = mean_face(landmarks[:: max(len(landmarks) // 1000, 1)])
    points = de_posed(landmarks, fit_head(face, landmarks, 1))
    eyes = eyes_of(points)
    open_eyes = np.median(eyes, axis=0)
    neutral = straightened(_neutral(points, eyes, open_eyes))
    shut = np.clip(np.percentile(eyes, 0.5, axis=0) / open_eyes, 0.12, 0.4) * open_eyes
    fit = fit_head(neutral, landmarks, 1)
    awake = de_posed(landmarks, fit)[(eyes > 0.85 * open_eyes).all(1)]
    irises = np.median(irises_of(awake), axis=0) if len(awake) else np.zeros(2)
    return Speaker(Person.of(neutral), open_eyes, shut, irises)


def _neutral(points: Floats, eyes: Floats, open_eyes: Floats) -> Floats:
    """The median of the frames with closed lips and open eyes."""
    gap = gap_of(points)
    awake = (eyes > 0.85 * open_eyes).all(1)
    closed = gap <= np.percentile(gap, 3) + 0.012
    chosen = closed & awake
    if chosen.sum() < 5:
        chosen = gap <= np.percentile(gap, 10)
    return np.median(points[chosen], axis=0)


def track_of(
    faces: Faces, sound: NDArray[np.int16], speaker: Speaker, names: tuple[str, str, str]
) -> tuple[Track, Reprojection]:
    """One clip's track; `names` are its own, its source's and its speaker's.

    Raises:
        Unusable: if too few frames can be trusted.
    """
    landmarks, crop, valid = _filled(faces)
    neutral = speaker.person.neutral
    fit = fit_head(neutral, landmarks)
    pose = pose_of(fit, neutral)
    valid &= (fit.residual < UNSTEADY_U) & (np.abs(pose[:, :2]).max(1) < MOST_TURN_DEG) & ~_cuts(pose, faces.fps)
    if 1 - valid.mean() > MOST_LOST:
        raise Unusable("face lost", f"turned away or blurred in {1 - valid.mean():.0%} of the frames")
    points = de_posed(landmarks, fit)
    controls = fit_controls(speaker.person, points, faces.fps)
    quality = judge(speaker.person, points[valid], controls[valid])
    eyes = eyes_of(points)
    _eyes_into(controls, points, eyes, speaker)
    controls[:, -len(POSE) :] = smoothed(pose.astype(np.float64), 3)
    steps = min(len(sound) // STEP_SAMPLES, int(len(landmarks) / faces.fps * MOTION_RATE_HZ))
    at = Sampler(len(landmarks), faces.fps, steps)
    sound = sound[: steps * STEP_SAMPLES]
    low = np.zeros(controls.shape[1])
    low[-len(POSE) :] = -np.inf
    track = Track(
        *names,
        fps=faces.fps,
        sound=sound,
        mel=mel_of(sound.astype(np.float32) / np.float32(32768)).astype(np.float16),
        landmarks=points.astype(np.float32),
        pose=pose,
        crop=_filled_rows(crop),
        valid=valid,
        controls=np.clip(at(controls), low, np.where(np.isinf(low), np.inf, 1)).astype(np.float32),
        gap=at(gap_of(points)).astype(np.float32),
        width=at(width_of(points)).astype(np.float32),
        eye=at(eyes).astype(np.float32),
        moving=at.trusted(valid),
        neutral=neutral.astype(np.float32),
    )
    return track, quality


class Sampler:
    """From video frames, at (i + 0.5) / fps, to instants of 50 Hz, without overshoot (Fritsch and Carlson 1980)."""

    def __init__(self, frames: int, fps: float, steps: int) -> None:
        self._seen = (np.arange(frames) + 0.5) / fps
        self._asked = np.clip(np.arange(steps) / MOTION_RATE_HZ, self._seen[0], self._seen[-1])
        self._place = np.arange(steps) / MOTION_RATE_HZ * fps - 0.5

    def __call__(self, values: NDArray[np.floating]) -> Floats:
        """float64[M, ...] of values [F, ...]."""
        return np.asarray(PchipInterpolator(self._seen, values.astype(np.float64), axis=0)(self._asked))

    def trusted(self, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool[M]: both frames around an instant are valid."""
        before = np.clip(np.floor(self._place).astype(int), 0, len(valid) - 1)
        after = np.clip(np.ceil(self._place).astype(int), 0, len(valid) - 1)
        return valid[before] & valid[after]


def _cuts(pose: NDArray[np.float32], fps: float) -> NDArray[np.bool_]:
    """bool[F]: frames beside a jump of the head that no neck makes: a cut, or a slip of the tracker."""
    jump = np.abs(np.diff(pose[:, :3], axis=0)).max(1, initial=0) * fps > FASTEST_DEG_S
    return np.concatenate([jump, [False]]) | np.concatenate([[False], jump])


def _filled(faces: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Landmarks and crops at the frame rate's own instants with lost frames bridged; which of them were seen."""
    seen_at = faces.time - faces.time[0]
    nominal = np.arange(round(seen_at[-1] * faces.fps) + 1) / faces.fps
    nearest = np.searchsorted((seen_at[1:] + seen_at[:-1]) / 2, nominal)
    late = np.abs(nominal - seen_at[nearest]) > 0.75 / faces.fps
    landmarks = faces.landmarks[nearest]
    valid = np.isfinite(landmarks[:, 0, 0]) & ~late
    flat = landmarks.reshape(len(landmarks), -1).copy()
    flat[~valid] = np.nan
    return _filled_rows(flat).reshape(landmarks.shape), faces.crop[nearest], valid


def _filled_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    seen = np.isfinite(rows[:, 0])
    if seen.all():
        return rows
    index, known = np.arange(len(rows)), np.flatnonzero(seen)
    after = np.clip(np.searchsorted(known, index), 0, len(known) - 1)
    before = np.clip(np.searchsorted(known, index, "right") - 1, 0, len(known) - 1)
    a, b = known[before], known[after]
    share = np.where(b > a, (index - a) / np.maximum(b - a, 1), 0.0)[:, None]
    return (rows[a] * (1 - share) + rows[b] * share).astype(np.float32)


def _eyes_into(controls: NDArray[np.float32], points: Floats, eyes: Floats, speaker: Speaker) -> None:
    """Blinks from the eyes' opening, gaze from the irises."""
    wide = np.clip(np.percentile(eyes, 70, axis=0), 0.75 * speaker.open_eyes, 1.1 * speaker.open_eyes)
    opening = (eyes - speaker.shut_eyes) / (wide - speaker.shut_eyes)
    away = smoothed(irises_of(points) - speaker.irises, 3)
    blinking = (opening.min(1) < 0.6)[:, None]
    away = _filled_rows(np.where(blinking, np.nan, away).astype(np.float32)) if not blinking.all() else away * 0
    turn = np.degrees(np.arcsin(np.clip(away / GAZE_RADIUS_U, -0.7, 0.7))) / GAZE_RANGE_DEG
    left, up = turn[:, 0], turn[:, 1]
    down_deg = np.maximum(-up, 0)[:, None] * GAZE_RANGE_DEG
    blink = np.interp(opening + LID_FOLLOWS * down_deg, *BLINK_CURVE)
    for i, side in enumerate(("Left", "Right")):
        controls[:, Channel[f"eyeBlink{side}"]] = blink[:, i]
        outward = left if side == "Left" else -left
        controls[:, Channel[f"eyeLookOut{side}"]] = np.maximum(outward, 0)
        controls[:, Channel[f"eyeLookIn{side}"]] = np.maximum(-outward, 0)
        controls[:, Channel[f"eyeLookUp{side}"]] = np.maximum(up, 0)
        controls[:, Channel[f"eyeLookDown{side}"]] = np.maximum(-up, 0)
