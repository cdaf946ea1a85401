"""Stage 3 (section 3.3): expression, as what the other factors leave to be said, and the final generator.

The expression of a window of frames is averaged (in-window decorrelation),
decorrelated from the sound's lips by memory banks (Eq. 6), and a generator has
to draw the middle frame from appearance, the sound's lips, eyes, pose and that
expression (Eq. 7, adversarial, matching, Eq. 8). E_exp, G and D learn; what
stages 1 and 2 learned is frozen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.networks.pdfgc.layers import sized
from training.pdfgc.augment import turned
from training.pdfgc.banks import MemoryBank
from training.pdfgc.clips import Clip, ClipError, ClipSource, draw_clip
from training.pdfgc.losses import decorrelation, gaze_consistency, lip_consistency
from training.pdfgc.networks import Networks, Parts, pictures
from training.pdfgc.parallel import gathered
from training.pdfgc.self_driving import people_of, reconstruction
from training.pdfgc.stage import Batch, Outcome, joined
from training.pdfgc.teachers import Teachers
from training.run import Stateful

WEIGHTS: Final[Mapping[str, float]] = {
    "pixels": 4.0, "perceptual": 1.0, "motion": 0.1, "consistency": 0.1, "decorrelation": 10.0,
    "adversarial": 0.1, "matching": 1.0,
}  # fmt: skip
WINDOW: Final = 13
"""K, frames (Tab. 5)."""
BANK: Final = 2048
"""M, features kept."""


@dataclass(frozen=True, slots=True)
class Decorrelation:
    """Which of the two strategies are used; the rows of Tab. 4, and of Tab. 5 by `window`.

    Attributes:
        window: K; 1 is no in-window decorrelation.
        banks: Eq. 6.
    """

    window: int = WINDOW
    banks: bool = True


ABLATIONS: Final[Mapping[str, Decorrelation]] = {
    "none": Decorrelation(1, banks=False),
    "window": Decorrelation(banks=False),
    "decorrelation": Decorrelation(1),
    "all": Decorrelation(),
}


class ExpressionStage:
    """See the module.

    Args:
        networks: as stage 2 left them.
        clips: with sound.
        teachers: who judges.
        how: which strategies; a window has a middle frame, so K is odd.
        size: batch.
        seed: of the batches.
        discriminator: D, or None.
    """

    def __init__(
        self,
        networks: Networks,
        clips: ClipSource,
        teachers: Teachers,
        how: Decorrelation,
        size: int,
        seed: int,
        discriminator: nn.Module | None = None,
    ) -> None:
        self.networks, self.discriminator = networks, discriminator
        self.weights: Mapping[str, float] = WEIGHTS
        self.trained: Sequence[nn.Module] = [networks.motion.to_emo, networks.motion.emo_embed, networks.generator]
        latent = networks.widths.latent
        self.bank = MemoryBank(BANK, (latent.expression, latent.lip))
        self.state: Mapping[str, Stateful] = {"bank": self.bank}
        self._clips, self._teachers, self._how, self._size, self._seed = clips, teachers, how, size, seed
        self._people = people_of(clips, "train")
        self._made, self._seen = networks.widths.size, networks.widths.encoder_size

    def batch(self, index: int, rank: int, count: int) -> Mapping[str, NDArray[np.generic]]:
        """See `Stage`; see `_sample`."""
        own = self._size // count
        rngs = [np.random.default_rng((self._seed, index, number)) for number in range(rank * own, (rank + 1) * own)]
        return joined([self._sample(draw_clip(self._clips, self._people, rng), rng) for rng in rngs])

    def _sample(self, clip: Clip, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        """targets: uint8[1, S, S, 3]; as the encoders see them identities, drivers and window [1, K, ...], changed; and mel."""
        heard, windows = clip.heard()
        last = min(heard.stop, len(clip)) - 1
        if last < heard.start:
            raise ClipError(f"a clip of {clip.person} has {len(clip)} pictures, of which none is heard whole; leave it out")
        middle, half = int(rng.integers(heard.start, last + 1)), self._how.window // 2
        around = np.clip(np.arange(middle - half, middle + half + 1), 0, len(clip) - 1)
        frames = clip.read([int(rng.integers(len(clip))), middle, *around.tolist()], self._seen)
        window = np.stack([turned(frame, rng) for frame in frames[2:]])
        return {
            "targets": clip.read([middle], self._made),
            "identities": frames[:1],
            "drivers": frames[1:2],
            "window": window[None],
            "mel": windows[middle - heard.start][None],
        }

    def losses(self, batch: Batch, step: int) -> Outcome:
        """See `Stage`."""
        target = pictures(batch["targets"])
        parts = self._parts(self.networks, batch)
        with torch.no_grad():
            appearance = self.networks.appearance(pictures(batch["identities"]))
        made = self.networks.generator(torch.cat([appearance.feature, parts.joined()], 1), appearance.map)
        losses = reconstruction(made, target, self._teachers) | self._decorrelated(parts)
        consistency = lip_consistency(self.networks.motion.lip(self.networks.motion.unify(made)), parts.lip)
        if self._teachers.gaze:
            consistency = consistency + gaze_consistency(self._teachers.gaze(made), self._teachers.gaze(target))
        return Outcome(losses | {"consistency": consistency}, made, target)

    def _parts(self, networks: Networks, batch: Batch) -> Parts:
        """Lips of the sound, eyes and pose of the middle frame, expression of the window."""
        motion, window = networks.motion, pictures(batch["window"])
        with torch.no_grad():
            unified, lip = motion.unify(pictures(batch["drivers"])), networks.audio(batch["mel"]).lip
            eye, pose = motion.eye(unified), motion.pose(unified)
            around = motion.unify(window.flatten(0, 1))
        expression = motion.expression(around).unflatten(0, window.shape[:2]).mean(1)
        return Parts(lip, expression, eye, pose)

    def _decorrelated(self, parts: Parts) -> dict[str, Tensor]:
        if not self._how.banks:
            return {}
        now = gathered(parts.expression.float()), gathered(parts.lip.float())
        bank = self.bank.to(now[0].device)
        expressions, lips = bank.with_current(*now)
        loss = decorrelation(expressions, lips, len(now[0]))
        bank.push(*now)
        return {"decorrelation": loss}

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """See `Stage`: the last row has the expression of the next one's window."""
        people = self._clips.people("validation") or self._people
        rngs = [np.random.default_rng((0, number)) for number in range(8)]
        arrays = joined([self._sample(draw_clip(self._clips, people, rng), rng) for rng in rngs])
        device = next(networks.parameters()).device
        batch = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        who, target = pictures(batch["identities"]), pictures(batch["targets"])
        parts = self._parts(networks, batch)
        other = Parts(parts.lip, parts.expression.roll(-1, 0), parts.eye, parts.pose)
        return {
            "who": sized(who, self._made),
            "wanted": target,
            "made": networks.draw(who, parts.joined()),
            "made, with the next one's expression": networks.draw(who, other.joined()),
        }
