"""The networks that training holds together, and what goes between them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.errors import ModelError
from training.networks.pdfgc.appearance import AppearanceEncoder
from training.networks.pdfgc.audio import AudioEncoder
from training.networks.pdfgc.config import LatentWidths, Widths
from training.networks.pdfgc.generator import Generator
from training.networks.pdfgc.motion import MotionEncoder, MotionFeatures


class Networks(nn.Module):
    """E_app, E_mot with its heads, E_aud and a generator.

    Args:
        widths: of all of them.
        unified: the generator is G_0 of stage 1: it takes appearance and the unified motion feature.
    """

    def __init__(self, widths: Widths, *, unified: bool = False) -> None:
        super().__init__()
        self.widths = widths
        self.appearance = AppearanceEncoder(widths)
        self.motion = MotionEncoder(widths)
        self.audio = AudioEncoder(widths)
        self.generator = Generator(widths, widths.latent.appearance + widths.motion.feature if unified else None)

    @classmethod
    def filled(cls, widths: Widths, weights: Mapping[str, Tensor], source: str) -> "Networks":
        """With these weights, of `source`, in evaluation mode.

        Raises:
            ModelError: if they do not fit.
        """
        networks = cls(widths)
        try:
            networks.load_state_dict(weights)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise ModelError(f"the weights of {source} do not fit (is it a run of stage 1?): {first}") from error
        return networks.eval()

    def draw(self, identities: Tensor, motion: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] of the people in pictures [B, 3, S, S], in motion [B, 542] (G_0: the unified feature)."""
        appearance = self.appearance(identities)
        return self.generator(torch.cat([appearance.feature, motion.to(appearance.feature.dtype)], 1), appearance.map)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A motion's latents, in the order of the generator's input: [B, 500], [B, 30], [B, 6], [B, 6]."""

    lip: Tensor
    expression: Tensor
    eye: Tensor
    pose: Tensor

    @classmethod
    def of(cls, code: Tensor, widths: LatentWidths) -> "Parts":
        """Of [B, 542]."""
        return cls(*code.split([widths.lip, widths.expression, widths.eye, widths.pose], dim=1))

    @classmethod
    def seen(cls, features: MotionFeatures) -> "Parts":
        """What a motion encoder saw."""
        return cls(features.lip, features.expression, features.eye, features.pose)

    def joined(self) -> Tensor:
        """[B, 542]."""
        return torch.cat([self.lip, self.expression, self.eye, self.pose], dim=1)


def pictures(rgb: Tensor) -> Tensor:
    """float32[..., 3, S, S] in -1..1 of uint8[..., S, S, 3]."""
    return rgb.movedim(-1, -3).float().mul_(1 / 127.5).sub_(1)


def rgb_of(images: Tensor) -> Tensor:
    """uint8[B, S, S, 3] of [B, 3, S, S] in -1..1."""
    return images.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).movedim(1, -1).cpu()
