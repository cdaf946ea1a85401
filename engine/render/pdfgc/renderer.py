"""The `pdfgc` renderer: lips from sound, the rest from controls, a generated picture.

The generator draws a tight square about the face (`engine.face.align`), which
fills the frame. Pasted back into the portrait it would show a second outline
as soon as the head moves: hair and shoulders around the square stand still.
"""

from collections.abc import Collection, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphRequest
from engine.contract.motion import Motion
from engine.media import AudioChunk, VideoFrame
from engine.render.pdfgc.face import Appearance
from engine.render.pdfgc.latent import EXPRESSION, EYES, LIPS, POSE, Floats, Latents, LatentStream, to_8bit
from engine.render.pdfgc.lips import NEEDS_MS, Lips
from engine.render.pdfgc.networks import Networks

EASE: Final = 0.25
"""Share of the way per picture from lips that follow the sound to lips that follow controls, and back."""

GENERATOR: Final = "pdfgc_generator"
"""The graph that is asked for."""


class PdfgcRenderer:
    """Draws one face for one session; see `Renderer`.

    What was heard moves the lips; where nothing was heard, controls do. They
    move expression, eyes and pose, too, as long as there is a bridge network;
    without one these stay canonical.

    Args:
        networks: shared by all sessions.
        appearance: who is shown, of the same networks.
        size: height and width of the picture in px.
        look_ahead_ms: of the session; see `Lips`.
        off: those of `engine.render.pdfgc.latent.FACTORS` that stay canonical.

    Raises:
        ValueError: if a factor in `off` is unknown.
    """

    def __init__(
        self,
        networks: Networks,
        appearance: Appearance,
        size: int,
        look_ahead_ms: float = NEEDS_MS,
        off: Collection[str] = (),
    ) -> None:
        self._networks = networks
        self._appearance = appearance
        self._lips = Lips(networks.audio, look_ahead_ms)
        self._codes = LatentStream(networks.gains, off)
        self._rgb = np.empty((size, size, 3), np.uint8)
        self.reset()

    @property
    def size(self) -> int:
        """See `Renderer`."""
        return self._rgb.shape[0]

    def reset(self) -> None:
        """See `Renderer`."""
        self._lips.reset()
        self._codes.reset()
        self._sample: int | None = None
        self._by_sound: float | None = None  # how much the lips follow the sound, 0..1; None before the first picture
        self._heard = np.zeros((3, LIPS), np.float32)

    def hear(self, sound: AudioChunk) -> None:
        """See `Renderer`."""
        self._lips.hear(sound)

    def prepare(self, motion: Motion) -> GraphRequest:
        """See `Renderer`."""
        self._sample = motion.sample
        asked = self._asked(motion)
        code = self._codes.next(self._spoken(motion.sample, asked.lips), asked.expression, asked.eyes, asked.pose)
        latent = np.concatenate((self._appearance.feature, code))[None]
        return GraphRequest(GENERATOR, {"latent": latent, "map": self._appearance.map})

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None) -> VideoFrame:
        """See `Renderer`."""
        if self._sample is None or outputs is None:
            raise ValueError(f"finish() needs prepare() first, and the outputs of {GENERATOR}")
        square = to_8bit(np.asarray(outputs["image"], np.float32))[0]
        method = cv2.INTER_CUBIC if len(square) <= self.size else cv2.INTER_AREA
        cv2.resize(square, (self.size, self.size), dst=self._rgb, interpolation=method)
        frame = VideoFrame(self._sample, self._rgb)
        self._sample = None
        return frame

    def _asked(self, motion: Motion) -> Latents:
        """What the controls ask for."""
        if self._networks.bridge is None:
            return Latents(*(np.zeros(length, np.float32) for length in (LIPS, EXPRESSION, EYES, POSE)))
        said = self._networks.bridge.run({"controls": motion.values[None]})
        return Latents(*(np.asarray(said[name][0], np.float32) for name in ("lips", "expression", "eyes", "pose")))

    def _spoken(self, sample: int, asked: Floats) -> Floats:
        """float32[3, 500]: lips before, now and after, by sound or by what the controls ask, one handed over to the other."""
        heard = self._lips.around(sample)
        goal = float(heard is not None)
        past = goal if self._by_sound is None else self._by_sound
        self._by_sound = past + float(np.clip(goal - past, -EASE, EASE))
        if heard is not None:
            self._heard = heard
        if self._by_sound == 1:
            return self._heard
        return (asked + self._by_sound * (self._heard - asked)).astype(np.float32)
