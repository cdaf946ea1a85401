"""The facial expression learner among the drivers: its output is landmarks, no controls."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.features.mel import RATE_HZ
from engine.timeline import MOTION_RATE_HZ
from training.data.pca import LandmarkBasis
from training.evaluate.drivers import Performance
from training.evaluate.face import LIPS, Face
from training.evaluate.report import LEARNER
from training.expression import POINTS, RATE_FPS, expression, load, padded, window_begins
from training.networks.expression_learner import LOOK_AHEAD_MS, ExpressionLearner


@dataclass(frozen=True, slots=True)
class LearnerDriver:
    """Psi at 25 frames a second, as published; between frames its landmarks move linearly."""

    learner: ExpressionLearner
    basis: LandmarkBasis
    name: str = LEARNER
    look_ahead_ms: float = LOOK_AHEAD_MS

    @classmethod
    def load(cls, path: Path) -> "LearnerDriver":
        """The learner of a file; see `training.expression.save`."""
        learner, basis = load(path)
        return cls(learner, basis, LEARNER if learner.width == "published" else f"{LEARNER}, {learner.width}")

    def perform(self, sound: NDArray[np.float32], neutral: NDArray[np.float32], face: Face) -> Performance:
        """See `training.evaluate.drivers.Driver`."""
        frames = max(len(sound) * RATE_FPS // RATE_HZ, 1)
        instants, begins = (np.arange(frames) + 0.5) / RATE_FPS, window_begins(frames, RATE_FPS, len(sound))
        made = expression(self.learner, self.basis, padded(sound), begins, neutral[:POINTS])[:, LIPS]
        steps = np.arange(len(sound) * MOTION_RATE_HZ // RATE_HZ) / MOTION_RATE_HZ
        flat = [np.interp(steps, instants, line) for line in made.reshape(len(made), -1).T]
        lips = np.stack(flat, 1).reshape(len(steps), *made.shape[1:]).astype(np.float32)
        return Performance(lips, face.gap(lips))
