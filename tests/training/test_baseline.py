"""Drivers without training: what they do, and that they need nothing of the engine that the networks replaced."""

import subprocess
import sys

import numpy as np

from engine.contract.motion import Channel
from engine.motion.visemes import ARTICULATORS, controls_of
from tests.training.scenes import syllables
from training.baseline.loudness import loudness_controls, shut_controls
from training.baseline.signal_processing import mouth_controls
from training.evaluate.drivers import upsampled


def test_signal_processing_opens_in_syllables_and_rests_in_silence() -> None:
    sound, jaw = syllables()
    controls = mouth_controls(upsampled(sound))
    assert len(controls) == len(jaw)
    assert controls[10:30].max() == 0
    assert controls[60:, Channel["jawOpen"]].max() > 0.05


def test_the_future_beyond_its_look_ahead_does_not_change_the_past() -> None:
    sound = upsampled(syllables()[0])
    cut = 75 * 960
    other = np.concatenate((sound[: cut + 1920], np.zeros(len(sound) - cut - 1920, np.float32)))
    assert np.array_equal(mouth_controls(sound)[:75], mouth_controls(other)[:75])


def test_closed_lips_take_back_the_jaw() -> None:
    shape = np.zeros(len(ARTICULATORS), np.float32)
    shape[[ARTICULATORS.index("jaw"), ARTICULATORS.index("close")]] = 0.2, 1.0
    controls = controls_of(shape)
    assert controls[Channel["mouthClose"]] == controls[Channel["jawOpen"]] == np.float32(0.2)


def test_loudness_opens_the_jaw_and_the_shut_mouth_never_does() -> None:
    sound, jaw = syllables()
    opened = loudness_controls(sound)[:, Channel["jawOpen"]]
    assert opened[10:30].max() < 0.05
    assert np.corrcoef(opened, jaw)[0, 1] > 0.6
    assert not shut_controls(sound).any()


def test_it_needs_no_driver_of_the_engine() -> None:
    script = (
        "import sys; sys.modules.update({'engine.motion.voice': None, 'engine.motion.mouth': None});"
        "import training.baseline.signal_processing, training.baseline.loudness"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
