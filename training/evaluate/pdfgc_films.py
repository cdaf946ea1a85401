"""What PD-FGC's networks are asked to draw in its protocols (sections 4.1, 4.4), and what was really there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.face.finder import MESH
from engine.face.landmarks import PIXELS, LandmarkNet
from engine.render.pdfgc.face import Appearance
from engine.render.pdfgc.latent import FACTORS, Latents, motion_codes
from engine.runtime.ort import OrtGraph
from training.evaluate.likeness import Image, Landmarks
from training.evaluate.pdfgc_models import Floats, Model, only
from training.pdfgc.clips import SAMPLES, Clip, ClipError
from training.synthesis.looks import Marks
from training.synthesis.measures import controls_of

LEAST_FRAMES: Final = 10
"""Of a clip after its first frame, or no figure is made of it."""
_THERE: Final = 0.5  # presence from which on landmarks mean something
_ABSENT: Final = np.full((478, 3), np.nan, np.float32)


class Watcher:
    """Finds faces in framed pictures."""

    def __init__(self) -> None:
        self._marks, self._net = Marks.load(), LandmarkNet(OrtGraph.load(MESH))

    def landmarks(self, film: Image) -> Landmarks:
        """float32[T, 478, 3] px of pictures uint8[T, S, S, 3]; NaN where there is no face."""
        return np.stack([self._marks.find(rgb) if self._there(rgb) else _ABSENT for rgb in film])

    def _there(self, rgb: Image) -> bool:
        side = rgb.shape[0]
        whole = np.array([[1.0, 0, 0], [0, 1.0, 0]]) * PIXELS / side
        return self._net.find(rgb, whole).presence >= _THERE


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A clip after its first frame, as filmed: T frames that have a window of sound.

    Attributes:
        person: who.
        first: uint8[E, E, 3], the first frame: appearance, as the encoders see it.
        still: uint8[S, S, 3], the same at the size that is made.
        seen: uint8[T, E, E, 3], the others as the encoders see them.
        pictures: uint8[T, S, S, 3], the same at the size that is made.
        windows: float32[T, 1, 80, 20], what is heard at each.
        sound: int16[640 T] at 16 kHz.
        landmarks: float32[T, 478, 3] px of `pictures`, NaN where no face was found.
        rest: float32[K, 478, 3] px, the person at rest: in a picture of that, or in all of the clip; see `controls_of`.
        motion: float32[T, 58], the controls read off the pictures.
    """

    person: str
    first: Image
    still: Image
    seen: Image
    pictures: Image
    windows: Floats
    sound: NDArray[np.int16]
    landmarks: Landmarks
    rest: Landmarks
    motion: Floats

    @classmethod
    def of(cls, clip: Clip, made: int, seen: int, longest: int, watcher: Watcher, calm: Image | None = None) -> "Truth":
        """The first `longest` frames of a clip, at the sizes of a model; `calm` uint8[S, S, 3] shows the person at rest.

        Raises:
            ClipError: if it has no sound, or too few frames that are heard or show a face.
        """
        heard, windows = clip.heard()
        rows = np.arange(max(heard.start, 1), min(heard.stop, len(clip), longest))
        if len(rows) < LEAST_FRAMES:
            raise ClipError(f"a clip of {clip.person} has {len(rows)} frames to drive by; at least {LEAST_FRAMES} are needed")
        pictures = clip.read([0, *rows.tolist()], made)
        eyes = pictures if seen == made else clip.read([0, *rows.tolist()], seen)
        landmarks = watcher.landmarks(pictures[1:])
        there = faces_in(landmarks)
        if there.sum() < LEAST_FRAMES:
            raise ClipError(f"a clip of {clip.person} shows a face in {there.sum()} frames only")
        sound = clip.sound[rows[0] * SAMPLES : (rows[-1] + 1) * SAMPLES]
        rest = landmarks[there] if calm is None else watcher.landmarks(calm[None])
        rest = rest if faces_in(rest).all() else landmarks[there]
        return cls(
            clip.person, eyes[0], pictures[0], eyes[1:], pictures[1:],
            windows[rows - heard.start], sound, landmarks, rest, read(landmarks, made, rest),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, landmarks: Landmarks) -> Floats:
        """float32[T, 58]: the controls of this person in other pictures; NaN without a face."""
        return read(landmarks, self.pictures.shape[1], self.rest)


def read(landmarks: Landmarks, side: int, rest: Landmarks) -> Floats:
    """float32[T, 58]: see `controls_of`; NaN where there is no face."""
    out = np.full((len(landmarks), 58), np.nan, np.float32)
    there = faces_in(landmarks)
    if there.any():
        out[there] = controls_of(landmarks[there], side, rest)
    return out


def faces_in(landmarks: Landmarks) -> NDArray[np.bool_]:
    """bool[T]: where a face was found."""
    return np.isfinite(landmarks[:, 0, 0])


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Somebody as a model sees them: who, and the latents of what they do, T frames.

    Attributes:
        who: their appearance.
        first: expression, eyes and pose of the first frame, float32[1, n] each.
        latents: of the others, lips from the sound.
    """

    who: Appearance
    first: tuple[Floats, Floats, Floats]
    latents: Latents

    @classmethod
    def of(cls, model: Model, truth: Truth) -> "Cast":
        """By the encoders of a model."""
        first = model.motion(truth.first[None])
        return cls(model.appearance(truth.first), first, Latents(model.lips(truth.windows), *model.motion(truth.seen)))

    def __len__(self) -> int:
        return len(self.latents.lips)


def self_driven(model: Model, cast: Cast) -> Image:
    """uint8[T, S, S, 3]: the first frame gives appearance, the sound lips, the frames everything else (section 4.1)."""
    return model.draw(cast.who, motion_codes(cast.latents, model.gains))


def frozen(model: Model, cast: Cast) -> Image:
    """The same with the expression of the first frame throughout (section 4.4)."""
    latents, expression = cast.latents, np.repeat(cast.first[0], len(cast), 0)
    return model.draw(cast.who, motion_codes(Latents(latents.lips, expression, latents.eyes, latents.pose), model.gains))


def crossed(model: Model, cast: Cast, driver: Cast) -> Image:
    """Appearance and sound of one clip, everything else of another (section 4.1); as long as the shorter one."""
    own, other, count = cast.latents, driver.latents, min(len(cast), len(driver))
    latents = Latents(own.lips[:count], other.expression[:count], other.eyes[:count], other.pose[:count])
    return model.draw(cast.who, motion_codes(latents, model.gains))


def one_followed(model: Model, cast: Cast, driver: Cast, moments: Sequence[int], *, alone: bool) -> dict[str, Image]:
    """By factor uint8[M, S, S, 3]: it follows a driver at some moments, the rest stays as in the first frame (figure 3).

    Args:
        model: draws.
        cast: who is shown.
        driver: who is followed.
        moments: frames of the driver.
        alone: the rest is zero instead: canonical.
    """
    followed = motion_codes(driver.latents, model.gains)[list(moments)]
    rest = Latents(cast.latents.lips[:1], *cast.first).joined(model.gains)
    rest = np.zeros(rest.shape, np.float32) if alone else rest
    return {name: model.draw(cast.who, np.where(only(name) > 0, followed, rest)) for name in FACTORS}
