"""Published networks that some metrics are defined by. They cannot come with this project: who has one gives its file.

    option          metric  takes                                                              gives
    --fid-network   FID     RGB float32[B, 3, 299, 299] in -1..1                               [B, 2048], Inception's pool3
    --csim-network  CSIM    RGB float32[B, 3, 112, 112] in -1..1, eyes, nose and corners of    [B, D], ArcFace
                            the mouth where ArcFace has them
    --sync-network  LSE-C   BGR float32[B, 3, 5, 224, 224] in 0..255, and MFCC [B, 1, 13, 20]  [B, D] of each, SyncNet

A file is a program of `torch.export.save` (.pt2), in evaluation mode and with
any B, as in `training.pdfgc.teachers`. Faces are the framed pictures: LSE-C's
published crops are those of a detector (S3FD) and a little wider.
"""

# pyright: basic
# cv2 types its images as unions

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor, nn

from engine.face.crop import cut
from training.evaluate.likeness import Image, Landmarks
from training.pdfgc.teachers import program

Floats = NDArray[np.float64]
Network = Callable[..., Any]

SEEN: Final = 299
"""px of Inception's pictures."""
FACE: Final = 112
"""px of ArcFace's."""
ARCFACE: Final[Floats] = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""px: where its five points lie."""
MOUTHS: Final = 5
"""Frames of a window of SyncNet."""
MOUTH: Final = 224
"""px of them."""
SHIFTS: Final = 15
"""Frames by which the sound is moved either way."""
_EYES: Final = ((33, 133), (362, 263))
_NOSE, _CORNERS = 1, (61, 291)
_BATCH: Final = 16


@dataclass(frozen=True, slots=True)
class Given:
    """The networks that were given; None for one that was not; the observer says V_lip [T, 500] of a film."""

    inception: Network | None = None
    arcface: Network | None = None
    syncnet: Network | None = None
    observer: Callable[[Image], NDArray[np.float32]] | None = None

    @classmethod
    def load(cls, inception: Path | None, arcface: Path | None, syncnet: Path | None, device: str) -> "Given":
        """From files.

        Raises:
            ModelError: if one of them holds no program.
        """
        return cls(*(_on(program(path, device), device) if path else None for path in (inception, arcface, syncnet)))

    def missing(self) -> list[str]:
        """A line for each metric that cannot be measured."""
        options = {
            "FID": (self.inception, "--fid-network"),
            "CSIM": (self.arcface, "--csim-network"),
            "LSE-C and NLSE-C": (self.syncnet, "--sync-network"),
            "lips read": (self.observer, "--observer"),
        }
        return [f"{metric}: not measured: give {option}" for metric, (network, option) in options.items() if network is None]


def _on(network: nn.Module, device: str) -> Network:
    return lambda *inputs: network(*(part.to(device) for part in inputs))


def lips_apart(shown: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """Mean squared difference of V_lip [T, D] of two films, means over time removed; of a mouth that rests the variance."""
    away = (shown - shown.mean(0)) - (wanted - wanted.mean(0))
    return float((away**2).mean())


@torch.no_grad()
def inception_features(network: Network, film: Image) -> Floats:
    """float64[T, 2048] of pictures uint8[T, S, S, 3]."""
    parts = []
    for first in range(0, len(film), _BATCH):
        resized = [cv2.resize(rgb, (SEEN, SEEN), interpolation=cv2.INTER_LINEAR) for rgb in film[first : first + _BATCH]]
        parts.append(network(_signed(np.stack(resized))).double().flatten(1).cpu().numpy())
    return np.concatenate(parts)


def frechet(made: Floats, real: Floats) -> float:
    """FID of features float64[N, D] and [M, D]: |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^1/2) (Heusel et al. 2017)."""
    covariances = [np.atleast_2d(np.cov(some, rowvar=False)) for some in (made, real)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0)).sum()
    away = made.mean(0) - real.mean(0)
    return float(away @ away + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross)


@torch.no_grad()
def identity(network: Network, film: Image, landmarks: Landmarks) -> Floats:
    """float64[T, D] of unit length: who is in pictures uint8[T, S, S, 3], given their landmarks float32[T, 478, 3]."""
    faces = np.stack([cut(rgb, onto(_five(marks), ARCFACE), FACE) for rgb, marks in zip(film, landmarks, strict=True)])
    said = network(_signed(faces)).double().flatten(1).cpu().numpy()
    return said / np.linalg.norm(said, axis=1, keepdims=True)


def _five(landmarks: NDArray[np.float32]) -> Floats:
    flat = landmarks[:, :2].astype(np.float64)
    eyes = [flat[list(corners)].mean(0) for corners in _EYES]
    return np.array([*eyes, flat[_NOSE], flat[_CORNERS[0]], flat[_CORNERS[1]]])


def onto(points: Floats, goal: Floats) -> Floats:
    """float64[2, 3]: turn, scale and shift that bring points float64[N, 2] nearest to others, in least squares."""
    rows = [[x, -y, 1, 0] for x, y in points] + [[y, x, 0, 1] for x, y in points]
    c, s, x, y = np.linalg.lstsq(np.array(rows), goal.T.ravel(), rcond=None)[0]
    return np.array([[c, -s, x], [s, c, y]])


@torch.no_grad()
def lip_sync_confidence(network: Network, film: Image, sound: NDArray[np.int16]) -> float:
    """LSE-C of pictures uint8[T, S, S, 3] at 25 fps and int16[640 T]; NaN if there are fewer than six.

    The distance of mouths and sound is averaged over time for each shift of the sound; the confidence is its median over
    the shifts, less its least (Chung and Zisserman 2016).
    """
    mouths = np.stack([cv2.resize(rgb, (MOUTH, MOUTH), interpolation=cv2.INTER_LINEAR) for rgb in film])[..., ::-1]
    heard, count = mfcc(sound), len(film) - MOUTHS
    if count < 1:
        return float("nan")
    seen_parts, heard_parts = [], []
    for first in range(0, count, _BATCH):
        places = range(first, min(first + _BATCH, count))
        windows = np.stack([mouths[k : k + MOUTHS].transpose(3, 0, 1, 2) for k in places]).astype(np.float32)
        sounds = np.stack([heard[4 * k : 4 * k + 20].T[None] for k in places]).astype(np.float32)
        seen, said = network(torch.from_numpy(windows), torch.from_numpy(sounds))
        seen_parts.append(seen.double().cpu().numpy())
        heard_parts.append(said.double().cpu().numpy())
    return confidence(np.concatenate(seen_parts), np.concatenate(heard_parts))


def confidence(seen: Floats, heard: Floats) -> float:
    """LSE-C of embeddings float64[T, D] of mouths and of sound; beyond the ends the sound's are zero."""
    padded = np.pad(heard, ((SHIFTS, SHIFTS), (0, 0)))
    shifts = range(2 * SHIFTS + 1)
    away = [np.linalg.norm(seen - padded[k : k + len(seen)] + 1e-6, axis=1).mean() for k in shifts]
    return float(np.median(away) - np.min(away))


def mfcc(sound: NDArray[np.int16]) -> Floats:
    """float64[T, 13], 100 a second, of sound at 16 kHz, as SyncNet was trained with.

    25 ms windows, pre-emphasis 0.97, 512 points, 26 triangles in mel up to 8 kHz, orthonormal DCT, lifter 22; the first
    coefficient is the energy's logarithm.
    """
    signal = sound.astype(np.float64)
    signal = np.append(signal[:1], signal[1:] - 0.97 * signal[:-1])
    count = 1 + max(-(-(len(signal) - 400) // 160), 0)
    signal = np.pad(signal, (0, max((count - 1) * 160 + 400 - len(signal), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(signal, 400)[::160][:count]
    power = np.abs(np.fft.rfft(frames, 512)) ** 2 / 512
    tiny = np.finfo(float).eps
    bands = np.maximum(power @ _triangles().T, tiny)
    cepstrum = np.asarray(dct(np.log(bands), type=2, axis=1, norm="ortho"), np.float64)
    out = cepstrum[:, :13] * (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
    out[:, 0] = np.log(np.maximum(power.sum(1), tiny))
    return out


def _triangles() -> Floats:
    """float64[26, 257]: their corners lie on whole bins."""
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    corners = np.floor(513 * 700 * (10 ** (mel / 2595) - 1) / 16000)
    bins, low, peak, high = np.arange(257), corners[:-2, None], corners[1:-1, None], corners[2:, None]
    up, down = (bins - low) / np.maximum(peak - low, 1), (high - bins) / np.maximum(high - peak, 1)
    return np.where(bins < peak, up, down) * ((bins >= low) & (bins < high))


def _signed(rgb: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb)).movedim(-1, 1).float() / 127.5 - 1


def similarity_to(first: Floats, others: Sequence[Floats] | Floats) -> float:
    """CSIM: the mean cosine of embeddings of unit length float64[D] and [T, D]."""
    return float(np.mean(np.asarray(others) @ first))
