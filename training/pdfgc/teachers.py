"""Networks that the paper's losses look through, and what stands in for those that cannot be had.

    loss             paper                      a user's file (`--perceptual` ...)   otherwise
    Eq. 7            VGG19                      list of feature maps of [B, 3, S, S]  edges at several sizes, and what an
                                                                                      observer's first layers see
    Eq. 1, phi       EMOCA's reconstruction     [B, D]                                an observer's pose, expression and lips
    Eq. 1, psi       EMOCA's emotion network    [B, D]                                left out
    Eq. 5, pose      EMOCA's pose               [B, 6], small at rest                 our tracker's, exact in synthetic data
    Eq. 8, gaze      L2CS                       [B, 2]                                an observer's gaze

A user's file is a program of `torch.export.save` (.pt2), in evaluation mode
and with any B: RGB pictures float32[B, 3, S, S] in -1..1 in, the above out.
Gradients go through it. An observer is the frozen motion encoder of an earlier run that
learned from labels (`--stage pretrain`). `Teachers.words` says which are used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import ModelError
from training.networks.pdfgc.layers import sized
from training.networks.pdfgc.motion import MotionEncoder
from training.pdfgc.perceptual import EdgeFeatures

GAZE: Final = slice(2, 4)
"""Of the eye latent."""


class Perceptual(Protocol):
    """What of pictures is compared in Eq. 7."""

    def __call__(self, image: Tensor) -> Sequence[Tensor]:
        """Feature maps of [B, 3, S, S] in -1..1."""
        ...


Features = Callable[[Tensor], Tensor]
"""[B, D] of pictures [B, 3, S, S]."""


@dataclass(frozen=True, slots=True)
class Teachers:
    """Who judges what is made.

    Attributes:
        perceptual: of Eq. 7.
        shape: phi of Eq. 1; None leaves the equation out.
        emotion: psi of Eq. 1; None leaves the term out.
        pose: of Eq. 5; None takes that of the data.
        gaze: G of Eq. 8; None leaves the term out.
        words: who is who, for the log.
    """

    perceptual: Perceptual
    shape: Features | None
    emotion: Features | None
    pose: Features | None
    gaze: Features | None
    words: str


class Observer(nn.Module):
    """A motion encoder that learned from labels, frozen.

    Args:
        motion: its weights are not changed.
    """

    def __init__(self, motion: MotionEncoder) -> None:
        super().__init__()
        self.motion = motion.eval().requires_grad_(False)

    def features(self, image: Tensor) -> list[Tensor]:
        """The maps of the first blocks, [B, C, S / 2, S / 2] and two of half that, each pixel of mean square 1."""
        model = self.motion.model
        first = model.conv2(functional.relu(model.bn1(model.conv1(sized(image, self.motion.size)))))
        second = model.conv3(functional.max_pool2d(first, 2))
        return [x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-4) for x in (first, second, model.conv4(second))]

    def shape(self, image: Tensor) -> Tensor:
        """[B, 536]: pose, expression and lips of pictures."""
        unified = self.motion.unify(image)
        return torch.cat([self.motion.pose(unified), self.motion.expression(unified), self.motion.lip(unified)], 1)

    def gaze(self, image: Tensor) -> Tensor:
        """[B, 2]: to the left and up."""
        return self.motion.eye(self.motion.unify(image))[:, GAZE]


class EdgesAndSeen:
    """Edges, and what an observer's first layers see; like pixels and VGG, the one knows what the other overlooks."""

    def __init__(self, observer: Observer) -> None:
        self._edges, self._observer = EdgeFeatures(), observer

    def __call__(self, image: Tensor) -> Sequence[Tensor]:
        """See `Perceptual`."""
        return [*self._edges(image), *self._observer.features(image)]


def teachers_of(
    observer: MotionEncoder | None,
    *,
    perceptual: Path | None = None,
    reconstruction: Path | None = None,
    emotion: Path | None = None,
    pose: Path | None = None,
    gaze: Path | None = None,
    device: torch.device | str = "cpu",
) -> Teachers:
    """Those that were given, and stand-ins.

    Args:
        observer: of an earlier run, if there is one.
        perceptual: a file, see the module; so are the following.
        reconstruction: phi.
        emotion: psi.
        pose: of Eq. 5.
        gaze: G.
        device: where they run.

    Raises:
        ModelError: if a file is none.
    """
    seen = Observer(observer).to(device) if observer is not None else None
    files = {"perceptual": perceptual, "reconstruction": reconstruction, "emotion": emotion, "pose": pose, "gaze": gaze}
    given = {name: program(path, device) for name, path in files.items() if path}
    stand_in = "a motion encoder of an earlier run" if seen else "none (term left out)"
    words = {
        "Eq. 7 perceptual": perceptual or "slopes and curvature at four sizes" + (f", {stand_in}" if seen else ""),
        "Eq. 1 reconstruction": reconstruction or stand_in,
        "Eq. 1 emotion": emotion or "none (term left out)",
        "Eq. 5 pose": pose or "that of the data",
        "Eq. 8 gaze": gaze or stand_in,
    }
    return Teachers(
        perceptual=given.get("perceptual", EdgesAndSeen(seen) if seen else EdgeFeatures()),
        shape=given.get("reconstruction", seen.shape if seen else None),
        emotion=given.get("emotion"),
        pose=given.get("pose"),
        gaze=given.get("gaze", seen.gaze if seen else None),
        words="; ".join(f"{loss}: {who}" for loss, who in words.items()),
    )


def program(path: Path, device: torch.device | str) -> nn.Module:
    """A user's network.

    Raises:
        ModelError: if the file holds none.
    """
    try:
        module = torch.export.load(path).module()
    except Exception as error:  # a zip, a schema, an operator: it fails in many ways, and none of them is ours
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} is no program of torch.export.save ({why}); see training/pdfgc/teachers.py") from error
    return module.to(device).requires_grad_(False)
