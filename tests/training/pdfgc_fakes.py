"""A factorial set and networks small enough for tests."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from engine.contract.motion import CHANNELS  # noqa: E402
from training.networks.pdfgc.config import (  # noqa: E402
    AppearanceWidths,
    AudioWidths,
    DiscriminatorWidths,
    GeneratorWidths,
    LatentWidths,
    MotionWidths,
    Widths,
)
from training.synthesis.data import Clips, Stills  # noqa: E402

SIZE = 32

TINY = Widths(
    size=SIZE,
    encoder_size=SIZE,
    latent=LatentWidths(appearance=16),
    appearance=AppearanceWidths(
        stem=8, inner=(8, 8, 8, 8), outer=(8, 8, 16, 16), blocks=(1, 1, 1, 1), strides=(1, 2, 1, 1), groups=1, identities=0
    ),
    motion=MotionWidths(stem=8, middle=8, hourglass=16, depth=1, heatmaps=8, bottleneck=2, feature=32, dropout=0.0),
    audio=AudioWidths(filters=(8, 8, 8, 8), blocks=(1, 1, 1, 1), attention=8, feature=16),
    generator=GeneratorWidths(channels=(16, 16, 8), noise=False),
    discriminator=DiscriminatorWidths(scales=2, layers=2, channels=4, most=8),
)


class Blobs:
    """Pictures drawn when asked for: a face is a square of its person's colour with a mouth that its motion opens."""

    size = SIZE

    def __init__(self, motion: NDArray[np.float32], who: NDArray[np.int64]) -> None:
        self._motion, self._who = motion, who

    def __len__(self) -> int:
        return len(self._who)

    def read(self, rows: NDArray[np.integer], size: int) -> NDArray[np.uint8]:
        out = np.full((len(rows), size, size, 3), 40, np.uint8)
        for picture, row in zip(out, rows, strict=True):
            colour = np.random.default_rng(int(self._who[row])).integers(80, 200, 3)
            x = size // 4 + round(float(self._motion[row, CHANNELS.index("yaw")]) / 4)
            x = min(max(x, 0), size // 2)
            picture[size // 8 : -size // 8, x : x + size // 2] = colour
            opened = 1 + round(float(self._motion[row, CHANNELS.index("jawOpen")]) * size / 4)
            picture += np.random.default_rng(int(row)).integers(0, 40, picture.shape, np.uint8)  # L1 has no gradient at 0
            picture[size * 5 // 8 : size * 5 // 8 + opened, x + size // 8 : x + size * 3 // 8] = 0
        return out


def marks(count: int) -> NDArray[np.int16]:
    """int16[count, 478, 2]: landmarks on a circle."""
    angle = np.linspace(0, 2 * np.pi, 478)
    circle = SIZE * (0.5 + 0.3 * np.column_stack([np.cos(angle), np.sin(angle)])) * 64
    return np.broadcast_to(circle.astype(np.int16), (count, 478, 2)).copy()


def stills(people: int = 6, each: int = 8, pool: int = 3) -> Stills:
    """Two thirds of the people for training, the others held out."""
    rng = np.random.default_rng(0)
    count = people * each
    factors = rng.integers(0, pool, (count, 5)).astype(np.int32)
    motion = np.zeros((count, len(CHANNELS)), np.float32)
    motion[:, CHANNELS.index("jawOpen")] = factors[:, 0] / pool
    motion[:, CHANNELS.index("yaw")] = 8.0 * (factors[:, 1] - 1)
    who = np.repeat(np.arange(people), each)
    split = np.where(who < people * 2 // 3, "train", "validation")
    base, varied = np.full(count, -1, np.int32), np.full(count, -1, np.int8)
    images = Blobs(motion, who)
    return Stills(images, motion, factors, base, varied, who.astype(str), split, marks(count))  # type: ignore[arg-type]


def clips(people: int = 4, frames: int = 64) -> Clips:
    """A clip of each; the louder the sound, the wider the mouth."""
    rng = np.random.default_rng(1)
    opened = np.abs(np.sin(np.arange(frames) / 3 + np.arange(people)[:, None])).astype(np.float32)
    motion = np.zeros((people, frames, len(CHANNELS)), np.float32)
    motion[:, :, CHANNELS.index("jawOpen")] = opened
    motion[:, :, CHANNELS.index("yaw")] = 10 * np.sin(np.arange(frames) / 10)
    sound = rng.normal(0, 3000, (people, frames, 640)) * opened[..., None]
    images = Blobs(motion.reshape(-1, len(CHANNELS)), np.repeat(np.arange(people), frames))
    who = np.arange(people).astype(str)
    split = np.where(np.arange(people) < people - 1, "train", "validation")
    landmarks = marks(people * frames).reshape(people, frames, 478, 2)
    return Clips(images, motion, sound.reshape(people, -1).astype(np.int16), who, split, landmarks)  # type: ignore[arg-type]


def run_options(out: Path) -> dict[str, object]:
    """Options that a run of tests records."""
    return {"out": out.name}
