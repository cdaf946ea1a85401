"""The networks that ship, as the engine runs them: blank, to be filled from their own files, or with the weights of a run."""

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.contract.graph import GraphSpec
from engine.errors import ModelError
from engine.face import detector, eyes, landmarks, lips, matte
from engine.motion import head, mouth
from engine.motion.visemes import ARTICULATORS, VISEMES
from export.bars import Bar
from export.files import Network
from training import head_motion
from training.corpus import CLOSE
from training.networks.face_detector import DetectorStep, FaceDetector
from training.networks.face_landmarks import FaceLandmarks, FacePart, LandmarkStep
from training.networks.head_motion import HeadMotion, StyleEncoder
from training.networks.matte import MatteNetwork, MatteStep
from training.networks.mouth import MouthNetwork, MouthStep
from training.speech.phones import PHONES, VISEME
from training.tracker.fitting import averaged

_Module = TypeVar("_Module", bound=nn.Module)


def voice(run: Path | None) -> Network:
    """The mouth network."""
    network = MouthNetwork(len(ARTICULATORS), len(PHONES), mouth.HIDDEN) if run is None else mouth_of(run)
    step = MouthStep(network, CLOSE, functional.one_hot(torch.tensor(VISEME), len(VISEMES)).float())
    return Network(step.eval(), mouth.SPEC, {"shapes": Bar(0.01, "of 1"), "visemes": Bar(0.01, "of 1")})


def mouth_of(run: Path) -> MouthNetwork:
    """The averaged mouth network of a run folder.

    Raises:
        ModelError: if there is no checkpoint.
    """
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise ModelError(f"no checkpoint in {run}: train one with python -m training voice --out {run}")
    weights: dict[str, Tensor] = torch.load(checkpoint, map_location="cpu", weights_only=True)["parts"]["ema"]
    network = MouthNetwork(len(ARTICULATORS), len(PHONES), weights["norm.weight"].shape[0])
    network.load_state_dict(weights)
    return network


class HeadStep(nn.Module):
    """`HeadMotion.step` as a module's forward."""

    def __init__(self, network: HeadMotion) -> None:
        super().__init__()
        self.head = network

    def forward(
        self, mel: Tensor, noise: Tensor, style: Tensor, hidden: Tensor, drift: Tensor, smooth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `HeadMotion.step`."""
        return self.head.step(mel, noise, style, hidden, drift, smooth)


def head_step(run: Path | None) -> Network:
    """The head motion learner."""
    return head_network(HeadMotion() if run is None else head_motion.trained(run)[0])


def head_network(network: HeadMotion) -> Network:
    """A head motion learner as it is run."""
    return Network(HeadStep(network).eval(), head.SPEC, {"pose": Bar(0.01, channels=True)})


def head_style(run: Path | None) -> Network:
    """The encoder of a reference's style."""
    return style_network(StyleEncoder() if run is None else head_motion.trained(run)[1])


def style_network(encoder: StyleEncoder) -> Network:
    """An encoder of a reference's style as it is run."""
    return Network(encoder.eval(), head.STYLE_SPEC, {"style": Bar(0.01)})


def face_detect(run: Path | None) -> Network:
    """The face detector."""
    network = _of_run(FaceDetector(), run, "face-detector", "average")
    bars = {"heat": Bar(0.01, "of 1"), "box": Bar(0.05, "cells"), "eyes": Bar(0.01, "of 1")}
    return Network(DetectorStep(network).eval(), detector.SPEC, bars)


def face_matte(run: Path | None) -> Network:
    """The person matte."""
    network = _of_run(MatteNetwork(), run, "face-matte", "average")
    return Network(MatteStep(network).eval(), matte.SPEC, {"matte": Bar(0.01, "of 1")})


def face_landmarks(run: Path | None) -> Network:
    """The face mesh."""
    network = _of_run(FaceLandmarks(), run, "face-landmarks")
    bars = {"landmarks": Bar(0.1, "px"), "presence": Bar(0.01, "of 1")}
    return Network(LandmarkStep(network).eval(), landmarks.SPEC, bars)


def face_eyes(run: Path | None) -> Network:
    """The closer look at both eyes."""
    return _part(eyes.SPEC, run, "face-eyes")


def face_lips(run: Path | None) -> Network:
    """The closer look at the mouth."""
    return _part(lips.SPEC, run, "face-lips")


def _part(spec: GraphSpec, run: Path | None, name: str) -> Network:
    return Network(_of_run(FacePart(spec), run, name), spec, {"points": Bar(0.1, "px")})


def _of_run(network: _Module, run: Path | None, name: str, part: str = "ema") -> _Module:
    if run is not None:
        averaged(run, network, name, part)
    return network.eval()
