"""How large PD-FGC's networks are: every width, size and dimension in one frozen record, and a table of presets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class LatentWidths:
    """Dimensions of the parts of the latent, in their order: appearance, lip, expression, eye, pose.

    Eye: 2 and 3 are gaze, the others blink.
    """

    appearance: int = 2048
    lip: int = 500
    expression: int = 30
    eye: int = 6
    pose: int = 6

    @property
    def motion(self) -> int:
        """All but appearance."""
        return self.lip + self.expression + self.eye + self.pose

    @property
    def total(self) -> int:
        """The generator's input."""
        return self.appearance + self.motion


@dataclass(frozen=True, slots=True)
class AppearanceWidths:
    """A residual network of bottlenecks, four stages."""

    stem: int = 64
    inner: tuple[int, ...] = (128, 256, 512, 1024)
    """Channels of the 3x3 convolutions, per stage."""
    outer: tuple[int, ...] = (256, 512, 1024, 2048)
    """Channels between blocks, per stage; the last is the appearance feature's dimension."""
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    groups: int = 32
    identities: int = 5995
    """Classes of the head that the published file holds; nothing here trains or reads it. 0 leaves it out."""


@dataclass(frozen=True, slots=True)
class MotionWidths:
    """A face alignment network of one hourglass, and four heads."""

    stem: int = 64
    middle: int = 128
    hourglass: int = 256
    depth: int = 4
    heatmaps: int = 68
    bottleneck: int = 1
    """Channels of the last map, at 1/8 of the image."""
    feature: int = 512
    """Dimension of the unified motion feature and of the heads' hidden layers."""
    dropout: float = 0.5
    """Share of the hourglass's full-size branches that training leaves out."""


@dataclass(frozen=True, slots=True)
class AudioWidths:
    """A residual network with squeeze and excitation over a mel window."""

    filters: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    attention: int = 128
    feature: int = 512


@dataclass(frozen=True, slots=True)
class GeneratorWidths:
    """StyleGAN2: `channels` per level, from the start map up; each level doubles the size."""

    channels: tuple[int, ...] = (512, 512, 512, 512, 256, 128)
    noise: bool = True


@dataclass(frozen=True, slots=True)
class DiscriminatorWidths:
    """Patch discriminators, each seeing half the size of the one before."""

    scales: int = 2
    layers: int = 4
    channels: int = 64
    most: int = 512


@dataclass(frozen=True, slots=True)
class Widths:
    """All of it.

    Args:
        size: px, side of the generated image.
        encoder_size: px, side of the images that the encoders see.
        published: carry what the published files hold but nothing computes with, so that the keys are complete.
    """

    size: int = 224
    encoder_size: int = 224
    published: bool = False
    latent: LatentWidths = LatentWidths()
    appearance: AppearanceWidths = AppearanceWidths()
    motion: MotionWidths = MotionWidths()
    audio: AudioWidths = AudioWidths()
    generator: GeneratorWidths = GeneratorWidths()
    discriminator: DiscriminatorWidths = DiscriminatorWidths()

    def __post_init__(self) -> None:
        if self.appearance.outer[-1] != self.latent.appearance:
            raise ValueError(f"the last stage has {self.appearance.outer[-1]} channels, the latent {self.latent.appearance}")
        if self.size % 2 ** (len(self.generator.channels) - 1):
            raise ValueError(f"{self.size} px cannot be reached by {len(self.generator.channels)} levels that double")
        if self.encoder_size % 8:
            raise ValueError(f"encoders see a multiple of 8 px, not {self.encoder_size}")

    @property
    def start(self) -> int:
        """Side of the start map."""
        return self.size >> (len(self.generator.channels) - 1)

    def at(self, size: int) -> "Widths":
        """The same networks with the last levels of the generator left off (progressive growing: the rest fits as it is).

        Raises:
            ValueError: if no level has this size.
        """
        levels = next((n for n in range(1, len(self.generator.channels) + 1) if self.start << (n - 1) == size), 0)
        if not levels:
            raise ValueError(f"no level makes {size} px: they double from {self.start} px to {self.size}")
        return replace(self, size=size, generator=replace(self.generator, channels=self.generator.channels[:levels]))

    def as_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Widths":
        """The inverse of `as_json`.

        Raises:
            ValueError: if something is missing, unknown or contradictory.
        """
        parts = {
            "latent": LatentWidths, "appearance": AppearanceWidths, "motion": MotionWidths, "audio": AudioWidths,
            "generator": GeneratorWidths, "discriminator": DiscriminatorWidths,
        }  # fmt: skip
        try:
            whole = {name: part(**_tuples(values[name])) for name, part in parts.items()}
            return cls(**{**values, **whole})
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are not widths of PD-FGC ({error})") from error


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


PDFGC_224: Final = Widths(published=True)
"""The published networks."""

PDFGC_256: Final = Widths(size=256, encoder_size=256)

PDFGC_LITE: Final = Widths(
    encoder_size=112,
    latent=LatentWidths(appearance=256),
    appearance=AppearanceWidths(
        stem=32, inner=(48, 64, 96, 128), outer=(96, 160, 224, 256), blocks=(2, 3, 3, 2), strides=(1, 2, 2, 1), groups=1,
        identities=0,
    ),
    motion=MotionWidths(stem=32, middle=64, hourglass=128, depth=3, heatmaps=96, bottleneck=8, feature=256, dropout=0.0),
    audio=AudioWidths(filters=(16, 32, 64, 128), blocks=(2, 2, 2, 2), attention=64, feature=256),
    generator=GeneratorWidths(channels=(192, 192, 96, 48, 32, 24), noise=False),
    discriminator=DiscriminatorWidths(channels=32, most=256),
)  # fmt: skip
"""A student for CPUs: plain 3x3 convolutions, encoders that see 112 px, no noise."""

PRESETS: Final[Mapping[str, Widths]] = {"pdfgc-224": PDFGC_224, "pdfgc-256": PDFGC_256, "pdfgc-lite": PDFGC_LITE}
