"""What a session's sound is to the audio encoder: mel frames on the media clock, of which windows are asked for."""

import numpy as np
from numpy.typing import NDArray

from engine.features.decimate import BLOCK, Decimator, sane
from engine.features.pdfgc import BANDS, FRAMES, MelStream
from engine.media import AudioChunk

KEPT = 128  # mel frames: 1.28 s, more than a session holds

assert BLOCK == 480, "a mel frame is 10 ms of 48 kHz sound"


class Ears:
    """Mel frames of sound at 48 kHz; mel frame m ends with sample 480 (m + 1) of the media clock.

    Sound that does not go on where the last ended, or begins off the grid of
    10 ms, is taken to follow silence.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self._begin(0)

    def _begin(self, sample: int) -> None:
        self._end = sample
        self._first = sample // BLOCK  # mel frame that `_mel` begins with
        self._rest = np.zeros(sample % BLOCK, np.float32)
        self._mel = np.zeros((0, BANDS), np.float32)
        self._decimator, self._stream = Decimator(), MelStream()

    def hear(self, sound: AudioChunk) -> None:
        """Take the next sound."""
        if sound.start != self._end:
            self._begin(sound.start)
        self._end = sound.end
        joined = np.concatenate((self._rest, sound.samples))
        whole = len(joined) // BLOCK * BLOCK
        self._rest = joined[whole:]
        if whole:
            low = np.concatenate([self._decimator.process(sane(block)) for block in joined[:whole].reshape(-1, BLOCK)])
            mel = np.concatenate((self._mel, self._stream.push(low)))
            self._first += max(len(mel) - KEPT, 0)
            self._mel = mel[-KEPT:]

    def window(self, first: int) -> NDArray[np.float32] | None:
        """float32[1, 1, BANDS, FRAMES]: the mel frames from `first` on; None if less than half or not the end was heard.

        What came before the sound is silent.
        """
        begin = first - self._first
        if begin < -FRAMES // 2 or begin + FRAMES > len(self._mel):
            return None
        heard = self._mel[max(begin, 0) : begin + FRAMES]
        return np.pad(heard, ((FRAMES - len(heard), 0), (0, 0))).T[None, None]
