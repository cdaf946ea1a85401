"""Stage 1 (section 3.1): appearance and motion apart, by a clip that drives itself.

One frame says who, another, disguised, how; G_0 draws the other frame from
the appearance and the unified motion feature. E_app, E_mot, G_0 and D learn.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.networks.pdfgc.layers import sized
from training.pdfgc.augment import disguised
from training.pdfgc.clips import Clip, ClipError, ClipSource, draw_clip
from training.pdfgc.losses import feature_difference, motion_reconstruction
from training.pdfgc.networks import Networks, pictures
from training.pdfgc.stage import Batch, Outcome, joined
from training.pdfgc.teachers import Teachers
from training.run import Stateful

WEIGHTS: Final[Mapping[str, float]] = {
    "pixels": 4.0, "perceptual": 1.0, "motion": 0.1, "adversarial": 0.1, "matching": 1.0,
}  # fmt: skip
APART: Final = 4
"""Frames between who and how, at least."""


class SelfDriving:
    """See the module.

    Args:
        networks: with a generator that takes the unified feature.
        clips: to learn from.
        teachers: who judges.
        size: batch.
        seed: of the batches.
        discriminator: D, or None.
    """

    def __init__(
        self,
        networks: Networks,
        clips: ClipSource,
        teachers: Teachers,
        size: int,
        seed: int,
        discriminator: nn.Module | None = None,
    ) -> None:
        self.networks, self.discriminator = networks, discriminator
        self.state: Mapping[str, Stateful] = {}
        self.weights: Mapping[str, float] = WEIGHTS
        self.trained: Sequence[nn.Module] = [networks.appearance, networks.motion.model, networks.generator]
        self._clips, self._teachers, self._size, self._seed = clips, teachers, size, seed
        self._people = people_of(clips, "train")
        self._made, self._seen = networks.widths.size, networks.widths.encoder_size

    def batch(self, index: int, rank: int, count: int) -> Mapping[str, NDArray[np.generic]]:
        """See `Stage`: targets uint8[B, S, S, 3]; identities and drivers (disguised), as the encoders see them."""
        own = self._size // count
        rngs = [np.random.default_rng((self._seed, index, number)) for number in range(rank * own, (rank + 1) * own)]
        return joined([self._pair(draw_clip(self._clips, self._people, rng), rng) for rng in rngs])

    def _pair(self, clip: Clip, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        who, how = two_of(len(clip), rng)
        identity, driver = clip.read([who, how], self._seen)
        target = clip.read([how], self._made)
        return {"identities": identity[None], "drivers": disguised(driver, rng)[None], "targets": target}

    def losses(self, batch: Batch, step: int) -> Outcome:
        """See `Stage`."""
        target = pictures(batch["targets"])
        unified = self.networks.motion.unify(pictures(batch["drivers"]))
        made = self.networks.draw(pictures(batch["identities"]), unified)
        return Outcome(reconstruction(made, target, self._teachers), made, target)

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """See `Stage`."""
        people = self._clips.people("validation") or self._people
        rngs = [np.random.default_rng((0, number)) for number in range(8)]
        arrays = joined([self._pair(draw_clip(self._clips, people, rng), rng) for rng in rngs])
        device = next(networks.parameters()).device
        rows = {name: pictures(torch.from_numpy(array).to(device)) for name, array in arrays.items()}
        made = networks.draw(rows["identities"], networks.motion.unify(rows["drivers"]))
        who, how = (sized(rows[name], self._made) for name in ("identities", "drivers"))
        return {"who": who, "how, disguised": how, "wanted": rows["targets"], "made": made}


def reconstruction(made: Tensor, target: Tensor, teachers: Teachers) -> dict[str, Tensor]:
    """What is compared of pictures [B, 3, S, S]: pixels, Eq. 7, and of Eq. 1 the terms that have a teacher."""
    losses = {
        "pixels": (made - target).abs().mean(),
        "perceptual": feature_difference(teachers.perceptual(made), teachers.perceptual(target)),
    }
    judges = [judge for judge in (teachers.shape, teachers.emotion) if judge]
    if judges:
        losses["motion"] = motion_reconstruction([judge(made) for judge in judges], [judge(target) for judge in judges])
    return losses


def two_of(frames: int, rng: np.random.Generator) -> tuple[int, int]:
    """Two frames of a clip, `APART` if it is long enough."""
    apart = min(APART, frames - 1)
    first = int(rng.integers(frames - apart))
    second = int(rng.integers(first + apart, frames))
    return (first, second) if rng.random() < 0.5 else (second, first)


def people_of(clips: ClipSource, split: str) -> list[NDArray[np.intp]]:
    """The clips of each person to learn from.

    Raises:
        ClipError: if there are none.
    """
    people = clips.people(split)  # type: ignore[arg-type]
    if not people:
        raise ClipError(f"there are no clips of people for '{split}' in the data")
    return people
