"""Faces as a few numbers: principal components of landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkBasis:
    """An orthonormal basis of landmarks in the head's own frame.

    Attributes:
        mean: float32[P, 3] in u.
        components: float32[K, P, 3], each of length 1, the strongest first.
        deviation: float32[K] in u: standard deviation of each coefficient in what the basis was made from.
        explained: share of the variance that the components hold.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    deviation: NDArray[np.float32]
    explained: float

    @classmethod
    def of(cls, landmarks: Floats, count: int) -> "LandmarkBasis":
        """The basis of floating[N, P, 3].

        Raises:
            ValueError: if there are fewer faces than components.
        """
        if len(landmarks) <= count:
            raise ValueError(f"{count} components need more faces than {len(landmarks)}")
        flat = landmarks.reshape(len(landmarks), -1).astype(np.float64)
        mean = flat.mean(0)
        values, directions = _principal(flat - mean)
        shape = landmarks.shape[1:]
        return cls(
            mean.reshape(shape).astype(np.float32),
            directions[:count].reshape(count, *shape).astype(np.float32),
            np.sqrt(values[:count]).astype(np.float32),
            float(values[:count].sum() / max(values.sum(), 1e-12)),
        )

    def project(self, landmarks: Floats) -> NDArray[np.float32]:
        """float32[..., K]: the coefficients of floating[..., P, 3]."""
        away = (landmarks - self.mean).reshape(*landmarks.shape[:-2], -1)
        return (away @ self.components.reshape(len(self.components), -1).T).astype(np.float32)

    def displacement(self, coefficients: Floats) -> NDArray[np.float32]:
        """float32[..., P, 3] in u: what coefficients floating[..., K] add to a face (the paper's PCA^R, without its mean)."""
        flat = coefficients @ self.components.reshape(len(self.components), -1)
        return flat.reshape(*coefficients.shape[:-1], *self.mean.shape).astype(np.float32)

    def arrays(self) -> dict[str, Floats]:
        """What `of_arrays` takes."""
        return {
            "mean": self.mean,
            "components": self.components,
            "deviation": self.deviation,
            "explained": np.array(self.explained),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Floats]) -> "LandmarkBasis":
        """The basis that `arrays` gave."""
        mean, components, deviation = (np.asarray(arrays[key], np.float32) for key in ("mean", "components", "deviation"))
        return cls(mean, components, deviation, float(arrays["explained"]))


def _principal(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances and directions (rows) of float64[N, D], the strongest first; by whichever of both sides is smaller."""
    if len(centred) < centred.shape[1]:
        _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
        return strengths**2 / (len(centred) - 1), directions
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(centred) - 1))
    return np.maximum(values[::-1], 0), vectors[:, ::-1].T
