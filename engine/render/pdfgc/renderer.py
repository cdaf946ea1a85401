"""The `pdfgc` renderer: lips from sound, the rest from controls or a driving face, a generated picture.

The generator draws a tight square about the face (`engine.face.align`), which
fills the frame. Pasted back into the portrait it would show a second outline
as soon as the head moves: hair and shoulders around the square stand still.
"""

from collections.abc import Collection, Generator, Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import GraphRequest
from engine.contract.motion import Motion
from engine.media import AudioChunk, VideoFrame
from engine.render.pdfgc.driver import Track, parts_of, spread
from engine.render.pdfgc.face import Appearance
from engine.render.pdfgc.handover import Handover
from engine.render.pdfgc.latent import EXPRESSION, EYES, LIPS, POSE, Floats, LatentStream, to_8bit
from engine.render.pdfgc.lips import NEEDS_MS, Lips, Said
from engine.render.pdfgc.networks import Networks

_LENGTHS: Final = {"lips": LIPS, "expression": EXPRESSION, "eyes": EYES, "pose": POSE}


class PdfgcRenderer:
    """Draws one face for one session; see `Renderer`.

    What was heard moves the lips, a driving face the parts that it has a track
    for, a camera's face as much of the others as is shown of it (`see`).
    Everything else is as controls ask through the bridge network, or canonical
    if there is none.

    Args:
        networks: shared by all sessions.
        appearance: who is shown, of the same networks.
        size: height and width of the picture in px.
        look_ahead_ms: of the session; see `Lips`.
        off: those of `engine.render.pdfgc.latent.FACTORS` that stay canonical.
        driven: by part of the latent (expression, eyes, pose), what a driving face does.

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
        driven: Mapping[str, Track] = MappingProxyType({}),
    ) -> None:
        self._networks = networks
        self._appearance = appearance
        self._lips = Lips(networks.audio, look_ahead_ms)
        self._codes = LatentStream(networks.gains, off)
        self._driven = driven
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
        self._drawing: Generator[GraphRequest, Said, VideoFrame] | None = None
        self._mouth_gain = 1.0
        self._handover = {part: Handover() for part in _LENGTHS}
        self._seen: Mapping[str, tuple[Floats, Floats]] = {}  # by part: what a camera shows, and how much of it

    def hear(self, sound: AudioChunk, mouth_gain: float = 1.0) -> None:
        """See `Renderer`."""
        self._mouth_gain = mouth_gain
        self._lips.hear(sound)

    def see(self, latents: NDArray[np.float32] | None, shares: Mapping[str, float]) -> None:
        """See `Renderer`; latents are float32[42], see `engine.render.pdfgc.driver`."""
        self._seen = {}
        if latents is not None:
            said, shown = parts_of(latents), parts_of(spread(shares))
            self._seen = {part: (said[part], shown[part]) for part in said if shown[part].any()}

    def prepare(self, motion: Motion) -> GraphRequest:
        """See `Renderer`: the audio encoder is asked for, where there is new sound, then the generator."""
        self._drawing = self._draw(motion)
        return next(self._drawing)

    def finish(self, outputs: Said | None) -> VideoFrame | GraphRequest:
        """See `Renderer`."""
        if self._drawing is None or outputs is None:
            raise ValueError("finish() needs prepare() first, and the outputs of the graph that was asked for")
        try:
            return self._drawing.send(outputs)
        except StopIteration as done:
            self._drawing = None
            return done.value

    def _draw(self, motion: Motion) -> Generator[GraphRequest, Said, VideoFrame]:
        asked = self._asked(motion)
        heard = yield from self._lips.around(motion.sample)
        spoken = None if heard is None else np.multiply(heard, self._mouth_gain, dtype=np.float32)
        lips = self._handover["lips"].next(spoken, np.broadcast_to(asked["lips"], (3, LIPS)))
        expression, eyes, pose = (self._moved(part, asked[part], motion.sample) for part in ("expression", "eyes", "pose"))
        latent = np.concatenate((self._appearance.feature, self._codes.next(lips, expression, eyes, pose)))
        said = yield GraphRequest(self._networks.generator, {"latent": latent[None], "map": self._appearance.map})
        square = _square(said)
        method = cv2.INTER_CUBIC if len(square) <= self.size else cv2.INTER_AREA
        cv2.resize(square, (self.size, self.size), dst=self._rgb, interpolation=method)
        return VideoFrame(motion.sample, self._rgb)

    def _asked(self, motion: Motion) -> Mapping[str, Floats]:
        """By part of the latent: what the controls ask for."""
        if self._networks.bridge is None:
            return {part: np.zeros(length, np.float32) for part, length in _LENGTHS.items()}
        said = self._networks.bridge.run({"controls": motion.values[None]})
        return {part: np.asarray(said[part][0], np.float32) for part in _LENGTHS}

    def _moved(self, part: str, asked: Floats, sample: int) -> Floats:
        """A part as a driving face has it, or as asked for where there is none."""
        track = self._driven.get(part)
        return self._handover[part].next(track.at(sample) if track else self._shown(part, asked), asked)

    def _shown(self, part: str, asked: Floats) -> Floats | None:
        """A part as a camera has it, as far as that is shown."""
        if part not in self._seen:
            return None
        said, share = self._seen[part]
        return (asked + share * (said - asked)).astype(np.float32)


def _square(said: Said) -> NDArray[np.uint8]:
    """uint8[S, S, 3] RGB: the picture of a generator, coded or not."""
    if "i420" in said:
        return np.asarray(cv2.cvtColor(np.asarray(said["i420"][0], np.uint8), cv2.COLOR_YUV2RGB_I420), np.uint8)
    return to_8bit(np.asarray(said["image"], np.float32))[0]
