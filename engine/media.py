"""Sound, pictures, and the pair that is never split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Mono sound float32[N] in -1..1 that begins at sample `start` of the media clock; read-only."""

    start: int
    samples: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(f"expected float32[N], got {self.samples.dtype}{list(self.samples.shape)}")
        if self.samples.flags.writeable:
            view = self.samples.view()
            view.flags.writeable = False
            object.__setattr__(self, "samples", view)

    @property
    def end(self) -> int:
        """The sample after the last one: where the next chunk must start."""
        return self.start + len(self.samples)


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """A picture uint8[H, W, 3] RGB that depicts the instant `sample` of the media clock.

    The pixels belong to whoever made the frame and stay valid until the next
    frame is asked of it; who keeps a frame for longer copies it.
    """

    sample: int
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Emission:
    """One picture and exactly the sound that is heard while it shows.

    Both RTP timestamps are computed from `index`, so the pair cannot drift
    apart. `fresh` is false when the picture repeats the previous one because
    the tick was late; the sound moves on regardless. `missing` counts the
    samples of silence put in at this tick because sound had not arrived.
    """

    index: int
    video: VideoFrame
    audio: AudioChunk
    fresh: bool = True
    missing: int = 0
