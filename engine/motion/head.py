"""A head that moves with the voice, by a small network; a style says how this person does."""

from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec, open_stream
from engine.errors import ModelError
from engine.features.mel import BANDS, FRAMES_PER_STEP, mel_of
from engine.runtime.model_file import read_listed
from engine.runtime.ort import OrtGraph

Floats = NDArray[np.float32]

MODELS: Final = Path(__file__).resolve().parents[1] / "models"
MODEL: Final = MODELS / "head.onnx"
ENCODER: Final = MODELS / "head_style.onnx"
STYLE: Final = MODELS / "head_style.npz"
"""The style of nobody in particular."""

FEATURES: Final = 32
"""Features that a style turns into a pose."""
HIDDEN: Final = 96
NOISES: Final = 16
TIMES_S: Final = tuple(round(0.12 * 1.32**i, 3) for i in range(NOISES))
"""Time constants of the wandering noise: 0.12 to 7.7 s."""
KEEP: Final = 0.62
"""Of each of the two one-pole filters that a pose runs through, per step: 24 rad/s."""
BOUND: Final = (24.0, 16.0, 16.0, 0.35, 0.25, 0.45)
"""No pose is further from rest: degrees, degrees, degrees, u, u, u."""
STYLE_SHAPE: Final = (6, FEATURES + 1)
REFERENCE_STEPS: Final = 150
"""Length of a reference: 3 s."""

_STYLE: Final = TensorSpec("style", (1, *STYLE_SHAPE), low=-0.5, high=0.5)
SPEC: Final = GraphSpec(
    "head",
    (
        TensorSpec("mel", (1, FRAMES_PER_STEP, BANDS), low=-1.0, high=1.0),
        TensorSpec("noise", (1, NOISES), low=-2.0, high=2.0),
        _STYLE,
    ),
    (TensorSpec("pose", (1, 6), low=-24.0, high=24.0),),
    (TensorSpec("hidden", (1, 1, HIDDEN), axis=1), TensorSpec("drift", (1, 2, NOISES)), TensorSpec("smooth", (1, 2, 6))),
)
"""`head.onnx`: one step of 20 ms."""
STYLE_SPEC: Final = GraphSpec(
    "head_style",
    (
        TensorSpec("mel", (1, FRAMES_PER_STEP * REFERENCE_STEPS, BANDS), low=-1.0, high=1.0),
        TensorSpec("pose", (1, REFERENCE_STEPS, 6), low=-5.0, high=5.0),
    ),
    (_STYLE,),
)
"""`head_style.onnx`: the encoder of a reference."""

MOST_PER_STEP_DEG: Final = 0.95
"""The three angles together change by no more in 20 ms: 1.9 degrees per frame at 25 fps. Lively people reach 5; in a picture
that turns about a face of one photo it looks like a fault."""
MOST_SHIFT_PER_STEP: Final = 0.012  # u
WAKE, SETTLE = 0.06, 0.016
"""Shares per step of the way to speaking and to rest: the head is with the voice after 0.3 s and at rest after 3."""
HOLD_STEPS: Final = 25
"""A pause this long (0.5 s) leaves the head with the voice: who takes a breath does not fall back to rest."""


class HeadMotion:
    """Pose from sound, 20 ms at a time; at rest in silence, where idle life takes over.

    Two with equal seeds and equal sound move alike.

    Args:
        graph: `head.onnx`; may be shared.
        style: float32[6, 33], see `load_style` and `style_from`.
        seed: of the noise that makes one sentence said twice come with two movements.
        gain: how lively; 1 is the style's own.

    Raises:
        ValueError: if the style has another shape or dtype, or the gain is not in 0..2.
    """

    def __init__(self, graph: Graph, style: Floats, seed: int = 0, gain: float = 1.0) -> None:
        self._stream = open_stream(graph)
        self._seed = seed
        self.style = style
        self.gain = gain
        self.reset()

    @classmethod
    def load(cls, style: Floats | None = None, seed: int = 0, gain: float = 1.0) -> "HeadMotion":
        """One with the network that ships, and its default style if there is no other.

        Raises:
            ModelError: if a file is missing or damaged.
        """
        return cls(OrtGraph.load(MODEL), load_style(STYLE) if style is None else style, seed, gain)

    @property
    def style(self) -> Floats:
        """float32[6, 33]; kept over `reset`. Another one is eased into by the network's own filter."""
        return self._style[0]

    @style.setter
    def style(self, style: Floats) -> None:
        if style.shape != STYLE_SHAPE or style.dtype != np.float32 or not np.isfinite(style).all():
            raise ValueError(f"a style is a finite float32{list(STYLE_SHAPE)}, got {style.dtype}{list(style.shape)}")
        self._style = style[None]

    @property
    def gain(self) -> float:
        """How lively, 0..2; kept over `reset`."""
        return self._gain

    @gain.setter
    def gain(self, gain: float) -> None:
        if not 0 <= gain <= 2:
            raise ValueError(f"the head's gain lies in 0..2, got {gain:g}")
        self._gain = gain

    @property
    def presence(self) -> float:
        """0..1: how much of the pose is the voice's doing; near 0 it is silent, and the head is free for idle life."""
        return self._presence

    def reset(self) -> None:
        """Forget all sound; equals new."""
        self._stream.reset()
        self._noise = np.random.default_rng(self._seed)
        self._presence, self._quiet = 0.0, HOLD_STEPS
        self._pose = np.zeros(6, np.float32)

    def step(self, mel_frames: Floats, speech: float) -> Floats:
        """float32[6]: yaw, pitch, roll in degrees, tx, ty, tz in u, 20 ms on.

        Args:
            mel_frames: float32[2, 40], the next of `engine.features.mel`.
            speech: 0..1, how surely someone speaks.
        """
        noise = self._noise.standard_normal((1, NOISES), np.float32)
        outputs = self._stream.step({"mel": mel_frames[None], "noise": noise, "style": self._style})
        eased = self._eased(min(max(speech, 0.0), 1.0))
        bound = _BOUND
        goal = np.clip(outputs["pose"][0] * np.float32(self._gain * eased), -bound, bound)
        self._pose = self._pose + _limited(goal - self._pose)
        return self._pose.copy()

    def _eased(self, speech: float) -> float:
        """Move presence on; 0..1, how much of the network's pose is shown."""
        self._quiet = 0 if speech > 0.5 * self._presence else self._quiet + 1
        if speech > self._presence:
            self._presence += WAKE * (speech - self._presence)
        elif self._quiet >= HOLD_STEPS:
            self._presence += SETTLE * (speech - self._presence)
        return self._presence * self._presence * (3 - 2 * self._presence)


def _limited(change: Floats) -> Floats:
    turn, shift = float(np.linalg.norm(change[:3])), float(np.linalg.norm(change[3:]))
    turn_share = MOST_PER_STEP_DEG / max(turn, MOST_PER_STEP_DEG)
    shift_share = MOST_SHIFT_PER_STEP / max(shift, MOST_SHIFT_PER_STEP)
    return change * np.array([turn_share] * 3 + [shift_share] * 3, np.float32)


_BOUND: Final[Floats] = np.array(BOUND, np.float32)


def load_style(path: Path) -> Floats:
    """float32[6, 33]: a style from the file that `save_style` wrote.

    Raises:
        ModelError: if the file is missing, damaged or holds no style.
    """
    if not path.is_file():
        raise ModelError(f"there is no head style at {path}: make one from a clip of a talking person")
    data, _ = read_listed(path)
    try:
        with np.load(BytesIO(data), allow_pickle=False) as file:
            style: Floats = file["style"].astype(np.float32)
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelError(f"{path} holds no head style: make one from a clip of a talking person ({error})") from error
    if style.shape != STYLE_SHAPE or not np.isfinite(style).all():
        raise ModelError(f"{path} holds a style of another version: expected {STYLE_SHAPE}, got {style.shape}; make it anew")
    return style


def save_style(path: Path, style: Floats) -> None:
    """Write a style float32[6, 33]."""
    with path.open("wb") as file:
        np.savez(file, style=style)


def style_from(encoder: Graph, head: Graph, sound: Floats, pose: Floats) -> Floats:
    """float32[6, 33]: how a person's head moves, from 3 seconds of a clip; of a longer clip the mean over its parts.

    What the encoder writes is then set to the reference's own deviations, see `calibrated`.

    Args:
        encoder: `head_style.onnx`.
        head: `head.onnx`.
        sound: float32[N] at 16 kHz.
        pose: float32[M, 6] at n 20 ms, steady (`engine.face.pose.steadied`).

    Raises:
        ValueError: if it is shorter than 3 s.
    """
    steps = min(len(sound) // 320, len(pose))
    if steps < REFERENCE_STEPS:
        raise ValueError(f"a head style needs {REFERENCE_STEPS / 50:g} s of sound and movement, got {steps / 50:g} s")
    mel = mel_of(sound)
    starts = np.linspace(0, steps - REFERENCE_STEPS, max(steps // REFERENCE_STEPS, 1)).astype(int)
    styles = [_style_of_part(encoder, mel, pose, int(start)) for start in starts]
    style: Floats = np.stack(styles).mean(0)
    return calibrated(head, style, mel[: FRAMES_PER_STEP * steps], pose[:steps].std(0))


def calibrated(head: Graph, style: Floats, mel: Floats, deviation: Floats) -> Floats:
    """A style whose movements deviate as a reference's do: its rows scaled by at most `MOST_SCALED`.

    The network is heard out on the reference's own sound: over a stretch as long as the reference, with several seeds,
    after as much again as its slowest noise needs to be under way.

    Args:
        head: `head.onnx`.
        style: float32[6, 33].
        mel: float32[2 M, 40], the reference's sound.
        deviation: float32[6], standard deviations of the reference's movement.
    """
    steps = len(mel) // FRAMES_PER_STEP
    warm, made = -(-_WARM_STEPS // steps), list[Floats]()
    for seed in range(_TRIES):
        stream, noise = open_stream(head), np.random.default_rng(seed)
        poses = [
            stream.step({
                "mel": mel[None, FRAMES_PER_STEP * (n % steps) :][:, :FRAMES_PER_STEP],
                "noise": noise.standard_normal((1, NOISES), np.float32),
                "style": style[None],
            })["pose"][0]
            for n in range((warm + 1) * steps)
        ]  # fmt: skip
        made.append(np.stack(poses[warm * steps :]).std(0))
    ratio = deviation / np.maximum(np.mean(made, axis=0), 1e-4)
    return (style * np.clip(ratio, 1 / MOST_SCALED, MOST_SCALED)[:, None]).astype(np.float32)


MOST_SCALED: Final = 2.0
_TRIES: Final = 8
_WARM_STEPS: Final = 500


def _style_of_part(graph: Graph, mel: Floats, pose: Floats, start: int) -> Floats:
    heard = mel[FRAMES_PER_STEP * start :][: FRAMES_PER_STEP * REFERENCE_STEPS]
    outputs = graph.run({"mel": heard[None], "pose": pose[None, start : start + REFERENCE_STEPS].astype(np.float32)})
    style: Floats = np.asarray(outputs["style"][0], np.float32)
    return style
