"""The shapes that a mouth takes in speech, and how the signal-processing driver reads sound as a mixture of them."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.motion.visemes import VISEMES
from training.baseline.analysis import BANDS, SoundFrame

_SHAPES: Final[dict[str, tuple[float, ...]]] = {
    #       jaw  close press funl  puck  strch lower upper roll
    "sil": (0.00, 0.0, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00),
    "mm":  (0.09, 1.0, 0.75, 0.00, 0.00, 0.00, 0.00, 0.00, 0.05),
    "ff":  (0.09, 0.0, 0.00, 0.00, 0.00, 0.05, 0.00, 0.18, 0.55),
    "aa":  (0.60, 0.0, 0.00, 0.00, 0.00, 0.05, 0.28, 0.18, 0.00),
    "eh":  (0.40, 0.0, 0.00, 0.00, 0.00, 0.18, 0.28, 0.15, 0.00),
    "ee":  (0.20, 0.0, 0.00, 0.00, 0.00, 0.45, 0.36, 0.18, 0.00),
    "oh":  (0.42, 0.0, 0.00, 0.50, 0.25, 0.00, 0.05, 0.00, 0.00),
    "oo":  (0.16, 0.0, 0.00, 0.25, 0.75, 0.00, 0.00, 0.00, 0.00),
    "sh":  (0.13, 0.0, 0.00, 0.50, 0.15, 0.00, 0.18, 0.12, 0.00),
    "ss":  (0.08, 0.0, 0.00, 0.00, 0.00, 0.30, 0.30, 0.14, 0.00),
    "dd":  (0.18, 0.0, 0.00, 0.00, 0.00, 0.10, 0.22, 0.10, 0.00),
    "kk":  (0.26, 0.0, 0.00, 0.00, 0.00, 0.05, 0.18, 0.08, 0.00),
    "rr":  (0.20, 0.0, 0.00, 0.30, 0.25, 0.00, 0.10, 0.05, 0.00),
}  # fmt: skip

SHAPES: Final = np.array([_SHAPES[name] for name in VISEMES], np.float32)
"""float32[13, 9]: each viseme's articulators."""

DOMINANCE: Final = np.array([1.0, 4.0, 3.0, 1.2, 1.0, 1.0, 1.2, 1.6, 1.2, 0.9, 0.7, 0.6, 0.9], np.float32)
"""float32[13]: how much a viseme insists on its shape against its neighbours (Cohen and Massaro 1993): lips must meet for
an m, while a k does not care."""

CONTEXT: Final = (0, 1, 2, 3, 4, 6, 9)
"""The frames that are looked at, counted back from the newest one, 10 ms each."""

INPUTS: Final = BANDS + 3
MODEL: Final = Path(__file__).with_name("visemes.npz")


class VisemeReader:
    """Reads sound as a mixture of visemes: a perceptron with one small hidden layer on 100 ms of spectrum.

    It has no recurrent state; what it remembers is the last `CONTEXT`.
    Origin of the constants: `visemes.md` beside this file.
    """

    def __init__(self) -> None:
        self._weights = _constants()
        self._past = np.tile(_quiet(), (max(CONTEXT) + 1, 1))

    def read(self, frame: SoundFrame) -> NDArray[np.float32]:
        """float32[13], probabilities at the centre of this frame, given it and those before."""
        self._past[1:] = self._past[:-1]
        self._past[0] = describe(frame)
        first, first_bias, second, second_bias = self._weights
        hidden = np.tanh(self._past[_CONTEXT].reshape(-1) @ first + first_bias)
        logits = hidden @ second + second_bias
        odds = np.exp(logits - logits.max())
        return odds / odds.sum()


_CONTEXT: Final = np.array(CONTEXT)


def describe(frame: SoundFrame) -> NDArray[np.float32]:
    """float32[INPUTS], a frame as the perceptron sees it: each entry of the order of one."""
    inputs = np.empty(INPUTS, np.float32)
    inputs[:BANDS] = (frame.bands + 20) / 15
    inputs[BANDS] = min(max(frame.loudness_db + 15, -30), 20) / 12
    inputs[BANDS + 1] = (min(max(frame.above_noise_db, 0), 40) - 15) / 15
    inputs[BANDS + 2] = (frame.periodicity - 0.6) * 2.5
    return inputs


def _quiet() -> NDArray[np.float32]:
    return describe(SoundFrame(np.full(BANDS, -45, np.float32), -60.0, 0.0, 0.0, 0.0, -60.0))


def _constants() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    try:
        with np.load(MODEL, allow_pickle=False) as file:
            first, first_bias, second, second_bias = (file[f"p{i}"].astype(np.float32) for i in range(4))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{MODEL.name} is missing or damaged: take it from the repository again ({error})") from error
    assert first.shape[0] == INPUTS * len(CONTEXT)
    assert second.shape[1] == len(VISEMES)
    return first, first_bias, second, second_bias
