"""Pre-training on the factorial set: every factor gets its place in the latent, with labels, before stages 1 to 3.

Not in the paper, which has no such data. The heads learn to say what was drawn
in the terms of `training.pdfgc.codes`, over heatmaps that learn where
landmarks are (`training.pdfgc.heatmaps`), the audio encoder to say the lips of
its sound in the same terms, and the generator to draw a person from another
picture and five factors. Each factor comes, by chance, from its label or from
what the motion encoder sees in a picture of somebody else who shares it and
nothing else. What sees and what draws can begin apart, each by itself, in
runs side by side: alone the motion encoder takes four times as many steps in
the same time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.networks.pdfgc.layers import sized
from training.pdfgc.codes import code_matrix
from training.pdfgc.factorial import PICTURES, STAR, FactorialSpeech, Stars
from training.pdfgc.heatmaps import heatmap_error, landmark_heatmaps
from training.pdfgc.losses import feature_difference
from training.pdfgc.networks import Networks, Parts, pictures
from training.pdfgc.parallel import gathered
from training.pdfgc.stage import Batch, Outcome, joined
from training.pdfgc.teachers import Perceptual
from training.run import Stateful
from training.synthesis.factors import FACTORS

WEIGHTS: Final[Mapping[str, float]] = {
    "pixels": 4.0, "perceptual": 1.0,
    "landmarks": 3.0, "lip": 2.0, "expression": 1.0, "gaze": 1.0, "blink": 0.5, "pose": 0.5, "heard": 2.0,
    "settled": 0.1,
    "adversarial": 0.05, "matching": 1.0,
}  # fmt: skip
SEES_EVERY: Final = 2
"""Steps; in the others the motion encoder rests, and the generator, which has more to learn, is told all factors."""
TOLD: Final = (0.4, 4000)
"""Share of factors that are told by label when it does not, in the end, and the steps in which it falls to that from 1."""
FOCUS: Final = 8.0
"""By how much more a pixel of an eye counts than one of a cheek."""


class Pretrain:
    """See the module.

    Args:
        networks: to train, all but the discriminator's.
        stars: pictures.
        held: pictures of others, for samples.
        speech: sound; None leaves the audio encoder out.
        perceptual: what is compared beside pixels.
        count: stars of a batch.
        seed: of the batches.
        discriminator: if what is made shall look real.
        versed: the motion encoder has learned already: the share of factors that are told is the last of `TOLD` at once.
    """

    looks_at: ClassVar[Collection[str]] = PICTURES

    def __init__(
        self,
        networks: Networks,
        stars: Stars,
        held: Stars,
        speech: FactorialSpeech | None,
        perceptual: Perceptual,
        count: int,
        seed: int,
        discriminator: nn.Module | None = None,
        *,
        versed: bool = False,
    ) -> None:
        self.networks, self.discriminator = networks, discriminator
        self.weights: Mapping[str, float] = WEIGHTS
        self.trained: Sequence[nn.Module] = [networks.appearance, networks.motion, networks.generator]
        self.trained = [*self.trained, networks.audio] if speech else self.trained
        self.state: Mapping[str, Stateful] = {}
        self._held, self._stars, self._speech, self._perceptual = held, stars, speech, perceptual
        self._count, self._seed, self._versed = count, seed, versed
        self._widths = networks.widths.latent
        self._matrix = torch.from_numpy(code_matrix().T.copy())

    def batch(self, index: int, rank: int, count: int) -> Mapping[str, NDArray[np.generic]]:
        """See `Stage` and `Stars.draw`; as many sounds as pictures."""
        own = self._count // count
        return joined([self._star(index, number) for number in range(rank * own, (rank + 1) * own)])

    def _star(self, index: int, number: int) -> dict[str, NDArray[np.generic]]:
        rng = np.random.default_rng((self._seed, index, number))
        arrays = self._stars.draw(rng, self.looks_at) | {"chance": rng.random((STAR, len(FACTORS)), np.float32)}
        return arrays | (self._speech.draw(rng, STAR) if self._speech else {})

    def losses(self, batch: Batch, step: int) -> Outcome:
        """See `Stage`."""
        driven = self._code(batch["motion"])
        losses: dict[str, Tensor] = {}
        if step % SEES_EVERY == 0:
            losses, seen = self._seeing(batch, driven)
            told = TOLD[0] if self._versed else max(TOLD[0], 1 - (1 - TOLD[0]) * step / TOLD[1])
            driven = mixed(driven, seen, batch["away"], batch["chance"] < told)
        return self._drawing(batch, driven, losses)

    def _seeing(self, batch: Batch, said: Parts) -> tuple[dict[str, Tensor], Parts]:
        """How far the motion encoder is from labels, and what it saw."""
        heatmaps = self.networks.motion.heatmaps(pictures(batch["drivers"]))
        features = self.networks.motion.features(heatmaps)
        seen = Parts.seen(features)
        losses = {"landmarks": heatmap_error(heatmaps, batch["marks"]), "settled": unsettled(features.unified)}
        return losses | heads_error(seen, said), seen

    def _drawing(self, batch: Batch, driven: Parts, others: Mapping[str, Tensor]) -> Outcome:
        """How far pictures and heard lips are from the true ones, beside other losses."""
        made, target = self.networks.draw(pictures(batch["identities"]), driven.joined()), pictures(batch["targets"])
        losses = {
            **others,
            "pixels": focused_error(made, target, batch["focus"]),
            "perceptual": feature_difference(self._perceptual(made), self._perceptual(target)),
        }
        if self._speech:
            heard = self.networks.audio(batch["mel"]).lip
            losses["heard"] = functional.smooth_l1_loss(heard, self._code(batch["spoken"]).lip)
        return Outcome(losses, made, target)

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """See `Stage`: two stars."""
        batch = self._held_stars(networks)
        said, seen = self._code(batch["motion"]), Parts.seen(networks.motion(pictures(batch["drivers"])))
        swapped = mixed(said, seen, batch["away"], torch.zeros_like(batch["away"], dtype=torch.bool))
        return self._told(networks, batch) | {"factors seen": networks.draw(pictures(batch["identities"]), swapped.joined())}

    def _told(self, networks: Networks, batch: Batch) -> dict[str, Tensor]:
        identities = pictures(batch["identities"])
        return {
            "who": sized(identities, networks.widths.size),
            "wanted; also the drivers: the first of six takes each factor from one of the next": pictures(batch["targets"]),
            "factors told": networks.draw(identities, self._code(batch["motion"]).joined()),
        }

    def _held_stars(self, networks: Networks) -> Batch:
        rngs = [np.random.default_rng((0, number)) for number in range(2)]
        device = next(networks.parameters()).device
        return {k: torch.from_numpy(v).to(device) for k, v in joined([self._held.draw(rng) for rng in rngs]).items()}

    def _code(self, motion: Tensor) -> Parts:
        return Parts.of(motion @ self._matrix.to(motion.device), self._widths)


class PretrainMotion(Pretrain):
    """The motion encoder alone."""

    looks_at = ("drivers",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.trained = [self.networks.motion]

    def losses(self, batch: Batch, step: int) -> Outcome:
        """See `Stage`."""
        return Outcome(self._seeing(batch, self._code(batch["motion"]))[0])

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """See `Stage`: where landmarks are, as wanted and as seen."""
        batch = self._held_stars(networks)
        faces = pictures(batch["drivers"])
        seen = networks.motion.heatmaps(faces)
        wanted = landmark_heatmaps(batch["marks"], *seen.shape[1:3])
        return {"seen": faces, "wanted": spots(wanted, faces), "found": spots(seen[:, : wanted.shape[1]], faces)}


class PretrainDrawing(Pretrain):
    """All but the motion encoder, which need not see for that."""

    looks_at = ("targets", "identities", "focus")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.trained = [part for part in self.trained if part is not self.networks.motion]

    def losses(self, batch: Batch, step: int) -> Outcome:
        """See `Stage`."""
        return self._drawing(batch, self._code(batch["motion"]), {})

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """See `Stage`."""
        return self._told(networks, self._held_stars(networks))


def spots(heatmaps: Tensor, faces: Tensor) -> Tensor:
    """Faces [B, 3, S, S] in -1..1, dimmed, and over them in white where heatmaps [B, M, H, W] are high."""
    height = functional.interpolate(heatmaps.float().amax(1, keepdim=True), size=faces.shape[-2:], mode="bilinear")
    return torch.maximum(faces * 0.5 - 0.5, height.clamp(0, 1) * 2 - 1)


def unsettled(unified: Tensor) -> Tensor:
    """How far the dimensions of the unified feature [B, D] are from mean 0 and deviation 1 over all processes' batch.

    Its layer adds up many inputs that are never negative, so its mean soon outgrows what pictures differ by. Half of the
    heads' hidden units are then never on but for rare faces, for which their normalisation, of a variance of nothing, says
    thousands.
    """
    unified = gathered(unified.float())
    return unified.mean(0).square().mean() + (unified.std(0, correction=0) - 1).square().mean()


def heads_error(seen: Parts, said: Parts) -> dict[str, Tensor]:
    """How far the heads are from the labels, factor by factor."""
    gaze, lids = [2, 3], [0, 1, 4, 5]
    pairs = {
        "lip": (seen.lip, said.lip),
        "expression": (seen.expression, said.expression),
        "gaze": (seen.eye[:, gaze], said.eye[:, gaze]),
        "blink": (seen.eye[:, lids], said.eye[:, lids]),
        "pose": (seen.pose, said.pose),
    }
    return {name: functional.smooth_l1_loss(*pair) for name, pair in pairs.items()}


def mixed(said: Parts, seen: Parts, away: Tensor, told: Tensor) -> Parts:
    """Latents whose factors come from labels, or from a picture that shares them.

    Args:
        said: labels.
        seen: what the motion encoder said of the pictures of the batch.
        away: int64[B, 5], see `Stars.draw`.
        told: bool[B, 5], which come from labels.
    """
    source = torch.arange(len(away), device=away.device)[:, None] + away

    def part(name: str, factor: str) -> Tensor:
        f = FACTORS.index(factor)
        return torch.where(told[:, f, None], getattr(said, name), getattr(seen, name)[source[:, f]])

    gaze, blink = part("eye", "gaze"), part("eye", "blink")
    eye = torch.cat([blink[:, :2], gaze[:, 2:4], blink[:, 4:]], 1)
    return Parts(part("lip", "lip"), part("expression", "expression"), eye, part("pose", "pose"))


def focused_error(made: Tensor, target: Tensor, focus: Tensor) -> Tensor:
    """L1 of pictures [B, 3, S, S], pixels weighted by `focus` uint8[B, S, S]."""
    weight = 1 + FOCUS / 255 * focus.float()
    return (((made - target).abs().mean(1) * weight).mean((1, 2)) / weight.mean((1, 2))).mean()
