"""The losses of PD-FGC, by their equations; "facts" are what its text leaves open, see docs/training.md.

All are means over the batch, so that the mean over equal parts of a batch is that of the whole.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.pdfgc.parallel import gathered, world

TEMPERATURE: Final = 0.07
"""Of Eq. 2-4. The paper has none: bare cosines lie in -1..1, and their softmax over K negatives hardly has a gradient."""

Features = Sequence[Tensor]


def motion_reconstruction(made: Features, true: Features) -> Tensor:
    """Eq. 1: |phi(I_0) - phi(I_g)|_2 + |psi(I_0) - psi(I_g)|_2, over features [B, D] of a face reconstruction and of emotion.

    Each term is there if its network is; differentiable where it is 0.
    """
    distances = [(a - b.detach()).square().sum(1).add(1e-12).sqrt().mean() for a, b in zip(made, true, strict=True)]
    return torch.stack(distances).sum()


def info_nce(queries: Tensor, keys: Tensor, positives: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 2 (and 3): -log of the share of the positive among all keys, by cosine.

    Args:
        queries: [B, D].
        keys: [N, D]; all but the positive are the K = N - 1 negatives.
        positives: int64[B], for each query the row of its key.
        temperature: the cosines are divided by it.
    """
    cosines = _products(functional.normalize(queries.float(), dim=1), functional.normalize(keys.float(), dim=1))
    return functional.cross_entropy(cosines / temperature, positives)


def contrast_lips(audio: Tensor, video: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 2 + Eq. 3 over pairs [B, D]: sound i belongs to picture i, all others of all processes' batch are negatives."""
    own = torch.arange(len(audio), device=audio.device) + world()[0] * len(audio)
    return info_nce(audio, gathered(video), own, temperature) + info_nce(video, gathered(audio), own, temperature)


def crossmodal_error(audio: Tensor, video: Tensor) -> Tensor:
    """L1 of the two features [B, D], normalised, that belong together (PC-AVS); a mean over D, not a sum.

    As a sum over 500 dimensions it outweighs Eq. 2 and 3, and all features become one.
    """
    return functional.l1_loss(functional.normalize(audio, dim=1), functional.normalize(video, dim=1))


def contrast_eyes(own: Tensor, other: Tensor, anchor: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 4: features [B, D] of the frame that gave the eyes, of the one that gave the rest, and of their composite."""
    positive = functional.cosine_similarity(own.float(), anchor.float()) / temperature
    negative = functional.cosine_similarity(other.float(), anchor.float()) / temperature
    return functional.softplus(negative - positive).mean()


def pose_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Eq. 5: L1 of poses [B, 6], as their mean over the six numbers."""
    return (predicted - true).abs().mean()


def decorrelation(expression: Tensor, lips: Tensor, batch: int) -> Tensor:
    """Eq. 6: how far expression and lips can be told from each other linearly.

    The two have 30 and 500 dimensions, so "cor" is read as the matrix of Pearson
    coefficients of each with each, of which the mean square is taken.

    Args:
        expression: [M, D_e]: the latest features, the current batch first; the rest is constant.
        lips: [M, D_l]: those of the same frames.
        batch: how many rows are the current batch: the gradient is scaled as if they alone were changed, by M / batch,
            so that it does not fade as the banks fill.
    """
    standard = [_standardised(features.float()) for features in (expression, lips)]
    correlation = _products(standard[0].T, standard[1].T) / len(expression)
    loss = correlation.square().mean()
    scale = len(expression) / batch
    return scale * loss - (scale - 1) * loss.detach()


def _products(rows: Tensor, others: Tensor) -> Tensor:
    """[N, D] and [M, D] to [N, M], in float32 whatever is multiplied in half: bfloat16 tells 1 from 0.99, no more."""
    with torch.autocast(rows.device.type, enabled=False):
        return rows @ others.T


def _standardised(features: Tensor) -> Tensor:
    """[M, D] with mean 0 and variance 1 along M; a dimension that does not vary is 0."""
    centred = features - features.mean(0)
    return centred / (centred.square().mean(0) + 1e-8).sqrt()


def feature_difference(made: Features, true: Features, weights: Sequence[float] | None = None) -> Tensor:
    """Eq. 7, and the discriminator's feature matching: the weighted sum of the L1 means of feature maps, `true` constant."""
    weights = weights or [1.0] * len(made)
    parts = [weight * (a - b.detach()).abs().mean() for weight, a, b in zip(weights, made, true, strict=True)]
    return torch.stack(parts).sum()


def hinge_real_or_made(real: Features, made: Features) -> Tensor:
    """What the discriminator makes small: hinge on the logits of each scale, mean over the scales."""
    terms = [functional.relu(1 - r).mean() + functional.relu(1 + m).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(terms).mean()


def hinge_taken_for_real(made: Features) -> Tensor:
    """What the generator makes small: minus the logits of each scale, mean over the scales."""
    return torch.stack([-logits.mean() for logits in made]).mean()


def feature_matching(made: Sequence[Features], real: Sequence[Features]) -> Tensor:
    """L1 of all feature maps but the logits, mean over maps and scales; `real` is constant."""
    scales = [feature_difference(m[:-1], r[:-1]) / max(len(m) - 1, 1) for m, r in zip(made, real, strict=True)]
    return torch.stack(scales).mean()


def lip_consistency(made_lips: Tensor, heard_lips: Tensor) -> Tensor:
    """The first term of Eq. 8: exp(-cos(V_lip(I_f), E_aud(a_g))) of [B, D]; the third is Eq. 1."""
    return torch.exp(-functional.cosine_similarity(made_lips.float(), heard_lips.detach().float())).mean()


def gaze_consistency(made_gaze: Tensor, true_gaze: Tensor) -> Tensor:
    """The second term of Eq. 8: |G(I_f) - G(I_g)|_1 of [B, 2]."""
    return (made_gaze - true_gaze.detach()).abs().sum(1).mean()
