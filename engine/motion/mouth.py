"""A mouth that says what it hears, by a small network that is fed 20 ms of sound at a time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.contract.graph import Graph, GraphSpec, TensorSpec, open_stream
from engine.features.mel import BANDS, FLOOR_VALUE, FRAMES_PER_STEP
from engine.motion.visemes import ARTICULATORS, VISEMES

LOOK_AHEADS_MS: Final = (0, 40, 80, 160)
"""What the network has a head for: the more sound beyond an instant it has heard, the surer it is of the lips at it."""
HIDDEN: Final = 192

SPEC: Final = GraphSpec(
    "voice",
    (TensorSpec("mel", (FRAMES_PER_STEP, BANDS)),),
    (
        TensorSpec("shapes", (len(LOOK_AHEADS_MS), len(ARTICULATORS)), low=0.0),
        TensorSpec("visemes", (len(LOOK_AHEADS_MS), len(VISEMES)), low=0.0),
    ),
    (TensorSpec("hidden", (2, 1, HIDDEN), axis=1), TensorSpec("usual", (1, BANDS + 2), low=0.0)),
)
"""Signature of `voice.onnx`; `close` among the shapes is a probability."""

CLOSES: Final = (0.36, 0.6)
"""Probability of a closure between which lips go from parted to met."""
CLOSED_STAYS: Final = 0.15
"""Share of a closure that stays for the next step: more shuts vowels after it, too (0.45: 8 % of open ones instead of 3)."""
PRESSED: Final = 0.75
"""How firmly met lips are pressed: what the rig calls firm."""
PRESSES: Final = 0.4
"""Share per step of the way to a firmer or looser press."""
OPENS: Final = 1.17
"""A network that is unsure opens less than people do; so much more brings the spread of the gap back to that of real lips."""
JAW_CLOSED: Final = 0.14
"""How far the jaw may hang while the lips are met."""
SILENT: Final = (0.7, 0.95)
"""Probability of silence between which the mouth is let go to rest."""
RESTS, WAKES = 0.35, 0.8
"""Shares per step of the way to rest and to speech."""
FAINT: Final = 1.25
"""What is so much fainter than the voice was (50 dB) is no speech, whatever it sounds like."""
FADES: Final = 0.002
"""How much fainter the voice may become in a step: 4 dB a second."""
PAUSE: Final = 4
"""Steps of faint sound that are no stop consonant any more."""
WARM: Final = 5
"""Steps that a stream must have lasted before silence and speech can be told apart."""
STILL: Final = 0.02
"""Rest is exact from here on."""

_CLOSE, _PRESS, _JAW = (ARTICULATORS.index(name) for name in ("close", "press", "jaw"))
_OPENING: Final = np.array([ARTICULATORS.index(name) for name in ("jaw", "funnel", "lower", "upper")])
_PARTING: Final = np.array([ARTICULATORS.index(name) for name in ("funnel", "lower", "upper")])


class Mouth:
    """Articulators from sound.

    Lips that meet do so exactly, and in silence the mouth is exactly at rest.

    Args:
        graph: `voice.onnx`; may be shared.
        look_ahead_ms: one of `LOOK_AHEADS_MS`.

    Raises:
        ValueError: if there is no head for that look-ahead.
    """

    def __init__(self, graph: Graph, look_ahead_ms: float) -> None:
        if look_ahead_ms not in LOOK_AHEADS_MS:
            raise ValueError(f"the voice looks ahead by {', '.join(map(str, LOOK_AHEADS_MS))} ms, got {look_ahead_ms:g}")
        self._head = LOOK_AHEADS_MS.index(int(look_ahead_ms))
        self._ahead = int(look_ahead_ms) // 20
        self._stream = open_stream(graph)
        self.reset()

    def reset(self) -> None:
        """As new."""
        self._stream.reset()
        self._closed = self._pressed = 0.0
        self._steps = self._faint = 0
        self._loudest = FLOOR_VALUE
        self.shape = np.zeros(len(ARTICULATORS), np.float32)
        """float32[9], see `ARTICULATORS`; `close` is the share of the jaw's opening that the lips take back."""
        self.visemes = np.zeros(len(VISEMES), np.float32)
        """float32[13] probabilities, see `VISEMES`."""
        self.visemes[0] = 1
        self.speech = 0.0
        """0..1: how surely this is speech."""

    def step(self, mel: NDArray[np.float32]) -> None:
        """Hear the next float32[2, 40] and move on by 20 ms."""
        said = self._stream.step({"mel": mel})
        goal = np.asarray(said["shapes"][self._head], np.float32).copy()
        self.visemes = np.asarray(said["visemes"][self._head], np.float32)
        goal[_JAW] = min(OPENS * float(goal[_JAW]), 1.0)
        voiced = self._voiced(float(mel.max()))
        self.speech += (WAKES if voiced > self.speech else RESTS) * (voiced - self.speech)
        hushed = self._faint > self._ahead  # nothing is heard at this instant, nor up to the newest sound: no cause to open
        self._closed = max(_ramp(float(goal[_CLOSE]), *CLOSES), (1.0 if hushed else CLOSED_STAYS) * self._closed)
        self._meet(goal)
        goal *= np.float32(self.speech)
        goal[_CLOSE] = self._closed  # lips that have met stay so on the way to rest
        if hushed:
            goal[_OPENING] = np.minimum(goal[_OPENING], self.shape[_OPENING])
        if self.speech < STILL:
            self._closed = 0.0
            goal[:] = 0
        self.shape = goal

    def _voiced(self, loudness: float) -> float:
        """0..1: whether there is speech at the instant that the head speaks of; `loudness` is of the newest sound."""
        self._steps += 1
        self._loudest = max(loudness, self._loudest - FADES)
        self._faint = self._faint + 1 if loudness < max(self._loudest - FAINT, FLOOR_VALUE + 0.1) else 0
        if self._steps <= WARM or self._faint - self._ahead >= PAUSE:
            return 0.0
        return 1 - _ramp(float(self.visemes[0]), *SILENT)

    def _meet(self, goal: NDArray[np.float32]) -> None:
        goal[_CLOSE] = self._closed
        self._pressed += PRESSES * (max(float(goal[_PRESS]), PRESSED * self._closed) - self._pressed)
        goal[_PRESS] = self._pressed
        goal[_PARTING] *= 1 - self._closed
        goal[_JAW] = min(float(goal[_JAW]), float(goal[_JAW]) * (1 - self._closed) + JAW_CLOSED * self._closed)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
