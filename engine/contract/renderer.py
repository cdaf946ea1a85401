"""The one protocol of all renderers."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphRequest
from engine.contract.motion import Motion
from engine.media import AudioChunk, VideoFrame


class Renderer(Protocol):
    """Draws one enrolled identity for one session. What is heavy (meshes, textures, weights) is shared between sessions.

    A frame is made in steps, so that the requests of many sessions can run as
    one batch: `prepare` says what a graph should compute, `finish` turns its
    outputs into pixels, or asks for another graph and is called again with what
    that said. A renderer without a graph returns None from `prepare` and does
    everything in `finish(None)`.

    What is said reaches a renderer twice: as the lips' controls, and as sound by
    `hear`, for one whose lips come from sound. What a camera sees likewise, as
    controls and by `see`, for one with a motion encoder. One that is driven by
    controls alone neither listens nor looks.

    Laws: `prepare` begins a frame, and gives up one that is not finished;
    `reset()` equals fresh; two interleaved sessions equal two separate ones,
    batched or not.
    """

    @property
    def size(self) -> int:
        """Height and width of the picture in pixels."""
        ...

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        """Take the sound of the session, before the frames that it belongs to; where it does not go on, it begins anew.

        From then on lips that follow sound open `mouth_gain` times as far, 0..2.
        """
        ...

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        """Take what its motion encoder says of a camera's person, before the frame that is to show it; from then on it shows.

        Args:
            latents: float32[N], None if nothing is said any more.
            shares: by channel group (`engine.contract.motion.GROUPS`, not the lips), how much of the camera shows, 0..1;
                the rest is as controls ask.
        """
        ...

    def prepare(self, motion: Motion) -> GraphRequest | None:
        """Take the motion of the next frame."""
        ...

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame | GraphRequest:
        """Go on with the outputs of what was asked for: the frame for the motion last prepared, or what else it takes.

        A frame's pixels stay valid until the next `finish`.
        """
        ...

    def reset(self) -> None:
        """Forget all frames drawn so far."""
        ...
