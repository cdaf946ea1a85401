"""Lips from sound: the audio encoder's embedding for a picture and its two neighbours."""

import math
from collections.abc import Generator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphRequest
from engine.features.decimate import BLOCK
from engine.features.pdfgc import FIRST_PICTURE, HOP, LOOK_AHEAD, PER_PICTURE, RATE_HZ
from engine.media import AudioChunk
from engine.render.pdfgc.ears import Ears
from engine.render.pdfgc.latent import Floats

Said = Mapping[str, NDArray[np.generic]]

NEEDS_MS: Final = 1000 * (LOOK_AHEAD + PER_PICTURE * HOP) / RATE_HZ
"""Sound beyond the middle of a picture that its lips hear, the picture after it being looked at for smoothing: 140 ms."""
_MIDDLE: Final = 1920 // 2
"""Samples at 48 kHz from the start of a picture at 25 fps to its middle."""


class Lips:
    """Lip embeddings at instants of the media clock.

    Args:
        encoder: `pdfgc_audio.onnx`; may be shared.
        look_ahead_ms: sound beyond an instant that is there when it is asked for. With less than `NEEDS_MS` the lips
            are those of earlier sound: they come late by the difference, in whole mel frames.
    """

    def __init__(self, encoder: Graph, look_ahead_ms: float) -> None:
        self._encoder = encoder
        self._late = math.ceil(max(NEEDS_MS - look_ahead_ms, 0) / 1000 * RATE_HZ / HOP)
        self._ears = Ears()
        self._known: dict[int, Floats] = {}

    @property
    def late_ms(self) -> float:
        """By how much the lips come after the sound."""
        return 1000 * self._late * HOP / RATE_HZ

    def hear(self, sound: AudioChunk) -> None:
        """Take the next sound."""
        self._ears.hear(sound)

    def reset(self) -> None:
        """Forget all sound."""
        self._ears.reset()
        self._known = {}

    def around(self, sample: int) -> Generator[GraphRequest, Said, Floats | None]:
        """float32[3, 500]: 40 ms before `sample`, there and 40 ms after; None without the sound.

        Asks for the windows that it does not know yet, one by one, and is sent what the encoder says. A neighbour before
        the first sound is zero, as before the beginning of a whole clip.
        """
        middle = (sample - _MIDDLE) // BLOCK - FIRST_PICTURE * PER_PICTURE - self._late
        places = (middle - PER_PICTURE, middle, middle + PER_PICTURE)
        for place in places:
            if place not in self._known and (window := self._ears.window(place)) is not None:
                said = yield GraphRequest(self._encoder, {"mel": window})
                self._known[place] = np.asarray(said["lips"][0], np.float32)
        before, now, after = (self._known.get(place) for place in places)
        self._known = {place: lips for place, lips in self._known.items() if place > middle - PER_PICTURE}
        if now is None or after is None:
            return None
        return np.stack((np.zeros_like(now) if before is None else before, now, after))
