"""What the judge of factors learns from: cuts of stills beside the same person at rest, in pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS, Channel
from training.data.prepare import Clip, Progress
from training.data.splits import Split
from training.synthesis.data import Stills
from training.synthesis.factors import FACTORS
from training.synthesis.looks import Looks, Marks, look
from training.synthesis.measures import Measured, of_motion, rest_of

_APART: Final = 0.6  # share of the pairs that are one factor apart
_JITTER: Final = 3  # px by which cuts are off, more than the tracker is
_COARSE: Final = 0.5  # share of the cuts that are shown as a small or soft picture would have them
_MIRRORED: Final = [Channel[name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")] for name in CHANNELS]
_TURNED: Final = np.array([-1.0 if name in ("yaw", "roll", "tx") else 1.0 for name in CHANNELS], np.float32)

Image = NDArray[np.uint8]


def mirrored(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[N, 58]: what faces that do float32[N, 58] do in a mirror."""
    return motion[:, _MIRRORED] * _TURNED


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Cuts of some rows, what they show, and pairs of them.

    Attributes:
        rows: intp[N] of the stills.
        looks: of these rows.
        rest: intp[N], the place among the rows at which the same person is at rest.
        truth: see `of_motion`; `reflected`: of the same faces in a mirror.
        pairs: intp[P, 2], places, base first, that are one factor apart; `varied`: which one, int8[P].
        of_person: for each person the places.
    """

    rows: NDArray[np.intp]
    looks: Looks
    rest: NDArray[np.intp]
    truth: Measured
    reflected: Measured
    pairs: NDArray[np.intp]
    varied: NDArray[np.int8]
    of_person: list[NDArray[np.intp]]

    @classmethod
    def of(cls, stills: Stills, rows: NDArray[np.intp], looks: Looks) -> "Lesson":
        """What some rows, all of their people, teach; `looks` are their cuts."""
        names, who = np.unique(stills.people[rows], return_inverse=True)
        place = {int(row): i for i, row in enumerate(rows)}
        rest = np.array([place[rest_of(stills, name)] for name in names.tolist()], np.intp)
        derived = [i for i, row in enumerate(rows) if int(stills.base[row]) in place]
        pairs = np.array([(place[int(stills.base[rows[i]])], i) for i in derived], np.intp).reshape(-1, 2)
        people = [np.flatnonzero(who == person) for person in range(len(names))]
        motion, varied = stills.motion[rows], stills.varied[rows[pairs[:, 1]]]
        return cls(rows, looks, rest[who], of_motion(motion), of_motion(mirrored(motion)), pairs, varied, people)

    @classmethod
    def load(cls, stills: Stills, split: Split, marks: Marks, size: int, kept: Path) -> "Lesson":
        """The rows of a split, looked at in pictures of `size` px; what an earlier call saw is read from the folder `kept`."""
        rows = stills.rows(split)
        names = np.unique(stills.people[rows])
        progress = Progress("looking", len(names))
        parts: list[Looks] = []
        places: list[NDArray[np.intp]] = []
        for name in names.tolist():
            places.append(np.flatnonzero(stills.people[rows] == name))
            parts.append(_seen(stills, rows[places[-1]], marks, size, kept / f"{name}.npz"))
            progress.step(Clip(Path(name), "", name, name), "")
        back = np.argsort(np.concatenate(places))
        upper, mouth, pose = (np.concatenate([getattr(p, n) for p in parts])[back] for n in ("upper", "mouth", "pose_deg"))
        return cls.of(stills, rows, Looks(upper, mouth, pose))

    def beside_rest(self) -> Looks:
        """All cuts, each with its person's at rest."""
        return self.looks.beside(self.looks.at(self.rest))

    def batch(self, index: int, seed: int, count: int) -> Mapping[str, NDArray[Any]]:
        """`count` pairs, a function of the seed and the index: bases first, then as many others; targets by factor."""
        rng = np.random.default_rng([seed, index])
        near = round(_APART * count)
        apart = self.pairs[rng.choice(len(self.pairs), near)]
        whom = rng.choice(len(self.of_person), count - near)
        anyone = np.stack([rng.choice(self.of_person[person], 2) for person in whom])
        places = np.concatenate([apart, anyone]).T.reshape(-1)
        flipped = np.tile(rng.random(count) < 0.5, 2)
        cuts = {}
        for name in ("upper", "mouth"):
            own, rest = (getattr(self.looks, name)[some] for some in (places, self.rest[places]))
            both = [_worn(a, b, rng) for a, b in zip(own, rest, strict=True)]
            cuts[name] = np.stack([one[:, ::-1] if flip else one for one, flip in zip(both, flipped, strict=True)])
        pose = self.looks.pose_deg[places] * np.where(flipped[:, None], np.array([-1, 1, -1], np.float32), np.float32(1))
        truth = {
            name: np.where(flipped[:, None], other[places], own[places])
            for name, own, other in zip(FACTORS, self.truth, self.reflected, strict=True)
            if name != "pose"
        }
        return {**cuts, "pose": pose, **truth}


def _seen(stills: Stills, rows: NDArray[np.intp], marks: Marks, size: int, path: Path) -> Looks:
    """Cuts of one person's rows, looked up or made."""
    motion = stills.motion[rows]
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            if np.array_equal(file["motion"], motion):
                return Looks(file["upper"], file["mouth"], file["pose_deg"])
    rest = marks.find(stills.read([rest_of(stills, str(stills.people[rows[0]]))], size)[0])
    looks = look(stills.read(rows, size), rest, marks)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, motion=motion, upper=looks.upper, mouth=looks.mouth, pose_deg=looks.pose_deg)
    return looks


def _worn(rgb: Image, rest: Image, rng: np.random.Generator) -> Image:
    """uint8[H, W, 6]: a cut and its rest in other light, each a little off, and maybe as a small or noisy picture has it."""
    gain, lift = rng.uniform(0.7, 1.3), rng.uniform(-25, 25) + rng.uniform(-10, 10, 3)
    out = np.concatenate([(_shaken(one, rng) - 128) * gain + 128 + lift for one in (rgb, rest)], 2)
    out += rng.normal(0, rng.uniform(0, 4), out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def _shaken(rgb: Image, rng: np.random.Generator) -> NDArray[np.float32]:
    height, width = rgb.shape[:2]
    dx, dy = rng.integers(-_JITTER, _JITTER + 1, 2)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    out = np.asarray(cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.float32)
    if rng.random() < _COARSE:
        times = float(rng.uniform(1.2, 2.4))
        small = cv2.resize(out, (round(width / times), round(height / times)), interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return out
