"""Syllables in the sound are found again, at the right moment, in the mouth of the rendered pictures.

Nothing is asked of the engine but its pictures and its sound: no motion vector, no label.
"""

from collections.abc import Mapping

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import inputs, mouth
from benchmarks.mouth import Lag, Window
from engine.contract import Motion
from engine.media import VideoFrame
from engine.motion.compositor import Compositor
from engine.motion.idle import IdleSource
from engine.motion.voice import VoiceSource
from engine.render.mesh import MeshRenderer
from engine.rig import archive
from engine.rig.avatar import FRAME
from engine.session import Session
from engine.timeline import SAMPLE_RATE_HZ, Timeline
from tests.unit import sounds

SIZE = 256
LOOK_AHEAD_MS = 80

pytestmark = pytest.mark.slow


class LateRenderer(MeshRenderer):
    """Draws the motion of some frames ago: what a wrong account of the look-ahead would look like."""

    frames = 0

    def prepare(self, motion: Motion) -> None:
        self._waiting = [*getattr(self, "_waiting", []), motion]
        super().prepare(self._waiting[max(0, len(self._waiting) - 1 - self.frames)])

    def finish(self, outputs: Mapping[str, NDArray[np.generic]] | None = None) -> VideoFrame:
        return super().finish(outputs)


def seen_lag(portrait: str, late_frames: int = 0) -> Lag:
    """Of the mouth in the pictures of a session that hears syllables, with head motion and all."""
    avatar = archive.load(inputs.portrait(portrait))
    rng = np.random.default_rng(5)
    sound = np.concatenate([sounds.syllables(1, float(rate), lead_s=0.0) for rate in rng.uniform(2.5, 5.0, 26)])
    voice, renderer = VoiceSource(LOOK_AHEAD_MS), LateRenderer(avatar, SIZE)
    renderer.frames = late_frames
    session = Session(Timeline(), renderer, Compositor({"voice": voice, "idle": IdleSource(1)}), voice)
    window = Window.around(avatar.landmarks, SIZE, FRAME)
    step = session.timeline.samples_per_frame
    session.push(sound[: session.lead])
    heard, windows = [], []
    for begin in range(session.lead, len(sound) - step, step):
        session.push(sound[begin : begin + step])
        emission = session.tick()
        heard.append(emission.audio.samples)
        luma = np.asarray(cv2.cvtColor(emission.video.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        windows.append(window.cut(luma).copy())
    depicted = np.arange(len(windows)) * step + step // 2
    found = mouth.lag_behind(np.concatenate(heard), 0, depicted, mouth.opening(np.array(windows)))
    assert found is not None
    return found


@pytest.mark.parametrize("portrait", ["mei", "samuel"])
def test_the_mouth_in_the_pictures_follows_the_syllables(portrait: str) -> None:
    found = seen_lag(portrait)
    assert found.correlation > 0.5
    assert abs(found.milliseconds) <= 60, "the declared look-ahead is not what the pictures show"


def test_pictures_that_come_too_late_are_found_out() -> None:
    assert seen_lag("mei", late_frames=4).milliseconds - seen_lag("mei").milliseconds == pytest.approx(
        4 * 1000 * 1920 / SAMPLE_RATE_HZ, abs=25
    )
