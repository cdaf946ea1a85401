"""The one protocol of all renderers."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphRequest
from engine.contract.motion import Motion
from engine.media import VideoFrame


class Renderer(Protocol):
    """Draws one enrolled identity for one session. What is heavy (meshes, textures, weights) is shared between sessions.

    A frame is made in two steps, so that the requests of many sessions can run
    as one batch: `prepare` says what a graph should compute, `finish` turns its
    outputs into pixels. A renderer without a graph returns None from `prepare`
    and does everything in `finish(None)`.

    Laws: `prepare` and `finish` alternate; `reset()` equals fresh; two
    interleaved sessions equal two separate ones, batched or not.
    """

    @property
    def size(self) -> int:
        """Height and width of the picture in pixels."""
        ...

    def prepare(self, motion: Motion) -> GraphRequest | None:
        """Take the motion of the next frame."""
        ...

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        """The frame for the motion last prepared; its pixels stay valid until the next `finish`."""
        ...

    def reset(self) -> None:
        """Forget all frames drawn so far."""
        ...
