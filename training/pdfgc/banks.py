"""Memory banks of Eq. 6: the latest features, so that a small batch can be correlated as a large one."""

import torch
from torch import Tensor, nn


class MemoryBank(nn.Module):
    """The latest `size` features of expression and of lips, in pairs; it is saved with the networks.

    Args:
        size: M, features kept, much more than a batch.
        widths: dimensions of the features, in the order in which they are given.
    """

    def __init__(self, size: int, widths: tuple[int, ...] = (30, 500)) -> None:
        super().__init__()
        for i, width in enumerate(widths):
            self.register_buffer(f"features{i}", torch.zeros(size, width))
        self.state: Tensor
        self.register_buffer("state", torch.zeros(2, dtype=torch.int64))  # filled, next
        self._size, self._count = size, len(widths)

    def __len__(self) -> int:
        return int(self.state[0])

    def with_current(self, *features: Tensor) -> tuple[Tensor, ...]:
        """[B + M', D] each: the current batch, through which the gradient goes, then what is kept (at most M - B of it)."""
        room = min(len(self), max(self._size - len(features[0]), 0))
        newest = (int(self.state[1]) - 1 - torch.arange(room, device=self.state.device)) % self._size
        return tuple(torch.cat([now, kept[newest].to(now.dtype)]) for now, kept in zip(features, self._kept(), strict=True))

    @torch.no_grad()
    def push(self, *features: Tensor) -> None:
        """Keep a batch; what is oldest goes. At most `size` rows count."""
        count, first = len(features[0]), int(self.state[1])
        where = (first + torch.arange(count, device=self.state.device)) % self._size
        for now, kept in zip(features, self._kept(), strict=True):
            kept[where] = now.detach().to(kept.dtype)
        self.state[0] = min(len(self) + count, self._size)
        self.state[1] = (first + count) % self._size

    def _kept(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, f"features{i}") for i in range(self._count))
