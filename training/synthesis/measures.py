"""How much of each factor a face shows, and how far factors are taken for one another.

A measure says of pictures what each factor does, as a vector for each of
`FACTORS`:

    lip         the controls of the mouth, but for smile and frown
    pose        yaw, pitch and roll in degrees
    gaze        degrees to the person's left and up, mean of both eyes
    blink       eyeBlink of the left and the right eye
    expression  brows, cheeks, nose and smile: nothing that has to be seen at the mouth

Exact motion has them by definition; `Tracked` reads them off pictures as the
live camera is read, but for the smile, which it would read off the mouth;
`training.synthesis.judge` has networks that were taught nothing else, and
looks for expression, the smile too, above the mouth.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel
from engine.face.reader import FaceReader
from engine.face.stream import Seen
from engine.face.tracker import Face
from training.synthesis.data import Stills
from training.synthesis.factors import BLINK, FACTORS, GAZE, LIP, MASK
from training.synthesis.looks import Marks
from training.tracker.exact import gaze_deg

Floats = NDArray[np.float32]
Measured = tuple[Floats, ...]
"""For each of `FACTORS` float32[N, its dimensions]."""

EXPRESSED: Final = np.array(
    [Channel[name] for name in CHANNELS if name.startswith(("brow", "cheekSquint", "noseSneer", "mouthSmile"))]
)
"""The channels of expression that show above the mouth."""
ABOVE_MOUTH: Final = np.array([channel for channel in EXPRESSED if not CHANNELS[channel].startswith("mouth")])
"""Those that are read there as well: a smile shows in cheeks and eyes, but is read off the corners of the mouth."""
BLINKS: Final = np.array([Channel["eyeBlinkLeft"], Channel["eyeBlinkRight"]])
SHUT: Final = 0.5
"""Mean blink of both eyes from which on nobody sees where they look."""
_TURNS: Final = np.array([Channel["yaw"], Channel["pitch"], Channel["roll"]])
_PAIRS: Final = 4000
_VIEW_DEG: Final = 16.5
"""Field of view of a framed picture: some 440 px of the working frame, whose camera is 1500 px away."""


class Measure(Protocol):
    """Says what the factors of pictures do."""

    def __call__(self, pictures: NDArray[np.uint8], rest: NDArray[np.uint8]) -> Measured:
        """The factors of one person's pictures uint8[N, S, S, 3], framed; their face at rest is uint8[S, S, 3]."""
        ...


def of_motion(motion: Floats) -> Measured:
    """The factors of motions float32[N, 58]."""
    return motion[:, MASK[LIP]], motion[:, _TURNS], gaze_deg(motion).mean(1), motion[:, BLINKS], motion[:, EXPRESSED]


class Tracked:
    """Measures pictures with the tracker and the reader that ship."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def __call__(self, pictures: NDArray[np.uint8], rest: NDArray[np.uint8]) -> Measured:
        """See `Measure`; expression is brows, cheeks and nose alone: what the mouth does is lip."""
        motion = self.motion(pictures, rest)
        *others, _ = of_motion(motion)
        return *others, motion[:, ABOVE_MOUTH]

    def motion(self, pictures: NDArray[np.uint8], rest: NDArray[np.uint8]) -> Floats:
        """float32[N, 58]: the controls read, relative to the face at rest."""
        return controls_of(np.stack([self._marks.find(rgb) for rgb in pictures]), rest.shape[0], self._marks.find(rest)[None])


def controls_of(landmarks: Floats, side: int, rest: Floats) -> Floats:
    """float32[N, 58]: the controls read off faces that are framed, each by itself.

    Args:
        landmarks: float32[N, 478, 3] px.
        side: of the pictures, px.
        rest: float32[K, 478, 3], the person's face at rest; of several the median of the calm ones.
    """
    reader = FaceReader(field_of_view_deg=_VIEW_DEG)
    reader.calibrate(rest, side, side, neutral=rest[0] if len(rest) == 1 else None)
    out: list[Floats] = []
    for i, face in enumerate(landmarks):  # far apart, so that no picture is steadied by the one before
        reader.read(Seen(2.0 * i, None, "no face"), side, side)
        out.append(reader.read(Seen(2.0 * i + 1, Face(face, 1.0)), side, side).values)
    return np.stack(out)


def natural_range(measured: Measured, people: NDArray[np.str_], seed: int = 0) -> Floats:
    """float32[5]: the mean distance of each factor between two random pictures of one person."""
    rng = np.random.default_rng(seed)
    order = np.argsort(people, kind="stable")
    _, first, count = np.unique(people[order], return_index=True, return_counts=True)
    who = rng.integers(len(first), size=_PAIRS)
    a, b = (order[first[who] + (rng.random(_PAIRS) * count[who]).astype(np.intp)] for _ in range(2))
    seen = ~(_shut(measured)[a] | _shut(measured)[b])
    far = [np.linalg.norm(values[a] - values[b], axis=1) for values in measured]
    return np.array([own[seen].mean() if f == GAZE else own.mean() for f, own in enumerate(far)], np.float32)


def changes(before: Measured, after: Measured, natural: Floats) -> Floats:
    """float32[N, 5]: how much each factor changed, in natural ranges; NaN for the gaze of eyes that are shut in one of two."""
    out = np.stack([np.linalg.norm(b - a, axis=1) for a, b in zip(before, after, strict=True)], 1) / natural
    out[_shut(before) | _shut(after), GAZE] = np.nan
    return out.astype(np.float32)


def cross_talk(before: Measured, after: Measured, varied: NDArray[np.integer], natural: Floats) -> Floats:
    """float32[5, 5]: row, the factor that was changed; column, the mean change that was measured, in natural ranges.

    Args:
        before: the factors measured in bases.
        after: in the same faces with one factor changed.
        varied: int[N], which one.
        natural: see `natural_range`.
    """
    change = changes(before, after, natural)
    return np.stack([np.nanmean(change[varied == factor], 0) for factor in range(len(FACTORS))])


def _shut(measured: Measured) -> NDArray[np.bool_]:
    return measured[BLINK].mean(1) > SHUT


def own_over_others(table: Floats) -> Floats:
    """float32[5]: of each factor changed, the change in its own measure over the largest in any other."""
    others = np.where(np.eye(len(table), dtype=np.bool_), 0, table)
    return np.diag(table) / np.maximum(others.max(1), 1e-9)


def measured_stills(
    measure: Measure, stills: Stills, rows: NDArray[np.intp], size: int, rests: Stills | None = None
) -> Measured:
    """What a measure says of some rows; each person's face at rest is their calmest among `rests`, or the stills themselves."""
    rests = rests or stills
    parts: list[Measured] = []
    places: list[NDArray[np.intp]] = []
    for person in np.unique(stills.people[rows]):
        mine = np.flatnonzero(stills.people[rows] == person)
        parts.append(measure(stills.read(rows[mine], size), rests.read([rest_of(rests, str(person))], size)[0]))
        places.append(mine)
    back = np.argsort(np.concatenate(places))
    return tuple(np.concatenate(own)[back] for own in zip(*parts, strict=True))


def rest_of(stills: Stills, person: str) -> int:
    """The row in which a person does least."""
    own = np.flatnonzero(stills.people == person)
    return int(own[np.argmin((stills.factors[own] != 0).sum(1))])
