"""Inputs that networks are compared on: a recorded voice and the faces that ship, where a network hears or sees such."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import engine
from engine.contract.graph import GraphSpec
from engine.features.mel import mel_of
from engine.rig import archive
from export.bars import Arrays

MODELS = Path(engine.__file__).parent / "models"
Probes = Callable[[GraphSpec, int], list[Arrays]]
"""Inputs of a signature, states left out: so many, which follow each other in a stream."""


def drawn(spec: GraphSpec, count: int) -> list[Arrays]:
    """Random numbers within each input's bounds."""
    names = [tensor.name for tensor in spec.inputs]
    fakes = [spec.fake_inputs(seed) for seed in range(count)]
    return [{name: fake[name] for name in names} for fake in fakes]


def spoken(spec: GraphSpec, count: int) -> list[Arrays]:
    """A voice as it goes on for `mel`, every sample of a batch at another place of it; random numbers for the rest."""
    frames, probes = _mel(), drawn(spec, count)
    (shape,) = (tensor.shape for tensor in spec.inputs if tensor.name == "mel")
    flat = int(np.prod(shape[:-1]))
    for step, probe in enumerate(probes):
        rows = (np.arange(flat) + step * flat) % len(frames)
        probes[step] = {**probe, "mel": frames[rows].reshape(shape)}
    return probes


def faces(spec: GraphSpec, count: int) -> list[Arrays]:
    """The built-in people, brought to the one input's size: float32 RGB in 0..1, shifted a little from probe to probe."""
    (tensor,) = spec.inputs
    samples, _, height, width = tensor.shape
    pictures, probes = _portraits(), list[Arrays]()
    for step in range(count):
        crops = [
            _crop(pictures[(step + sample) % len(pictures)], 8 * (step + sample), height, width) for sample in range(samples)
        ]
        probes.append({tensor.name: np.stack(crops)})
    return probes


def _crop(picture: NDArray[np.uint8], shift: int, height: int, width: int) -> NDArray[np.float32]:
    top, side = shift % 64, len(picture) - 64
    cut = cv2.resize(picture[top : top + side, top // 2 : top // 2 + side], (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cut.transpose(2, 0, 1), np.float32) / np.float32(255)


@cache
def _portraits() -> list[NDArray[np.uint8]]:
    paths = sorted((MODELS / "portraits").glob("*.mien"))[:3]
    textures = [archive.load(path).texture for path in paths]
    return [texture[: len(texture), : len(texture), :3] for texture in textures]


@cache
def _mel() -> NDArray[np.float32]:
    """float32[T, 40] of a voice made up of harmonics that come and go: what ships as a sample is Opus, which needs PyAV."""
    rng, seconds, rate = np.random.default_rng(0), 12.0, 16_000
    t = np.arange(int(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.5 * t)) / rate
    voice = sum(np.sin(n * pitch) / n * (1 + np.sin(2 * np.pi * rng.uniform(1, 4) * t + n)) for n in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * t) + 0.4, 0, 1) * (np.sin(2 * np.pi * 0.3 * t) > -0.6)
    return mel_of((0.05 * voice * syllables + 0.002 * rng.normal(size=len(t))).astype(np.float32))
