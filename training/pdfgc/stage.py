"""What a training stage is to the trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from training.pdfgc.networks import Networks
from training.run import Stateful

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a stage makes of a batch.

    Attributes:
        losses: by name, each a scalar that has not been weighted.
        made: [B, 3, S, S] in -1..1, for a discriminator; None if no pictures are made.
        real: the same as they should be.
    """

    losses: Mapping[str, Tensor]
    made: Tensor | None = None
    real: Tensor | None = None


class Stage(Protocol):
    """One stage of training: which networks it trains, on what, and what it makes small.

    Attributes:
        networks: all that are saved and averaged.
        state: what else must be saved, by name.
        trained: the parts of them that are trained; the rest is frozen, its normalisations too.
        discriminator: trained against what is made, or None.
        weights: of the losses, by name.
    """

    networks: Networks
    state: Mapping[str, Stateful]
    trained: Sequence[nn.Module]
    discriminator: nn.Module | None
    weights: Mapping[str, float]

    def batch(self, index: int, rank: int, count: int) -> Mapping[str, NDArray[np.generic]]:
        """Arrays of global batch number `index`, the share of process `rank` of `count`; a function of these alone."""
        ...

    def losses(self, batch: Batch, step: int) -> Outcome:
        """What becomes of a batch in step `step`."""
        ...

    def show(self, networks: Networks) -> Mapping[str, Tensor]:
        """Rows of sample pictures [N, 3, S, S] in -1..1 by title, of people held out, made by (averaged) networks."""
        ...


def joined(parts: Sequence[Mapping[str, NDArray[np.generic]]]) -> dict[str, NDArray[np.generic]]:
    """Arrays of the same names, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
