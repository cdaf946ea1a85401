"""Streams heard at once: what a network with a state must say step by step, computed over the whole sound."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from export.bars import Arrays
from export.files import Network
from export.shipped import HeadStep
from training.networks.head_motion import wandered
from training.networks.mouth import MouthStep

_torch: Any = torch  # its own annotations of arrays are partial


@torch.no_grad()
def voice(network: Network, probes: Sequence[Arrays]) -> list[Arrays]:
    """Outputs of the mouth network for the mel of all probes."""
    step = cast(MouthStep, network.module)
    mel = _torch.from_numpy(np.stack([probe["mel"] for probe in probes]))[None]
    shapes, phones, _ = step.network(mel)
    shapes, odds = shapes[0], torch.softmax(phones[0], -1)
    shapes[..., step.closing] = torch.sigmoid(shapes[..., step.closing])
    visemes = odds @ step.visemes
    return [{"shapes": a.numpy(), "visemes": b.numpy()} for a, b in zip(shapes.clamp(0, 1), visemes, strict=True)]


@torch.no_grad()
def head(network: Network, probes: Sequence[Arrays]) -> list[Arrays]:
    """Outputs of the head motion learner for the mel and noise of all probes, under the style of the first."""
    step = cast(HeadStep, network.module)
    mel = _torch.from_numpy(np.concatenate([probe["mel"] for probe in probes], axis=1))
    noise = _torch.from_numpy(np.stack([probe["noise"][0] for probe in probes]))[None]
    pose = step.head(mel, wandered(noise), _torch.from_numpy(probes[0]["style"]))
    return [{"pose": row[None].numpy()} for row in pose[0]]
