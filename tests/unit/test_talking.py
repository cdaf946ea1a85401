"""`engine.motion.mouth` with a graph that says what it is told to."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.graph import GraphSpec
from engine.motion.mouth import JAW_CLOSED, LOOK_AHEADS_MS, OPENS, PRESSED, SPEC, Mouth
from engine.motion.visemes import ARTICULATORS, VISEMES

JAW, CLOSE, PRESS, FUNNEL = (ARTICULATORS.index(name) for name in ("jaw", "close", "press", "funnel"))
MEL = np.zeros((2, 40), np.float32)  # sound of middling loudness
FAINT = np.full((2, 40), -0.99, np.float32)


class Told:
    """A mouth network that repeats what it was told, by head."""

    def __init__(self) -> None:
        self.shapes = np.zeros((4, len(ARTICULATORS)), np.float32)
        self.visemes = np.zeros((4, len(VISEMES)), np.float32)
        self.say("aa")

    @property
    def spec(self) -> GraphSpec:
        return SPEC

    def say(self, viseme: str, **shape: float) -> None:
        self.visemes[:] = 0
        self.visemes[:, VISEMES.index(viseme)] = 1
        self.shapes[:] = 0
        for name, value in shape.items():
            self.shapes[:, ARTICULATORS.index(name)] = value

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        states = {state.name: np.asarray(inputs[state.name], np.float32) + 1 for state in SPEC.states}
        return {"shapes": self.shapes.copy(), "visemes": self.visemes.copy(), **states}


@pytest.fixture
def told() -> Told:
    return Told()


def steps(mouth: Mouth, count: int) -> NDArray[np.float32]:
    shapes: list[NDArray[np.float32]] = []
    for _ in range(count):
        mouth.step(MEL)
        shapes.append(mouth.shape)
    return np.array(shapes)


def test_each_look_ahead_has_its_own_head(told: Told):
    told.shapes[:, JAW] = [0.1, 0.2, 0.3, 0.4]
    jaws = [steps(Mouth(told, ms), 30)[-1, JAW] for ms in LOOK_AHEADS_MS]
    assert jaws == pytest.approx([0.1 * OPENS, 0.2 * OPENS, 0.3 * OPENS, 0.4 * OPENS], abs=0.01)


def test_a_look_ahead_without_a_head_is_refused(told: Told):
    with pytest.raises(ValueError, match="0, 40, 80, 160 ms, got 60"):
        Mouth(told, 60)


def test_lips_that_meet_do_so_exactly_and_firmly(told: Told):
    mouth = Mouth(told, 80)
    told.say("aa", jaw=0.5, funnel=0.3)
    steps(mouth, 30)
    told.say("mm", jaw=0.3, funnel=0.3, close=0.9)
    closed = steps(mouth, 1)[0]
    assert closed[CLOSE] == pytest.approx(1, abs=0.02)
    assert closed[JAW] <= JAW_CLOSED + 0.01
    closed = steps(mouth, 8)[-1]
    assert closed[PRESS] >= 0.97 * PRESSED
    assert closed[JAW] <= JAW_CLOSED + 0.01
    assert closed[FUNNEL] <= 0.01


def test_lips_part_as_soon_as_the_network_says_so_but_not_with_a_snap(told: Told):
    mouth = Mouth(told, 80)
    told.say("aa", jaw=0.5)
    steps(mouth, 20)
    told.say("mm", jaw=0.3, close=1.0)
    steps(mouth, 3)
    told.say("aa", jaw=0.5)
    assert 0.05 < steps(mouth, 1)[0, CLOSE] < 0.5


def test_silence_is_exact_rest_and_stays_so(told: Told):
    mouth = Mouth(told, 80)
    told.say("aa", jaw=0.5)
    steps(mouth, 20)
    told.say("sil", jaw=0.05)
    rest = steps(mouth, 60)
    assert np.all(np.diff(rest[:, JAW]) <= 0)
    assert not rest[-20:].any()
    assert mouth.speech < 0.02


def test_reset_equals_new(told: Told):
    used = Mouth(told, 40)
    told.say("mm", jaw=0.4, close=0.8)
    first = steps(used, 17)
    used.reset()
    assert np.array_equal(steps(used, 17), first)


def test_what_is_far_fainter_than_the_voice_is_silence_after_a_stop_has_passed(told: Told):
    mouth = Mouth(told, 80)
    told.say("aa", jaw=0.5)
    steps(mouth, 20)
    jaws = []
    for _ in range(30):
        mouth.step(FAINT)
        jaws.append(float(mouth.shape[JAW]))
    assert min(jaws[:6]) > 0.4, "a stop consonant's gap"
    assert not any(jaws[-8:])
